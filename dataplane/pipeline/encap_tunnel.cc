#include <cstring>

#include "dataplane/net/checksum.hh"
#include "dataplane/net/ecn.hh"
#include "dataplane/net/ethernet.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "dataplane/net/udp.hh"
#include "dataplane/pipeline/tunnel_steps.hh"

namespace wye::pipeline {
namespace {

/// DSCP and ECN of what lies inside the frame; nothing: no IP packet.
std::optional<std::uint8_t> inner_traffic_class(std::span<const std::byte> frame) noexcept {
    const auto& ethernet = net::header<net::EthernetHeader>(frame.data());
    const std::uint16_t type = ethernet.type.host();
    if (type == net::ether_type(net::EtherType::ipv4)) {
        const auto* ip = net::header_at<net::Ipv4Header>(frame, sizeof ethernet);
        if (ip != nullptr) return ip->tos;
    } else if (type == net::ether_type(net::EtherType::ipv6)) {
        const auto* ip = net::header_at<net::Ipv6Header>(frame, sizeof ethernet);
        if (ip != nullptr) return ip->traffic_class();
    }
    return std::nullopt;
}

std::uint8_t traffic_class_of(std::uint8_t configured, std::optional<std::uint8_t> inner,
                              const table::Tunnel& tunnel) noexcept {
    return inner ? outer_traffic_class(configured, *inner, tunnel.copy_dscp != 0) : configured;
}

/// RFC 6438 3: a tunnel's flow label comes of the inner flow, and zero means that there is none.
std::uint32_t flow_label(std::uint32_t flow_hash) noexcept {
    const std::uint32_t label = flow_hash >> 12;
    return label == 0 ? 1 : label;
}

/// In pieces of fixed size: up to 56 bytes of unknown number would become a string instruction.
void copy_template(std::byte* outer, const table::Tunnel& tunnel) noexcept {
    constexpr std::size_t kOverIpv4 = 36;
    static_assert(kOverIpv4 < table::kOuterHeaderCapacity);
    const auto* ready = tunnel.header.data();
    std::memcpy(outer, ready, kOverIpv4);
    for (std::size_t at = kOverIpv4; at < tunnel.header_length; at += 4) {
        std::memcpy(outer + at, ready + at, 4);
    }
}

/// `outer` begins with the template; lengths are known to fit.
void finish_ipv4(std::byte* outer, const table::Tunnel& tunnel, std::uint32_t length,
                 std::optional<std::uint8_t> inner) noexcept {
    const std::byte* const ready = std::as_bytes(std::span(tunnel.header)).data();
    const auto configured = net::header<net::Ipv4Header>(ready).tos;
    finish_outer_ipv4(outer, outer_ipv4_sum(ready), traffic_class_of(configured, inner, tunnel),
                      length);
}

void finish_ipv6(std::byte* outer, const table::Tunnel& tunnel, std::uint32_t length,
                 std::optional<std::uint8_t> inner, std::uint32_t flow_hash) noexcept {
    auto& ip = net::header<net::Ipv6Header>(outer);
    const auto& ready = *reinterpret_cast<const net::Ipv6Header*>(tunnel.header.data());
    const std::uint8_t traffic_class = traffic_class_of(ready.traffic_class(), inner, tunnel);
    ip.version_class_flow =
        Be32{6u << 28 | std::uint32_t{traffic_class} << 20 | flow_label(flow_hash)};
    ip.payload_length = Be16{static_cast<std::uint16_t>(length - sizeof ip)};
}

/// RFC 7348 5, RFC 8926 3.3: over the whole UDP packet. Summed from the template and the inner frame,
/// not from the header just written (finish_outer_ipv4).
Be16 udp_checksum(const table::Tunnel& tunnel, std::uint16_t l4_offset, const net::UdpHeader& udp,
                  std::span<const std::byte> inner) noexcept {
    const std::uint16_t length = udp.length.host();
    const net::IpAddress& source = tunnel.key.local;
    const net::IpAddress& destination = tunnel.key.remote;
    const net::PartialSum pseudo =
        source.is_ipv4()
            ? net::pseudo_header_sum(source.ipv4(), destination.ipv4(), net::protocol::udp, length)
            : net::pseudo_header_sum(source.ipv6(), destination.ipv6(), net::protocol::udp, length);
    const auto shim = std::as_bytes(std::span(tunnel.header))
                          .first(tunnel.header_length)
                          .subspan(l4_offset + sizeof udp);
    return net::udp_checksum_of(pseudo + net::sum_word(udp.source_port) +
                                net::sum_word(udp.destination_port) + net::sum_word(udp.length) +
                                net::sum_bytes(shim) + net::sum_bytes(inner));
}

/// The packet's fields now describe the outer header.
void describe_outer(Packet& packet, bool ipv4, std::uint16_t l4_offset,
                    const net::UdpHeader& udp) noexcept {
    packet.l3_offset = 0;
    packet.l4_offset = l4_offset;
    packet.length = static_cast<std::uint16_t>(packet.frame.length);
    packet.family = ipv4 ? net::IpFamily::ipv4 : net::IpFamily::ipv6;
    packet.protocol = net::protocol::udp;
    packet.source_port = udp.source_port.host();
    packet.destination_port = udp.destination_port.host();
    packet.tcp_flags = packet.icmp_type = packet.icmp_code = 0;
    packet.is_fragment = packet.is_later_fragment = packet.has_options = false;
    packet.link_broadcast = false;
}

}  // namespace

std::optional<table::Reason> encap_tunnel(Packet& packet, const table::Tunnel& tunnel) noexcept {
    const bool ipv4 = tunnel.key.local.is_ipv4();
    const std::uint16_t l4_offset = ipv4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
    const std::uint8_t header_length = tunnel.header_length;
    const std::span<const std::byte> inner = packet.frame.bytes();
    if (inner.size() < sizeof(net::EthernetHeader)) return table::Reason::tunnel_truncated;
    if (packet.frame.headroom < header_length) return table::Reason::headroom;
    const std::uint32_t length = packet.frame.length + header_length;
    if (length > 0xffff) return table::Reason::mtu_exceeded;
    // RFC 7348 6.1: no VLAN tag inside VXLAN.
    const std::uint16_t type = net::header<net::EthernetHeader>(inner.data()).type.host();
    if (tunnel.key.kind == TunnelKind::vxlan && net::is_vlan_type(type)) {
        return table::Reason::vxlan_inner_tagged;
    }
    const std::optional<std::uint8_t> traffic_class = inner_traffic_class(inner);

    packet.frame.prepend(header_length);
    std::byte* outer = packet.frame.data;
    copy_template(outer, tunnel);
    if (ipv4) {
        finish_ipv4(outer, tunnel, length, traffic_class);
    } else {
        finish_ipv6(outer, tunnel, length, traffic_class, packet.flow_hash);
    }
    auto& udp = net::header<net::UdpHeader>(outer + l4_offset);
    finish_outer_udp(outer + l4_offset, packet.flow_hash, length - l4_offset);
    if (tunnel.udp_checksum != 0) udp.checksum = udp_checksum(tunnel, l4_offset, udp, inner);
    describe_outer(packet, ipv4, l4_offset, udp);
    return std::nullopt;
}

}  // namespace wye::pipeline
