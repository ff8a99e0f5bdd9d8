// ReceiveQueues: which worker polls which receive queue, and how one gets from a worker to another
// while packets come, without loss and in order.
//
// Each queue has an owner, the one worker that polls it, and a worker that is wanted. The control
// thread writes who is wanted and raises the generation; the owner sees that at the beginning of its
// next turn, when all it received before has been forwarded or put on hold, and writes the new owner.
// That one sees it in its next turn and goes on where the other stopped: meanwhile packets wait in the
// device's queue. Nobody waits, and a worker that hangs keeps its queues.
//
// Packets that a worker holds for a neighbour stay with it; so do frames on their way through the
// transmit queue of a device, whose queues are ordered each by itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <vector>

#include "dataplane/base/ids.hh"
#include "dataplane/ring/wakeup.hh"
#include "dataplane/table/queue_counters.hh"
#include "dataplane/worker/port_io.hh"

namespace wye::worker {

struct alignas(64) ReceiveQueue {
    ReceiveQueue(PortId its_port, PortIo& its_io, table::QueueCounters* its_counters,
                 std::uint32_t worker)
        : port(its_port), io(&its_io), counters(its_counters), owner(worker), wanted(worker) {}
    const PortId port;
    PortIo* const io;
    table::QueueCounters* const counters;  // null: not counted
    std::atomic<std::uint32_t> owner;      // writer: the owner
    std::atomic<std::uint32_t> wanted;     // writer: the control thread
};

class ReceiveQueues {
  public:
    /// One for each worker that may ever run, by its number: for who gets a queue.
    void set_wakeups(std::vector<ring::Wakeup*> wakeups) { wakeups_ = std::move(wakeups); }
    /// Before workers run. `io` outlives them.
    std::size_t add(PortId port, PortIo& io, WorkerId owner, table::QueueCounters* counters) {
        return queues_.emplace_back(port, io, counters, owner.value), queues_.size() - 1;
    }

    // The control thread.
    void place(std::size_t queue, WorkerId worker) noexcept {
        ReceiveQueue& placed = queues_[queue];
        placed.wanted.store(worker.value, std::memory_order_relaxed);
        if (placed.counters != nullptr) {
            placed.counters->worker.store(worker.value, std::memory_order_relaxed);
        }
        generation_.fetch_add(1, std::memory_order_release);
        wake(placed.owner.load(std::memory_order_acquire));
        wake(worker.value);
    }
    [[nodiscard]] std::uint32_t wanted(std::size_t queue) const noexcept {
        return queues_[queue].wanted.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint32_t owner(std::size_t queue) const noexcept {
        return queues_[queue].owner.load(std::memory_order_acquire);
    }
    [[nodiscard]] std::size_t size() const noexcept { return queues_.size(); }

    // Workers.
    [[nodiscard]] std::uint64_t generation() const noexcept {
        return generation_.load(std::memory_order_acquire);
    }
    [[nodiscard]] std::deque<ReceiveQueue>& all() noexcept { return queues_; }
    /// The owner, between two turns, to whom is wanted.
    void hand_over(ReceiveQueue& queue, std::uint32_t worker) noexcept {
        queue.owner.store(worker, std::memory_order_release);
        wake(worker);
    }

  private:
    void wake(std::uint32_t worker) noexcept {
        if (worker < wakeups_.size() && wakeups_[worker] != nullptr) wakeups_[worker]->notify();
    }

    std::deque<ReceiveQueue> queues_;
    std::vector<ring::Wakeup*> wakeups_;
    std::atomic<std::uint64_t> generation_{1};
};

}  // namespace wye::worker
