// VXLAN (RFC 7348 section 5): eight bytes between UDP and an Ethernet frame.
//
//   flags (8, I = 0x08) | reserved (24) | VNI (24) | reserved (8)
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "dataplane/base/bytes.hh"

namespace wye::net {

constexpr std::uint16_t kVxlanPort = 4789;
constexpr std::uint8_t kVxlanFlagVni = 0x08;
/// VXLAN and GENEVE both: 24 bits.
constexpr std::uint32_t kMaxVni = 0xffffff;

struct VxlanHeader {
    std::uint8_t flags;
    std::uint8_t reserved[3];
    Be32 vni_and_reserved;

    [[nodiscard]] constexpr std::uint32_t vni() const noexcept {
        return vni_and_reserved.host() >> 8;
    }
    // RFC 7348 5: I must be 1; all other flags and reserved bits are ignored on receipt.
    [[nodiscard]] constexpr bool has_vni() const noexcept { return (flags & kVxlanFlagVni) != 0; }
};
static_assert(sizeof(VxlanHeader) == 8 && alignof(VxlanHeader) == 1);

/// Reserved bits zero (RFC 7348 5). Only the low 24 bits of `vni` count.
constexpr VxlanHeader make_vxlan(std::uint32_t vni) noexcept {
    return VxlanHeader{kVxlanFlagVni, {}, Be32{(vni & kMaxVni) << 8}};
}

}  // namespace wye::net
