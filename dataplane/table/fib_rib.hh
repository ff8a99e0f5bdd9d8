// FibRib: the routes of one FIB in the control thread's private memory, grouped as the trie's nodes
// are, so that a node can be expanded anew when one of its routes comes or goes.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/base/huge_pages.hh"
#include "dataplane/net/address.hh"
#include "dataplane/table/fib_trie.hh"
#include "dataplane/table/nexthop.hh"

namespace wye::table {

__extension__ using FibBits = unsigned __int128;  // an address, most significant bit first

/// The leaf of each slot of a node; 0: none of its prefixes covers the slot.
using FibLeaves = std::array<std::uint32_t, kFibSlots>;

/// As far as FibRib::each_cover goes: three nodes of the RIB, and an IPv4 table's index (fib_table.hh).
constexpr unsigned kFibCoverBits = 18;

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
    void expand(FibBits bits, unsigned position, FibLeaves& leaves) const {
        expand(bits, position, {0, kFibSlots}, leaves);
    }
    /// The same of some slots alone: the others have none.
    struct Slots {
        unsigned first, end;
    };
    void expand(FibBits bits, unsigned position, Slots slots, FibLeaves& leaves) const;
    [[nodiscard]] Leaf default_leaf() const noexcept { return default_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// Whether there is a leaf that a narrow page of a table does not hold (fib_table.hh).
    [[nodiscard]] bool has_wide_leaf() const noexcept { return wide_ != 0; }
    void clear();

    /// Where the search for the node that holds the prefix begins, and for up to `count` - 1 of those
    /// above it; then, once that is near, the node's routes.
    void prefetch_nodes(const Prefix& prefix, unsigned count) const noexcept;
    void prefetch_routes(const Prefix& prefix) const noexcept;

    /// visit(index, leaf) for each run of the first kFibCoverBits of an address under `bits`/`length`
    /// (no longer than these): the leaf of the longest prefix, up to there and from length 1 on, that
    /// covers it.
    template <class Visit>
    void each_cover(FibBits bits, unsigned length, Visit visit) const;

    /// visit(bits, position) for each node that holds a route; false ends it.
    template <class Visit>
    bool each_node(Visit visit) const {
        for (const Node& node : slots_) {
            if (node.routes.empty()) continue;
            if (!visit(node.place.bits, node.place.position)) return false;
        }
        return true;
    }
    /// The same for the nodes from `position` (a multiple of the stride) on whose addresses begin
    /// with these bits.
    template <class Visit>
    bool each_node_in(FibBits bits, unsigned position, Visit visit) const;
    /// The leaf of the longest prefix of 1 to `length` bits that covers the first `length` of `bits`.
    [[nodiscard]] Leaf longest(FibBits bits, unsigned length) const;
    /// visit(bits, length, leaf) for each route under the first `from` of `bits` that is longer than
    /// that and no longer than `to`, a covering one before those in it; false ends it.
    template <class Visit>
    bool each_route(FibBits bits, unsigned from, unsigned to, Visit visit) const;
    /// visit(bits) for each prefix of `at` bits under the first `from` of `bits` that has longer
    /// routes in it; false ends it.
    template <class Visit>
    bool each_longer(FibBits bits, unsigned from, unsigned at, Visit visit) const;
    /// Whether a route lies under the first `length` of `bits` that is longer.
    [[nodiscard]] bool has_longer(FibBits bits, unsigned length) const {
        return !each_route(bits, length, 128, [](FibBits, unsigned, Leaf) { return false; });
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
        /// How many bits these are, 1 to 6. The last bit is set for the compiler, which does not know
        /// that no index is 0 and would test for it.
        [[nodiscard]] unsigned own_bits() const noexcept {
            return static_cast<unsigned>(std::bit_width(index | 1u)) - 1;
        }
        /// Of those that it covers.
        [[nodiscard]] unsigned slot_count() const noexcept {
            return 1u << (kFibStride - own_bits());
        }
        [[nodiscard]] unsigned first_slot() const noexcept {
            return (index - (1u << own_bits())) << (kFibStride - own_bits());
        }
    };

    /// With its routes by index. One without routes leads to others. A cache line.
    struct alignas(64) Node {
        Place place{};
        std::vector<Route> routes;
        std::uint64_t below = 0;  // slots in which a node begins
        [[nodiscard]] bool is_free() const noexcept { return routes.empty() && below == 0; }
    };

    static_assert(sizeof(Node) == 64);
    using Nodes = std::vector<Node, HugePages<Node>>;

    static Place place_of(FibBits bits, unsigned position) noexcept;
    [[nodiscard]] std::size_t home_of(const Place& place) const noexcept;
    [[nodiscard]] Node* find_node(const Place& place) noexcept;
    [[nodiscard]] const Node* find_node(const Place& place) const noexcept;
    Node& add_node(const Place& place);
    void remove_node(Node& node);
    void resize_slots(std::size_t count);
    static std::uint32_t index_of(const Prefix& prefix) noexcept;
    [[nodiscard]] const Node* node_at(FibBits bits, unsigned position) const;
    void link(FibBits bits, unsigned position);
    void unlink(FibBits bits, unsigned position);
    /// Slots of the node at `position` that lie under the first `length` of `bits`.
    static std::uint64_t slots_under(FibBits bits, unsigned position, unsigned length) noexcept;
    /// The first slots of the node's routes that are longer than `length`.
    static std::uint64_t slots_of_longer(const Node& node, unsigned position,
                                         unsigned length) noexcept;

    // A hash with open addressing, in a power of two of slots, linearly probed and at most three
    // quarters full: finding a node reads one line, mostly, and its routes another.
    Nodes slots_;
    std::size_t nodes_ = 0;
    Leaf default_;
    std::size_t size_ = 0;
    std::size_t wide_ = 0;  // routes with such a leaf
};

template <class Visit>
void FibRib::each_cover(FibBits bits, unsigned length, Visit visit) const {
    static_assert(kFibCoverBits == 3 * kFibStride);
    const auto first = static_cast<std::uint32_t>(bits >> (128 - kFibCoverBits));
    const std::uint32_t end = first + (1u << (kFibCoverBits - length));
    FibLeaves top, middle, lowest;
    expand(bits, 0, top);
    for (std::uint32_t base = first / kFibSlots * kFibSlots; base < end; base += kFibSlots) {
        const FibBits at = FibBits{base} << (128 - kFibCoverBits);
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

template <class Visit>
bool FibRib::each_node_in(FibBits bits, unsigned position, Visit visit) const {
    const Node* const node = node_at(bits, position);
    if (node == nullptr) return true;
    if (!node->routes.empty() && !visit(place_of(bits, position).bits, position)) return false;
    for (std::uint64_t below = node->below; below != 0; below &= below - 1) {
        const auto slot = static_cast<unsigned>(std::countr_zero(below));
        const FibBits at =
            place_of(bits, position).bits | FibBits{slot} << (128 - kFibStride) >> position;
        if (!each_node_in(at, position + kFibStride, visit)) return false;
    }
    return true;
}

template <class Visit>
bool FibRib::each_route(FibBits bits, unsigned from, unsigned to, Visit visit) const {
    const unsigned position = from / kFibStride * kFibStride;
    const Node* const node = node_at(bits, position);
    if (node == nullptr) return true;
    const std::uint64_t meant = slots_under(bits, position, from);
    const FibBits start = place_of(bits, position).bits;
    const auto at_slot = [&](unsigned slot) {
        return start | FibBits{slot} << (128 - kFibStride) >> position;
    };
    for (const Route& route : node->routes) {
        const unsigned own = route.own_bits(), first = route.first_slot();
        if (position + own <= from || position + own > to || (meant >> first & 1) == 0) continue;
        if (!visit(at_slot(first), position + own, Leaf{route.leaf})) return false;
    }
    if (position + kFibStride >= to) return true;
    for (std::uint64_t below = node->below & meant; below != 0; below &= below - 1) {
        const auto slot = static_cast<unsigned>(std::countr_zero(below));
        if (!each_route(at_slot(slot), position + kFibStride, to, visit)) return false;
    }
    return true;
}

template <class Visit>
bool FibRib::each_longer(FibBits bits, unsigned from, unsigned at, Visit visit) const {
    const unsigned position = from / kFibStride * kFibStride;
    const Node* const node = node_at(bits, position);
    if (node == nullptr) return true;
    const FibBits start = place_of(bits, position).bits;
    const auto at_slot = [&](std::uint64_t slots) {
        return start | FibBits{static_cast<unsigned>(std::countr_zero(slots))}
                               << (128 - kFibStride) >>
                           position;
    };
    std::uint64_t slots = slots_under(bits, position, from);
    if (position + kFibStride <= at) {
        for (slots &= node->below; slots != 0; slots &= slots - 1) {
            if (!each_longer(at_slot(slots), position + kFibStride, at, visit)) return false;
        }
        return true;
    }
    slots &= node->below | slots_of_longer(*node, position, at);
    while (slots != 0) {
        const FibBits place = at_slot(slots) >> (128 - at) << (128 - at);
        if (!visit(place)) return false;
        slots &= ~slots_under(place, position, at);
    }
    return true;
}

}  // namespace wye::table
