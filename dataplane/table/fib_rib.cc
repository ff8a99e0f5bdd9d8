#include "dataplane/table/fib_rib.hh"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "dataplane/base/close_gap.hh"
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

std::size_t FibRib::home_of(const Place& place) const noexcept {
    std::uint64_t h = static_cast<std::uint64_t>(place.bits >> 64) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 32 ^ static_cast<std::uint64_t>(place.bits)) * 0xd6e8feb86659fd93u;
    h = (h ^ h >> 32 ^ place.position) * 0xd6e8feb86659fd93u;
    return (h ^ h >> 32) & (slots_.size() - 1);
}

const FibRib::Node* FibRib::find_node(const Place& place) const noexcept {
    if (nodes_ == 0) return nullptr;
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = home_of(place); !slots_[i].is_free(); i = (i + 1) & mask) {
        if (slots_[i].place == place) return &slots_[i];
    }
    return nullptr;
}

FibRib::Node* FibRib::find_node(const Place& place) noexcept {
    return const_cast<Node*>(std::as_const(*this).find_node(place));
}

/// The caller gives it a route or a slot that leads on at once: until then it counts as free.
FibRib::Node& FibRib::add_node(const Place& place) {
    if ((nodes_ + 1) * 4 > slots_.size() * 3) {
        resize_slots(std::max<std::size_t>(4, slots_.size() * 2));
    }
    ++nodes_;
    std::size_t i = home_of(place);
    while (!slots_[i].is_free()) i = (i + 1) & (slots_.size() - 1);
    slots_[i].place = place;
    return slots_[i];
}

/// Of a node that has lost all.
void FibRib::remove_node(Node& node) {
    if (--nodes_ == 0) {
        slots_ = {};
        return;
    }
    close_gap(
        slots_, static_cast<std::size_t>(&node - slots_.data()),
        [](const Node& slot) { return slot.is_free(); },
        [this](const Node& slot) { return home_of(slot.place); });
    if (nodes_ * 8 < slots_.size()) resize_slots(slots_.size() / 2);
}

void FibRib::resize_slots(std::size_t count) {
    Nodes before(count);
    before.swap(slots_);
    for (Node& node : before) {
        if (node.is_free()) continue;
        std::size_t i = home_of(node.place);
        while (!slots_[i].is_free()) i = (i + 1) & (count - 1);
        slots_[i] = std::move(node);
    }
}

Leaf FibRib::find(const Prefix& prefix) const {
    if (prefix.length == 0) return default_;
    const Node* node = find_node(place_of(prefix.bits, position_of(prefix.length)));
    if (node == nullptr) return Leaf::none();
    for (const Route& route : node->routes) {
        if (route.index == index_of(prefix)) return Leaf{route.leaf};
    }
    return Leaf::none();
}

const FibRib::Node* FibRib::node_at(FibBits bits, unsigned position) const {
    return find_node(place_of(bits, position));
}

/// A node has come: those above it lead there.
void FibRib::link(FibBits bits, unsigned position) {
    while (position != 0) {
        const unsigned slot = fib_group(bits, position - kFibStride);
        position -= kFibStride;
        Node* node = find_node(place_of(bits, position));
        const bool is_new = node == nullptr;
        if (is_new) node = &add_node(place_of(bits, position));
        node->below |= std::uint64_t{1} << slot;
        if (!is_new) return;
    }
}

/// A node has gone: so do those above it that led there alone.
void FibRib::unlink(FibBits bits, unsigned position) {
    while (position != 0) {
        const unsigned slot = fib_group(bits, position - kFibStride);
        position -= kFibStride;
        Node* const node = find_node(place_of(bits, position));
        node->below &= ~(std::uint64_t{1} << slot);
        if (!node->is_free()) return;
        remove_node(*node);
    }
}

