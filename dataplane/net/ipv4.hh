// IPv4 header (RFC 791).
#pragma once

#include "dataplane/base/bytes.hh"
#include "dataplane/net/address.hh"
#include "dataplane/net/wire.hh"

namespace wye::net {

struct Ipv4Header {
    std::uint8_t version_ihl;
    std::uint8_t tos;  // DSCP 6 bits (RFC 2474), ECN 2 bits (RFC 3168)
    Be16 total_length;
    Be16 identification;
    Be16 flags_offset;  // reserved, DF, MF, fragment offset 13 bits in units of 8 bytes
    std::uint8_t ttl;
    std::uint8_t protocol;
    Be16 checksum;
    Ipv4Address source, destination;

    static constexpr std::uint16_t kDontFragment = 0x4000;
    static constexpr std::uint16_t kMoreFragments = 0x2000;
    static constexpr std::uint16_t kOffsetMask = 0x1fff;

    [[nodiscard]] constexpr unsigned version() const noexcept { return version_ihl >> 4; }
    /// Bytes, options included.
    [[nodiscard]] constexpr unsigned header_length() const noexcept {
        return (version_ihl & 0x0fu) * 4;
    }
    [[nodiscard]] constexpr bool dont_fragment() const noexcept {
        return (flags_offset.host() & kDontFragment) != 0;
    }
    [[nodiscard]] constexpr bool more_fragments() const noexcept {
        return (flags_offset.host() & kMoreFragments) != 0;
    }
    /// In units of 8 bytes.
    [[nodiscard]] constexpr unsigned fragment_offset() const noexcept {
        return flags_offset.host() & kOffsetMask;
    }
};
static_assert(sizeof(Ipv4Header) == 20 && WireFormat<Ipv4Header>);

/// TTL, which is not 0, and checksum in one load and store of their four bytes (RFC 1624): the TTL
/// goes down by 1, and with it the sum of its word by 0x100, so that the checksum goes up by as much,
/// which is 1 as it lies in memory. The carry of 0xffff goes around, and what would become 0xffff, which
/// equation 3 never yields, is 0.
inline void decrement_ttl(Ipv4Header& ip) noexcept {
    static_assert(std::endian::native == std::endian::little);
    static_assert(offsetof(Ipv4Header, checksum) == offsetof(Ipv4Header, ttl) + 2);
    auto* const at = reinterpret_cast<std::byte*>(&ip) + offsetof(Ipv4Header, ttl);
    const auto word = load<std::uint32_t>(at);
    const std::uint32_t around = word >= 0xfffe'0000u ? 0x10000 : 0;
    store(at, word + 0xffff + around);
}

constexpr bool in_prefix(Ipv4Address address, std::uint32_t prefix, unsigned length) noexcept {
    return ((address.host() ^ prefix) >> (32 - length)) == 0;  // length 1..32
}
constexpr bool is_multicast(Ipv4Address a) noexcept {
    return in_prefix(a, 0xe0000000, 4);
}
constexpr bool is_limited_broadcast(Ipv4Address a) noexcept {
    return a.host() == 0xffffffff;
}
constexpr bool is_loopback(Ipv4Address a) noexcept {
    return in_prefix(a, 0x7f000000, 8);
}
constexpr bool is_this_network(Ipv4Address a) noexcept {
    return in_prefix(a, 0, 8);
}
constexpr bool is_reserved(Ipv4Address a) noexcept {
    return in_prefix(a, 0xf0000000, 4);
}
constexpr bool is_link_local_multicast(Ipv4Address a) noexcept {  // RFC 5771 4
    return in_prefix(a, 0xe0000000, 24);
}

}  // namespace wye::net
