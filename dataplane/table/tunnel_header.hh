// The outer header of a tunnel, ready-made: what the control thread puts into Tunnel::header.
//
// IPv4 or IPv6, UDP, VXLAN or GENEVE. Zero here, filled in for each packet by encap_tunnel:
// lengths, checksums, UDP source port, IPv6 flow label, ECN, and DSCP when it is copied. IPv4
// packets carry DF, since a tunnel end drops fragments (RFC 7348 4.3), and so need no
// identification (RFC 6864 4.1). GENEVE goes without options.
#pragma once

#include <cstdint>

#include "dataplane/net/address.hh"
#include "dataplane/table/tunnel.hh"

namespace wye::table {

struct OuterHeaderFields {
    net::IpAddress local;  // of one family with remote
    net::IpAddress remote;
    std::uint32_t vni = 0;  // 24 bits
    TunnelKind kind = TunnelKind::vxlan;
    std::uint16_t destination_port = 0;  // 0: the kind's own, 4789 or 6081
    std::uint8_t ttl = 0;                // 0: 64
    std::uint8_t dscp = 0;               // 6 bits
};

struct OuterHeader {
    std::array<std::uint8_t, kOuterHeaderCapacity> bytes{};
    std::uint8_t length = 0;  // 36 over IPv4, 56 over IPv6
};

OuterHeader build_outer_header(const OuterHeaderFields& fields) noexcept;

/// 4789 or 6081.
std::uint16_t default_tunnel_port(TunnelKind kind) noexcept;

/// What Tunnel::udp_checksum becomes of TunnelSet::udp_checksum (0 no, 1 yes, 2 not even over
/// IPv6). Over IPv6 a zero checksum takes the explicit 2 (RFC 6935 5, RFC 8926 4.3); such a tunnel
/// then accepts zero checksums from its remote too.
constexpr std::uint8_t fills_udp_checksum(net::IpFamily family, std::uint8_t wish) noexcept {
    return wish == 1 || (family == net::IpFamily::ipv6 && wish != 2) ? 1 : 0;
}

}  // namespace wye::table
