#include "dataplane/pipeline/classify_vport.hh"

#include "dataplane/net/parse.hh"
#include "dataplane/pipeline/ledger.hh"
#include "dataplane/pipeline/tenant_roots.hh"
#include "dataplane/table/tunnel.hh"
#include "dataplane/table/vport.hh"
#include "dataplane/table/vport_key.hh"

namespace wye::pipeline {

using table::Reason;

Verdict classify_vport(Context& context, PortId port, Packet& packet) noexcept {
    net::LinkLayout link;
    if (!net::parse_link(packet.frame.bytes(), link)) {
        return Verdict::drop(Reason::ethernet_truncated);
    }
    packet.l3_offset = link.payload_offset;
    const VportId id = table::find_vport(context.arena, static_cast<std::uint16_t>(port.value),
                                         link.vlan, link.inner_vlan);
    const auto& header = context.arena.header();
    if (!id.valid() || id.value >= header.limits.vports) {
        return Verdict::drop(Reason::vlan_unknown);
    }
    const table::Vport& vport = context.arena.record(header.vports, id.value);
    packet.in_vport = id;
    packet.tenant = vport.tenant;
    packet.tenant_row = table::tenant_row(vport.tenant);
    packet.in_policy = context.roots->find_unread(vport);
    __builtin_prefetch(packet.in_policy);
    context.counters.vports[id.value].rx.add(packet.frame.length);
    return Verdict::go_on();
}

Verdict classify_inner(Context& context, TunnelId tunnel, Packet& packet) noexcept {
    const auto& header = context.arena.header();
    const VportId id = context.arena.record(header.tunnels, tunnel.value).vport;
    if (!id.valid() || id.value >= header.limits.vports) {
        return Verdict::drop(Reason::tunnel_without_vport);
    }
    const table::Vport& vport = context.arena.record(header.vports, id.value);
    packet.in_vport = id;
    book_moved(context, packet, vport.tenant);
    packet.in_policy = context.roots->find(id, vport);
    context.counters.vports[id.value].rx.add(packet.frame.length);
    net::LinkLayout link;
    if (!net::parse_link(packet.frame.bytes(), link)) {
        return Verdict::drop(Reason::ethernet_truncated);
    }
    if (link.vlan != kNoVlan || link.inner_vlan != kNoVlan) {
        return Verdict::drop(Reason::vlan_unknown);
    }
    packet.l3_offset = link.payload_offset;
    packet.l4_offset = kNoOffset;
    packet.length = 0;
    packet.link_broadcast = false;
    packet.origin = Origin::transit;
    return Verdict::go_on();
}

}  // namespace wye::pipeline
