// Ethernet II and VLAN tags (IEEE 802.3, 802.1Q): customer tags 0x8100, service tags 0x88a8.
#pragma once

#include "dataplane/base/bytes.hh"
#include "dataplane/net/address.hh"
#include "dataplane/net/wire.hh"

namespace wye::net {

enum class EtherType : std::uint16_t {
    ipv4 = 0x0800,
    arp = 0x0806,
    vlan = 0x8100,  // 802.1Q customer tag
    ipv6 = 0x86dd,
    service_vlan = 0x88a8,  // 802.1ad service tag
};

struct EthernetHeader {
    MacAddress destination, source;
    Be16 type;  // EtherType of what follows: a tag or the payload
};
static_assert(sizeof(EthernetHeader) == 14 && WireFormat<EthernetHeader>);

/// Follows an EtherType of 0x8100 or 0x88a8.
struct VlanTag {
    Be16 control;  // priority 3 bits, drop eligible 1 bit, VLAN id 12 bits
    Be16 type;     // EtherType of what follows

    [[nodiscard]] constexpr std::uint16_t vlan() const noexcept { return control.host() & 0x0fff; }
};
static_assert(sizeof(VlanTag) == 4 && WireFormat<VlanTag>);

constexpr std::uint16_t ether_type(EtherType type) noexcept {
    return static_cast<std::uint16_t>(type);
}
constexpr bool is_vlan_type(std::uint16_t type) noexcept {
    return type == ether_type(EtherType::vlan) || type == ether_type(EtherType::service_vlan);
}

}  // namespace wye::net
