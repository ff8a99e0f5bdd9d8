#include "dataplane/worker/watchdog.hh"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "dataplane/worker/symbols.hh"

namespace wye::worker {

using table::WorkerReport;
using table::WorkerState;

namespace {

std::uint64_t milliseconds(Nanoseconds time) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

/// What Linux says of the thread, in words: the third field of its stat (proc(5)), which follows
/// the name in parentheses.
std::string kernel_state(pid_t thread) {
    std::ifstream file(fmt::format("/proc/self/task/{}/stat", thread));
    std::string line;
    std::getline(file, line);
    const std::size_t end = line.rfind(") ");
    const char state = end == std::string::npos || end + 2 >= line.size() ? '?' : line[end + 2];
    switch (state) {
        case 'R':
            return "runs or wants to";
        case 'S':
            return "sleeps in the kernel";
        case 'D':
            return "waits in the kernel for a device";
        case 'T':
        case 't':
            return "is stopped";
        default:
            return fmt::format("is in state {}", state);
    }
}

}  // namespace

Watchdog::Watchdog(const Options& options, Say say) : options_(options), say_(std::move(say)) {
    StackSample::prepare();
}

void Watchdog::watch(Worker& worker, table::WorkerRecord& record) {
    record.write({});
    Watched watched{};
    watched.worker = &worker;
    watched.record = &record;
    watched_.push_back(watched);
}

void Watchdog::look(Nanoseconds now) {
    for (Watched& watched : watched_) look_at(watched, now);
}

void Watchdog::look_at(Watched& watched, Nanoseconds now) {
    const WorkerReport before = watched.report;
    Worker& worker = *watched.worker;
    const std::uint64_t turns = worker.turns();
    watched.report.core = worker.core().value_or(WorkerReport::kNotPinned);
    if (!worker.running()) {
        watched.report.state = WorkerState::absent;
        watched.moved = Nanoseconds{0};
    } else if (turns != watched.turns || watched.moved.count() == 0) {
        goes_on(watched, now);
    } else {
        stands(watched, now);
    }
    watched.turns = turns;
    const bool same = before.state == watched.report.state && before.core == watched.report.core &&
                      before.stall_milliseconds == watched.report.stall_milliseconds;
    if (!same || watched.report.state == WorkerState::stalled) {
        watched.record->write(watched.report);
    }
}

void Watchdog::goes_on(Watched& watched, Nanoseconds now) {
    if (watched.report.state == WorkerState::stalled) {
        if (watched.asked.count() != 0) report_stack(watched, now);
        const std::uint64_t lasted = milliseconds(now - watched.moved);
        watched.report.stall_milliseconds = lasted;
        watched.report.longest_milliseconds = std::max(watched.report.longest_milliseconds, lasted);
        say_(fmt::format("{} goes on after {} ms", name_of(watched), lasted));
    }
    watched.report.state = WorkerState::running;
    watched.moved = now;
    watched.processor_time = watched.worker->processor_time();
}

void Watchdog::stands(Watched& watched, Nanoseconds now) {
    const Nanoseconds since = now - watched.moved;
    if (since < options_.stalled_after) return;
    if (watched.report.state != WorkerState::stalled) {
        watched.report.state = WorkerState::stalled;
        ++watched.report.stalls;
        watched.report.set_stack("");
        watched.asked = watched.worker->stack_sample().request() ? now : Nanoseconds{0};
    } else if (watched.asked.count() != 0) {
        const bool answered = !watched.worker->stack_sample().frames().empty();
        if (answered || now - watched.asked >= options_.answer_within) report_stack(watched, now);
    }
    watched.report.stall_milliseconds = milliseconds(since);
    watched.report.longest_milliseconds =
        std::max(watched.report.longest_milliseconds, watched.report.stall_milliseconds);
}

void Watchdog::report_stack(Watched& watched, Nanoseconds now) {
    watched.asked = Nanoseconds{0};
    const StackSample& sample = watched.worker->stack_sample();
    const auto names = function_names(sample.frames());
    say_(fmt::format(
        "{} has not finished a turn for {} ms: its thread {} {} and has used {} ms of its core; "
        "memory is not freed until it goes on",
        name_of(watched), milliseconds(now - watched.moved), sample.thread(),
        kernel_state(sample.thread()),
        milliseconds(watched.worker->processor_time() - watched.processor_time)));
    for (const std::string& name : names) say_("    " + name);
    if (names.empty()) say_("    (it does not answer for its stack)");
    watched.report.set_stack(fmt::format("{}", fmt::join(names, " < ")));
}

std::string Watchdog::name_of(const Watched& watched) const {
    const auto core = watched.worker->core();
    const std::string place = core ? fmt::format(" (core {})", *core) : "";
    return fmt::format("worker {}{}", watched.worker->id().value, place);
}

}  // namespace wye::worker
