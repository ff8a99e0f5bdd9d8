#include "dataplane/pipeline/admit_packet.hh"

#include <cstring>

#include "dataplane/net/ethernet.hh"
#include "dataplane/net/llc.hh"
#include "dataplane/pipeline/hash_flow.hh"
#include "dataplane/pipeline/validate_ipv4.hh"
#include "dataplane/pipeline/validate_ipv6.hh"
#include "dataplane/table/vport.hh"

namespace wye::pipeline {

using table::Reason;

namespace {

/// Two loads a side; operator== of six bytes is a call of memcmp.
bool same(const net::MacAddress& a, const net::MacAddress& b) noexcept {
    std::uint32_t a4, b4;
    std::uint16_t a2, b2;
    std::memcpy(&a4, a.bytes.data(), 4);
    std::memcpy(&b4, b.bytes.data(), 4);
    std::memcpy(&a2, a.bytes.data() + 4, 2);
    std::memcpy(&b2, b.bytes.data() + 4, 2);
    return ((a4 ^ b4) | static_cast<std::uint32_t>(a2 ^ b2)) == 0;
}

/// What is neither IP nor ARP: adjacencies of IS-IS are the host stack's, all else has no place here.
Verdict admit_other(const Packet& packet) noexcept {
    const std::uint16_t type = net::header<Be16>(packet.l3() - sizeof(Be16)).host();
    const auto payload = std::span<const std::byte>(packet.frame.bytes()).subspan(packet.l3_offset);
    if (packet.link_broadcast && net::is_osi(type, payload)) return Verdict::punt();
    return Verdict::drop(Reason::ethernet_type_unknown);
}

}  // namespace

Verdict admit_packet(const Context& context, Packet& packet) noexcept {
    const table::VportPolicy* policy = packet.in_policy;
    if (policy == nullptr || policy->vport != packet.in_vport || policy->admin_up == 0) {
        return Verdict::drop(Reason::vport_down);
    }
    const auto& ethernet = net::header<net::EthernetHeader>(packet.frame.data);
    if (!same(ethernet.destination, policy->mac)) {
        if (!ethernet.destination.is_multicast()) {
            return Verdict::drop(Reason::ethernet_other_destination);
        }
        packet.link_broadcast = true;
    }
    if (policy->vrf.value >= context.arena.header().limits.vrfs) {
        return Verdict::drop(Reason::vport_down);
    }
    packet.vrf = policy->vrf;
    Verdict verdict = Verdict::go_on();
    switch (net::header<Be16>(packet.l3() - sizeof(Be16)).host()) {
        case net::ether_type(net::EtherType::ipv4):
            verdict = validate_ipv4(packet);
            break;
        case net::ether_type(net::EtherType::ipv6):
            verdict = validate_ipv6(packet);
            break;
        case net::ether_type(net::EtherType::arp):
            return Verdict::punt();
        default:
            return admit_other(packet);
    }
    if (verdict.goes_on()) hash_flow(packet);
    return verdict;
}

}  // namespace wye::pipeline
