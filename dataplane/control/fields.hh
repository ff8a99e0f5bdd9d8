// What a field of a command may hold. The other process is not trusted: every byte is looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "dataplane/base/name.hh"
#include "dataplane/net/address.hh"
#include "dataplane/ring/vocabulary.hh"

/// Byte offset of a field in a command's body, for Completion::detail.
#define WYE_FIELD(Type, field) (offsetof(ring::Type, field))

namespace wye::control {

template <std::size_t N>
constexpr bool all_zero(const std::uint8_t (&bytes)[N]) noexcept {
    for (const std::uint8_t byte : bytes) {
        if (byte != 0) return false;
    }
    return true;
}

constexpr bool is_flag(std::uint8_t value) noexcept {
    return value <= 1;
}

/// A name with its padding zeroed, so that equal names have equal bytes.
inline std::optional<ObjectName> valid_name(const ObjectName& name) {
    return ObjectName::from(name.view());
}

/// A known family, and nothing behind an IPv4 address.
bool is_valid(const net::IpAddress& address) noexcept;
/// A valid address without bits beyond the length.
bool is_valid(const net::IpPrefix& prefix) noexcept;
/// An address that one host can have: not unspecified, multicast, broadcast or loopback.
bool is_unicast_host(const net::IpAddress& address) noexcept;
/// A station's own address.
bool is_station(const net::MacAddress& mac) noexcept;
bool is_link_local(const net::IpAddress& address) noexcept;

constexpr std::uint32_t kMaxVni = (1u << 24) - 1;
constexpr std::uint16_t kMinMtu = 68;  // RFC 791 3.1

}  // namespace wye::control
