// Published: the few words by which the control thread steers workers, all atomic.
// Writer: control thread. Readers: workers, once a burst.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "dataplane/table/arena.hh"

namespace wye::table {

struct alignas(64) Published {
    /// Base of the arena to forward from; null before there is one. Swapped when a rebuilt arena
    /// replaces the one that a crashed predecessor left.
    std::atomic<const std::byte*> arena{nullptr};
    /// Grows when a neighbour was learned or lost: packets on hold are looked at again.
    std::atomic<std::uint64_t> neighbor_generation{0};

    [[nodiscard]] ArenaView view() const noexcept {
        return ArenaView{arena.load(std::memory_order_acquire)};
    }
};

}  // namespace wye::table
