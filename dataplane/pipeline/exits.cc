#include "dataplane/pipeline/exits.hh"

#include "dataplane/net/checksum.hh"
#include "dataplane/net/ethernet.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/pipeline/plain_headers.hh"
#include "dataplane/pipeline/resolve_leaf.hh"
#include "dataplane/pipeline/tenant_roots.hh"
#include "dataplane/table/fib.hh"
#include "dataplane/table/vport.hh"
#include "dataplane/table/vrf.hh"

namespace wye::pipeline {
namespace {

void write_link_header(Exit& exit, const table::NextHop& nexthop, table::Rewrite active) noexcept {
    const auto& bytes = nexthop.rewrite[active == table::Rewrite::second ? 1 : 0];
    exit.header_length = static_cast<std::uint8_t>(nexthop.rewrite_length + sizeof(Be16));
    std::byte* const begin = exit.header.data() + Exit::kHeader - exit.header_length;
    std::memcpy(begin, bytes.data(), nexthop.rewrite_length);
    store(begin + nexthop.rewrite_length, PlainIpv4::kEtherType);
}

/// Into a tunnel over IPv4, without a checksum over the payload and without tags inside.
void resolve_tunnel(const Context& context, const table::Vport& vport, Exit& exit) noexcept {
    const auto& header = context.arena.header();
    if (vport.tunnel.value >= header.limits.tunnels) return;
    const table::Tunnel& tunnel = context.arena.record(header.tunnels, vport.tunnel.value);
    const std::size_t length = std::size_t{tunnel.header_length} + exit.header_length;
    if (tunnel.in_use == 0 || tunnel.key.underlay.value >= header.limits.vrfs ||
        !tunnel.key.local.is_ipv4() || tunnel.udp_checksum != 0 || length > Exit::kHeader ||
        exit.header_length != sizeof(net::EthernetHeader) ||
        tunnel.header_length < sizeof(net::Ipv4Header) + sizeof(net::UdpHeader)) {
        return;
    }
    const auto& underlay = context.arena.record(header.vrfs, tunnel.key.underlay.value);
    exit.kind = ExitKind::tunnel;
    exit.tunnel = &tunnel;
    exit.tunnel_id = vport.tunnel;
    exit.underlay_vrf = tunnel.key.underlay;
    exit.underlay =
        table::lookup_fib4(context.arena, underlay.fib4.load(), tunnel.key.remote.ipv4());
    exit.header_length = static_cast<std::uint8_t>(length);
    std::byte* const outer = exit.header.data() + Exit::kHeader - length;
    std::memcpy(outer, tunnel.header.data(), tunnel.header_length);
    exit.checksum = net::fold(
        net::sum_bytes(std::span(outer, sizeof(net::Ipv4Header)).subspan(2 * sizeof(Be16))));
}

void resolve(Context& context, table::Leaf leaf, Exit& exit) noexcept {
    exit.kind = ExitKind::general;
    if (leaf.is_none() || leaf.is_group()) return;
    const table::NextHop* nexthop = alive_nexthop(context, leaf.nexthop());
    if (nexthop == nullptr) return;
    if (nexthop->kind == NextHopKind::local) exit.kind = ExitKind::local;
    if (nexthop->kind != NextHopKind::adjacency) return;
    const auto& header = context.arena.header();
    if (nexthop->vport.value >= header.limits.vports) return;
    const table::Vport& vport = context.arena.record(header.vports, nexthop->vport.value);
    const table::VportPolicy* out = context.roots->find(nexthop->vport, vport);
    const table::Rewrite active = nexthop->active.load(std::memory_order_acquire);
    if (out == nullptr || out->admin_up == 0 || out->egress_acl ||
        active == table::Rewrite::incomplete) {
        return;
    }
    exit.mtu = out->mtu;
    exit.vport = nexthop->vport;
    write_link_header(exit, *nexthop, active);
    if (vport.kind == VportKind::tunnel) {
        resolve_tunnel(context, vport, exit);
    } else if (vport.port < kMaxPorts) {
        exit.kind = ExitKind::port;
        exit.output = &(*context.outputs)[vport.port];
    }
}

void count_tunnel(Context& context, Exit& exit) noexcept {
    if (exit.kind != ExitKind::tunnel || exit.packets == 0) return;
    table::PacketsAndBytes& tx = context.counters.vports[exit.vport.value].tx;
    tx.packets.add(exit.packets);
    tx.bytes.add(exit.inner_bytes);
    table::PacketsAndBytes& tunnel = context.counters.tunnels[exit.tunnel_id.value].encapsulated;
    tunnel.packets.add(exit.packets);
    tunnel.bytes.add(exit.outer_bytes);
    context.counters.vrfs[exit.underlay_vrf.value].lookups_ipv4.add(exit.packets);
    exit.packets = 0;
    exit.inner_bytes = exit.outer_bytes = 0;
}

}  // namespace

[[gnu::noinline]] void Exits::replace(Context& context, Exit& exit, table::Leaf leaf,
                                      std::uint64_t key) noexcept {
    count_tunnel(context, exit);
    exit.key = key;
    resolve(context, leaf, exit);
    if (exit.kind == ExitKind::tunnel) {
        if (tunnel_count_ == tunnels_.size()) count(context);
        tunnels_[tunnel_count_++] = static_cast<std::uint8_t>(leaf.value % kExits);
    }
}

void Exits::count(Context& context) noexcept {
    for (std::size_t i = 0; i < tunnel_count_; ++i) count_tunnel(context, exits_[tunnels_[i]]);
    tunnel_count_ = 0;
}

}  // namespace wye::pipeline
