// Worker: one thread, pinned to one core, that moves packets from ports through the pipeline.
//
// A turn: receive a burst from each of its queues, run the pipeline over it, transmit; then what
// the host stack sends; then BFD sessions, if this worker has them; then packets on hold; then report the
// quiescent state. All that is on the
// way belongs to this thread. Tables are read by the view that was current when the turn began.
//
// Idle. `poll`: never sleeps. `adaptive`: a worker without packets for a while sleeps in steps that
// grow, is offline for RCU meanwhile (so holds nothing up), and is woken by the host thread, by
// the wait descriptors of its ports where they have one, or by the end of the step. Workers that
// share a core yield it after each turn without packets, and after a few with.
//
// System calls: only to sleep and to wake another thread that sleeps; and what a port back end
// states for itself (drivers/).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "dataplane/base/clock.hh"
#include "dataplane/base/ids.hh"
#include "dataplane/base/result.hh"
#include "dataplane/pipeline/context.hh"
#include "dataplane/ring/resolve_request.hh"
#include "dataplane/ring/spsc.hh"
#include "dataplane/ring/wakeup.hh"
#include "dataplane/table/counters.hh"
#include "dataplane/table/epoch.hh"
#include "dataplane/table/liveness.hh"
#include "dataplane/table/published.hh"
#include "dataplane/worker/bfd_seat.hh"
#include "dataplane/worker/port_io.hh"
#include "dataplane/worker/receive_queues.hh"
#include "dataplane/worker/stack_sample.hh"

namespace wye::worker {

enum class Idle : std::uint8_t { poll, adaptive };

struct Options {
    WorkerId id{0};                     // also its number as a reader of epochs
    std::optional<std::uint32_t> core;  // none: not pinned (tests)
    Idle idle = Idle::adaptive;
};

/// What it shares with others; all of it outlives the worker.
struct Shared {
    pipeline::FramePool& pool;
    const table::Published& published;
    table::Epochs& epochs;
    const table::Liveness& liveness;
    table::CounterBlock counters;            // its own block
    ring::Wakeup* host_wakeup = nullptr;     // after frames were punted
    ring::Wakeup* control_wakeup = nullptr;  // after a neighbour was asked for
    std::function<void()> enter_thread =
        nullptr;  // once, on its thread (drivers have state a thread)
    std::function<void()> leave_thread = nullptr;
    BfdSeat* bfd = nullptr;  // none: BFD packets are the host stack's
};

class Worker {
  public:
    static constexpr std::size_t kPuntRing = 1024;
    static constexpr std::size_t kHostRing = 1024;
    static constexpr std::size_t kResolveRing = 256;

    Worker(const Options& options, const Shared& shared);
    ~Worker();  // gives back what is on hold or in its rings; the ledger is settled at the next
                // start
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Before start(): this worker's queue pair of the port.
    void add_port(PortId port, std::unique_ptr<PortIo> io);
    /// Before start(): what it sends by the port; outlives the worker.
    void add_transmit(PortId port, PortIo& io);
    /// Before start(): a receive queue that is always this worker's; outlives the worker.
    void add_receive(PortId port, PortIo& io, table::QueueCounters* counters);
    /// Before start(), after the others: the queues of which it polls those that it owns.
    void set_queues(ReceiveQueues& queues);
    /// Before start(): who serves what this worker punts.
    void set_host_wakeup(ring::Wakeup* wakeup) noexcept { shared_.host_wakeup = wakeup; }

    /// Fails when the thread cannot be pinned.
    Status start();
    /// Of one that does not run: where it will. Of one that runs: it goes there; on failure it stays.
    Status move_to(std::uint32_t core);
    /// Another worker is on its core.
    void set_shares_core(bool shares) noexcept {
        shares_core_.store(shares, std::memory_order_relaxed);
    }
    /// Ends after the current turn. Frames that are still on hold or in rings stay there until the
    /// end.
    void stop();

    /// One turn on the caller's thread (tests; start() does it on its own). How many frames moved.
    std::size_t turn() noexcept;

