#include "dataplane/table/tunnel_key_writer.hh"

#include "dataplane/table/key_slots.hh"

namespace wye::table {
namespace {

using Slots = KeySlots<std::uint32_t, kTunnelKeyEmpty, kTunnelKeyTombstone>;

Slots slots_of(ArenaWriter& arena) {
    return {arena.writable(arena.header().tunnel_keys), arena.header().tunnel_key_slots};
}

}  // namespace

bool TunnelKeyWriter::insert(TunnelId tunnel) {
    const auto tunnels = arena_.header().tunnels;
    const TunnelKey& key = arena_.record(tunnels, tunnel.value).key;
    Slots slots = slots_of(arena_);
    const auto place = slots.find(tunnel_key_hash(key), [&](std::uint32_t word) {
        return arena_.record(tunnels, word - 1).key == key;
    });
    if (!place || place->present || size_ >= arena_.header().tunnel_key_slots / 2) return false;
    slots.store(place->index, tunnel.value + 1);
    ++size_;
    return true;
}

bool TunnelKeyWriter::remove(TunnelId tunnel) {
    const TunnelKey& key = arena_.record(arena_.header().tunnels, tunnel.value).key;
    Slots slots = slots_of(arena_);
    const auto place = slots.find(
        tunnel_key_hash(key), [tunnel](std::uint32_t word) { return word == tunnel.value + 1; });
    if (!place || !place->present) return false;
    slots.remove(place->index);
    --size_;
    return true;
}

}  // namespace wye::table
