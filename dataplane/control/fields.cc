#include "dataplane/control/fields.hh"

namespace wye::control {

bool is_valid(const net::IpAddress& address) noexcept {
    if (address.family == net::IpFamily::ipv6) return true;
    if (address.family != net::IpFamily::ipv4) return false;
    return address == net::IpAddress(address.ipv4());
}

bool is_valid(const net::IpPrefix& prefix) noexcept {
    return is_valid(prefix.address) && prefix.length <= net::address_bits(prefix.address.family) &&
           net::mask(prefix.address, prefix.length) == prefix.address;
}

bool is_unicast_host(const net::IpAddress& address) noexcept {
    if (!is_valid(address)) return false;
    if (address.is_ipv4()) {
        const std::uint32_t host = address.ipv4().host();
        return host != 0 && host >> 24 != 127 && host >> 28 < 14;
    }
    const net::Ipv6Address v6 = address.ipv6();
    return !v6.is_unspecified() && !v6.is_multicast() && !v6.is_loopback();
}

bool is_station(const net::MacAddress& mac) noexcept {
    return !mac.is_zero() && !mac.is_multicast();
}

bool is_link_local(const net::IpAddress& address) noexcept {
    // fe80::/10 (RFC 4291 2.5.6), 169.254.0.0/16 (RFC 3927)
    return address.is_ipv4() ? address.ipv4().host() >> 16 == 0xa9fe
                             : address.ipv6().is_link_local();
}

}  // namespace wye::control
