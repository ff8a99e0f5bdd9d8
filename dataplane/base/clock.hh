// Time. Workers read the cycle counter, everything else reads CLOCK_MONOTONIC.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>

namespace wye {

using Nanoseconds = std::chrono::nanoseconds;

/// CLOCK_MONOTONIC: comparable between the processes of one machine, not across a reboot.
inline Nanoseconds monotonic_now() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec);
}

/// Cycles of the invariant time-stamp counter. Cheap enough for once a burst.
inline std::uint64_t read_cycles() noexcept {
    return __builtin_ia32_rdtsc();
}

}  // namespace wye
