#include "dataplane/pipeline/forward_packet.hh"

#include "dataplane/net/ip_protocol.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "dataplane/pipeline/classify_vport.hh"
#include "dataplane/pipeline/hold_packet.hh"
#include "dataplane/pipeline/match_acl.hh"
#include "dataplane/pipeline/punt.hh"
#include "dataplane/pipeline/rewrite.hh"
#include "dataplane/pipeline/send_frame.hh"
#include "dataplane/pipeline/tenant_roots.hh"
#include "dataplane/pipeline/tunnel_steps.hh"
#include "dataplane/table/tunnel.hh"
#include "dataplane/table/vport.hh"
#include "dataplane/table/vrf.hh"

namespace wye::pipeline {
namespace {

using table::Reason;

Verdict without_nexthop(Context& context, const Packet& packet) noexcept {
    if (!packet.leaf.is_none()) return Verdict::drop(Reason::nexthop_dead);
    context.counters.vrfs[packet.vrf.value].no_route.add(1);
    return Verdict::drop(Reason::no_route, ErrorKind::network_unreachable);
}

net::IpAddress destination_of(const Packet& packet) noexcept {
    if (packet.family == net::IpFamily::ipv4) {
        return net::header<net::Ipv4Header>(packet.l3()).destination;
    }
    return net::header<net::Ipv6Header>(packet.l3()).destination;
}

/// To an address of the router: the end of a tunnel, or the host stack.
Verdict receive_packet(Context& context, Packet& packet, const table::NextHop& nexthop) noexcept {
    const table::Vrf& vrf = context.arena.record(context.arena.header().vrfs, packet.vrf.value);
    if (vrf.underlay != 0 && packet.protocol == net::protocol::udp) {
        const DecapResult result = decap_tunnel(context, packet);
        if (result.outcome == DecapResult::Outcome::dropped) return Verdict::drop(result.reason);
        if (result.outcome == DecapResult::Outcome::decapsulated) {
            if (packet.recirculations++ == kMaxRecirculations) {
                return Verdict::drop(Reason::tunnel_nesting);
            }
            const Verdict verdict = classify_inner(context, result.tunnel, packet);
            return verdict.goes_on() ? Verdict::admit_again() : verdict;
        }
    }
    // The kernel knows the packet by the interface that it came in by.
    const bool entered = packet.l3_offset != 0 && packet.in_vport.valid() &&
                         (packet.in_policy == nullptr || packet.in_policy->without_twin == 0);
    return punt_packet(context, packet, entered ? packet.in_vport : nexthop.vport);
}

/// RFC 4291 2.5.6: the destination is global and not ours, so the packet would leave its link. No
/// ICMPv6 1/2 (RFC 4443 3.1) about it: its source is reached by the link only, not by a lookup.
bool leaves_its_link(const Packet& packet) noexcept {
    return packet.family == net::IpFamily::ipv6 &&
           net::header<net::Ipv6Header>(packet.l3()).source.is_link_local();
}

Verdict send_to_neighbor(Context& context, Packet& packet, const table::NextHop& nexthop) noexcept {
    if (packet.origin == Origin::transit) {
        if (ttl_is_spent(packet)) {
            return Verdict::drop(Reason::ttl_expired, ErrorKind::time_exceeded);
        }
        if (leaves_its_link(packet)) return Verdict::drop(Reason::ipv6_scope);
    }
    const auto& header = context.arena.header();
    if (nexthop.vport.value >= header.limits.vports) return Verdict::drop(Reason::vport_down);
    const table::Vport& vport = context.arena.record(header.vports, nexthop.vport.value);
    const table::VportPolicy* out = context.roots->find(nexthop.vport, vport);
    if (out == nullptr || out->admin_up == 0) return Verdict::drop(Reason::vport_down);

    if (nexthop.kind == NextHopKind::glean) {
        return hold_packet(context, packet, nexthop.vport, destination_of(packet));
    }
    const table::Rewrite active = nexthop.active.load(std::memory_order_acquire);
    if (active == table::Rewrite::incomplete) {
        return hold_packet(context, packet, nexthop.vport, nexthop.gateway);
    }
    const Verdict acl = match_egress_acl(context, packet, *out);
    if (!acl.goes_on()) return acl;
    if (packet.length > out->mtu) return Verdict::drop(Reason::mtu_exceeded);
    const Verdict rewritten = rewrite_link(packet, nexthop, active);
    if (!rewritten.goes_on()) return rewritten;
    if (packet.origin == Origin::transit) decrement_ttl(packet);
    if (vport.kind == VportKind::tunnel) {
        return leave_by_tunnel(context, packet, nexthop.vport, vport);
    }
    return send_frame(context, packet, nexthop.vport, vport.port);
}

}  // namespace

Verdict leave_by_tunnel(Context& context, Packet& packet, VportId id,
                        const table::Vport& vport) noexcept {
    const auto& header = context.arena.header();
    if (vport.tunnel.value >= header.limits.tunnels) return Verdict::drop(Reason::vport_down);
    if (packet.recirculations++ == kMaxRecirculations) {
        return Verdict::drop(Reason::tunnel_nesting);
    }
    const table::Tunnel& tunnel = context.arena.record(header.tunnels, vport.tunnel.value);
    if (tunnel.in_use == 0 || tunnel.key.underlay.value >= header.limits.vrfs) {
        return Verdict::drop(Reason::vport_down);
    }
    const std::uint32_t inner_length = packet.frame.length;
    if (const auto reason = encap_tunnel(packet, tunnel)) return Verdict::drop(*reason);
    context.counters.vports[id.value].tx.add(inner_length);
    context.counters.tunnels[vport.tunnel.value].encapsulated.add(packet.frame.length);
    packet.vrf = tunnel.key.underlay;
    packet.link_broadcast = false;
    packet.hold_until = 0;
    if (packet.origin == Origin::transit) packet.origin = Origin::encapsulated;
    return Verdict::look_up_again();
}

Verdict forward_packet(Context& context, Packet& packet, const table::NextHop* nexthop) noexcept {
    if (nexthop == nullptr) return without_nexthop(context, packet);
    switch (nexthop->kind) {
        case NextHopKind::adjacency:
        case NextHopKind::glean:
            return send_to_neighbor(context, packet, *nexthop);
        case NextHopKind::local:
            return receive_packet(context, packet, *nexthop);
        case NextHopKind::blackhole:
            return Verdict::drop(Reason::route_blackhole);
        case NextHopKind::unreachable:
            return Verdict::drop(Reason::route_unreachable, ErrorKind::host_unreachable);
        case NextHopKind::prohibit:
            return Verdict::drop(Reason::route_prohibited, ErrorKind::prohibited);
        case NextHopKind::none:
            break;
    }
    return Verdict::drop(Reason::nexthop_dead);
}

}  // namespace wye::pipeline
