// IPv6 header and extension headers (RFC 8200).
#pragma once

#include "dataplane/base/bytes.hh"
#include "dataplane/net/address.hh"
#include "dataplane/net/ip_protocol.hh"
#include "dataplane/net/wire.hh"

namespace wye::net {

struct Ipv6Header {
    Be32 version_class_flow;  // version 4 bits, traffic class 8, flow label 20
    Be16 payload_length;
    std::uint8_t next_header;
    std::uint8_t hop_limit;
    Ipv6Address source, destination;

    [[nodiscard]] constexpr unsigned version() const noexcept {
        return version_class_flow.host() >> 28;
    }
    [[nodiscard]] constexpr std::uint8_t traffic_class() const noexcept {
        return static_cast<std::uint8_t>(version_class_flow.host() >> 20);
    }
};
static_assert(sizeof(Ipv6Header) == 40 && WireFormat<Ipv6Header>);

/// Hop-by-hop, routing, destination options, mobility, HIP, shim6: length in units of 8 bytes
/// beyond the first 8. Authentication: in units of 4 bytes beyond the first 8 (RFC 4302 2.2).
struct Ipv6Extension {
    std::uint8_t next_header;
    std::uint8_t length;
};
static_assert(sizeof(Ipv6Extension) == 2 && WireFormat<Ipv6Extension>);

struct Ipv6Fragment {
    std::uint8_t next_header;
    std::uint8_t reserved;
    Be16 offset_flags;  // offset 13 bits in units of 8 bytes, reserved 2, M
    Be32 identification;

    [[nodiscard]] constexpr bool more_fragments() const noexcept {
        return (offset_flags.host() & 1) != 0;
    }
    [[nodiscard]] constexpr unsigned fragment_offset() const noexcept {
        return offset_flags.host() >> 3;
    }
};
static_assert(sizeof(Ipv6Fragment) == 8 && WireFormat<Ipv6Fragment>);

constexpr bool is_extension_header(std::uint8_t number) noexcept {
    return number == protocol::hop_by_hop || number == protocol::routing ||
           number == protocol::fragment || number == protocol::authentication ||
           number == protocol::destination_options || number == protocol::mobility ||
           number == protocol::host_identity || number == protocol::shim6;
}

/// Scope of a multicast address (RFC 4291 2.7).
constexpr unsigned multicast_scope(const Ipv6Address& a) noexcept {
    return a.bytes[1] & 0x0fu;
}

}  // namespace wye::net
