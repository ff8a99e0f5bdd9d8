// Spread: the single receive queue of a port, shared out among workers by flow, in software.
//
// One worker polls the device (input()); it computes each frame's flow hash, whose upper bits are the
// frame's share, and hands the frame to the worker that has the share, by a ring, also where that is
// itself. Each worker polls its end (output()). Nothing is booked before that: the ledger of a packet
// is the receiving worker's, except for one whose ring is full, which the polling worker books.
//
// A share gets another worker without loss and in order: it moves between two bursts, when the worker
// that had it has forwarded all that it was given of it. A flow without a gap is waited for: after a
// millisecond no more is taken from the device until that worker has caught up, for five milliseconds
// at most (a worker that hangs keeps its shares).
//
// Owner of all that is not atomic: the worker that polls input(); it changes with the queue's owner,
// whose hand-over orders the accesses (receive_queues.hh).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/base/ids.hh"
#include "dataplane/ring/spsc.hh"
#include "dataplane/ring/wakeup.hh"
#include "dataplane/table/queue_counters.hh"
#include "dataplane/worker/port_io.hh"

namespace wye::worker {

class Spread {
  public:
    static constexpr std::uint32_t kShares = 64;
    static constexpr std::size_t kRing = 1024;

    /// `wakeups`: one for each worker that may ever run. `counters`: of the shares; may be empty.
    Spread(PortIo& device, pipeline::FramePool& pool, std::vector<ring::Wakeup*> wakeups,
           std::span<table::QueueCounters> counters = {});
    ~Spread();  // gives back what is in the rings
    Spread(const Spread&) = delete;
    Spread& operator=(const Spread&) = delete;

    [[nodiscard]] PortIo& input() noexcept { return input_; }
    [[nodiscard]] PortIo& output(WorkerId worker) noexcept { return *outputs_[worker.value]; }

    // The control thread.
    void place(std::uint32_t share, WorkerId worker) noexcept;
    [[nodiscard]] std::uint32_t wanted(std::uint32_t share) const noexcept {
        return shares_[share].wanted.load(std::memory_order_relaxed);
    }
    /// It has no share and nothing waits for it.
    [[nodiscard]] bool has_nothing(WorkerId worker) const noexcept;

  private:
    struct Share {
        std::atomic<std::uint32_t> worker{0};  // writer: who polls
        std::atomic<std::uint32_t> wanted{0};  // writer: the control thread
        std::uint64_t last = 0;  // the number of its last frame among those given to its worker
        table::QueueCounters* counters = nullptr;
    };
    class Input final : public PortIo {
      public:
        explicit Input(Spread& spread) : spread_(spread) {}
        std::size_t receive(std::span<pipeline::Frame> out) noexcept override;
        std::size_t transmit(std::span<const pipeline::Frame> frames) noexcept override;
        [[nodiscard]] int wait_descriptor() const noexcept override {
            return spread_.device_.wait_descriptor();
        }
        void pass_on(std::span<const pipeline::Frame> frames) noexcept;

      private:
        Spread& spread_;
    };
    class Output final : public PortIo {
      public:
        std::size_t receive(std::span<pipeline::Frame> out) noexcept override;
        std::size_t transmit(std::span<const pipeline::Frame> frames) noexcept override;
        [[nodiscard]] bool ready() const noexcept override { return ring.size() > 0; }
        ring::Spsc<pipeline::Frame> ring{kRing};
        std::uint64_t given = 0;             // by who polls
        std::uint64_t taken = 0;             // by this worker
        std::atomic<std::uint64_t> done{0};  // of those, forwarded or dropped; writer: this worker
    };
    /// False: nothing shall be taken from the device now.
    bool move_shares() noexcept;

    PortIo& device_;
    pipeline::FramePool& pool_;
    std::vector<ring::Wakeup*> wakeups_;
    Input input_{*this};
    std::vector<std::unique_ptr<Output>> outputs_;
    std::array<Share, kShares> shares_;
    std::array<pipeline::Frame, pipeline::kMaxBurst> burst_;
    std::atomic<std::uint64_t> generation_{0};
    std::uint64_t settled_ = 0;       // the generation up to which every share has moved
    std::uint64_t moving_since_ = 0;  // cycles; 0: none waits
};

}  // namespace wye::worker
