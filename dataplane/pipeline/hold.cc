#include "dataplane/pipeline/hold.hh"

#include <algorithm>
#include <bit>
#include <cstring>

namespace wye::pipeline {
namespace {

std::uint32_t hash(const NeighborKey& key) noexcept {
    std::uint64_t words[2];
    std::memcpy(words, key.address.bytes.data(), sizeof words);
    std::uint64_t h = (words[0] ^ key.vport.value) * 0x9e3779b97f4a7c15u;
    h = (h ^ (h >> 32) ^ words[1]) * 0x9e3779b97f4a7c15u;
    return static_cast<std::uint32_t>(h >> 32);
}

}  // namespace

HoldTable::HoldTable(const Limits& limits)
    : capacity_(std::max(limits.held_packets, 1u)),
      of_tenant_(std::min(limits.held_packets_of_tenant, 0xffffu)),
      of_neighbor_(std::max(limits.held_packets_of_neighbor, 1u)),
      neighbor_mask_(std::bit_ceil(std::max(capacity_, kProbes)) - 1),
      slots_(std::make_unique<Slot[]>(capacity_)),
      neighbors_(std::make_unique<Neighbor[]>(neighbor_mask_ + 1)) {
    for (std::uint32_t i = 0; i + 1 < capacity_; ++i) slots_[i].newer = i + 1;
}

std::uint32_t HoldTable::find(const NeighborKey& key) const noexcept {
    for (std::uint32_t i = hash(key), probes = 0; probes < kProbes; ++i, ++probes) {
        if (neighbors_[i & neighbor_mask_].key == key) return i & neighbor_mask_;
    }
    return kNone;
}

std::uint32_t HoldTable::find_or_make(const NeighborKey& key) noexcept {
    const std::uint32_t found = find(key);
    if (found != kNone) return found;
    std::uint32_t best = kNone;  // the one without packets that was not used for longest
    for (std::uint32_t i = hash(key), probes = 0; probes < kProbes; ++i, ++probes) {
        const std::uint32_t candidate = i & neighbor_mask_;
        if (neighbors_[candidate].count != 0) continue;
        if (best == kNone || neighbors_[candidate].used < neighbors_[best].used) best = candidate;
    }
    if (best != kNone) {
        neighbors_[best] = {};
        neighbors_[best].key = key;
    }
    return best;
}

Packet HoldTable::take_out(std::uint32_t index) noexcept {
    // Always a neighbour's oldest: both lists are in the order of arrival.
    Slot& slot = slots_[index];
    Neighbor& neighbor = neighbors_[slot.neighbor];
    neighbor.oldest = slot.newer_of_neighbor;
    if (neighbor.oldest == kNone) neighbor.newest = kNone;
    --neighbor.count;
    (slot.older == kNone ? oldest_ : slots_[slot.older].newer) = slot.newer;
    (slot.newer == kNone ? newest_ : slots_[slot.newer].older) = slot.older;
    slot.newer = free_;
    free_ = index;
    --count_;
    --tenant_count(slot.packet);
    return slot.packet;
}

HoldTable::Outcome HoldTable::put(const Packet& packet, const NeighborKey& key, std::uint64_t now,
                                  Packet& evicted) noexcept {
    const std::uint32_t index = find_or_make(key);
    if (index == kNone) return Outcome::refused;
    Neighbor& neighbor = neighbors_[index];
    neighbor.used = now;
    Outcome outcome = Outcome::taken;
    const bool full = count_ == capacity_ || tenant_count(packet) >= of_tenant_;
    if (neighbor.count >= of_neighbor_ || (full && neighbor.count != 0)) {
        evicted = take_out(neighbor.oldest);
        outcome = Outcome::taken_instead;
    } else if (full) {
        return Outcome::refused;
    }
    const std::uint32_t taken = free_;
    Slot& slot = slots_[taken];
    free_ = slot.newer;
    slot.packet = packet;
    slot.packet.in_policy = nullptr;  // does not outlive its burst
    slot.neighbor = index;
    slot.older = newest_;
    slot.newer = slot.newer_of_neighbor = kNone;
    (newest_ == kNone ? oldest_ : slots_[newest_].newer) = taken;
    newest_ = taken;
    (neighbor.newest == kNone ? neighbor.oldest : slots_[neighbor.newest].newer_of_neighbor) =
        taken;
    neighbor.newest = taken;
    ++neighbor.count;
    ++count_;
    ++tenant_count(packet);
    return outcome;
}

bool HoldTable::resolve_due(const NeighborKey& key, std::uint64_t now,
                            std::uint64_t interval) noexcept {
    const std::uint32_t index = find(key);
    if (index == kNone) return false;
    Neighbor& neighbor = neighbors_[index];
    if (neighbor.asked != 0 && now - neighbor.asked < interval) return false;
    neighbor.asked = std::max<std::uint64_t>(now, 1);
    return true;
}

void HoldTable::resolve_failed(const NeighborKey& key) noexcept {
    const std::uint32_t index = find(key);
    if (index != kNone) neighbors_[index].asked = 0;
}

bool HoldTable::oldest_is_due(std::uint64_t now) const noexcept {
    return oldest_ != kNone && slots_[oldest_].packet.hold_until <= now;
}

Packet HoldTable::pop_oldest() noexcept {
    return take_out(oldest_);
}

}  // namespace wye::pipeline
