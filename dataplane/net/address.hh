// MAC and IP addresses and prefixes. Bytes are in network order, as on the wire.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/base/bytes.hh"

namespace wye::net {

struct MacAddress {
    std::array<std::uint8_t, 6> bytes{};

    [[nodiscard]] constexpr bool is_multicast() const noexcept { return (bytes[0] & 1) != 0; }
    [[nodiscard]] constexpr bool is_zero() const noexcept { return *this == MacAddress{}; }
    [[nodiscard]] constexpr bool is_broadcast() const noexcept {
        return *this == MacAddress{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    }
    friend constexpr auto operator<=>(const MacAddress&, const MacAddress&) noexcept = default;
};

enum class IpFamily : std::uint8_t { ipv4 = 4, ipv6 = 6 };

constexpr std::uint8_t address_bits(IpFamily family) noexcept {
    return family == IpFamily::ipv4 ? 32 : 128;
}

struct Ipv4Address {
    Be32 value;

    [[nodiscard]] constexpr std::uint32_t host() const noexcept { return value.host(); }
    static constexpr Ipv4Address from_host(std::uint32_t v) noexcept { return {Be32{v}}; }
    friend constexpr bool operator==(const Ipv4Address&, const Ipv4Address&) noexcept = default;
};

struct Ipv6Address {
    std::array<std::uint8_t, 16> bytes{};

    [[nodiscard]] constexpr bool is_multicast() const noexcept { return bytes[0] == 0xff; }
    [[nodiscard]] constexpr bool is_link_local() const noexcept {  // fe80::/10, RFC 4291 2.5.6
        return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
    }
    [[nodiscard]] constexpr bool is_unspecified() const noexcept {
        const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(bytes);
        return (words[0] | words[1]) == 0;
    }
    [[nodiscard]] constexpr bool is_loopback() const noexcept {
        const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(bytes);
        return words[0] == 0 && words[1] == swap_if_little(std::uint64_t{1});
    }
    friend constexpr auto operator<=>(const Ipv6Address&, const Ipv6Address&) noexcept = default;
};

/// Either family. An IPv4 address lies in the first four bytes, the rest is zero, so that equality
/// and hashing need not look at the family apart.
struct IpAddress {
    std::array<std::uint8_t, 16> bytes{};
    IpFamily family = IpFamily::ipv4;

    constexpr IpAddress() noexcept = default;
    IpAddress(Ipv4Address a) noexcept  // NOLINT: widening
        : family(IpFamily::ipv4) {
        std::memcpy(bytes.data(), &a, 4);
    }
    constexpr IpAddress(Ipv6Address a) noexcept  // NOLINT: widening
        : bytes(a.bytes), family(IpFamily::ipv6) {}

    [[nodiscard]] bool is_ipv4() const noexcept { return family == IpFamily::ipv4; }
    [[nodiscard]] Ipv4Address ipv4() const noexcept {
        Ipv4Address a;
        std::memcpy(&a, bytes.data(), 4);
        return a;
    }
    [[nodiscard]] Ipv6Address ipv6() const noexcept { return Ipv6Address{bytes}; }
    friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) noexcept = default;
};

/// Bits beyond the length are zero in every prefix that leaves these functions.
struct IpPrefix {
    IpAddress address;
    std::uint8_t length = 0;

    friend constexpr auto operator<=>(const IpPrefix&, const IpPrefix&) noexcept = default;
    [[nodiscard]] bool contains(const IpAddress& a) const noexcept;
};

/// The address with all bits beyond `length` cleared.
IpAddress mask(IpAddress address, std::uint8_t length) noexcept;

// Text to value: strict, no surrounding space, whole string or nothing.
std::optional<MacAddress> parse_mac(std::string_view text);
std::optional<IpAddress> parse_ip(std::string_view text);
/// "10.0.0.0/8"; host bits set are refused (nullopt), a bare address is not a prefix.
std::optional<IpPrefix> parse_prefix(std::string_view text);
/// "192.0.2.1/30": an interface address with its length; host bits are kept.
struct InterfaceAddress {
    IpAddress address;
    std::uint8_t length = 0;
    friend constexpr auto operator<=>(const InterfaceAddress&,
                                      const InterfaceAddress&) noexcept = default;
};
std::optional<InterfaceAddress> parse_interface_address(std::string_view text);

std::string to_string(const MacAddress& mac);
std::string to_string(const Ipv4Address& address);
std::string to_string(const Ipv6Address& address);
std::string to_string(const IpAddress& address);
std::string to_string(const IpPrefix& prefix);

}  // namespace wye::net
