// Two things on the same work, by turns in one process: what slows the machine for a while slows both,
// and their ratio stays. A benchmark of this kind is named NAME/pairs:PEER, and each of its repetitions
// is a pair of four turns each; bench/harness/parts.py reads the two counters and judges by the ratios.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <ctime>

namespace wye::table {

/// Nanoseconds of processor time that this thread has had.
inline double thread_nanoseconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// Calls `pass` twice: once to have the caches to itself again, once for the clock.
template <class Pass>
double nanoseconds_of(Pass& pass) {
    pass();
    const double begun = thread_nanoseconds();
    pass();
    return thread_nanoseconds() - begun;
}

/// `ours` and `theirs` go once through the whole work, `items` of them. Counters `ns` and `peer_ns`:
/// processor time for an item.
template <class Ours, class Theirs>
void measure_pairs(benchmark::State& state, std::size_t items, Ours ours, Theirs theirs) {
    constexpr std::size_t kTurns = 4;
    double own = 0, other = 0;
    for (auto _ : state) {
        for (std::size_t turn = 0; turn < kTurns; ++turn) {
            own += nanoseconds_of(ours);
            other += nanoseconds_of(theirs);
        }
    }
    const double all =
        static_cast<double>(items * kTurns) * static_cast<double>(state.iterations());
    state.counters["ns"] = own / all;
    state.counters["peer_ns"] = other / all;
}

}  // namespace wye::table
