#include "dataplane/pipeline/plain_runs.hh"

#include "dataplane/net/parse.hh"
#include "dataplane/pipeline/plain_headers.hh"
#include "dataplane/pipeline/tenant_roots.hh"
#include "dataplane/table/counters.hh"
#include "dataplane/table/tunnel.hh"
#include "dataplane/table/vport_key.hh"
#include "dataplane/table/vrf.hh"

namespace wye::pipeline {
namespace {

/// Of the eight bytes behind the addresses: the EtherTypes of tags, and their VLAN ids.
constexpr std::uint64_t tag_mask(unsigned tags) noexcept {
    constexpr std::uint64_t kTag = 0xff0f'ffff;
    return tags == 0 ? 0 : tags == 1 ? kTag : kTag | kTag << 32;
}

/// No MAC address: the vport cannot be used, and the general steps find out why.
constexpr std::uint64_t kNoMac = 1;

std::uint64_t as_loaded(const net::MacAddress& mac) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, mac.bytes.data(), mac.bytes.size());
    return word << 16;
}

void find_vport(const Context& context, PlainRun& run) noexcept {
    const auto& header = context.arena.header();
    if (!run.tunnel.valid()) run.vport = table::find_vport(context.arena, run.tag_key);
    if (run.vport.value >= header.limits.vports) return;
    run.record = &context.arena.record(header.vports, run.vport.value);
    __builtin_prefetch(run.record);
    __builtin_prefetch(&context.counters.vports[run.vport.value], 1);
}

void find_tenant(const Context& context, PlainRun& run) noexcept {
    if (run.record == nullptr) return;
    run.tenant = run.record->tenant;
    run.rows.tenant = table::tenant_row(run.tenant);
    const auto& header = context.arena.header();
    if (run.tenant.value >= header.limits.tenants) return;
    __builtin_prefetch(&context.arena.record(header.tenants, run.tenant.value));
    __builtin_prefetch(&context.counters.tenants[run.rows.tenant], 1);
}

void find_policy(Context& context, PlainRun& run) noexcept {
    if (run.record == nullptr) return;
    run.policy = context.roots->find_unread(*run.record);
    __builtin_prefetch(run.policy);
}

void read_policy(const Context& context, PlainRun& run) noexcept {
    const table::VportPolicy* policy = run.policy;
    const auto& header = context.arena.header();
    if (policy == nullptr || policy->vport != run.vport || policy->admin_up == 0 ||
        policy->vrf.value >= header.limits.vrfs) {
        return;
    }
    run.mac = as_loaded(policy->mac);
    run.acl = policy->ingress_acl;
    run.vrf = policy->vrf;
    __builtin_prefetch(&context.arena.record(header.vrfs, run.vrf.value));
    __builtin_prefetch(&context.counters.vrfs[run.vrf.value], 1);
}

void read_vrf(const Context& context, PlainRun& run) noexcept {
    if (run.mac == kNoMac) return;
    const table::Vrf& vrf = context.arena.record(context.arena.header().vrfs, run.vrf.value);
    run.is_underlay = vrf.underlay != 0;
    run.fib4 = vrf.fib4.load();
    run.fib6 = vrf.fib6.load();
    __builtin_prefetch(context.arena.at(run.fib4));
    __builtin_prefetch(context.arena.at(run.fib6));
}

}  // namespace

PlainRun& PlainRuns::append(std::uint32_t port_row) noexcept {
    PlainRun& run = runs_[count_++];
    run = PlainRun{};
    run.mac = kNoMac;
    run.rows.port = port_row;
    return run;
}

PlainRun* PlainRuns::begin_run(const Context& context, PortId port, const Frame& frame) noexcept {
    net::LinkLayout link;
    if (!net::parse_link(frame.bytes(), link)) return nullptr;
    if (link.ether_type != net::ether_type(net::EtherType::ipv4) &&
        link.ether_type != net::ether_type(net::EtherType::ipv6)) {
        return nullptr;
    }
    PlainRun& run = append(table::port_row(port));
    run.tag_mask = tag_mask(link.tags);
    run.tags = load<std::uint64_t>(frame.data + 2 * sizeof(net::MacAddress)) & run.tag_mask;
    run.l3_offset = link.payload_offset;
    run.tag_key =
        table::vport_key(static_cast<std::uint16_t>(port.value), link.vlan, link.inner_vlan);
    table::prefetch_vport(context.arena, run.tag_key);
    return &run;
}

PlainRun* PlainRuns::begin_run(const Context& context, TunnelId tunnel,
                               const PlainRun& outer) noexcept {
    if (count_ == kCapacity) return nullptr;
    PlainRun& run = append(outer.rows.port);
    run.tunnel = tunnel;
    run.vport = context.arena.record(context.arena.header().tunnels, tunnel.value).vport;
    run.l3_offset = sizeof(net::EthernetHeader);
    run.recirculations = static_cast<std::uint8_t>(outer.recirculations + 1);
    run.from_tenant_row = outer.rows.tenant;
    return &run;
}

void PlainRuns::resolve(Context& context) noexcept {
    const auto each = [this, &context](auto stage) {
        for (std::size_t i = resolved_; i < count_; ++i) stage(context, runs_[i]);
    };
    each(find_vport);
    each(find_tenant);
    each(find_policy);
    each(read_policy);
    each(read_vrf);
    resolved_ = count_;
}

void PlainRuns::count(Context& context) const noexcept {
    table::CounterBlock& counters = context.counters;
    for (std::size_t i = 0; i < count_; ++i) {
        const PlainRun& run = runs_[i];
        const std::uint32_t packets = run.ipv4 + run.ipv6;
        if (packets == 0) continue;
        table::LedgerRow& tenant = counters.tenants[run.rows.tenant];
        if (run.tunnel.valid()) {
            counters.tenants[run.from_tenant_row].moved_out.add(packets);
            tenant.moved_in.add(packets);
            table::PacketsAndBytes& tunnel = counters.tunnels[run.tunnel.value].decapsulated;
            tunnel.packets.add(packets);
            tunnel.bytes.add(run.tunnel_bytes);
        } else {
            counters.ports[run.rows.port].rx.add(packets);
            tenant.rx.add(packets);
        }
        table::PacketsAndBytes& rx = counters.vports[run.vport.value].rx;
        rx.packets.add(packets);
        rx.bytes.add(run.bytes);
        table::VrfCounters& vrf = counters.vrfs[run.vrf.value];
        vrf.lookups_ipv4.add(run.ipv4 - run.not_asked4);
        vrf.lookups_ipv6.add(run.ipv6 - run.not_asked6);
    }
}

}  // namespace wye::pipeline
