// Into a tunnel and out of it: two steps, pure functions of packet and tables.
//
// The caller bounds how deep tunnels nest (Packet::recirculations), looks up where the outer packet
// goes, and counts what was encapsulated. What comes in is judged here alone.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/base/bytes.hh"
#include "dataplane/base/ids.hh"
#include "dataplane/net/checksum.hh"
#include "dataplane/net/ecn.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/udp.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/table/arena.hh"
#include "dataplane/table/counters.hh"
#include "dataplane/table/reason.hh"
#include "dataplane/table/tunnel.hh"

namespace wye::pipeline {

struct Context;

/// RFC 7348 5 recommends 49152 to 65535, by a hash of the inner flow; RFC 8926 3.3 allows it.
constexpr std::uint16_t tunnel_source_port(std::uint32_t flow_hash) noexcept {
    return static_cast<std::uint16_t>(0xc000u | ((flow_hash ^ flow_hash >> 14) & 0x3fffu));
}

/// RFC 2983: pipe (the configured DSCP) or uniform (the inner one). RFC 6040 4.1: ECN is copied in
/// either model, set apart from DSCP (RFC 9601 4).
constexpr std::uint8_t outer_traffic_class(std::uint8_t configured, std::uint8_t inner,
                                           bool copy_dscp) noexcept {
    const std::uint8_t dscp = copy_dscp ? inner : configured;
    return net::with_ecn(dscp, net::encapsulate_ecn(net::ecn_of(inner)));
}

/// The sum of a ready-made outer IPv4 header without its first word and its length, which depend on
/// the packet.
inline std::uint16_t outer_ipv4_sum(const std::byte* ready) noexcept {
    return net::fold(
        net::sum_bytes(std::span(ready, sizeof(net::Ipv4Header)).subspan(2 * sizeof(Be16))));
}

/// Fills in the first word, the length and the checksum of a ready-made outer IPv4 header; `sum` is
/// outer_ipv4_sum(). `outer` itself is not summed: what was stored in pieces a moment ago is read back
/// in larger ones only after a wait.
inline void finish_outer_ipv4(std::byte* outer, std::uint32_t sum, std::uint8_t traffic_class,
                              std::uint32_t length) noexcept {
    static_assert(std::endian::native == std::endian::little);
    const std::uint32_t first = 0x45u | std::uint32_t{traffic_class} << 8;
    const std::uint32_t swapped = byteswap(static_cast<std::uint16_t>(length));
    store(outer, first | swapped << 16);
    sum += first + swapped;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    store(outer + offsetof(net::Ipv4Header, checksum), static_cast<std::uint16_t>(~sum));
}

/// Fills in source port and length of the outer UDP header at `udp`; `length` is from there on.
inline void finish_outer_udp(std::byte* udp, std::uint32_t flow_hash,
                             std::uint32_t length) noexcept {
    store(udp, byteswap(tunnel_source_port(flow_hash)));
    store(udp + offsetof(net::UdpHeader, length), byteswap(static_cast<std::uint16_t>(length)));
}

/// Puts the tunnel's outer header before `packet.frame`, which begins with the inner frame's
/// Ethernet header. Afterwards the frame begins with the outer IP header (l3_offset 0) and the
/// packet's fields describe that; flow_hash stays the inner flow's. A reason: nothing was changed,
/// and the packet must be dropped, never be sent bare.
std::optional<table::Reason> encap_tunnel(Packet& packet, const table::Tunnel& tunnel) noexcept;

/// Whose a tunnel packet is.
struct TunnelMatch {
    TunnelKind kind;
    TunnelId tunnel;  // invalid: none that is known
};

/// By the outer addresses in `key`. The destination port decides the kind: a tunnel's own port, else
/// the kinds' usual ones. Nothing: no tunnel's packet.
std::optional<TunnelMatch> find_tunnel_end(table::ArenaView arena, VrfId underlay,
                                           std::uint16_t port, std::uint32_t vni,
                                           table::TunnelKey& key) noexcept;

struct DecapResult {
    enum class Outcome : std::uint8_t {
        decapsulated,  // the frame is the inner Ethernet frame, for `tunnel`'s vport
        dropped,       // for `reason`
        not_tunnel,    // no tunnel's packet: the host stack's
    };
    Outcome outcome;
    table::Reason reason;  // only when dropped
    TunnelId tunnel;       // only when decapsulated
};

/// A validated IP packet to an address of the router in packet.vrf. Decapsulated: the frame begins
/// with the inner Ethernet header and ends with the inner frame; what the packet's fields say is
/// outdated. Otherwise nothing was changed. Counts what was decapsulated: packets, and bytes of the
/// outer IP packet.
///
/// A later fragment has no port, so it goes to the host stack, which will never complete it.
DecapResult decap_tunnel(table::ArenaView arena, table::TunnelCounters* counters,
                         Packet& packet) noexcept;
DecapResult decap_tunnel(const Context& context, Packet& packet) noexcept;

}  // namespace wye::pipeline
