#include "dataplane/table/vport_key_writer.hh"

#include "dataplane/table/key_slots.hh"

namespace wye::table {
namespace {

using Slots = KeySlots<std::uint64_t, kVportKeyEmpty, kVportKeyTombstone>;

Slots slots_of(ArenaWriter& arena) {
    return {arena.writable(arena.header().vport_keys), arena.header().vport_key_slots};
}

auto is_key(std::uint32_t key) {
    return [key](std::uint64_t word) { return static_cast<std::uint32_t>(word >> 32) == key; };
}

}  // namespace

bool VportKeyWriter::insert(std::uint16_t port, std::uint16_t vlan, std::uint16_t inner_vlan,
                            VportId vport) {
    const std::uint32_t key = vport_key(port, vlan, inner_vlan);
    Slots slots = slots_of(arena_);
    const auto place = slots.find(vport_key_hash(key), is_key(key));
    if (!place) return false;
    if (!place->present) {
        if (size_ >= arena_.header().vport_key_slots / 2) return false;
        ++size_;
    }
    slots.store(place->index, vport_key_word(key, vport));
    return true;
}

bool VportKeyWriter::remove(std::uint16_t port, std::uint16_t vlan, std::uint16_t inner_vlan) {
    const std::uint32_t key = vport_key(port, vlan, inner_vlan);
    Slots slots = slots_of(arena_);
    const auto place = slots.find(vport_key_hash(key), is_key(key));
    if (!place || !place->present) return false;
    slots.remove(place->index);
    --size_;
    return true;
}

}  // namespace wye::table
