// Tunnels: the ready-made outer header, and the hash that decapsulation looks in.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "dataplane/base/ids.hh"
#include "dataplane/base/model.hh"
#include "dataplane/net/address.hh"
#include "dataplane/table/arena.hh"

namespace wye::table {

/// What a received outer header is matched by. All of it: a tunnel accepts from its remote only.
struct TunnelKey {
    net::IpAddress local;
    net::IpAddress remote;
    TunnelKind kind;
    std::uint8_t reserved;
    std::uint32_t vni;
    VrfId underlay;
    friend bool operator==(const TunnelKey&, const TunnelKey&) noexcept = default;
};

/// Outer header template: IPv4 or IPv6, UDP, VXLAN or GENEVE, without lengths, checksums, IPv4
/// identification and UDP source port, which encapsulation fills in.
constexpr std::size_t kOuterHeaderCapacity = 40 + 8 + 8;

/// One record an id. control: rw before the key is published, afterwards ro; workers: ro.
struct alignas(64) Tunnel {
    TunnelKey key;
    std::uint32_t generation;
    VportId vport;  // the vport inside; invalid until one is bound
    std::uint16_t destination_port;
    std::uint8_t copy_dscp;      // 1: inner DSCP copied to the outer header
    std::uint8_t udp_checksum;   // 1: outer UDP checksum filled in
    std::uint8_t header_length;  // of `header`, bytes
    std::uint8_t in_use;
    std::array<std::uint8_t, kOuterHeaderCapacity> header;
};
static_assert(sizeof(Tunnel) == 128);

inline std::uint32_t tunnel_key_hash(const TunnelKey& key) noexcept {
    // FNV-1a over words, then a finisher: keys are few and looked up once a received tunnel packet.
    std::uint64_t h = 0xcbf29ce484222325u;
    const auto mix = [&h](std::uint64_t v) {
        h = (h ^ v) * 0x100000001b3u;
        h ^= h >> 29;
    };
    std::uint64_t words[2];
    std::memcpy(words, key.local.bytes.data(), 16);
    mix(words[0]);
    mix(words[1]);
    std::memcpy(words, key.remote.bytes.data(), 16);
    mix(words[0]);
    mix(words[1]);
    mix(std::uint64_t{key.vni} << 32 | key.underlay.value);
    mix(static_cast<std::uint64_t>(key.kind));
    return static_cast<std::uint32_t>(h ^ (h >> 32));
}

constexpr std::uint32_t kTunnelKeyEmpty = 0;
constexpr std::uint32_t kTunnelKeyTombstone = 0xffffffff;

/// Slots hold (tunnel id + 1). Open addressing, linear probing, header().tunnel_key_slots slots.
inline TunnelId find_tunnel(ArenaView arena, const TunnelKey& key) noexcept {
    const auto& header = arena.header();
    const auto* slots = arena.at(header.tunnel_keys);
    const std::uint32_t mask = header.tunnel_key_slots - 1;
    for (std::uint32_t i = tunnel_key_hash(key), probes = 0; probes <= mask; ++i, ++probes) {
        const std::uint32_t slot = slots[i & mask].load(std::memory_order_acquire);
        if (slot == kTunnelKeyEmpty) return TunnelId{};
        if (slot == kTunnelKeyTombstone) continue;
        if (arena.record(header.tunnels, slot - 1).key == key) return TunnelId{slot - 1};
    }
    return TunnelId{};
}

}  // namespace wye::table
