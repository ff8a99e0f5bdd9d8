// The FIB's structure in the arena for a large IPv6 VRF: direct-indexed pages of words down to where
// routes lie, and below them blocks with the few boundaries that there are.
//
// A *word* is a leaf, or leads to a page or a block. What it says stands for all prefixes but the one
// of length 0, however short: leaves are pushed down. Bits of the address, and what is indexed by
// them:
//    0..15  the table behind the root: 2^16 words
//   16..25  a page of 2^10 words          26..31  a page of 2^6 words
//   32..39  a page of 2^8 words           40..47  a page of 2^8 narrow leaves (16 bits each)
// A word for 32 or 40 bits may lead to a *block* instead, which tells the next 16 bits of the address
// apart at up to 13 boundaries: a sorted array that one or two vector instructions search, in one
// cache line with the leaves between its boundaries. 9 of 10 /32s in the real table have one.
//   form narrow: 14 leaves of 16 bits in the first line. 0: none of its own, `cover` counts, the
//       leaf of what is no longer than the block's place
//   form wide: ids beyond 15 bits, or /48s with longer prefixes: 14 words from the second line on
//   form words: as a narrow page, but with 256 words
// In the two latter a word may lead to a *branch*: a /48 with longer prefixes in it, its leaf, and
// the trie below (fib_trie.hh).
//
// Concurrency: every answer is read from one place, which one store changes. Pages change in place;
// blocks are immutable but for their covers and the words of the form `words`, and are replaced by
// one store into the word above. A reader that holds a replaced one sees it as it was when it was
// replaced, with all covers. Where there is no answer the leaf of length 0 counts, and a branch's two
// words are stored apart: readers of these look at FibRoot::erases as those of the trie do.
// Writer: control thread (fib6_writer.cc). Readers: workers (fib6_lookup.hh), others under a lease.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "dataplane/table/arena.hh"
#include "dataplane/table/fib_trie.hh"
#include "dataplane/table/nexthop.hh"

namespace wye::table {

constexpr unsigned kFib6RootBits = 16;
constexpr std::uint32_t kFib6RootWords = 1u << kFib6RootBits;
/// Where pages begin, and where the last ones end.
constexpr std::array<unsigned, 5> kFib6Stops = {16, 26, 32, 40, 48};
constexpr unsigned kFib6NarrowAt = 40;  // a page there is one of narrow leaves
constexpr unsigned kFib6End = 48;

using Fib6Word = std::atomic<std::uint32_t>;
using Fib6Narrow = std::atomic<std::uint16_t>;

// A word: its kind in two bits, and above them a unit of the arena, or a leaf: 29 bits of id and a
// bit that says that it is a group's.
enum class Fib6Kind : std::uint32_t { leaf = 0, page = 1, block = 2, branch = 3 };

constexpr Fib6Kind fib6_kind(std::uint32_t word) noexcept {
    return static_cast<Fib6Kind>(word & 3);
}
constexpr std::uint32_t fib6_unit(std::uint32_t word) noexcept {
    return word >> 2;
}
constexpr std::uint32_t fib6_word_of(Fib6Kind kind, std::uint32_t unit) noexcept {
    return unit << 2 | static_cast<std::uint32_t>(kind);
}
constexpr std::uint32_t fib6_word_of(Leaf leaf) noexcept {
    return (leaf.value & 0x80000000u) | (leaf.value & 0x1fffffffu) << 2;
}
constexpr Leaf fib6_leaf_of(std::uint32_t word) noexcept {
    return {(word & 0x80000000u) | (word >> 2 & 0x1fffffffu)};
}
/// Leaves that such a FIB can hold: an arena has room for far fewer.
constexpr bool fib6_holds(Leaf leaf) noexcept {
    return (leaf.value & 0x60000000u) == 0;
}
constexpr bool fib6_is_narrow(Leaf leaf) noexcept {
    return (leaf.value & 0x7fff8000u) == 0;
}
constexpr std::uint16_t fib6_narrow_of(Leaf leaf) noexcept {
    return static_cast<std::uint16_t>((leaf.value & 0x7fffu) | leaf.value >> 31 << 15);
}
constexpr Leaf fib6_leaf_of(std::uint16_t narrow) noexcept {
    return {(narrow & 0x7fffu) | (narrow & 0x8000u) << 16};
}

constexpr unsigned kFib6Boundaries = 13;
enum class Fib6Form : std::uint16_t { narrow = 0, wide = 1, words = 2 };

struct alignas(64) Fib6Block {
    /// Boundaries in ascending order, then 0xffff: an address belongs to the interval whose number
    /// is how many of them are not above its 16 bits.
    std::array<std::uint16_t, kFib6Boundaries> keys;
    std::uint16_t unused;
    std::uint16_t unused_too;
    Fib6Form form;
    std::array<std::uint16_t, kFib6Boundaries + 1> leaves;  // form narrow, by interval; else 0
    std::atomic<std::uint32_t> cover;                       // form narrow: a Leaf's value; else 0
};
static_assert(sizeof(Fib6Block) == 64 && offsetof(Fib6Block, leaves) == 32 &&
              offsetof(Fib6Block, cover) == 60);

/// The forms wide and words.
struct Fib6WideBlock : Fib6Block {
    std::atomic<std::uint32_t> wide_cover;  // form wide: a Leaf's value
    [[nodiscard]] const Fib6Word* words() const noexcept { return &wide_cover + 1; }
    [[nodiscard]] Fib6Word* words() noexcept { return &wide_cover + 1; }
};

constexpr std::uint32_t fib6_block_words(Fib6Form form) noexcept {
    return form == Fib6Form::words ? 256 : kFib6Boundaries + 1;
}
constexpr std::size_t fib6_block_bytes(Fib6Form form) noexcept {
    if (form == Fib6Form::narrow) return sizeof(Fib6Block);
    return sizeof(Fib6Block) + (1 + fib6_block_words(form)) * sizeof(Fib6Word);
}
/// Of a page that begins at bit `at`.
constexpr std::uint32_t fib6_page_words(unsigned at) noexcept {
    return at == 16 ? 1024 : at == 26 ? 64 : 256;
}
constexpr std::size_t fib6_page_bytes(unsigned at) noexcept {
    return fib6_page_words(at) * (at == kFib6NarrowAt ? sizeof(Fib6Narrow) : sizeof(Fib6Word));
}
constexpr unsigned fib6_page_end(unsigned at) noexcept {
    return at == 16 ? 26 : at == 26 ? 32 : at + 8;
}

struct alignas(64) Fib6Branch {
    std::atomic<std::uint32_t> leaf;   // a Leaf's value: of the prefixes of 1 to 48 bits
    std::atomic<std::uint32_t> child;  // FibNode at bit 48; 0: none left
};

}  // namespace wye::table
