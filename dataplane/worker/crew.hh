// Crew: all workers that may ever run, and how they are connected with the ports; adds, moves and
// removes workers while packets come.
//
// Every worker that the configuration has room for is made at start, with its rings, its counters and
// its way to send by each port; adding one starts its thread and gives it its part of the receive
// queues, removing one gives its queues to others and ends the thread when nothing is left with it:
// no queue, no share of a spread port, no frame from the host stack, no packet on hold. So nothing
// that others point to is made or freed while packets flow (docs/adr/0018).
//
//   device with a queue pair for each worker   queue i of each port is some worker's to receive from,
//                                              transmit queue i is worker i's
//   with fewer transmit queues                 all send by one: shared_transmit.hh
//   spread                                     one receive queue, shared out by flow: spread.hh
//
// Control thread only, except takes_part().
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/base/ids.hh"
#include "dataplane/base/result.hh"
#include "dataplane/ring/vocabulary.hh"
#include "dataplane/ring/wakeup.hh"
#include "dataplane/table/counter_file.hh"
#include "dataplane/worker/receive_queues.hh"
#include "dataplane/worker/shared_transmit.hh"
#include "dataplane/worker/spread.hh"
#include "dataplane/worker/worker.hh"

namespace wye::worker {

/// A port as its driver offers it.
struct Line {
    PortId port;
    std::vector<std::unique_ptr<PortIo>> queues;  // pairs; as many as the larger of both numbers
    std::size_t receive_queues = 1;
    std::size_t transmit_queues = 1;
    bool pairs_apart = true;  // false: a pair is for one worker at a time, also where it halves
    bool spread = false;      // the operator asks for it: then one receive queue
};

class Crew {
  public:
    struct Options {
        pipeline::FramePool& pool;
        table::CounterFile& counters;
        /// This process may use the core.
        std::function<bool(std::uint32_t core)> usable = [](std::uint32_t) { return true; };
        /// Turns of the host thread, and how to have it make one; null without one.
        const table::Counter* host_turns = nullptr;
        ring::Wakeup* host_wakeup = nullptr;
        BfdSeat* bfd = nullptr;  // goes to a worker that stays
    };

    /// `workers`: numbered from 0. None runs yet.
    Crew(Options options, std::vector<std::unique_ptr<Worker>> workers);
    ~Crew();  // stops them
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    // Before start().
    void connect(Line line);
    void set_host(const table::Counter& turns, ring::Wakeup& wakeup);
    /// Worker i on cores[i], or not pinned where that is none.
    Status start(std::span<const std::optional<std::uint32_t>> cores);
    void stop();

    // Commands: dataplane/control/worker_keeper.hh says what they mean.
    ring::Outcome add(std::uint32_t worker, std::optional<std::uint32_t> core, bool shares_core);
    ring::Outcome move(std::uint32_t worker, std::uint32_t core, bool shares_core);
    ring::Outcome remove(std::uint32_t worker);
    /// `queue`: its place among the counters of queues.
    ring::Outcome place(std::uint32_t queue, std::uint32_t worker);
    /// Now and then: ends workers that have nothing any more.
    void advance();

    [[nodiscard]] const std::vector<std::unique_ptr<Worker>>& workers() const { return workers_; }
    [[nodiscard]] std::size_t running() const;
    /// It runs and does not leave. Any thread: whether it takes frames from the host stack.
    [[nodiscard]] const std::atomic<bool>& takes_part(std::uint32_t worker) const {
        return *takes_part_[worker];
    }

  private:
    /// What can be placed: a receive queue, or a share of a spread port.
    struct Unit {
        PortId port;
        std::optional<std::size_t> queue;
        Spread* spread = nullptr;
        std::uint32_t share = 0;
        bool fixed = false;        // what one worker gets of a spread port
        std::uint32_t worker = 0;  // wanted
    };
    table::QueueCounters& add_unit(Unit unit, table::QueueKind kind, std::uint32_t index);
    void connect_spread(PortId port, PortIo& input);
    void give(Unit& unit, std::uint32_t worker);
    void take_part(std::uint32_t worker);
    void give_away(std::uint32_t worker);
    [[nodiscard]] std::size_t count_of(std::uint32_t worker, const Unit& like) const;
    bool take_one(std::uint32_t worker, const Unit& like);
    [[nodiscard]] bool has_nothing(std::uint32_t worker) const;
    [[nodiscard]] ring::Outcome check_core(std::uint32_t worker, std::uint32_t core,
                                           bool shares_core) const;
    void note_sharing();
    [[nodiscard]] std::vector<ring::Wakeup*> wakeups() const;

    Options options_;
    ReceiveQueues queues_;
    std::vector<std::unique_ptr<PortIo>> ios_;
    std::vector<std::unique_ptr<SharedTransmit>> shared_;
    std::vector<std::unique_ptr<Spread>> spreads_;
    std::vector<Unit> units_;  // by place among the counters of queues
    std::vector<std::unique_ptr<std::atomic<bool>>> takes_part_;
    struct Leaving {
        std::uint64_t host_turns = 0;  // of the host thread, when it began
        std::optional<std::uint64_t>
            empty_at_turn;  // its own turn when it was seen to have nothing
    };
    std::vector<Leaving> leaving_;                  // by worker
    std::vector<std::unique_ptr<Worker>> workers_;  // go first
};

}  // namespace wye::worker
