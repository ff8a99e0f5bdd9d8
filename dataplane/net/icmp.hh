// ICMP (RFC 792, 1191, 1812) and ICMPv6 (RFC 4443, 4861): headers, and which messages are errors.
#pragma once

#include "dataplane/base/bytes.hh"
#include "dataplane/net/wire.hh"

namespace wye::net {

/// Common to both families; `rest` is the type's own word (next-hop MTU, pointer, identifier …).
struct IcmpHeader {
    std::uint8_t type;
    std::uint8_t code;
    Be16 checksum;
    Be32 rest;
};
static_assert(sizeof(IcmpHeader) == 8 && WireFormat<IcmpHeader>);

namespace icmp4 {
constexpr std::uint8_t echo_reply = 0;
constexpr std::uint8_t destination_unreachable = 3;
constexpr std::uint8_t source_quench = 4;
constexpr std::uint8_t redirect = 5;
constexpr std::uint8_t echo_request = 8;
constexpr std::uint8_t time_exceeded = 11;
constexpr std::uint8_t parameter_problem = 12;
constexpr std::uint8_t code_network_unreachable = 0;
constexpr std::uint8_t code_host_unreachable = 1;
constexpr std::uint8_t code_prohibited = 13;  // RFC 1812 5.2.7.1
/// RFC 1122 3.2.2: the error messages, about which no error may be sent.
constexpr bool is_error(std::uint8_t type) noexcept {
    return type == destination_unreachable || type == source_quench || type == redirect ||
           type == time_exceeded || type == parameter_problem;
}
}  // namespace icmp4

namespace icmp6 {
constexpr std::uint8_t destination_unreachable = 1;
constexpr std::uint8_t packet_too_big = 2;
constexpr std::uint8_t time_exceeded = 3;
constexpr std::uint8_t parameter_problem = 4;
constexpr std::uint8_t echo_request = 128;
constexpr std::uint8_t echo_reply = 129;
constexpr std::uint8_t router_solicitation = 133;
constexpr std::uint8_t router_advertisement = 134;
constexpr std::uint8_t neighbor_solicitation = 135;
constexpr std::uint8_t neighbor_advertisement = 136;
constexpr std::uint8_t redirect = 137;
constexpr std::uint8_t code_no_route = 0;
constexpr std::uint8_t code_prohibited = 1;
constexpr std::uint8_t code_beyond_scope = 2;
constexpr std::uint8_t code_address_unreachable = 3;
/// RFC 4443 2.1: error messages have the high bit of the type clear.
constexpr bool is_error(std::uint8_t type) noexcept {
    return type < 128;
}
}  // namespace icmp6

}  // namespace wye::net
