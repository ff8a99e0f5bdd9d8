#include "dataplane/pipeline/receive_host.hh"

#include "dataplane/net/ethernet.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "dataplane/pipeline/forward_packet.hh"
#include "dataplane/pipeline/hash_flow.hh"
#include "dataplane/pipeline/send_frame.hh"
#include "dataplane/pipeline/tenant_roots.hh"
#include "dataplane/table/counters.hh"
#include "dataplane/table/vport.hh"
#include "dataplane/table/vrf.hh"

namespace wye::pipeline {
namespace {

using table::Reason;

void set_tenant(Packet& packet, TenantId tenant) noexcept {
    packet.tenant = tenant;
    packet.tenant_row = table::tenant_row(tenant);
}

bool parse_ip(Packet& packet, unsigned version) noexcept {
    net::IpLayout layout;
    const auto bytes = std::span<const std::byte>(packet.frame.bytes()).subspan(packet.l3_offset);
    const net::IpFault fault =
        version == 4 ? net::parse_ipv4(bytes, layout) : net::parse_ipv6(bytes, layout);
    if (fault != net::IpFault::none) return false;
    apply_layout(packet, layout);
    return true;
}

/// Only what a route can lead to: link-local and multicast leave by a twin, never by inject.
bool is_routable(const Packet& packet) noexcept {
    if (packet.family == net::IpFamily::ipv4) {
        const auto destination = net::header<net::Ipv4Header>(packet.l3()).destination;
        return !net::is_multicast(destination) && !net::is_reserved(destination) &&
               !net::is_loopback(destination) && !net::is_this_network(destination);
    }
    const auto& destination = net::header<net::Ipv6Header>(packet.l3()).destination;
    return !destination.is_multicast() && !destination.is_link_local() &&
           !destination.is_loopback() && !destination.is_unspecified();
}

Verdict receive_inject(const Context& context, const HostFrame& frame, Packet& packet) noexcept {
    const auto& header = context.arena.header();
    if (frame.vrf.value >= header.limits.vrfs || packet.frame.length == 0) {
        return Verdict::drop(Reason::host_frame_invalid);
    }
    set_tenant(packet, context.arena.record(header.vrfs, frame.vrf.value).tenant);
    packet.vrf = frame.vrf;
    const auto version = static_cast<unsigned>(packet.frame.data[0]) >> 4;
    if (!parse_ip(packet, version) || !is_routable(packet)) {
        return Verdict::drop(Reason::host_frame_invalid);
    }
    hash_flow(packet);
    return Verdict::look_up_again();
}

/// What tunnels take their source port from. The frame is not changed.
void hash_frame(Packet& packet) noexcept {
    const std::uint16_t type = net::header<net::EthernetHeader>(packet.frame.data).type.host();
    const Frame whole = packet.frame;
    packet.l3_offset = sizeof(net::EthernetHeader);
    const bool is_ip = (type == net::ether_type(net::EtherType::ipv4) && parse_ip(packet, 4)) ||
                       (type == net::ether_type(net::EtherType::ipv6) && parse_ip(packet, 6));
    packet.frame = whole;
    is_ip ? hash_flow(packet) : hash_link(packet);
}

Verdict receive_twin(Context& context, VportId id, Packet& packet) noexcept {
    const auto& header = context.arena.header();
    if (id.value >= header.limits.vports) return Verdict::drop(Reason::host_frame_invalid);
    const table::Vport& vport = context.arena.record(header.vports, id.value);
    const table::VportPolicy* policy = context.roots->find(id, vport);
    if (policy == nullptr || policy->admin_up == 0) return Verdict::drop(Reason::vport_down);
    set_tenant(packet, vport.tenant);
    if (packet.frame.length < sizeof(net::EthernetHeader)) {
        return Verdict::drop(Reason::host_frame_invalid);
    }
    if (packet.frame.length > sizeof(net::EthernetHeader) + policy->mtu) {
        return Verdict::drop(Reason::mtu_exceeded);
    }
    if (vport.kind == VportKind::tunnel) {
        hash_frame(packet);
        return leave_by_tunnel(context, packet, id, vport);
    }
    const Verdict tagged = push_tags(packet, vport);
    return tagged.goes_on() ? send_frame(context, packet, id, vport.port) : tagged;
}

}  // namespace

Verdict receive_host(Context& context, const HostFrame& frame, Packet& packet) noexcept {
    return frame.vport.valid() ? receive_twin(context, frame.vport, packet)
                               : receive_inject(context, frame, packet);
}

}  // namespace wye::pipeline