    [[nodiscard]] ring::Spsc<pipeline::PuntedFrame>& punts() noexcept { return punts_; }
    [[nodiscard]] ring::Spsc<pipeline::HostFrame>& from_host() noexcept { return from_host_; }
    [[nodiscard]] ring::Spsc<ring::ResolveRequest>& resolves() noexcept { return resolves_; }
    /// Notify after a push to from_host().
    [[nodiscard]] ring::Wakeup& wakeup() noexcept { return wakeup_; }

    // For the watchdog, on the thread that starts and stops.
    [[nodiscard]] WorkerId id() const noexcept { return options_.id; }
    [[nodiscard]] std::optional<std::uint32_t> core() const noexcept { return options_.core; }
    [[nodiscard]] bool running() const noexcept { return thread_.joinable(); }
    /// Turns that were finished; grows every few milliseconds while it runs.
    [[nodiscard]] std::uint64_t turns() const noexcept {
        return shared_.counters.worker->polls.get();
    }
    /// What its thread has had of a core; 0 where it does not run.
    [[nodiscard]] Nanoseconds processor_time() noexcept;
    [[nodiscard]] StackSample& stack_sample() noexcept { return stack_sample_; }

  private:
    struct Attached {  // to send by
        PortId port;
        PortIo* io;
    };
    struct Polled {  // to receive from
        PortId port;
        PortIo* io;
        ReceiveQueue* queue;  // null: always this worker's
        table::QueueCounters* counters;
    };
    void renew_queues() noexcept;
    void wait_for(const PortIo& io, bool wait) noexcept;
    std::size_t poll_port(const Polled& polled) noexcept;
    void book_lost(PortId port, std::uint32_t lost, table::Reason reason) noexcept;
    void count_burst(const Polled& polled, std::size_t packets) noexcept;
    std::size_t poll_host() noexcept;
    std::size_t poll_bfd() noexcept;
    void poll_held(bool worked) noexcept;
    void transmit_all() noexcept;
    void transmit(Attached& attached) noexcept;
    void drop_for_absent_ports() noexcept;
    void tell_others() noexcept;
    void run() noexcept;
    void sleep(std::uint64_t nanoseconds) noexcept;
    void yield_core(bool worked) noexcept;
    [[nodiscard]] bool has_work() const noexcept;
    void count_turn(std::uint64_t begin, std::size_t frames) noexcept;
    Status pin();

    Options options_;
    Shared shared_;
    ring::Spsc<pipeline::PuntedFrame> punts_{kPuntRing};
    ring::Spsc<pipeline::HostFrame> from_host_{kHostRing};
    ring::Spsc<ring::ResolveRequest> resolves_{kResolveRing};
    ring::Wakeup wakeup_;
    Descriptor epoll_;
    std::vector<std::unique_ptr<PortIo>> owned_;
    std::vector<Attached> ports_;
    std::vector<Polled> polled_;  // first those that are always its own
    std::size_t always_polled_ = 0;
    ReceiveQueues* queues_ = nullptr;
    std::uint64_t queues_seen_ = 0;  // the generation by which polled_ was made
    std::uint64_t burst_began_ = 0;  // cycles: at the turn's begin, or where the last burst ended
    unsigned turns_without_yield_ = 0;
    std::unique_ptr<std::array<pipeline::PortOutput, pipeline::kMaxPorts>> outputs_;
    // Of the turn. Here, since on the stack they would be filled with their defaults in each.
    std::array<pipeline::Frame, pipeline::kMaxBurst> received_;
    std::array<pipeline::HostFrame, pipeline::kMaxBurst> from_host_burst_;
    std::array<bfd::Departure, pipeline::kMaxBurst> departures_;
    pipeline::Context context_;
    std::uint64_t neighbor_generation_ = 0;
    std::uint64_t next_tick_ = 0;  // cycles
    std::uint64_t tick_ = 0;       // cycles
    StackSample stack_sample_;
    std::atomic<bool> shares_core_{false};
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace wye::worker
