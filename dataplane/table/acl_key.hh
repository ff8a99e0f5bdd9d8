// The packed form of an ACL's key and of a rule's conditions, shared by builder and matcher.
//
// IPv4: word 0 source and destination. IPv6: words 0 to 3 are the first halves of source and
// destination, then their second halves; all as they lie in the packet. The next word, from the
// lowest bit: source port, destination port (for ICMP: type, code), protocol, TCP flags, DSCP,
// state. The last word is zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/net/ip_protocol.hh"
#include "dataplane/table/acl.hh"

namespace wye::table {

constexpr bool is_icmp(std::uint8_t protocol) noexcept {
    return protocol == net::protocol::icmp || protocol == net::protocol::icmpv6;
}

constexpr std::uint64_t acl_layer4_word(std::uint32_t source_port, std::uint32_t destination_port,
                                        std::uint32_t protocol, std::uint32_t tcp_flags,
                                        std::uint32_t dscp, std::uint32_t state) noexcept {
    const std::uint32_t low = source_port | destination_port << 16;
    const std::uint32_t high = protocol | tcp_flags << 8 | dscp << 16 | state << 24;
    return low | std::uint64_t{high} << 32;
}

/// Bits of the state.
constexpr std::uint32_t acl_state(bool has_ports, bool is_fragment, bool is_later) noexcept {
    return (has_ports ? 1u : 0u) | (is_fragment ? 2u : 0u) | (is_later ? 4u : 0u);
}

inline std::uint64_t acl_layer4_word(const AclKey& key) noexcept {
    const bool icmp = is_icmp(key.protocol);
    return acl_layer4_word(icmp ? key.icmp_type : key.source_port,
                           icmp ? key.icmp_code : key.destination_port, key.protocol, key.tcp_flags,
                           key.dscp & 63u,
                           acl_state(key.has_ports, key.is_fragment, key.is_later_fragment));
}

/// `Address` is net::IpAddress or the family's own.
template <class Address>
void pack_acl_addresses(const Address& source, const Address& destination,
                        Acl4Query& query) noexcept {
    std::uint32_t words[2];
    std::memcpy(&words[0], &source, 4);
    std::memcpy(&words[1], &destination, 4);
    query.words[0] = words[0] | std::uint64_t{words[1]} << 32;
}
template <class Address>
void pack_acl_addresses(const Address& source, const Address& destination,
                        Acl6Query& query) noexcept {
    const auto half = [](const Address& address, std::size_t number) {
        std::uint64_t word;
        std::memcpy(&word, reinterpret_cast<const std::byte*>(&address) + 8 * number, 8);
        return word;
    };
    query.words[0] = half(source, 0);
    query.words[1] = half(destination, 0);
    query.words[2] = half(source, 1);
    query.words[3] = half(destination, 1);
}

}  // namespace wye::table
