#include "dataplane/net/checksum.hh"

#include <cstring>

namespace wye::net {

PartialSum sum_bytes(std::span<const std::byte> bytes) noexcept {
    // 32-bit words into a 64-bit sum: 2^16 ≡ 1 (mod 2^16 - 1), so folding gives the same result
    // (RFC 1071 2.C).
    std::uint64_t sum = 0;
    const std::byte* data = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 4; data += 4, left -= 4) {
        std::uint32_t word;
        std::memcpy(&word, data, 4);
        sum += word;
    }
    if (left >= 2) {
        std::uint16_t word;
        std::memcpy(&word, data, 2);
        sum += word;
        data += 2;
        left -= 2;
    }
    if (left == 1) {
        std::uint16_t word = 0;
        std::memcpy(&word, data, 1);
        sum += word;
    }
    return {sum};
}

PartialSum pseudo_header_sum(Ipv4Address source, Ipv4Address destination, std::uint8_t protocol,
                             std::uint16_t length) noexcept {
    return {std::uint64_t{source.value.raw()} + destination.value.raw() +
            Be16{std::uint16_t{protocol}}.raw() + Be16{length}.raw()};
}

PartialSum pseudo_header_sum(const Ipv6Address& source, const Ipv6Address& destination,
                             std::uint8_t protocol, std::uint32_t length) noexcept {
    return sum_bytes(std::as_bytes(std::span(source.bytes))) +
           sum_bytes(std::as_bytes(std::span(destination.bytes))) +
           PartialSum{std::uint64_t{Be32{length}.raw()} + Be32{std::uint32_t{protocol}}.raw()};
}

}  // namespace wye::net
