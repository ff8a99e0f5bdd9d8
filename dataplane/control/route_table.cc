#include "dataplane/control/route_table.hh"

#include <algorithm>
#include <cstring>
#include <utility>

#include "dataplane/base/check.hh"
#include "dataplane/base/close_gap.hh"

namespace wye::control {

std::uint32_t RoutePool::take() {
    if (free_.empty()) {
        const auto first = static_cast<std::uint32_t>(chunks_.size()) * kInChunk;
        chunks_.push_back(Chunk(kInChunk));
        free_.reserve(chunks_.size() * kInChunk);
        for (std::uint32_t i = kInChunk; i-- != 0;) free_.push_back(first + i);
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    return index;
}

std::uint32_t RouteTable::hash_of(const net::IpPrefix& prefix) noexcept {
    std::uint64_t words[2];
    std::memcpy(words, prefix.address.bytes.data(), sizeof words);
    const auto family = static_cast<std::uint64_t>(prefix.address.family);
    std::uint64_t hash = (words[0] ^ (family << 8 | prefix.length)) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 32 ^ words[1]) * 0xd6e8feb86659fd93u;
    return static_cast<std::uint32_t>(hash >> 32);
}

/// By the upper bits, so that a table that grows is read and written in order.
std::size_t RouteTable::home_of(std::uint32_t hash) const noexcept {
    return static_cast<std::size_t>(std::uint64_t{hash} * slots_.size() >> 32);
}

namespace {

bool same(const net::IpPrefix& a, const net::IpPrefix& b) noexcept {
    static_assert(sizeof(net::IpPrefix) == 18);
    std::uint64_t words[4];
    std::memcpy(words, &a, 16);
    std::memcpy(words + 2, &b, 16);
    return words[0] == words[2] && words[1] == words[3] && a.length == b.length &&
           a.address.family == b.address.family;
}

}  // namespace

std::size_t RouteTable::slot_of(const net::IpPrefix& prefix, std::uint32_t hash) const noexcept {
    std::size_t at = home_of(hash);
    for (; slots_[at].record != kFree; at = after(at)) {
        if (slots_[at].hash == hash && same((*pool_)[slots_[at].record].prefix, prefix)) break;
    }
    return at;
}

Route* RouteTable::find(const net::IpPrefix& prefix) const noexcept {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[slot_of(prefix, hash_of(prefix))];
    return slot.record == kFree ? nullptr : &(*pool_)[slot.record];
}

void RouteTable::place(Slot slot) noexcept {
    std::size_t at = home_of(slot.hash);
    while (slots_[at].record != kFree) at = after(at);
    slots_[at] = slot;
}

void RouteTable::resize(std::size_t slots) {
    const auto old = std::exchange(slots_, Slots(slots));
    for (const Slot& slot : old) {
        if (slot.record != kFree) place(slot);
    }
}

Route& RouteTable::insert(const net::IpPrefix& prefix) {
    const std::uint32_t record = pool_->take();
    Route& route = (*pool_)[record];
    route = Route{};
    route.prefix = prefix;
    put_back(record);
    return route;
}

void RouteTable::put_back(std::uint32_t record) {
    if ((size_ + 1) * 4 > slots_.size() * 3) {
        resize(std::max<std::size_t>(kSmallest, slots_.size() * 2));
    }
    place({hash_of((*pool_)[record].prefix), record});
    ++size_;
}

std::uint32_t RouteTable::take_out(const net::IpPrefix& prefix) {
    const std::size_t at = slot_of(prefix, hash_of(prefix));
    const std::uint32_t record = slots_[at].record;
    WYE_CHECK(record != kFree, "a route is taken out that stands");
    close_gap(
        slots_, at, [](const Slot& slot) { return slot.record == kFree; },
        [this](const Slot& slot) { return home_of(slot.hash); });
    if (--size_ == 0) slots_ = {};
    return record;
}

void RouteTable::prefetch_slot(const net::IpPrefix& prefix) const noexcept {
    if (slots_.empty()) return;
    __builtin_prefetch(&slots_[home_of(hash_of(prefix))]);
}

void RouteTable::prefetch_route(const net::IpPrefix& prefix) const noexcept {
    if (slots_.empty()) return;
    const std::uint32_t hash = hash_of(prefix);
    for (std::size_t at = home_of(hash); slots_[at].record != kFree; at = after(at)) {
        if (slots_[at].hash != hash) continue;
        __builtin_prefetch(&(*pool_)[slots_[at].record], 1);
        return;
    }
}

}  // namespace wye::control
