// The FIB's structure in the arena for a large IPv4 VRF: a table of 2^18 words and, where prefixes
// are longer than /18, a block for that /18 with all that lies in it down to /24, leaf-pushed. Two
// dependent accesses settle nearly every address: one in the table (1 MiB) and one in the block
// (mostly one cache line).
//
// A *word* is 0 (nothing), a leaf, or leads to a block or a branch: see below.
//   block = starts, cover, then items, one for each run of /24s that have the same answer
//           `starts`: bit s-1 says that a run begins in slot s (six bits of the address)
//           `cover`: the answer of the prefixes up to /18, for runs that have none of their own
//           items: 16 bits each where all leaves' ids fit in 15 ("narrow": a line holds 26 of
//           them), else 32 ("wide": a word each)
//   branch = a /24 with longer prefixes in it: its leaf, and the trie below (fib_trie.hh)
// The compression of runs by a bitmap and a popcount is Poptrie's (Asai, Ohara 2015).
//
// Concurrency: a block is immutable but for `cover`, and is replaced by one store into the table's
// word; a branch's two words are stored apart, and readers of it look at FibRoot::erases as those
// of the trie do. A reader that holds a replaced block sees it as it was when it was replaced.
// Writer: control thread (fib_table_writer.cc). Readers: workers (fib.cc), others under a lease.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "dataplane/table/arena.hh"
#include "dataplane/table/fib_trie.hh"
#include "dataplane/table/nexthop.hh"

namespace wye::table {

constexpr unsigned kFibTableBits = 18;
constexpr std::uint32_t kFibTableEntries = 1u << kFibTableBits;
constexpr unsigned kFibBlockEnd = kFibTableBits + kFibStride;  // bit 24

// A word: bit 31 says that it leads on; then bit 30 says that the block is wide and 30 bits are a
// unit of the arena. Otherwise bit 30 says that the leaf is a group's and 30 bits are its id.
constexpr std::uint32_t kFibLeadsOn = 0x80000000u;
constexpr std::uint32_t kFibIsWide = 0x40000000u;
constexpr std::uint32_t kFibUnitMask = 0x3fffffffu;

/// Leaves that a FIB can hold: ids below 2^30, of which an arena has room for far fewer.
constexpr bool fib_holds(Leaf leaf) noexcept {
    return (leaf.value & kFibIsWide) == 0;
}
constexpr std::uint32_t fib_word_of(Leaf leaf) noexcept {
    return (leaf.value & kFibUnitMask) | (leaf.value >> 31) << 30;
}
constexpr Leaf fib_leaf_of(std::uint32_t word) noexcept {
    return {(word & kFibUnitMask) | (word & kFibIsWide) << 1};
}
constexpr bool fib_is_narrow(Leaf leaf) noexcept {
    return (leaf.value & 0x7fff8000u) == 0;
}
constexpr std::uint16_t fib_narrow_of(Leaf leaf) noexcept {
    return static_cast<std::uint16_t>((leaf.value & 0x7fffu) | leaf.value >> 31 << 15);
}
constexpr Leaf fib_leaf_of(std::uint16_t narrow) noexcept {
    return {(narrow & 0x7fffu) | (narrow & 0x8000u) << 16};
}

struct FibBlock {
    std::uint64_t starts;
    std::atomic<std::uint32_t> cover;  // a Leaf's value
    std::uint32_t first_items;         // the items begin here
    template <class Item>
    [[nodiscard]] const Item* items() const noexcept {
        return reinterpret_cast<const Item*>(&first_items);
    }
    template <class Item>
    [[nodiscard]] Item* items() noexcept {
        return reinterpret_cast<Item*>(&first_items);
    }
    /// Which item counts for a slot.
    [[nodiscard]] unsigned item_of(unsigned slot) const noexcept {
        return static_cast<unsigned>(std::popcount(starts & ((std::uint64_t{1} << slot) - 1)));
    }
    [[nodiscard]] unsigned item_count() const noexcept {
        return static_cast<unsigned>(std::popcount(starts)) + 1;
    }
};
static_assert(sizeof(FibBlock) == 16 && offsetof(FibBlock, first_items) == 12);

constexpr std::size_t fib_block_bytes(unsigned items, bool is_wide) noexcept {
    return offsetof(FibBlock, first_items) + items * (is_wide ? 4u : 2u);
}

struct alignas(64) FibBranch {
    std::atomic<std::uint32_t> leaf;   // a Leaf's value; none: the block's cover counts
    std::atomic<std::uint32_t> child;  // FibNode at bit 24; 0: none left
};

/// Behind the root of a large IPv4 FIB.
using FibTableWord = std::atomic<std::uint32_t>;
inline const FibTableWord* fib_table(const FibRoot& root) noexcept {
    return reinterpret_cast<const FibTableWord*>(&root + 1);
}
inline FibTableWord* fib_table(FibRoot& root) noexcept {
    return reinterpret_cast<FibTableWord*>(&root + 1);
}

}  // namespace wye::table
