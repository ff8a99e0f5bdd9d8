#include <algorithm>
#include <cstring>

#include "dataplane/net/checksum.hh"
#include "dataplane/net/ecn.hh"
#include "dataplane/net/ethernet.hh"
#include "dataplane/net/geneve.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "dataplane/net/udp.hh"
#include "dataplane/net/vxlan.hh"
#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/tunnel_steps.hh"
#include "dataplane/table/vrf.hh"

namespace wye::pipeline {
namespace {

using table::Reason;
using Outcome = DecapResult::Outcome;

/// What a tunnel packet's outer headers say.
struct Outer {
    table::TunnelKey key;  // as far as the IP header goes
    std::uint8_t traffic_class;
    const net::UdpHeader* udp;
    /// From the UDP header to the end of the UDP packet, which may be before that of the frame.
    std::span<const std::byte> datagram;
    std::span<const std::byte> payload;  // from the tunnel header
};

bool is_underlay(table::ArenaView arena, VrfId vrf) noexcept {
    const auto& header = arena.header();
    return vrf.value < header.limits.vrfs && arena.record(header.vrfs, vrf.value).underlay != 0;
}

/// In one store of 16 bytes: what is looked up next reads it in larger pieces than four bytes, and
/// would wait for smaller stores to leave the store buffer.
void set_address(net::IpAddress& address, net::Ipv4Address from) noexcept {
    const std::uint32_t words[4] = {from.value.raw(), 0, 0, 0};
    std::memcpy(address.bytes.data(), words, sizeof words);
    address.family = net::IpFamily::ipv4;
}
void set_address(net::IpAddress& address, const net::Ipv6Address& from) noexcept {
    std::memcpy(address.bytes.data(), from.bytes.data(), from.bytes.size());
    address.family = net::IpFamily::ipv6;
}

/// False: the UDP length does not fit (RFC 768), or is too short for any tunnel header.
bool read_outer(const Packet& packet, Outer& outer) noexcept {
    const std::byte* l3 = packet.l3();
    if (packet.family == net::IpFamily::ipv4) {
        const auto& ip = net::header<net::Ipv4Header>(l3);
        set_address(outer.key.remote, ip.source);
        set_address(outer.key.local, ip.destination);
        outer.traffic_class = ip.tos;
    } else {
        const auto& ip = net::header<net::Ipv6Header>(l3);
        set_address(outer.key.remote, ip.source);
        set_address(outer.key.local, ip.destination);
        outer.traffic_class = ip.traffic_class();
    }
    const std::size_t end = std::size_t{packet.l3_offset} + packet.length;
    const std::span<const std::byte> rest =
        packet.frame.bytes().first(end).subspan(packet.l4_offset);
    outer.udp = net::header_at<net::UdpHeader>(rest, 0);
    if (outer.udp == nullptr) return false;
    std::size_t length = outer.udp->length.host();
    if (packet.is_fragment) length = std::min(length, rest.size());  // the rest comes later
    constexpr std::size_t kLeast = sizeof(net::UdpHeader) + sizeof(net::VxlanHeader);
    if (length < kLeast || length > rest.size()) return false;
    outer.datagram = rest.first(length);
    outer.payload = outer.datagram.subspan(sizeof(net::UdpHeader));
    return true;
}

/// Cuts `payload` to what lies inside.
std::optional<Reason> strip_vxlan(std::span<const std::byte>& payload) noexcept {
    // RFC 7348 5: I must be set. It does not name the action; all reserved bits are ignored.
    if (!net::header<net::VxlanHeader>(payload.data()).has_vni()) return Reason::vxlan_flags;
    payload = payload.subspan(sizeof(net::VxlanHeader));
    return std::nullopt;
}

std::optional<Reason> strip_geneve(std::span<const std::byte>& payload) noexcept {
    const auto& geneve = net::header<net::GeneveHeader>(payload.data());
    if (geneve.version() != 0) return Reason::geneve_version;  // RFC 8926 3.4
    const auto rest = payload.subspan(sizeof geneve);
    if (geneve.options_length() > rest.size()) return Reason::tunnel_truncated;
    switch (net::walk_geneve_options(rest.first(geneve.options_length()))) {
        case net::GeneveOptions::mismatched:
            return Reason::geneve_options;
        case net::GeneveOptions::critical:
            return Reason::geneve_critical_option;
        case net::GeneveOptions::skipped:
            break;
    }
    if (geneve.is_control()) return Reason::geneve_control;  // RFC 8926 3.4: not forwarded
    // RFC 8926 4.5 allows a subset of payloads: ours is Ethernet.
    if (geneve.protocol.host() != net::kGeneveProtocolEthernet) return Reason::geneve_protocol;
    payload = rest.subspan(geneve.options_length());
    return std::nullopt;
}

std::optional<Reason> check_udp(const Packet& packet, const Outer& outer,
                                const table::Tunnel& tunnel) noexcept {
    const bool ipv4 = packet.family == net::IpFamily::ipv4;
    if (outer.udp->checksum.raw() == 0) {
        // RFC 7348 5: zero is accepted. RFC 6935 5, RFC 8926 4.3: over IPv6 only where it is
        // enabled, which is said by not filling it in ourselves.
        if (ipv4 || tunnel.udp_checksum == 0) return std::nullopt;
        return Reason::udp_checksum_zero_ipv6;
    }
    // RFC 8926 3.3: must be verified. RFC 7348 5: may be, and then bad ones must go.
    const auto length = static_cast<std::uint16_t>(outer.datagram.size());
    const net::PartialSum pseudo =
        ipv4 ? net::pseudo_header_sum(outer.key.remote.ipv4(), outer.key.local.ipv4(),
                                      net::protocol::udp, length)
             : net::pseudo_header_sum(outer.key.remote.ipv6(), outer.key.local.ipv6(),
                                      net::protocol::udp, length);
    if (net::checksum_is_valid(pseudo + net::sum_bytes(outer.datagram))) return std::nullopt;
    return Reason::udp_checksum;
}

/// What ECN to write into the inner IP header, and where that is; `ip` null: there is none.
struct InnerEcn {
    std::byte* ip = nullptr;
    net::IpFamily family = net::IpFamily::ipv4;
    net::Ecn ecn = net::Ecn::not_ect;
};

std::optional<Reason> judge_inner(std::span<std::byte> inner, TunnelKind kind, net::Ecn outer,
                                  InnerEcn& result) noexcept {
    net::LinkLayout link;
    if (!net::parse_link(inner, link)) return Reason::tunnel_truncated;
    // RFC 7348 6.1: the whole frame goes, not just its tag.
    if (kind == TunnelKind::vxlan && link.tags > 0) return Reason::vxlan_inner_tagged;
    std::uint8_t traffic_class = 0;
    if (link.ether_type == net::ether_type(net::EtherType::ipv4)) {
        const auto* ip = net::header_at<net::Ipv4Header>(inner, link.payload_offset);
        if (ip == nullptr) return Reason::tunnel_truncated;
        traffic_class = ip->tos;
        result.family = net::IpFamily::ipv4;
    } else if (link.ether_type == net::ether_type(net::EtherType::ipv6)) {
        const auto* ip = net::header_at<net::Ipv6Header>(inner, link.payload_offset);
        if (ip == nullptr) return Reason::tunnel_truncated;
        traffic_class = ip->traffic_class();
        result.family = net::IpFamily::ipv6;
    } else {
        return std::nullopt;
    }
    const auto ecn = net::decapsulate_ecn(net::ecn_of(traffic_class), outer);
    if (!ecn) return Reason::tunnel_ecn;
    if (*ecn != net::ecn_of(traffic_class)) {
        result.ip = inner.data() + link.payload_offset;
        result.ecn = *ecn;
    }
    return std::nullopt;
}

void write_ecn(const InnerEcn& inner) noexcept {
    if (inner.ip == nullptr) return;
    if (inner.family == net::IpFamily::ipv4) {
        auto& ip = net::header<net::Ipv4Header>(inner.ip);
        auto& word = net::header<Be16>(inner.ip);  // version, IHL, type of service
        const Be16 before = word;
        ip.tos = net::with_ecn(ip.tos, inner.ecn);
        ip.checksum = net::update_checksum(ip.checksum, before, word);
    } else {
        auto& ip = net::header<net::Ipv6Header>(inner.ip);
        const std::uint32_t others = ip.version_class_flow.host() & ~(3u << 20);
        ip.version_class_flow = Be32{others | static_cast<std::uint32_t>(inner.ecn) << 20};
    }
}

DecapResult drop(Reason reason) noexcept {
    return {Outcome::dropped, reason, TunnelId{}};
}

}  // namespace

std::optional<TunnelMatch> find_tunnel_end(table::ArenaView arena, VrfId underlay,
                                           std::uint16_t port, std::uint32_t vni,
                                           table::TunnelKey& key) noexcept {
    key.reserved = 0;
    key.vni = vni;
    key.underlay = underlay;
    const bool geneve_first = port == net::kGenevePort;
    for (const bool geneve : {geneve_first, !geneve_first}) {
        key.kind = geneve ? TunnelKind::geneve : TunnelKind::vxlan;
        const TunnelId id = table::find_tunnel(arena, key);
        if (id.valid() && arena.record(arena.header().tunnels, id.value).destination_port == port) {
            return TunnelMatch{key.kind, id};
        }
    }
    if (port == net::kVxlanPort) return TunnelMatch{TunnelKind::vxlan, TunnelId{}};
    if (port == net::kGenevePort) return TunnelMatch{TunnelKind::geneve, TunnelId{}};
    return std::nullopt;
}

DecapResult decap_tunnel(table::ArenaView arena, table::TunnelCounters* counters,
                         Packet& packet) noexcept {
    const DecapResult not_tunnel{Outcome::not_tunnel, Reason{}, TunnelId{}};
    if (packet.protocol != net::protocol::udp || packet.l4_offset == kNoOffset) return not_tunnel;
    if (!is_underlay(arena, packet.vrf)) return not_tunnel;
    Outer outer;
    const bool is_whole = read_outer(packet, outer);
    if (!is_whole) {
        const bool usual = packet.destination_port == net::kVxlanPort ||
                           packet.destination_port == net::kGenevePort;
        return usual ? drop(Reason::tunnel_truncated) : not_tunnel;
    }
    // VXLAN and GENEVE have the VNI in the same place.
    const auto match =
        find_tunnel_end(arena, packet.vrf, outer.udp->destination_port.host(),
                        net::header<net::VxlanHeader>(outer.payload.data()).vni(), outer.key);
    if (!match) return not_tunnel;
    // RFC 7348 4.3: fragments may be discarded silently. What follows is not all there.
    if (packet.is_fragment) return drop(Reason::tunnel_fragment);
    std::span<const std::byte> payload = outer.payload;
    if (const auto reason =
            match->kind == TunnelKind::vxlan ? strip_vxlan(payload) : strip_geneve(payload)) {
        return drop(*reason);
    }
    // RFC 7348 4.1, RFC 8926 3.4: an unknown network is never flooded, never another tenant's.
    if (!match->tunnel.valid()) return drop(Reason::tunnel_unknown);
    const auto& tunnel = arena.record(arena.header().tunnels, match->tunnel.value);
    if (const auto reason = check_udp(packet, outer, tunnel)) return drop(*reason);
    if (!tunnel.vport.valid()) return drop(Reason::tunnel_without_vport);

    const auto begin = static_cast<std::uint32_t>(payload.data() - packet.frame.data);
    const auto end = static_cast<std::uint32_t>(begin + payload.size());
    InnerEcn inner;
    if (const auto reason = judge_inner(packet.frame.bytes().first(end).subspan(begin), match->kind,
                                        net::ecn_of(outer.traffic_class), inner)) {
        return drop(*reason);
    }
    write_ecn(inner);
    counters[match->tunnel.value].decapsulated.add(packet.length);
    packet.frame.trim_to(end);
    packet.frame.strip(begin);
    return {Outcome::decapsulated, Reason{}, match->tunnel};
}

DecapResult decap_tunnel(const Context& context, Packet& packet) noexcept {
    return decap_tunnel(context.arena, context.counters.tunnels, packet);
}

}  // namespace wye::pipeline
