#include "dataplane/pipeline/validate_ipv4.hh"

#include "dataplane/net/checksum.hh"
#include "dataplane/net/ipv4.hh"

namespace wye::pipeline {
namespace {

using table::Reason;

namespace option {
constexpr std::uint8_t end = 0, no_operation = 1, record_route = 7, timestamp = 68;
constexpr std::uint8_t loose_source_route = 131, strict_source_route = 137;
}  // namespace option

bool options_may_pass(std::span<const std::byte> options) noexcept {
    for (std::size_t i = 0; i < options.size();) {
        const auto type = static_cast<std::uint8_t>(options[i]);
        if (type == option::end) return true;
        if (type == option::no_operation) {
            ++i;
            continue;
        }
        if (type == option::record_route || type == option::timestamp ||
            type == option::loose_source_route || type == option::strict_source_route) {
            return false;
        }
        if (options.size() - i < 2) return false;
        const auto length = static_cast<std::size_t>(options[i + 1]);
        if (length < 2 || length > options.size() - i) return false;
        i += length;
    }
    return true;
}

}  // namespace

Verdict validate_ipv4(Packet& packet) noexcept {
    net::IpLayout layout;
    const auto bytes = std::span<const std::byte>(packet.frame.bytes()).subspan(packet.l3_offset);
    switch (net::parse_ipv4(bytes, layout)) {
        case net::IpFault::none:
            break;
        case net::IpFault::truncated:
            return Verdict::drop(Reason::ipv4_truncated);
        case net::IpFault::version:
            return Verdict::drop(Reason::ipv4_version);
        case net::IpFault::header_length:
            return Verdict::drop(Reason::ipv4_header_length);
    }
    const auto& ip = net::header<net::Ipv4Header>(packet.l3());
    // RFC 1812 5.2.2: no configuration may switch this off. Silent: no ICMP error.
    if (!net::checksum_is_valid(net::sum_bytes(bytes.first(ip.header_length())))) {
        return Verdict::drop(Reason::ipv4_checksum);
    }
    apply_layout(packet, layout);
    // RFC 1812 4.2.3.1, 5.3.5.1: limited broadcast is received (DHCP, also from 0.0.0.0), and
    // never forwarded; so is link-local multicast (RFC 5771 4).
    if (net::is_limited_broadcast(ip.destination) || net::is_link_local_multicast(ip.destination)) {
        return Verdict::punt();
    }
    if (net::is_multicast(ip.destination)) return Verdict::drop(Reason::multicast_not_routed);
    // RFC 1812 5.3.7: martians. No ICMP error (4.3.2.7).
    if (net::is_this_network(ip.source) || net::is_loopback(ip.source) ||
        net::is_multicast(ip.source) || net::is_reserved(ip.source)) {
        return Verdict::drop(Reason::ipv4_source_invalid);
    }
    if (net::is_this_network(ip.destination) || net::is_loopback(ip.destination) ||
        net::is_reserved(ip.destination)) {
        return Verdict::drop(Reason::ipv4_destination_invalid);
    }
    // RFC 1812 5.3.4
    if (packet.link_broadcast) return Verdict::drop(Reason::broadcast_link_layer);
    if (packet.has_options &&
        !options_may_pass({packet.l3() + sizeof ip, ip.header_length() - sizeof ip})) {
        return Verdict::drop(Reason::ipv4_options);
    }
    return Verdict::go_on();
}

}  // namespace wye::pipeline
