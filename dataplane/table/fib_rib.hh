// FibRib: the routes of one FIB in the control thread's private memory, grouped as the trie's nodes
// are, so that a node can be expanded anew when one of its routes comes or goes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
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
    void clear();

    /// visit(bits, position) for each node that holds a route; false ends it.
    template <class Visit>
    bool each_node(Visit visit) const {
        for (const auto& [place, routes] : nodes_) {
            if (!visit(place.bits, place.position)) return false;
        }
        return true;
    }

  private:
    struct Place {
        FibBits bits;
        unsigned position;
        friend bool operator==(const Place&, const Place&) = default;
    };
    struct PlaceHash {
        std::size_t operator()(const Place& place) const noexcept;
    };
    /// A prefix within a node: 1 and then its bits, so that shorter ones sort first.
    struct Route {
        std::uint32_t index;
        std::uint32_t leaf;
    };

    static Place place_of(FibBits bits, unsigned position) noexcept;
    static std::uint32_t index_of(const Prefix& prefix) noexcept;

    std::unordered_map<Place, std::vector<Route>, PlaceHash> nodes_;
    Leaf default_;
    std::size_t size_ = 0;
};

}  // namespace wye::table
