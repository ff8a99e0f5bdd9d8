#include "dataplane/pipeline/icmp_error.hh"

#include <algorithm>
#include <optional>

#include "dataplane/net/checksum.hh"
#include "dataplane/net/icmp.hh"
#include "dataplane/net/ip_protocol.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "dataplane/pipeline/hash_flow.hh"
#include "dataplane/pipeline/icmp_limiter.hh"
#include "dataplane/pipeline/look_up.hh"
#include "dataplane/pipeline/resolve_leaf.hh"
#include "dataplane/pipeline/tenant_roots.hh"
#include "dataplane/table/vport.hh"

namespace wye::pipeline {
namespace {

constexpr std::size_t kMaxError4 = 576;   // RFC 1812 4.3.2.3
constexpr std::size_t kMaxError6 = 1280;  // RFC 4443 2.4(c)
constexpr std::uint8_t kErrorTtl = 64;    // our own: never of the packet (RFC 1812 4.3.2.2)

struct TypeAndCode {
    std::uint8_t type, code;
};

TypeAndCode type_and_code4(ErrorKind kind) noexcept {
    switch (kind) {
        case ErrorKind::time_exceeded:
            return {net::icmp4::time_exceeded, 0};
        case ErrorKind::host_unreachable:
            return {net::icmp4::destination_unreachable, net::icmp4::code_host_unreachable};
        case ErrorKind::prohibited:
            return {net::icmp4::destination_unreachable, net::icmp4::code_prohibited};
        default:
            return {net::icmp4::destination_unreachable, net::icmp4::code_network_unreachable};
    }
}

TypeAndCode type_and_code6(ErrorKind kind) noexcept {
    switch (kind) {
        case ErrorKind::time_exceeded:
            return {net::icmp6::time_exceeded, 0};
        case ErrorKind::host_unreachable:
            return {net::icmp6::destination_unreachable, net::icmp6::code_address_unreachable};
        case ErrorKind::prohibited:
            return {net::icmp6::destination_unreachable, net::icmp6::code_prohibited};
        default:
            return {net::icmp6::destination_unreachable, net::icmp6::code_no_route};
    }
}

/// The policy of the vport by which an answer to `packet` would leave; null: there is no way.
const table::VportPolicy* policy_towards_source(Context& context, const Packet& packet) noexcept {
    const table::Vrf& vrf = context.arena.record(context.arena.header().vrfs, packet.vrf.value);
    const table::Leaf leaf =
        packet.family == net::IpFamily::ipv4
            ? table::lookup_fib4(context.arena, vrf.fib4.load(),
                                 net::header<net::Ipv4Header>(packet.l3()).source)
            : table::lookup_fib6(context.arena, vrf.fib6.load(),
                                 net::header<net::Ipv6Header>(packet.l3()).source);
    const NextHopId chosen = choose_nexthop(context, leaf, packet.flow_hash);
    const auto* nexthop = resolve_nexthop(context, leaf, chosen, packet.flow_hash);
    return nexthop == nullptr ? nullptr : context.roots->find(nexthop->vport);
}

/// RFC 1812 4.3.2.4: an address of the interface that the message leaves by, or the router's.
template <class Address>
std::optional<Address> source_address(const table::VportPolicy* out, const table::VportPolicy* in,
                                      Address table::VportPolicy::*member) noexcept {
    for (const table::VportPolicy* policy : {out, in}) {
        if (policy != nullptr && !(policy->*member == Address{})) return policy->*member;
    }
    return std::nullopt;
}

/// The frame becomes `room` bytes for headers and the quote behind.
void make_room(Packet& packet, std::size_t room, std::size_t limit) noexcept {
    packet.frame.strip(packet.l3_offset);
    packet.frame.trim_to(
        static_cast<std::uint32_t>(std::min<std::size_t>(packet.length, limit - room)));
    packet.frame.prepend(static_cast<std::uint16_t>(room));
}

void become(Packet& packet, std::size_t l4_offset, TypeAndCode what, std::uint8_t number) noexcept {
    packet.l3_offset = 0;
    packet.l4_offset = static_cast<std::uint16_t>(l4_offset);
    packet.length = static_cast<std::uint16_t>(packet.frame.length);
    packet.protocol = number;
    packet.source_port = packet.destination_port = 0;
    packet.tcp_flags = 0;
    packet.icmp_type = what.type;
    packet.icmp_code = what.code;
    packet.is_fragment = packet.is_later_fragment = packet.has_options = false;
    packet.origin = Origin::router;
    packet.hold_until = 0;
    hash_flow(packet);
}

void write_ipv4(Packet& packet, net::Ipv4Address source, TypeAndCode what) noexcept {
    const auto original = net::header<net::Ipv4Header>(packet.l3());
    constexpr std::size_t kRoom = sizeof(net::Ipv4Header) + sizeof(net::IcmpHeader);
    make_room(packet, kRoom, kMaxError4);
    auto& ip = net::header<net::Ipv4Header>(packet.frame.data);
    ip = {};
    ip.version_ihl = 0x45;
    // RFC 1812 4.3.2.5: precedence 6 (internetwork control), the other bits as in the packet.
    ip.tos = static_cast<std::uint8_t>(0xc0 | (original.tos & 0x1c));
    ip.total_length = static_cast<std::uint16_t>(packet.frame.length);
    ip.ttl = kErrorTtl;
    ip.protocol = net::protocol::icmp;
    ip.source = source;
    ip.destination = original.source;
    const auto bytes = std::span<const std::byte>(packet.frame.bytes());
    ip.checksum = net::checksum(bytes.first(sizeof ip));
    auto& icmp = net::header<net::IcmpHeader>(packet.frame.data + sizeof ip);
    icmp = {};
    icmp.type = what.type;
    icmp.code = what.code;
    icmp.checksum = net::checksum(bytes.subspan(sizeof ip));
    become(packet, sizeof ip, what, net::protocol::icmp);
}

void write_ipv6(Packet& packet, const net::Ipv6Address& source, TypeAndCode what) noexcept {
    const auto original = net::header<net::Ipv6Header>(packet.l3());
    constexpr std::size_t kRoom = sizeof(net::Ipv6Header) + sizeof(net::IcmpHeader);
    make_room(packet, kRoom, kMaxError6);
    auto& ip = net::header<net::Ipv6Header>(packet.frame.data);
    ip = {};
    ip.version_class_flow = std::uint32_t{0x6c000000};  // version 6, class CS6
    const auto length = static_cast<std::uint16_t>(packet.frame.length - sizeof ip);
    ip.payload_length = length;
    ip.next_header = net::protocol::icmpv6;
    ip.hop_limit = kErrorTtl;
    ip.source = source;
    ip.destination = original.source;
    auto& icmp = net::header<net::IcmpHeader>(packet.frame.data + sizeof ip);
    icmp = {};
    icmp.type = what.type;
    icmp.code = what.code;
    const auto bytes = std::span<const std::byte>(packet.frame.bytes());
    icmp.checksum = net::checksum_of(
        net::sum_bytes(bytes.subspan(sizeof ip)) +
        net::pseudo_header_sum(ip.source, ip.destination, net::protocol::icmpv6, length));
    become(packet, sizeof ip, what, net::protocol::icmpv6);
}

}  // namespace

bool may_answer_with_error(const Packet& packet) noexcept {
    // Sources and destinations were validated on the way in; the rest of both lists is here:
    // link-layer broadcast, later fragments, ICMP errors and what might be one.
    if (packet.origin != Origin::transit || packet.link_broadcast || packet.is_later_fragment) {
        return false;
    }
    const bool seen = packet.l4_offset != kNoOffset;
    if (packet.family == net::IpFamily::ipv4) {
        return packet.protocol != net::protocol::icmp ||
               (seen && !net::icmp4::is_error(packet.icmp_type));
    }
    if (net::header<net::Ipv6Header>(packet.l3()).source.is_link_local()) return false;
    if (packet.protocol == net::protocol::icmpv6) {
        return seen && !net::icmp6::is_error(packet.icmp_type) &&
               packet.icmp_type != net::icmp6::redirect;
    }
    return !net::is_extension_header(packet.protocol);  // else: what follows was not seen
}

bool make_icmp_error(Context& context, Packet& packet, ErrorKind kind) noexcept {
    constexpr std::size_t kMostRoom = sizeof(net::Ipv6Header) + sizeof(net::IcmpHeader);
    if (kind == ErrorKind::none || !may_answer_with_error(packet) ||
        std::size_t{packet.l3_offset} + packet.frame.headroom < kMostRoom) {
        return false;
    }
    const table::VportPolicy* out = policy_towards_source(context, packet);
    const bool is4 = packet.family == net::IpFamily::ipv4;
    const auto source4 = source_address(out, packet.in_policy, &table::VportPolicy::source4);
    const auto source6 = source_address(out, packet.in_policy, &table::VportPolicy::source6);
    if (is4 ? !source4 : !source6) return false;
    if (!context.icmp->take(packet.vrf, context.limits.icmp_errors, context.now_cycles,
                            context.cycles_per_second)) {
        return false;
    }
    if (is4) {
        write_ipv4(packet, *source4, type_and_code4(kind));
    } else {
        write_ipv6(packet, *source6, type_and_code6(kind));
    }
    context.counters.vrfs[packet.vrf.value].icmp_errors.add(1);
    return true;
}

}  // namespace wye::pipeline
