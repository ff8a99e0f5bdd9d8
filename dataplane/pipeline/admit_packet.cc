#include "dataplane/pipeline/admit_packet.hh"

#include "dataplane/net/ethernet.hh"
#include "dataplane/pipeline/hash_flow.hh"
#include "dataplane/pipeline/validate_ipv4.hh"
#include "dataplane/pipeline/validate_ipv6.hh"
#include "dataplane/table/vport.hh"

namespace wye::pipeline {

using table::Reason;

Verdict admit_packet(const Context& context, Packet& packet) noexcept {
    const table::VportPolicy* policy = packet.in_policy;
    if (policy == nullptr || policy->vport != packet.in_vport || policy->admin_up == 0) {
        return Verdict::drop(Reason::vport_down);
    }
    const auto& ethernet = net::header<net::EthernetHeader>(packet.frame.data);
    if (ethernet.destination != policy->mac) {
        if (!ethernet.destination.is_multicast()) {
            return Verdict::drop(Reason::ethernet_other_destination);
        }
        packet.link_broadcast = true;
    }
    if (policy->vrf.value >= context.arena.header().limits.vrfs) {
        return Verdict::drop(Reason::vport_down);
    }
    packet.vrf = policy->vrf;
    Verdict verdict;
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
            return Verdict::drop(Reason::ethernet_type_unknown);
    }
    if (verdict.goes_on()) hash_flow(packet);
    return verdict;
}

}  // namespace wye::pipeline
