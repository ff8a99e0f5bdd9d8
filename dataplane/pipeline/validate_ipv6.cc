#include "dataplane/pipeline/validate_ipv6.hh"

#include "dataplane/net/ipv6.hh"

namespace wye::pipeline {
namespace {

using table::Reason;

Verdict judge_multicast(const net::Ipv6Address& destination) noexcept {
    // RFC 4291 2.7: scope 0 is dropped silently, interface-local does not come from a link.
    switch (net::multicast_scope(destination)) {
        case 0:
        case 1:
            return Verdict::drop(Reason::ipv6_scope);
        case 2:
            return Verdict::punt();
        default:
            return Verdict::drop(Reason::multicast_not_routed);
    }
}

}  // namespace

Verdict validate_ipv6(Packet& packet) noexcept {
    net::IpLayout layout;
    const auto bytes = std::span<const std::byte>(packet.frame.bytes()).subspan(packet.l3_offset);
    switch (net::parse_ipv6(bytes, layout)) {
        case net::IpFault::none:
            break;
        case net::IpFault::truncated:
        case net::IpFault::header_length:
            return Verdict::drop(Reason::ipv6_truncated);
        case net::IpFault::version:
            return Verdict::drop(Reason::ipv6_version);
    }
    const auto& ip = net::header<net::Ipv6Header>(packet.l3());
    apply_layout(packet, layout);
    // RFC 4291 2.7, 2.5.3: never a source; never a destination that came from a link.
    if (ip.source.is_multicast() || ip.source.is_loopback()) {
        return Verdict::drop(Reason::ipv6_source_invalid);
    }
    if (ip.destination.is_unspecified() || ip.destination.is_loopback()) {
        return Verdict::drop(Reason::ipv6_destination_invalid);
    }
    if (ip.destination.is_multicast()) return judge_multicast(ip.destination);
    // As RFC 1812 5.3.4 for IPv4: a unicast packet in a multicast frame is not ours to forward.
    if (packet.link_broadcast) return Verdict::drop(Reason::broadcast_link_layer);
    // RFC 4291 2.5.6: not beyond the link, and the frame was for this vport: to the router itself.
    if (ip.destination.is_link_local()) return Verdict::punt();
    // RFC 4291 2.5.2: legal on the link (duplicate address detection), never forwarded.
    if (ip.source.is_unspecified()) return Verdict::drop(Reason::ipv6_source_invalid);
    return Verdict::go_on();
}

}  // namespace wye::pipeline
