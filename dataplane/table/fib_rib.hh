// FibRib: the routes of one FIB in the control thread's private memory, grouped as the trie's nodes
// are, so that a node can be expanded anew when one of its routes comes or goes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/net/address.hh"
#include "dataplane/table/fib_trie.hh"
#include "dataplane/table/nexthop.hh"

namespace wye::table {

__extension__ using FibBits = unsigned __int128;  // an address, most significant bit first

/// The leaf of each slot of a node; 0: none of its prefixes covers the slot.
using FibLeaves = std::array<std::uint32_t, kFibSlots>;

/// Six bits of the address from `position` on.
constexpr unsigned fib_group(FibBits bits, unsigned position) noexcept {
    return static_cast<unsigned>(bits << position >> (128 - kFibStride));
}

class FibRib {
  public:
    struct Prefix {
        FibBits bits;
        unsigned length;
    };
    static Prefix prefix_of(const net::IpPrefix& prefix) noexcept;
    /// Where the node is that holds a prefix; length >= 1.
    static constexpr unsigned position_of(unsigned length) noexcept {
        return (length - 1) / kFibStride * kFibStride;
    }

    [[nodiscard]] Leaf find(const Prefix& prefix) const;
    /// Sets, or removes if `leaf` is none; what was there before.
    Leaf exchange(const Prefix& prefix, Leaf leaf);
    /// Leaves of the node at `position` whose address bits begin as `bits` do.
    void expand(FibBits bits, unsigned position, FibLeaves& leaves) const;
    [[nodiscard]] Leaf default_leaf() const noexcept { return default_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// Whether there is a leaf that a narrow page of a table does not hold (fib_table.hh).
    [[nodiscard]] bool has_wide_leaf() const noexcept { return wide_ != 0; }
    void clear();

    /// visit(index, leaf) for each run of the first kFibDirectBits of an address under `bits`/`length`
    /// (no longer than these): the leaf of the longest prefix, up to there and from length 1 on, that
    /// covers it.
    template <class Visit>
    void each_cover(FibBits bits, unsigned length, Visit visit) const;

    /// visit(bits, position) for each node that holds a route; false ends it.
    template <class Visit>
    bool each_node(Visit visit) const {
        for (const Node& node : slots_) {
            if (!node.is_free() && !visit(node.place.bits, node.place.position)) return false;
        }
        return true;
    }

  private:
    struct Place {
        FibBits bits;
        unsigned position;
        friend bool operator==(const Place&, const Place&) = default;
    };
    /// A prefix within a node: 1 and then its bits, so that shorter ones sort first.
    struct Route {
        std::uint32_t index;
        std::uint32_t leaf;
    };

    /// With its routes by index, of which it has one at least.
    struct Node {
        Place place{};
        std::vector<Route> routes;
        [[nodiscard]] bool is_free() const noexcept { return routes.empty(); }
    };

    static Place place_of(FibBits bits, unsigned position) noexcept;
    [[nodiscard]] std::size_t home_of(const Place& place) const noexcept;
    [[nodiscard]] Node* find_node(const Place& place) noexcept;
    [[nodiscard]] const Node* find_node(const Place& place) const noexcept;
    Node& add_node(const Place& place);
    void remove_node(Node& node);
    void resize_slots(std::size_t count);
    static std::uint32_t index_of(const Prefix& prefix) noexcept;

    // A hash with open addressing, in a power of two of slots, linearly probed and at most three
    // quarters full: finding a node reads one line, mostly, and its routes another.
    std::vector<Node> slots_;
    std::size_t nodes_ = 0;
    Leaf default_;
    std::size_t size_ = 0;
    std::size_t wide_ = 0;  // routes with such a leaf
};

template <class Visit>
void FibRib::each_cover(FibBits bits, unsigned length, Visit visit) const {
    static_assert(kFibDirectBits == 3 * kFibStride);
    const auto first = static_cast<std::uint32_t>(bits >> (128 - kFibDirectBits));
    const std::uint32_t end = first + (1u << (kFibDirectBits - length));
    FibLeaves top, middle, lowest;
    expand(bits, 0, top);
    for (std::uint32_t base = first / kFibSlots * kFibSlots; base < end; base += kFibSlots) {
        const FibBits at = FibBits{base} << (128 - kFibDirectBits);
        if (base % (kFibSlots * kFibSlots) == 0 || base <= first) expand(at, kFibStride, middle);
        const std::uint32_t above = middle[fib_group(at, kFibStride)];
        const std::uint32_t otherwise = above != 0 ? above : top[fib_group(at, 0)];
        expand(at, 2 * kFibStride, lowest);
        for (std::uint32_t i = std::max(base, first); i < std::min(base + kFibSlots, end); ++i) {
            const std::uint32_t own = lowest[i - base];
            visit(i, Leaf{own != 0 ? own : otherwise});
        }
    }
}

}  // namespace wye::table
