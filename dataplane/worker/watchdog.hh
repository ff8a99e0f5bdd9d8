// Watchdog: finds workers that do not finish their turns, and says where they are.
//
// A worker that runs ends a turn at least every few milliseconds, also when it sleeps in between; it
// counts them (WorkerCounters::polls), which costs it nothing more. The control thread looks at the
// counts: one that stands still for `stalled_after` is a stall. It then asks the worker's thread for
// its stack (stack_sample.hh) and reports on the next look, with what it got. When the worker goes
// on, that is reported with how long it was.
//
// Nothing is freed meanwhile: a stalled worker has not passed a quiescent state, so frees wait within
// their budget and then changes are refused (docs/adr/0003). The watchdog only tells people.
//
// Control thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dataplane/base/clock.hh"
#include "dataplane/table/worker_record.hh"
#include "dataplane/worker/worker.hh"

namespace wye::worker {

class Watchdog {
  public:
    struct Options {
        Nanoseconds stalled_after = std::chrono::seconds(1);
        /// How long a stack is waited for, before it is reported without.
        Nanoseconds answer_within = std::chrono::milliseconds(300);
    };
    using Say = std::function<void(const std::string& line)>;

    Watchdog(const Options& options, Say say);
    /// Both outlive the watchdog. Before the worker's start() or after.
    void watch(Worker& worker, table::WorkerRecord& record);
    /// Every 100 ms or so; finer than that is not seen.
    void look(Nanoseconds now);

  private:
    struct Watched {
        Worker* worker;
        table::WorkerRecord* record;
        table::WorkerReport report;
        std::uint64_t turns = 0;        // at the last look at which it had moved on
        Nanoseconds moved{0};           // when that was; 0: no look yet
        Nanoseconds processor_time{0};  // of the thread, then
        Nanoseconds asked{0};           // for its stack; 0: not, or answered
    };
    void look_at(Watched& watched, Nanoseconds now);
    void goes_on(Watched& watched, Nanoseconds now);
    void stands(Watched& watched, Nanoseconds now);
    void report_stack(Watched& watched, Nanoseconds now);
    [[nodiscard]] std::string name_of(const Watched& watched) const;

    Options options_;
    Say say_;
    std::vector<Watched> watched_;
};

}  // namespace wye::worker
