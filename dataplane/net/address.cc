#include "dataplane/net/address.hh"

#include <arpa/inet.h>

#include <charconv>

namespace wye::net {

namespace {

/// The first `count` bits of a word set; all of them from 64 on.
constexpr std::uint64_t first_bits(unsigned count) noexcept {
    if (count >= 64) return ~std::uint64_t{0};
    return ~(~std::uint64_t{0} >> count);
}

}  // namespace

IpAddress mask(IpAddress address, std::uint8_t length) noexcept {
    Be64 halves[2];
    std::memcpy(halves, address.bytes.data(), sizeof halves);
    halves[0] = Be64{halves[0].host() & first_bits(length)};
    halves[1] = Be64{halves[1].host() & first_bits(length < 64 ? 0u : length - 64u)};
    std::memcpy(address.bytes.data(), halves, sizeof halves);
    return address;
}

bool IpPrefix::contains(const IpAddress& a) const noexcept {
    return a.family == address.family && mask(a, length) == address;
}

std::optional<MacAddress> parse_mac(std::string_view text) {
    if (text.size() != 17) return std::nullopt;
    MacAddress mac;
    for (std::size_t i = 0; i < 6; ++i) {
        const char* begin = text.data() + i * 3;
        const auto [end, error] = std::from_chars(begin, begin + 2, mac.bytes[i], 16);
        if (error != std::errc{} || end != begin + 2) return std::nullopt;
        if (i < 5 && begin[2] != ':') return std::nullopt;
    }
    return mac;
}

std::optional<IpAddress> parse_ip(std::string_view text) {
    const std::string copy(text);  // inet_pton wants a terminator
    if (copy.size() != std::strlen(copy.c_str())) return std::nullopt;
    Ipv4Address v4;
    if (inet_pton(AF_INET, copy.c_str(), &v4) == 1) return IpAddress(v4);
    Ipv6Address v6;
    if (inet_pton(AF_INET6, copy.c_str(), v6.bytes.data()) == 1) return IpAddress(v6);
    return std::nullopt;
}

std::optional<InterfaceAddress> parse_interface_address(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto address = parse_ip(text.substr(0, slash));
    if (!address) return std::nullopt;
    const std::string_view digits = text.substr(slash + 1);
    std::uint8_t length = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
    if (length > address_bits(address->family)) return std::nullopt;
    return InterfaceAddress{*address, length};
}

std::optional<IpPrefix> parse_prefix(std::string_view text) {
    const auto parsed = parse_interface_address(text);
    if (!parsed || mask(parsed->address, parsed->length) != parsed->address) return std::nullopt;
    return IpPrefix{parsed->address, parsed->length};
}

std::string to_string(const MacAddress& mac) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : mac.bytes) {
        if (!text.empty()) text += ':';
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

std::string to_string(const Ipv4Address& address) {
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address, text, sizeof text);
    return text;
}

std::string to_string(const Ipv6Address& address) {
    char text[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, address.bytes.data(), text, sizeof text);
    return text;
}

std::string to_string(const IpAddress& address) {
    return address.is_ipv4() ? to_string(address.ipv4()) : to_string(address.ipv6());
}

std::string to_string(const IpPrefix& prefix) {
    return to_string(prefix.address) + "/" + std::to_string(prefix.length);
}

}  // namespace wye::net
