#include "dataplane/pipeline/take_bfd.hh"

#include <algorithm>
#include <cstring>

#include "dataplane/net/checksum.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "dataplane/net/udp.hh"
#include "dataplane/pipeline/forward_packet.hh"
#include "dataplane/pipeline/hash_flow.hh"
#include "dataplane/table/counters.hh"
#include "dataplane/table/vrf.hh"

namespace wye::pipeline {
namespace {

using table::Reason;

/// RFC 768, RFC 8200 8.1: a zero checksum means none over IPv4, and is an error over IPv6.
bool checksum_is_good(net::PartialSum pseudo, const net::UdpHeader& udp, bool may_be_none,
                      std::span<const std::byte> datagram) noexcept {
    if (udp.checksum.raw() == 0) return may_be_none;
    return net::checksum_is_valid(pseudo + net::sum_bytes(datagram));
}

}  // namespace

Verdict take_bfd(Context& context, const Packet& packet) noexcept {
    if (context.bfd == nullptr || !context.bfd_vrfs->contains(packet.vrf)) {
        return Verdict::go_on();
    }
    bfd::Datagram datagram;
    datagram.multihop = packet.destination_port == net::kBfdMultihopPort;
    const auto whole = std::span<const std::byte>(packet.frame.bytes()).subspan(packet.l4_offset);
    const auto& udp = net::header<net::UdpHeader>(whole.data());
    const std::uint16_t length = udp.length.host();
    if (length < sizeof udp || length > whole.size()) return Verdict::drop(Reason::bfd_checksum);
    net::PartialSum pseudo;
    if (packet.family == net::IpFamily::ipv4) {
        const auto& ip = net::header<net::Ipv4Header>(packet.l3());
        datagram.source = ip.source;
        datagram.destination = ip.destination;
        datagram.hop_limit = ip.ttl;
        pseudo = net::pseudo_header_sum(ip.source, ip.destination, net::protocol::udp, length);
    } else {
        const auto& ip = net::header<net::Ipv6Header>(packet.l3());
        datagram.source = ip.source;
        datagram.destination = ip.destination;
        datagram.hop_limit = ip.hop_limit;
        pseudo = net::pseudo_header_sum(ip.source, ip.destination, net::protocol::udp, length);
    }
    // RFC 5881 5, RFC 5082: from further than the link. Before all else, since it is what a flood from
    // afar runs into.
    if (!datagram.multihop && datagram.hop_limit != net::kBfdHopLimit) {
        return Verdict::drop(Reason::bfd_hop_limit);
    }
    if (!checksum_is_good(pseudo, udp, packet.family == net::IpFamily::ipv4, whole.first(length))) {
        return Verdict::drop(Reason::bfd_checksum);
    }
    datagram.vrf = packet.vrf;
    datagram.vport = packet.in_vport;
    datagram.length = static_cast<std::uint16_t>(length - sizeof udp);
    std::memcpy(datagram.payload.data(), whole.data() + sizeof udp,
                std::min<std::size_t>(datagram.length, datagram.payload.size()));
    if (!context.bfd->push(datagram)) return Verdict::drop(Reason::bfd_queue_full);
    return Verdict::consume();
}

Verdict send_bfd(Context& context, const bfd::Endpoint& end, Packet& packet) noexcept {
    packet.origin = Origin::router;
    if (!context.arena) return Verdict::drop(Reason::no_tables);
    const auto& header = context.arena.header();
    if (end.vrf.value >= header.limits.vrfs) return Verdict::drop(Reason::no_route);
    packet.tenant = context.arena.record(header.vrfs, end.vrf.value).tenant;
    packet.tenant_row = table::tenant_row(packet.tenant);
    packet.vrf = end.vrf;
    net::IpLayout layout;
    const auto bytes = std::span<const std::byte>(packet.frame.bytes());
    (void)(end.local.is_ipv4() ? net::parse_ipv4(bytes, layout) : net::parse_ipv6(bytes, layout));
    apply_layout(packet, layout);
    hash_flow(packet);
    if (end.multihop()) return Verdict::look_up_again();
    // Not by a lookup: the neighbour is tried also while its next hop is dead, else it stayed so.
    if (end.nexthop.value >= header.limits.nexthops) return Verdict::drop(Reason::nexthop_dead);
    const table::NextHop& nexthop = context.arena.record(header.nexthops, end.nexthop.value);
    if (nexthop.kind != NextHopKind::adjacency || nexthop.generation != end.nexthop_generation) {
        return Verdict::drop(Reason::nexthop_dead);  // of an arena before
    }
    return forward_packet(context, packet, &nexthop);
}

}  // namespace wye::pipeline
