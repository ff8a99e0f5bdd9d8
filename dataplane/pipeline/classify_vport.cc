#include "dataplane/pipeline/classify_vport.hh"

#include "dataplane/net/parse.hh"
#include "dataplane/pipeline/ledger.hh"
#include "dataplane/pipeline/tenant_roots.hh"
#include "dataplane/table/tunnel.hh"
#include "dataplane/table/vport.hh"
#include "dataplane/table/vport_key.hh"

namespace wye::pipeline {

using table::Reason;

Verdict Classifier::classify(Packet& packet) noexcept {
    Verdict verdict = Verdict::drop(Reason::no_tables);
    if (context_.arena) [[likely]] {
        net::LinkLayout link;
        if (net::parse_link(packet.frame.bytes(), link)) [[likely]] {
            packet.l3_offset = link.payload_offset;
            const std::uint32_t key = table::vport_key(static_cast<std::uint16_t>(port_.value),
                                                       link.vlan, link.inner_vlan);
            const bool same = key == key_ && vport_.valid();
            verdict = same ? Verdict::go_on() : look_up(key, link);
        } else {
            verdict = Verdict::drop(Reason::ethernet_truncated);
        }
    }
    if (verdict.goes_on()) [[likely]] {
        packet.in_vport = vport_;
        packet.tenant = tenant_;
        packet.tenant_row = table::tenant_row(tenant_);
        packet.in_policy = policy_;
        ++packets_;
        bytes_ += packet.frame.length;
    } else {
        book(context_, packet, &table::LedgerRow::rx);
    }
    return verdict;
}

Verdict Classifier::look_up(std::uint32_t key, const net::LinkLayout& link) noexcept {
    count_run();
    key_ = key;
    vport_ = table::find_vport(context_.arena, static_cast<std::uint16_t>(port_.value), link.vlan,
                               link.inner_vlan);
    const auto& header = context_.arena.header();
    if (vport_.valid() && vport_.value >= header.limits.vports) vport_ = {};
    if (!vport_.valid()) return Verdict::drop(Reason::vlan_unknown);
    const table::Vport& vport = context_.arena.record(header.vports, vport_.value);
    tenant_ = vport.tenant;
    policy_ = context_.roots->find_unread(vport);
    __builtin_prefetch(policy_);
    return Verdict::go_on();
}

void Classifier::count_run() noexcept {
    if (packets_ == 0) return;
    context_.counters.ports[table::port_row(port_)].rx.add(packets_);
    context_.counters.tenants[table::tenant_row(tenant_)].rx.add(packets_);
    table::PacketsAndBytes& rx = context_.counters.vports[vport_.value].rx;
    rx.packets.add(packets_);
    rx.bytes.add(bytes_);
    packets_ = bytes_ = 0;
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
