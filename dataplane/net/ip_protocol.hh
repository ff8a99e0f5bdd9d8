// Numbers of what follows an IP header (IANA "Assigned Internet Protocol Numbers").
#pragma once

#include <cstdint>

namespace wye::net {

namespace protocol {
constexpr std::uint8_t hop_by_hop = 0;
constexpr std::uint8_t icmp = 1;
constexpr std::uint8_t tcp = 6;
constexpr std::uint8_t udp = 17;
constexpr std::uint8_t dccp = 33;
constexpr std::uint8_t routing = 43;
constexpr std::uint8_t fragment = 44;
constexpr std::uint8_t esp = 50;
constexpr std::uint8_t authentication = 51;
constexpr std::uint8_t icmpv6 = 58;
constexpr std::uint8_t no_next_header = 59;
constexpr std::uint8_t destination_options = 60;
constexpr std::uint8_t sctp = 132;
constexpr std::uint8_t mobility = 135;
constexpr std::uint8_t udp_lite = 136;
constexpr std::uint8_t host_identity = 139;
constexpr std::uint8_t shim6 = 140;
}  // namespace protocol

/// Source and destination port are its first four bytes.
constexpr bool has_port_numbers(std::uint8_t number) noexcept {
    return number == protocol::tcp || number == protocol::udp || number == protocol::sctp ||
           number == protocol::udp_lite || number == protocol::dccp;
}

}  // namespace wye::net
