// How fast the cycle counter runs: measured once at start against CLOCK_MONOTONIC.
#pragma once

#include <cstdint>

namespace wye::worker {

/// Takes about 10 ms at the first call, nothing afterwards.
std::uint64_t cycles_per_second();

}  // namespace wye::worker
