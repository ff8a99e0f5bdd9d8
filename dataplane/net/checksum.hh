// The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//
// Sums are of 16-bit words as they lie in memory (RFC 1071 2.B: the sum does not depend on the byte
// order), so nothing is swapped; a PartialSum may be added to another as long as each covered an
// even number of bytes, but for the last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/base/bytes.hh"
#include "dataplane/net/address.hh"

namespace wye::net {

/// Not yet folded.
struct PartialSum {
    std::uint64_t value = 0;
    friend constexpr PartialSum operator+(PartialSum a, PartialSum b) noexcept {
        return {a.value + b.value};
    }
};

/// To 16 bits with end-around carry.
constexpr std::uint16_t fold(PartialSum sum) noexcept {
    std::uint64_t v = sum.value;
    v = (v & 0xffffffff) + (v >> 32);
    v = (v & 0xffffffff) + (v >> 32);
    v = (v & 0xffff) + (v >> 16);
    v = (v & 0xffff) + (v >> 16);
    return static_cast<std::uint16_t>(v);
}

/// Sum of the bytes; an odd last one is padded with zero. Up to 4 GiB without overflow.
PartialSum sum_bytes(std::span<const std::byte> bytes) noexcept;

constexpr PartialSum sum_word(Be16 word) noexcept {
    return {word.raw()};
}

/// What goes into the checksum field.
constexpr Be16 checksum_of(PartialSum sum) noexcept {
    return Be16::from_raw(static_cast<std::uint16_t>(~fold(sum)));
}
/// The same for UDP, where zero means "none": 0xffff instead (RFC 768).
constexpr Be16 udp_checksum_of(PartialSum sum) noexcept {
    const Be16 checksum = checksum_of(sum);
    return checksum.raw() == 0 ? Be16::from_raw(0xffff) : checksum;
}
inline Be16 checksum(std::span<const std::byte> bytes) noexcept {
    return checksum_of(sum_bytes(bytes));
}
/// The bytes include their checksum field.
inline bool checksum_is_valid(PartialSum sum) noexcept {
    return fold(sum) == 0xffff;
}

/// The checksum after one 16-bit word changed. RFC 1624 equation 3: HC' = ~(~HC + ~m + m'),
/// which is right at the 0x0000/0xffff edge too, unlike RFC 1141's.
constexpr Be16 update_checksum(Be16 checksum, Be16 before, Be16 after) noexcept {
    std::uint32_t sum = static_cast<std::uint16_t>(~checksum.raw());
    sum += static_cast<std::uint16_t>(~before.raw());
    sum += after.raw();
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return Be16::from_raw(static_cast<std::uint16_t>(~sum));
}

/// Pseudo headers of layer-4 checksums (RFC 768, RFC 9293 3.1; RFC 8200 8.1). `length` is of the
/// layer-4 header and payload.
PartialSum pseudo_header_sum(Ipv4Address source, Ipv4Address destination, std::uint8_t protocol,
                             std::uint16_t length) noexcept;
PartialSum pseudo_header_sum(const Ipv6Address& source, const Ipv6Address& destination,
                             std::uint8_t protocol, std::uint32_t length) noexcept;

}  // namespace wye::net
