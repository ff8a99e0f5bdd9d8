// The FIB's structure in the arena for a large IPv4 VRF: a table of 2^18 words and, where prefixes
// are longer than /18, a page for that /18 with the answer of each of its 64 /24s, leaf-pushed. One
// access in the table (1 MiB) and one in a page settle nearly every address: DIR-24-8's two levels
// (Gupta, Lin, McKeown 1998), cut at 18 bits so that the whole takes a fiftieth of its memory.
//
// A *word* of the table is a leaf (0: none), or leads to a page: kFibToNarrow or kFibToWide, and a
// unit of the arena. A page has 64 items:
//   narrow, 2 cache lines: two items in a word, those of slots s (low) and s + 32. 15 bits of a
//   leaf's id and its group bit; for pages all of whose leaves fit
//   wide, 4 cache lines: a word for each item, which is a leaf, or leads to a branch (kFibToWide)
// A *branch* is a /24 with longer prefixes in it: its leaf, and the trie below (fib_trie.hh).
// Where nothing is said (none), FibRoot::default_leaf counts.
//
// A page is there if and only if there are routes in it that are longer than /18. So a route up to
// /18 changes words and items in place, and cannot fail for want of memory unless its leaf does not
// fit into 15 bits.
//
// Concurrency: words and items are changed in place, one store each; a page that comes, goes, or
// changes its width is published by one store of the table's word. A reader that holds a replaced
// page sees it as it was when it was replaced, which is later than the reader's look at the word. So
// a leaf from a page needs no second look. A none that the default route stands in for, or a branch,
// takes two loads; readers of those look at FibRoot::erases as those of the trie do.
// Writer: control thread (fib_table_writer.cc). Readers: workers (fib.cc, fib_table_lookup.cc),
// others under a lease.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "dataplane/table/arena.hh"
#include "dataplane/table/fib_trie.hh"
#include "dataplane/table/nexthop.hh"

namespace wye::table {

constexpr unsigned kFibTableBits = 18;  // as kFibCoverBits: the RIB's nodes end there
constexpr std::uint32_t kFibTableEntries = 1u << kFibTableBits;
constexpr unsigned kFibPageEnd = kFibTableBits + kFibStride;  // bit 24

/// A word of a table or a wide page is a Leaf's value unless it leads on.
constexpr std::uint32_t kFibToNarrow = 0x40000000u;
constexpr std::uint32_t kFibToWide = 0x20000000u;
constexpr std::uint32_t kFibLeadsOn = kFibToNarrow | kFibToWide;
constexpr std::uint32_t kFibUnitMask = 0x0fffffffu;  // 28 bits: an index of words has 32
using FibTableWord = std::atomic<std::uint32_t>;

/// Leaves that a FIB can hold: ids below 2^29, of which an arena has room for far fewer.
constexpr bool fib_holds(Leaf leaf) noexcept {
    return (leaf.value & kFibLeadsOn) == 0;
}
constexpr bool fib_leads_on(std::uint32_t word) noexcept {
    return (word & kFibLeadsOn) != 0;
}

constexpr unsigned kFibPairs = kFibSlots / 2;
constexpr unsigned fib_narrow_shift(unsigned slot) noexcept {
    return slot / kFibPairs * 16;
}

/// A word that leads to a page.
struct FibPageWord {
    std::uint32_t word;

    [[nodiscard]] constexpr bool is_wide() const noexcept { return (word & kFibToNarrow) == 0; }
    [[nodiscard]] constexpr Ref<FibTableWord> page() const noexcept {
        return {word & kFibUnitMask};
    }
    [[nodiscard]] constexpr std::size_t bytes() const noexcept {
        return kFibSlots * (is_wide() ? 4u : 2u);
    }
    /// Which word of the page has a slot's item.
    [[nodiscard]] constexpr unsigned index_of(unsigned slot) const noexcept {
        return is_wide() ? slot : slot % kFibPairs;
    }
    /// The item out of that word, as a wide page would have it.
    [[nodiscard]] constexpr std::uint32_t item_of(std::uint32_t content,
                                                  unsigned slot) const noexcept {
        if (is_wide()) return content;
        const std::uint32_t narrow = content >> fib_narrow_shift(slot);
        return (narrow & 0x7fff) | (narrow & 0x8000) << 16;
    }
};

constexpr bool fib_is_narrow(std::uint32_t item) noexcept {
    return (item & 0x7fff8000u) == 0;
}
constexpr std::uint32_t fib_narrow_of(std::uint32_t item) noexcept {
    return (item & 0x7fff) | item >> 31 << 15;
}

struct alignas(64) FibBranch {
    std::atomic<std::uint32_t> leaf;   // a Leaf's value
    std::atomic<std::uint32_t> child;  // FibNode at bit 24; 0: none left
};

}  // namespace wye::table
