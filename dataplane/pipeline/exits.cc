#include "dataplane/pipeline/exits.hh"

#include "dataplane/net/ethernet.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/pipeline/plain_headers.hh"
#include "dataplane/pipeline/resolve_leaf.hh"
#include "dataplane/pipeline/tenant_roots.hh"
#include "dataplane/pipeline/tunnel_steps.hh"
#include "dataplane/table/fib.hh"
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

/// Over IPv4, without a checksum over the payload and without tags inside.
bool is_usual(const table::ArenaHeader& header, const table::Tunnel& tunnel,
              const Exit& exit) noexcept {
    constexpr std::size_t kLeast = sizeof(net::Ipv4Header) + sizeof(net::UdpHeader);
    return tunnel.in_use != 0 && tunnel.key.underlay.value < header.limits.vrfs &&
           tunnel.key.local.is_ipv4() && tunnel.udp_checksum == 0 &&
           tunnel.header_length >= kLeast &&
           std::size_t{tunnel.header_length} + exit.header_length <= TunnelExit::kHeader &&
           exit.header_length == sizeof(net::EthernetHeader);
}

void resolve_tunnel(const Context& context, const table::Vport& vport, Exit& exit,
                    TunnelExit& tunnel) noexcept {
    const auto& header = context.arena.header();
    if (vport.tunnel.value >= header.limits.tunnels) return;
    const table::Tunnel& record = context.arena.record(header.tunnels, vport.tunnel.value);
    if (!is_usual(header, record, exit)) return;
    const auto& underlay = context.arena.record(header.vrfs, record.key.underlay.value);
    tunnel.record = &record;
    tunnel.tunnel = vport.tunnel;
    tunnel.vport = exit.vport;
    tunnel.underlay = record.key.underlay;
    tunnel.leaf = table::lookup_fib4(context.arena, underlay.fib4.load(), record.key.remote.ipv4());
    tunnel.header_length = std::uint32_t{record.header_length} + exit.header_length;
    std::byte* const outer = tunnel.header.data() + TunnelExit::kHeader - tunnel.header_length;
    std::memcpy(outer, record.header.data(), record.header_length);
    std::memcpy(outer + record.header_length,
                exit.header.data() + Exit::kHeader - exit.header_length, exit.header_length);
    tunnel.checksum = outer_ipv4_sum(outer);
    exit.tunnel = &tunnel;
    exit.kind = ExitKind::tunnel;
}

void book_tunnel(Context& context, TunnelExit& exit) noexcept {
    table::PacketsAndBytes& tx = context.counters.vports[exit.vport.value].tx;
    tx.packets.add(exit.packets);
    tx.bytes.add(exit.inner_bytes);
    table::PacketsAndBytes& tunnel = context.counters.tunnels[exit.tunnel.value].encapsulated;
    tunnel.packets.add(exit.packets);
    tunnel.bytes.add(exit.outer_bytes);
    context.counters.vrfs[exit.underlay.value].lookups_ipv4.add(exit.packets);
    exit.packets = 0;
    exit.inner_bytes = exit.outer_bytes = 0;
}

}  // namespace

void Exits::begin_burst(const Context& context) noexcept {
    const std::uint64_t roots = context.roots->state(), liveness = context.liveness->changes();
    if (roots_ == roots && liveness_ == liveness) [[likely]]
        return;
    roots_ = roots;
    liveness_ = liveness;
    // Numbers of states begin again after 2^32 of them; a slot may have been idle as long.
    state_ += std::uint64_t{1} << 32;
    if (state_ == 0) [[unlikely]] {
        for (Exit& exit : exits_) exit.key = 0;
        state_ = std::uint64_t{1} << 32;
    }
}

[[gnu::noinline]] void Exits::replace(Context& context, Exit& exit, table::Leaf leaf) noexcept {
    if (TunnelExit& tunnel = tunnels_[leaf.value % kExits]; tunnel.packets != 0) {
        book_tunnel(context, tunnel);
    }
    exit.key = state_ | leaf.value;
    exit.kind = ExitKind::general;
    resolve(context, leaf, exit);
}

void Exits::resolve(Context& context, table::Leaf leaf, Exit& exit) noexcept {
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
        resolve_tunnel(context, vport, exit, tunnels_[leaf.value % kExits]);
    } else if (vport.port < kMaxPorts) {
        exit.kind = ExitKind::port;
        exit.output = &(*context.outputs)[vport.port];
    }
}

void Exits::count(Context& context) noexcept {
    for (std::size_t i = 0; i < used_count_; ++i) {
        if (used_[i]->packets != 0) book_tunnel(context, *used_[i]);
    }
    used_count_ = 0;
}

}  // namespace wye::pipeline
