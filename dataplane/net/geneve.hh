// GENEVE (RFC 8926 section 3): eight bytes and up to 252 bytes of options between UDP and the
// payload.
//
//   version (2) | option length in words (6) | O | C | reserved (6) | protocol (16)
//   VNI (24) | reserved (8)
//   options: class (16) | type (8, high bit: critical) | reserved (3) | length in words (5) | data
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/base/bytes.hh"

namespace wye::net {

constexpr std::uint16_t kGenevePort = 6081;
constexpr std::uint16_t kGeneveProtocolEthernet = 0x6558;

struct GeneveHeader {
    std::uint8_t version_and_length;
    std::uint8_t flags;
    Be16 protocol;
    Be32 vni_and_reserved;

    [[nodiscard]] constexpr std::uint8_t version() const noexcept {
        return static_cast<std::uint8_t>(version_and_length >> 6);
    }
    [[nodiscard]] constexpr std::size_t options_length() const noexcept {
        return std::size_t{4} * (version_and_length & 0x3f);
    }
    [[nodiscard]] constexpr bool is_control() const noexcept { return (flags & 0x80) != 0; }
    [[nodiscard]] constexpr bool has_critical_option() const noexcept {
        return (flags & 0x40) != 0;
    }
    [[nodiscard]] constexpr std::uint32_t vni() const noexcept {
        return vni_and_reserved.host() >> 8;
    }
};
static_assert(sizeof(GeneveHeader) == 8 && alignof(GeneveHeader) == 1);

/// An Ethernet payload, no options, reserved bits zero (RFC 8926 3.4).
constexpr GeneveHeader make_geneve(std::uint32_t vni) noexcept {
    return GeneveHeader{0, 0, Be16{kGeneveProtocolEthernet}, Be32{(vni & 0xffffff) << 8}};
}

enum class GeneveOptions : std::uint8_t {
    skipped,     // whole, and nothing among them that must be understood
    mismatched,  // their lengths do not add up to the header's
    critical,    // one that must be understood and is not
};

/// Walks all options, whether C is set or not: `options` is the field of options_length() bytes.
/// The router understands no option, so that every critical one is unknown.
GeneveOptions walk_geneve_options(std::span<const std::byte> options) noexcept;

}  // namespace wye::net
