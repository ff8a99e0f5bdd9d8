// ARP for IPv4 over Ethernet (RFC 826).
#pragma once

#include "dataplane/base/bytes.hh"
#include "dataplane/net/address.hh"
#include "dataplane/net/wire.hh"

namespace wye::net {

struct ArpPacket {
    Be16 hardware_type;            // 1: Ethernet
    Be16 protocol_type;            // 0x0800
    std::uint8_t hardware_length;  // 6
    std::uint8_t protocol_length;  // 4
    Be16 operation;                // 1 request, 2 reply
    MacAddress sender_mac;
    Ipv4Address sender_address;
    MacAddress target_mac;
    Ipv4Address target_address;
};
static_assert(sizeof(ArpPacket) == 28 && WireFormat<ArpPacket>);

}  // namespace wye::net