std::uint64_t FibRib::slots_under(FibBits bits, unsigned position, unsigned length) noexcept {
    if (length <= position) return ~std::uint64_t{0};
    const unsigned width = position + kFibStride - length;  // 1 to 5
    const unsigned first = fib_group(bits, position) >> width << width;
    return ((std::uint64_t{1} << (1u << width)) - 1) << first;
}

std::uint64_t FibRib::slots_of_longer(const Node& node, unsigned position,
                                      unsigned length) noexcept {
    std::uint64_t slots = 0;
    for (const Route& route : node.routes) {
        if (position + route.own_bits() <= length) continue;
        slots |= std::uint64_t{1} << route.first_slot();
    }
    return slots;
}

Leaf FibRib::longest(FibBits bits, unsigned length) const {
    for (unsigned end = length; end != 0;) {
        const unsigned position = position_of(end);
        if (const Node* const node = node_at(bits, position)) {
            const unsigned slot = fib_group(bits, position);
            for (auto route = node->routes.rbegin(); route != node->routes.rend(); ++route) {
                const unsigned own = route->own_bits();
                const std::uint32_t wanted = 1u << own | slot >> (kFibStride - own);
                if (position + own <= length && route->index == wanted) return Leaf{route->leaf};
            }
        }
        end = position;
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
        Node* node = find_node(place);
        if (node == nullptr) {
            if (leaf.is_none()) return before;
            link(prefix.bits, place.position);
            node = &add_node(place);
        }
        auto& routes = node->routes;
        const auto at = std::lower_bound(
            routes.begin(), routes.end(), index,
            [](const Route& route, std::uint32_t wanted) { return route.index < wanted; });
        const bool present = at != routes.end() && at->index == index;
        if (present) before = Leaf{at->leaf};
        if (leaf.is_none()) {
            if (present) routes.erase(at);
            if (node->is_free()) {
                remove_node(*node);
                unlink(prefix.bits, place.position);
            }
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

void FibRib::expand(FibBits bits, unsigned position, Slots slots, FibLeaves& leaves) const {
    leaves.fill(0);
    const Node* node = find_node(place_of(bits, position));
    if (node == nullptr) return;
    // Those of one length follow one another, and of each length those meant do, too.
    std::uint32_t longer = 0, first_meant = 0, last_meant = 0;
    for (const Route& route : node->routes) {  // longer ones come later and overwrite
        if (route.index >= longer) {
            const unsigned own = route.own_bits();
            longer = 2u << own;
            first_meant = 1u << own | slots.first >> (kFibStride - own);
            last_meant = 1u << own | (slots.end - 1) >> (kFibStride - own);
        }
        if (route.index < first_meant || route.index > last_meant) continue;
        const unsigned first = std::max(route.first_slot(), slots.first);
        const unsigned end = std::min(route.first_slot() + route.slot_count(), slots.end);
        for (unsigned slot = first; slot < end; ++slot) leaves[slot] = route.leaf;
    }
}

void FibRib::prefetch_nodes(const Prefix& prefix, unsigned count) const noexcept {
    if (nodes_ == 0 || prefix.length == 0) return;
    unsigned position = position_of(prefix.length);
    while (true) {
        __builtin_prefetch(&slots_[home_of(place_of(prefix.bits, position))], 1);
        if (--count == 0 || position == 0) return;
        position -= kFibStride;
    }
}

void FibRib::prefetch_routes(const Prefix& prefix) const noexcept {
    if (prefix.length == 0) return;
    const Node* const node = node_at(prefix.bits, position_of(prefix.length));
    if (node == nullptr) return;
    constexpr std::size_t kMost = 4 * 64 / sizeof(Route);  // lines, of up to 16
    for (std::size_t i = 0; i < std::min(node->routes.size(), kMost); i += 64 / sizeof(Route)) {
        __builtin_prefetch(&node->routes[i], 1);
    }
}

void FibRib::clear() {
    slots_ = {};
    nodes_ = 0;
    default_ = Leaf::none();
    size_ = wide_ = 0;
}

}  // namespace wye::table
