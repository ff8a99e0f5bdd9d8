#include "dataplane/pipeline/punt.hh"

#include <algorithm>
#include <cstring>

#include "dataplane/net/ethernet.hh"
#include "dataplane/pipeline/ledger.hh"
#include "dataplane/pipeline/take_bfd.hh"
#include "dataplane/pipeline/tenant_roots.hh"

namespace wye::pipeline {
namespace {

using table::Reason;

TokenRate rate_of(const Context& context, TenantId tenant) noexcept {
    const auto& header = context.arena.header();
    TokenRate rate = context.limits.punt_tenant;
    if (tenant.value >= header.limits.tenants) return rate;
    const std::uint32_t own =
        context.arena.record(header.tenants, tenant.value).punt_packets_per_second;
    if (own != 0) rate = {own, std::max<std::uint32_t>(own / 8, 1)};
    return rate;
}

/// [addresses][tags][type][payload] → [addresses][type][payload]
void strip_tags(Packet& packet) noexcept {
    constexpr std::size_t kAddresses = 2 * sizeof(net::MacAddress);
    const auto tags = static_cast<std::uint16_t>(packet.l3_offset - sizeof(net::EthernetHeader));
    if (tags == 0) return;
    std::memmove(packet.frame.data + tags, packet.frame.data, kAddresses);
    packet.frame.strip(tags);
    packet.l3_offset = sizeof(net::EthernetHeader);
}

/// As the twin with this MAC takes it.
bool address_to(Packet& packet, const net::MacAddress& mac) noexcept {
    if (packet.l3_offset != 0) {
        strip_tags(packet);
        net::header<net::EthernetHeader>(packet.frame.data).destination = mac;
        return true;
    }
    if (packet.frame.headroom < sizeof(net::EthernetHeader)) return false;
    packet.frame.prepend(sizeof(net::EthernetHeader));
    packet.l3_offset = sizeof(net::EthernetHeader);
    const auto type =
        packet.family == net::IpFamily::ipv4 ? net::EtherType::ipv4 : net::EtherType::ipv6;
    net::header<net::EthernetHeader>(packet.frame.data) = {mac, mac, net::ether_type(type)};
    return true;
}

}  // namespace

Verdict punt_packet(Context& context, Packet& packet, VportId vport) noexcept {
    // Before the policer: no flood to the router keeps sessions from hearing their peers.
    if (is_bfd(packet)) {
        const Verdict taken = take_bfd(context, packet);
        if (!taken.goes_on()) return taken;
    }
    if (packet.l3_offset != 0 && vport == packet.in_vport) {
        strip_tags(packet);
    } else {
        const table::VportPolicy* policy = context.roots->find(vport);
        if (policy == nullptr) return Verdict::drop(Reason::twin_absent);
        if (!address_to(packet, policy->mac)) return Verdict::drop(Reason::headroom);
    }
    if (!context.policer->take(packet.tenant, rate_of(context, packet.tenant),
                               context.limits.punt_total, context.now_cycles,
                               context.cycles_per_second)) {
        return Verdict::drop(Reason::punt_policed);
    }
    if (context.punt == nullptr || !context.punt->push({packet.frame, vport})) {
        return Verdict::drop(Reason::punt_full);
    }
    book_punted(context, packet);
    return Verdict::punt();
}

}  // namespace wye::pipeline
