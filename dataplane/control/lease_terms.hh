// What a lease may cost, and what one that was granted is. See dataplane/ring/lease.hh.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/clock.hh"
#include "dataplane/base/descriptor.hh"
#include "dataplane/ring/lease.hh"

namespace wye::control {

struct LeaseLimits {
    std::size_t most = 8;  // at once
    std::chrono::milliseconds longest = ring::kLongestLease;
    /// Retired and not yet free; above it leases end. Never more than a sixteenth of the heap.
    std::size_t bytes = std::size_t{64} << 20;
};

struct LeaseTerms {
    std::uint64_t lease = 0;
    std::uint64_t arena_instance = 0;
    std::uint64_t epoch = 0;
    Nanoseconds deadline{};
    std::chrono::milliseconds granted{};
    bool is_predecessors = false;
    Descriptor arena;  // read-only
    Descriptor page;   // read-only: ring::LeasePage
};

struct LeaseEnd {
    ring::LeaseState state;  // as it was just before; `valid`: the reader ended it in time
    std::uint64_t epoch;     // of the arena that workers forward from
};

}  // namespace wye::control
