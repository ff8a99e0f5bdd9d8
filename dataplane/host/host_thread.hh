// HostThread: carries frames between the workers and the kernel's twins.
//
// One thread, which sleeps in epoll. Kernel to fast path: a frame read from the TAP of a vport or
// the `inject` TUN of a VRF goes into the host ring of one worker (object id modulo workers,
// or the next one that takes part, so that the frames of one twin keep their order). Fast path to kernel: what workers punted is
// written to the twin of its vport. Batches both ways; the descriptors are non-blocking.
//
// Nothing is lost between twin and worker: with a full host ring or no buffer the thread leaves
// frames in the kernel's queue, whose length bounds them.
//
// Ledger. The host thread books in a counter block of its own (the last one of the counter file),
// in the rows kHostPortRow and kNoTenantRow. A worker that punts books `punted` when its punt ring
// took the frame. When the twin then is absent or does not take it, the host thread books
// `moved_in` (taken back from `punted`) and the drop. A frame that it cannot read whole is booked
// as `from_host` and the drop; any other is booked as `from_host` by the worker that runs it. So
// each block balances by itself, and with them their sum:
//   rx + from_host + generated + moved_in = tx + drops + punted + consumed + moved_out + held
// What the kernel got is Σ punted (workers) − moved_in (host block).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

#include "dataplane/base/descriptor.hh"
#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/frame.hh"
#include "dataplane/ring/handshake.hh"
#include "dataplane/ring/spsc.hh"
#include "dataplane/ring/wakeup.hh"
#include "dataplane/table/counters.hh"

namespace wye::host {

/// The TAP of a vport or the `inject` TUN of a VRF, by the id that the tables use.
struct TwinKey {
    ring::TwinKind kind = ring::TwinKind::vport_tap;
    std::uint32_t object = 0;
    friend bool operator==(const TwinKey&, const TwinKey&) = default;
};

/// The rings of one worker, as seen from here.
struct WorkerSide {
    ring::Spsc<pipeline::PuntedFrame>* punts;
    ring::Spsc<pipeline::HostFrame>* from_host;
    ring::Wakeup* wakeup;
    /// It takes frames from twins; null: always. At least one worker does.
    const std::atomic<bool>* takes_part = nullptr;
};

struct Options {
    std::function<void()> twin_lost = nullptr;     // take_lost() has something; host thread calls
    std::function<void()> enter_thread = nullptr;  // once, on its thread
    std::function<void()> leave_thread = nullptr;
};

class HostThread {
  public:
    /// At least one worker. All that is referred to outlives the thread.
    HostThread(pipeline::FramePool& pool, table::CounterBlock counters,
               std::vector<WorkerSide> workers, Options options = {});
    ~HostThread();
    HostThread(const HostThread&) = delete;
    HostThread& operator=(const HostThread&) = delete;

    // The control thread. None of it blocks; it takes effect soon after.
    /// The twin goes by this descriptor from now on, its own copy; another one of this key goes.
    void attach(TwinKey twin, Descriptor descriptor);
    void detach(TwinKey twin);
    /// Twins whose descriptor failed since the last call, detached already; how many.
    std::size_t take_lost(std::span<TwinKey> out);

    void start();
    void stop();
    /// One turn on the caller's thread (tests): waits up to `timeout_milliseconds` for something.
    void turn(int timeout_milliseconds);

    /// Workers notify it after a punt.
    [[nodiscard]] ring::Wakeup& wakeup() noexcept { return wakeup_; }

  private:
    struct Change {
        TwinKey twin;
        Descriptor descriptor;  // invalid: detach
    };
    using Twins = std::unordered_map<std::uint64_t, Descriptor>;

    void run();
    void apply_changes();
    void apply(Change change);
    void lose(std::uint64_t key);
    void note_lost(TwinKey twin);
    [[nodiscard]] bool idle() const;
    void read_twin(std::uint64_t key);
    WorkerSide& worker_of(TwinKey twin);
    enum class Read : std::uint8_t { frame, nothing, failed, stalled };
    Read read_frame(int descriptor, TwinKey twin, WorkerSide& worker);
    std::size_t deliver_punts(WorkerSide& worker);
    void deliver(const pipeline::PuntedFrame& punted);
    void book_undelivered(VportId vport, table::Reason reason);

    pipeline::FramePool& pool_;
    table::CounterBlock counters_;
    std::vector<WorkerSide> workers_;
    Options options_;
    ring::Wakeup wakeup_;
    Descriptor epoll_;
    Twins twins_;            // host thread only
    pipeline::Frame spare_;  // a buffer for the next read; host thread only
    bool stalled_ = false;   // a twin had to be left unread

    std::mutex mutex_;  // of what follows: between the control thread and this one
    std::vector<Change> changes_;
    std::vector<TwinKey> lost_;

    std::atomic<bool> changed_{false};
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace wye::host
