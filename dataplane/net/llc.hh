// IEEE 802.2 in 802.3 frames, as far as a router has it: IS-IS (ISO/IEC 10589 8.4.8).
//
// Where Ethernet II has a type, an 802.3 frame has the length of what follows, at most 1500 bytes (IEEE 802.3
// 3.2.6): destination and source service access point and a control byte, then the payload.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace wye::net {

constexpr std::uint16_t kLargestLength = 1500;

/// Whether it is a frame of OSI's network layer. `type_or_length`: as in the frame, in host order;
/// `payload`: what follows it, link padding included.
constexpr bool is_osi(std::uint16_t type_or_length, std::span<const std::byte> payload) noexcept {
    constexpr std::byte kOsi{0xfe};
    constexpr std::byte kUnnumberedInformation{0x03};
    return type_or_length >= 3 && type_or_length <= kLargestLength &&
           payload.size() >= type_or_length && payload[0] == kOsi && payload[1] == kOsi &&
           payload[2] == kUnnumberedInformation;
}

}  // namespace wye::net
