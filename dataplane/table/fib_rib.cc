#include "dataplane/table/fib_rib.hh"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "dataplane/table/fib_table.hh"

namespace wye::table {
namespace {

constexpr FibBits keep_first(FibBits bits, unsigned count) noexcept {
    return count == 0 ? FibBits{0} : bits >> (128 - count) << (128 - count);
}

}  // namespace

FibRib::Prefix FibRib::prefix_of(const net::IpPrefix& prefix) noexcept {
    // IPv4 addresses lie in the first four of the bytes, so both families read alike.
    Be64 halves[2];
    std::memcpy(halves, prefix.address.bytes.data(), 16);
    const FibBits bits = FibBits{halves[0].host()} << 64 | halves[1].host();
    return {keep_first(bits, prefix.length), prefix.length};
}

FibRib::Place FibRib::place_of(FibBits bits, unsigned position) noexcept {
    return {keep_first(bits, position), position};
}

std::uint32_t FibRib::index_of(const Prefix& prefix) noexcept {
    const unsigned position = position_of(prefix.length);
    const unsigned own = prefix.length - position;
    return 1u << own | fib_group(prefix.bits, position) >> (kFibStride - own);
}

std::size_t FibRib::PlaceHash::operator()(const Place& place) const noexcept {
    std::uint64_t h = static_cast<std::uint64_t>(place.bits >> 64) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 32 ^ static_cast<std::uint64_t>(place.bits)) * 0xd6e8feb86659fd93u;
    h = (h ^ h >> 32 ^ place.position) * 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

Leaf FibRib::find(const Prefix& prefix) const {
    if (prefix.length == 0) return default_;
    const auto node = nodes_.find(place_of(prefix.bits, position_of(prefix.length)));
    if (node == nodes_.end()) return Leaf::none();
    for (const Route& route : node->second) {
        if (route.index == index_of(prefix)) return Leaf{route.leaf};
    }
    return Leaf::none();
}

Leaf FibRib::exchange(const Prefix& prefix, Leaf leaf) {
    Leaf before = Leaf::none();
    if (prefix.length == 0) {
        before = std::exchange(default_, leaf);
    } else {
        const Place place = place_of(prefix.bits, position_of(prefix.length));
        const std::uint32_t index = index_of(prefix);
        auto node = nodes_.find(place);
        if (node == nodes_.end()) {
            if (leaf.is_none()) return before;
            node = nodes_.try_emplace(place).first;
        }
        auto& routes = node->second;
        const auto at = std::lower_bound(
            routes.begin(), routes.end(), index,
            [](const Route& route, std::uint32_t wanted) { return route.index < wanted; });
        const bool present = at != routes.end() && at->index == index;
        if (present) before = Leaf{at->leaf};
        if (leaf.is_none()) {
            if (present) routes.erase(at);
            if (routes.empty()) nodes_.erase(node);
        } else if (present) {
            at->leaf = leaf.value;
        } else {
            routes.insert(at, Route{index, leaf.value});
        }
    }
    if (!fib_is_narrow(before.value)) --wide_;
    if (!fib_is_narrow(leaf.value)) ++wide_;
    if (before.is_none() && !leaf.is_none()) ++size_;
    if (!before.is_none() && leaf.is_none()) --size_;
    return before;
}

void FibRib::expand(FibBits bits, unsigned position, FibLeaves& leaves) const {
    leaves.fill(0);
    const auto node = nodes_.find(place_of(bits, position));
    if (node == nodes_.end()) return;
    for (const Route& route : node->second) {  // longer ones come later and overwrite
        const auto own = static_cast<unsigned>(std::bit_width(route.index | 1u)) - 1;
        const std::uint32_t slots = 1u << (kFibStride - own);
        const std::uint32_t first = (route.index - (1u << own)) * slots;
        std::fill_n(leaves.begin() + first, slots, route.leaf);
    }
}

void FibRib::clear() {
    nodes_ = {};
    default_ = Leaf::none();
    size_ = wide_ = 0;
}

}  // namespace wye::table
