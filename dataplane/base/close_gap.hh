// close_gap: deletion from a hash table with open addressing and linear probing, without tombstones
// (Knuth, The Art of Computer Programming 3, 6.4, algorithm R).
#pragma once

#include <cstddef>
#include <utility>

namespace wye {

/// Empties slots[hole]. What follows without a gap moves up as far as its home lets it, so that each
/// search still meets what it looks for before a free slot. `slots`: a power of two of them, of which
/// one other than the hole is free. is_free(slot); home_of(slot): where the search for it begins. A
/// slot is free as constructed.
template <class Slots, class IsFree, class HomeOf>
void close_gap(Slots& slots, std::size_t hole, IsFree is_free, HomeOf home_of) {
    const std::size_t mask = slots.size() - 1;
    for (std::size_t at = (hole + 1) & mask; !is_free(slots[at]); at = (at + 1) & mask) {
        const std::size_t from_home = (at - home_of(slots[at])) & mask;
        if (from_home < ((at - hole) & mask)) continue;
        slots[hole] = std::move(slots[at]);
        hole = at;
    }
    slots[hole] = {};
}

}  // namespace wye
