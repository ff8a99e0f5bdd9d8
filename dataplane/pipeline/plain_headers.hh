// Which IP packets are plain: what nearly all are. IPv4 without options or IPv6 without extension
// headers, whole, UDP or TCP with all of its header, no fragment, a TTL that is not at its end, between
// addresses with which no rule of validate_ipv4 or validate_ipv6 can be broken, the checksum right.
//
// Whatever is plain passes validate_ipv4 or validate_ipv6 and is transit or the router's own; what is
// not plain may yet be valid, and those steps say so. All conditions are joined without branches,
// since they nearly always hold together.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/bytes.hh"
#include "dataplane/net/address.hh"
#include "dataplane/net/geneve.hh"
#include "dataplane/net/ip_protocol.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "dataplane/net/tcp.hh"
#include "dataplane/net/udp.hh"
#include "dataplane/net/vxlan.hh"

namespace wye::pipeline {

// What follows loads several fields at once and picks them from the register.
static_assert(std::endian::native == std::endian::little);

/// By protocol, the least that a plain packet has behind its IP header; more than there can be, for
/// protocols of which no packet is plain.
inline constexpr auto kLeastPlainPayload = [] {
    std::array<std::uint32_t, 256> least;
    least.fill(0x10000);
    least[net::protocol::tcp] = sizeof(net::TcpHeader);
    least[net::protocol::udp] = sizeof(net::UdpHeader);
    return least;
}();

/// Not zero for a first octet of addresses that rules speak of: for IPv4 all but 1 to 126 and 128 to
/// 223; for IPv6 00 (:: and ::1 among others), fe (link-local) and ff (multicast).
inline constexpr auto kSpecialOctet4 = [] {
    std::array<std::uint8_t, 256> special{};
    for (std::size_t i = 224; i < 256; ++i) special[i] = 1;
    special[0] = special[127] = 1;
    return special;
}();
inline constexpr auto kSpecialOctet6 = [] {
    std::array<std::uint8_t, 256> special{};
    special[0] = special[0xfe] = special[0xff] = 1;
    return special;
}();

/// Bit 31 is set unless least <= length <= most; all three below 2^31.
constexpr std::uint32_t outside(std::uint32_t length, std::uint32_t least,
                                std::uint32_t most) noexcept {
    return (length - least) | (most - length);
}

/// Bit 31 is set if nobody may forward what has this TTL.
constexpr std::uint32_t at_its_end(std::uint8_t ttl) noexcept {
    return std::uint32_t{ttl} - 2;
}

struct PlainIpv4 {
    using Address = net::Ipv4Address;
    static constexpr net::IpFamily kFamily = net::IpFamily::ipv4;
    static constexpr std::uint32_t kHeader = sizeof(net::Ipv4Header);
    static constexpr std::uint32_t kLeast = kHeader + sizeof(net::UdpHeader);
    static constexpr std::uint16_t kEtherType = 0x0008;  // as it lies in memory

