// PlainLane, leave: by the exit of a packet's next hop, and into tunnels.
#include "dataplane/pipeline/hash_flow.hh"
#include "dataplane/pipeline/plain_lists.hh"
#include "dataplane/pipeline/resolve_leaf.hh"
#include "dataplane/pipeline/tunnel_steps.hh"

namespace wye::pipeline {
namespace {

template <class Family>
std::uint32_t hash_of(const std::byte* l3) noexcept {
    constexpr std::size_t kBytes = is_ipv4<Family> ? 8 : 32;
    return hash_of_flow(Family::protocol(l3), ports_of<Family>(l3), l3 + Family::kAddresses,
                        kBytes);
}

/// The link header of `exit` before `l3`, which begins an IPv4 packet. Returns its first byte. Without
/// tags, 14 bytes and no more: what is before them would be another cache line to fetch.
std::byte* write_link(std::byte* l3, const Exit& exit) noexcept {
    const std::byte* const end = exit.header.data() + Exit::kHeader;
    store(l3 - 8, load<std::uint64_t>(end - 8));
    store(l3 - 14, load<std::uint64_t>(end - 14));
    if (exit.header_length > 14) store(l3 - 22, load<std::uint64_t>(end - 22));
    return l3 - exit.header_length;
}

/// What depends on the packet: the rest is as it was prepared.
void finish_outer(std::byte* outer, const TunnelExit& exit, std::uint32_t length,
                  std::uint8_t inner_class, std::uint32_t flow_hash) noexcept {
    const auto configured = static_cast<std::uint8_t>(exit.record->header[1]);
    const std::uint8_t tos =
        outer_traffic_class(configured, inner_class, exit.record->copy_dscp != 0);
    constexpr std::uint32_t kIp = sizeof(net::Ipv4Header);
    finish_outer_ipv4(outer, exit.checksum, tos, length);
    finish_outer_udp(outer + kIp, flow_hash, length - kIp);
}

void queue(PortOutput& output, const Frame& frame, std::byte* data, const PlainRun& run,
           VportId vport) noexcept {
    output.add(frame.starting_at(data), run.rows, vport);
}

}  // namespace

template <class Family>
inline bool PlainLane::leave(Context& context, const Entry& entry, std::uint32_t length,
                             table::Leaf leaf) noexcept {
    std::byte* const l3 = entry.l3();
    if (leaf.is_group()) {
        leaf = table::Leaf::of(choose_nexthop(context, leaf, hash_of<Family>(l3)));
    }
    Exit& exit = exits_.find(context, leaf);
    if (length > exit.mtu) [[unlikely]]
        return false;
    if (exit.kind != ExitKind::port) {
        return exit.kind == ExitKind::tunnel &&
               encapsulate<Family>(context, entry, length, *exit.tunnel);
    }
    if (exit.output->count == PortOutput::kCapacity) [[unlikely]]
        return false;
    Family::decrement_ttl(l3);
    std::byte* const data = write_link(l3, exit);
    if constexpr (!is_ipv4<Family>) store(l3 - 2, Family::kEtherType);
    queue(*exit.output, *entry.frame, data, *entry.run, exit.vport);
    return true;
}

template <class Family>
inline bool PlainLane::encapsulate(Context& context, const Entry& entry, std::uint32_t length,
                                   TunnelExit& exit) noexcept {
    std::byte* const l3 = entry.l3();
    const std::uint32_t flow_hash = hash_of<Family>(l3);
    table::Leaf leaf = exit.leaf;
    if (leaf.is_group()) leaf = table::Leaf::of(choose_nexthop(context, leaf, flow_hash));
    const Exit& way = underlay_exits_.find(context, leaf);
    const std::uint32_t outer_length = length + exit.header_length;
    if (way.kind != ExitKind::port || outer_length > way.mtu ||
        way.output->count == PortOutput::kCapacity) [[unlikely]] {
        return false;
    }
    Family::decrement_ttl(l3);
    const std::uint8_t inner_class = Family::traffic_class(l3);
    std::memcpy(l3 - TunnelExit::kHeader, exit.header.data(), TunnelExit::kHeader);
    if constexpr (!is_ipv4<Family>) store(l3 - 2, Family::kEtherType);
    std::byte* const outer = l3 - exit.header_length;
    finish_outer(outer, exit, outer_length, inner_class, flow_hash);
    exits_.add(exit, length + static_cast<std::uint32_t>(sizeof(net::EthernetHeader)),
               outer_length);
    queue(*way.output, *entry.frame, write_link(outer, way), *entry.run, way.vport);
    return true;
}

/// Exits, and the line before each frame if it seems that outer headers go there.
template <class Family>
void PlainLane::prefetch(const List<Family>& list) const noexcept {
    for (const table::Leaf leaf : std::span(leaves_).first(list.count)) exits_.prefetch(leaf);
    if (!exits_.seems_tunnel(leaves_[0]) && !exits_.seems_tunnel(leaves_[list.count / 2])) return;
    for (const Entry& entry : list.all()) {
        __builtin_prefetch(entry.l3() - TunnelExit::kHeader, 1);
    }
}

template <class Family>
void PlainLane::leave_all(Context& context, const List<Family>& list) noexcept {
    prefetch<Family>(list);
    for (std::size_t i = 0; i < list.count; ++i) {
        const Entry& entry = list.entries[i];
        const table::Leaf to = leaves_[i];
        if (leave<Family>(context, entry, list.lengths[i], to)) [[likely]]
            continue;
        const PlainRun& run = *entry.run;
        if (is_ipv4<Family> && run.is_underlay && run.recirculations == 0 && !to.is_group() &&
            exits_.find(context, to).kind == ExitKind::local) {
            ends_[end_count_++] = entry;
        } else {
            give_up(context, entry);
        }
    }
}

template void PlainLane::leave_all(Context&, const List<PlainIpv4>&) noexcept;
template void PlainLane::leave_all(Context&, const List<PlainIpv6>&) noexcept;

}  // namespace wye::pipeline
