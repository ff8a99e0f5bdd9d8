#include "dataplane/pipeline/send_frame.hh"

#include <cstring>

#include "dataplane/net/ethernet.hh"

namespace wye::pipeline {

using table::Reason;

Verdict send_frame(Context& context, const Packet& packet, VportId vport,
                   std::uint16_t port) noexcept {
    if (port >= kMaxPorts) return Verdict::drop(Reason::port_absent);
    PortOutput& output = (*context.outputs)[port];
    if (output.count == PortOutput::kCapacity) return Verdict::drop(Reason::port_transmit_full);
    // Member by member: the steps before wrote them so, and a wider load would wait for them all.
    output.begin_frame({packet.port_row, packet.tenant_row}, vport);
    Frame& frame = output.frames[output.count];
    frame.data = packet.frame.data;
    frame.length = packet.frame.length;
    frame.headroom = packet.frame.headroom;
    frame.tailroom = packet.frame.tailroom;
    frame.buffer = packet.frame.buffer;
    ++output.count;
    return Verdict::sent();
}

Verdict push_tags(Packet& packet, const table::Vport& vport) noexcept {
    constexpr std::size_t kAddresses = 2 * sizeof(net::MacAddress);
    const bool two = vport.inner_vlan != kNoVlan;
    const auto length = static_cast<std::uint16_t>(
        vport.vlan == kNoVlan ? 0 : sizeof(net::VlanTag) * (two ? 2u : 1u));
    if (length == 0) return Verdict::go_on();
    if (packet.frame.headroom < length) return Verdict::drop(Reason::headroom);
    packet.frame.prepend(length);
    std::memmove(packet.frame.data, packet.frame.data + length, kAddresses);
    // On the wire a tag is its own EtherType followed by the control word.
    struct TypedTag {
        Be16 type, control;
    };
    const auto outer = two ? net::EtherType::service_vlan : net::EtherType::vlan;
    net::header<TypedTag>(packet.frame.data + kAddresses) = {net::ether_type(outer), vport.vlan};
    if (two) {
        net::header<TypedTag>(packet.frame.data + kAddresses + sizeof(TypedTag)) = {
            net::ether_type(net::EtherType::vlan), vport.inner_vlan};
    }
    packet.l3_offset = static_cast<std::uint16_t>(packet.l3_offset + length);
    return Verdict::go_on();
}

}  // namespace wye::pipeline