    /// The length of the IP packet, or 0: it is not plain. `size` bytes from l3 on are the frame's,
    /// at least kLeast.
    static std::uint32_t length(const std::byte* l3, std::uint32_t size) noexcept {
        const auto first = load<std::uint64_t>(l3), second = load<std::uint64_t>(l3 + 8);
        const auto destination = load<std::uint32_t>(l3 + 16);
        const std::uint32_t length = byteswap(static_cast<std::uint16_t>(first >> 16));
        const auto protocol = static_cast<std::uint8_t>(second >> 8);
        // Version 4, five words of header; neither MF nor an offset.
        const std::uint64_t shape = (first & 0xff3f'0000'0000'00ff) ^ 0x45;
        const std::uint32_t rules = kSpecialOctet4[second >> 32 & 0xff] |
                                    kSpecialOctet4[destination & 0xff] |
                                    (sum_of(first, second, destination) ^ 0xffffu) |
                                    (outside(length, kHeader + kLeastPlainPayload[protocol], size) |
                                     at_its_end(static_cast<std::uint8_t>(second))) >>
                                        31;
        return (shape | rules) == 0 ? length : 0;
    }
    static net::Ipv4Address destination(const std::byte* l3) noexcept {
        return net::header<net::Ipv4Header>(l3).destination;
    }
    static bool same(const Address& a, const Address& b) noexcept {
        return a.value.raw() == b.value.raw();
    }
    static std::uint8_t protocol(const std::byte* l3) noexcept {
        return static_cast<std::uint8_t>(l3[offsetof(net::Ipv4Header, protocol)]);
    }
    static std::uint8_t traffic_class(const std::byte* l3) noexcept {
        return static_cast<std::uint8_t>(l3[offsetof(net::Ipv4Header, tos)]);
    }
    static void decrement_ttl(std::byte* l3) noexcept {
        net::decrement_ttl(net::header<net::Ipv4Header>(l3));
    }
    static constexpr std::size_t kAddresses = offsetof(net::Ipv4Header, source);

    /// Zero if the UDP packet behind a header without options ends where the IP packet of `length`
    /// bytes does, and has no checksum.
    static std::uint64_t udp_faults(const std::byte* l3, std::uint32_t length) noexcept {
        const auto udp = load<std::uint64_t>(l3 + kHeader);
        return udp >> 32 ^ byteswap(static_cast<std::uint16_t>(length - kHeader));
    }
    /// Zero if it is UDP.
    static std::uint64_t is_not_udp(const std::byte* l3) noexcept {
        return protocol(l3) ^ net::protocol::udp;
    }
    /// Zero if length() would be `size`, but for a TTL at its end, for UDP between addresses
    /// of which no rule speaks; `size` is at most 0xffff.
    static std::uint64_t faults_of_udp(const std::byte* l3, std::uint32_t size) noexcept {
        const auto first = load<std::uint64_t>(l3), second = load<std::uint64_t>(l3 + 8);
        const auto destination = load<std::uint32_t>(l3 + 16);
        const std::uint32_t length = byteswap(static_cast<std::uint16_t>(size));
        const std::uint64_t shape =
            (first & 0xff3f'0000'ffff'00ff) ^ (0x45 | std::uint64_t{length} << 16);
        return shape | ((second >> 8 & 0xff) ^ net::protocol::udp) |
               (sum_of(first, second, destination) ^ 0xffffu);
    }

  private:
    /// RFC 1071, in words of 64 bits, whose carry goes around as well; then its halves, and theirs:
    /// a word and itself turned by half its length add up to the sum of its halves in the upper one.
    static std::uint32_t sum_of(std::uint64_t first, std::uint64_t second,
                                std::uint32_t third) noexcept {
        const std::uint64_t two = first + second;
        const std::uint64_t carried = two + static_cast<std::uint64_t>(two < second);
        const std::uint64_t three = carried + third;
        std::uint64_t sum = three + static_cast<std::uint64_t>(three < third);
        sum += std::rotl(sum, 32);
        auto half = static_cast<std::uint32_t>(sum >> 32);
        half += std::rotl(half, 16);
        return half >> 16;
    }
};

struct PlainIpv6 {
    using Address = net::Ipv6Address;
    static constexpr net::IpFamily kFamily = net::IpFamily::ipv6;
    static constexpr std::uint32_t kHeader = sizeof(net::Ipv6Header);
    static constexpr std::uint32_t kLeast = kHeader + sizeof(net::UdpHeader);
    static constexpr std::uint16_t kEtherType = 0xdd86;

    static std::uint32_t length(const std::byte* l3, std::uint32_t size) noexcept {
        const auto first = load<std::uint64_t>(l3);
        const std::uint32_t payload = byteswap(static_cast<std::uint16_t>(first >> 32));
        const auto protocol = static_cast<std::uint8_t>(first >> 48);
        const std::uint32_t rules =
            ((first & 0xf0) ^ 0x60) | kSpecialOctet6[static_cast<std::uint8_t>(l3[8])] |
            kSpecialOctet6[static_cast<std::uint8_t>(l3[24])] |
            (outside(payload, kLeastPlainPayload[protocol], std::min(size, 0xffffu) - kHeader) |
             at_its_end(static_cast<std::uint8_t>(first >> 56))) >>
                31;
        return rules == 0 ? payload + kHeader : 0;
    }
    static const net::Ipv6Address& destination(const std::byte* l3) noexcept {
        return net::header<net::Ipv6Header>(l3).destination;
    }
    static bool same(const Address& a, const Address& b) noexcept {
        const auto *x = as_bytes(a), *y = as_bytes(b);
        return ((load<std::uint64_t>(x) ^ load<std::uint64_t>(y)) |
                (load<std::uint64_t>(x + 8) ^ load<std::uint64_t>(y + 8))) == 0;
    }
    static std::uint8_t protocol(const std::byte* l3) noexcept {
        return static_cast<std::uint8_t>(l3[offsetof(net::Ipv6Header, next_header)]);
    }
    static std::uint8_t traffic_class(const std::byte* l3) noexcept {
        return net::header<net::Ipv6Header>(l3).traffic_class();
    }
    static void decrement_ttl(std::byte* l3) noexcept {
        --net::header<net::Ipv6Header>(l3).hop_limit;
    }
    static constexpr std::size_t kAddresses = offsetof(net::Ipv6Header, source);

  private:
    static const std::byte* as_bytes(const Address& address) noexcept {
        return reinterpret_cast<const std::byte*>(&address);
    }
};

/// Before the inner frame of a plain tunnel packet: IPv4 and UDP, and VXLAN, or GENEVE without options.
constexpr std::size_t kTunnelOuter = sizeof(net::Ipv4Header) + sizeof(net::UdpHeader);
constexpr std::size_t kTunnelHeaders = kTunnelOuter + sizeof(net::VxlanHeader);
static_assert(sizeof(net::VxlanHeader) == sizeof(net::GeneveHeader));

}  // namespace wye::pipeline
