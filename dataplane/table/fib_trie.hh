// The FIB's structure in the arena: a path-compressed trie of stride 6 with bitmap-compressed
// nodes. Both families; only the key differs.
//
// A node stands at a bit position (a multiple of 6) and holds the prefixes that are 1 to 6 bits
// longer, expanded to 64 slots. A slot has a leaf, a child, both, or neither. Leaves are not pushed
// into children: a lookup remembers the last leaf on its way down. So a route lies in exactly one
// node, and a change of it builds one small block anew and publishes it with one 32-bit store into
// the parent's child word; the old block is retired.
//   block = children bitmap, covered bitmap, runs bitmap, skip, then 32-bit words:
//           one child reference for each bit of `children`, one leaf for each bit of `runs`
//   `covered`: the slot has a leaf. `runs`: covered, and the leaf differs from the slot before.
//   `skip`: up to 9 groups of 6 bits that the address must have between parent and node.
// The ideas are those of tree bitmap (Eatherton, Varghese, Dittia 2004) and Poptrie (Asai, Ohara
// 2015); the popcounts index compressed arrays as there.
//
// Root: an empty VRF has none. A small one has 64 bytes with the leaf of /0 and the top node. A
// large one has a table and, where there are prefixes longer than /24 or /48, tries: fib_table.hh for
// IPv4, fib6_page.hh for IPv6.
//
// Concurrency: blocks are immutable but for their child words. A reader may hold an old block,
// whose children go on being valid until a grace period has passed. What it could see wrong is a
// sequence (a covering route inserted high up, then the more specific one erased below) of which it
// saw the second step alone; so `erases` is raised before each erasure, and a lookup during which
// it changed is done again. Writer: control thread (fib_writer.cc). Readers: workers (fib.cc),
// others under a lease.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "dataplane/table/arena.hh"

namespace wye::table {

constexpr unsigned kFibStride = 6;
constexpr unsigned kFibSlots = 64;
constexpr unsigned kFibMaxSkip = 9;  // groups: 54 bits of value, the count above them

struct FibNode {
    std::uint64_t children;
    std::uint64_t covered;
    std::uint64_t runs;
    std::uint64_t skip;
    [[nodiscard]] const std::atomic<std::uint32_t>* words() const noexcept {
        return reinterpret_cast<const std::atomic<std::uint32_t>*>(this + 1);
    }
    [[nodiscard]] std::atomic<std::uint32_t>* words() noexcept {
        return reinterpret_cast<std::atomic<std::uint32_t>*>(this + 1);
    }
};
static_assert(sizeof(FibNode) == 32);

/// What lies below a root. Small VRFs: a trie alone.
enum class FibForm : std::uint32_t {
    trie = 0,
    pages = 1,  // large, IPv6: 2^16 words behind the root (fib6_page.hh)
    table = 2,  // large, IPv4: 2^18 words behind the root (fib_table.hh)
};

struct alignas(64) FibRoot {
    std::atomic<std::uint32_t> default_leaf;  // of the prefix of length 0
    std::atomic<std::uint32_t> child;         // top node of the form `trie`
    std::atomic<std::uint32_t> erases;
    FibForm form;
};
static_assert(sizeof(FibRoot) == 64);

/// The words behind the root of a large FIB.
inline const std::atomic<std::uint32_t>* fib_table(const FibRoot& root) noexcept {
    return reinterpret_cast<const std::atomic<std::uint32_t>*>(&root + 1);
}
inline std::atomic<std::uint32_t>* fib_table(FibRoot& root) noexcept {
    return reinterpret_cast<std::atomic<std::uint32_t>*>(&root + 1);
}

struct Fib4Root : FibRoot {};
struct Fib6Root : FibRoot {};

constexpr unsigned fib_skip_groups(std::uint64_t skip) noexcept {
    return static_cast<unsigned>(skip >> 58);
}
constexpr std::uint64_t fib_skip_value(std::uint64_t skip) noexcept {
    return skip & ((std::uint64_t{1} << 54) - 1);
}
inline unsigned fib_count(std::uint64_t bits) noexcept {
    return static_cast<unsigned>(std::popcount(bits));
}

}  // namespace wye::table
