#include "dataplane/net/parse.hh"

#include "dataplane/net/ethernet.hh"
#include "dataplane/net/icmp.hh"
#include "dataplane/net/ip_protocol.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "dataplane/net/tcp.hh"
#include "dataplane/net/udp.hh"

namespace wye::net {
namespace {

/// The first four bytes of TCP, UDP, SCTP, UDP-Lite and DCCP.
struct PortPair {
    Be16 source, destination;
};

/// Least length of a header that this router looks into; 0: it does not look.
std::size_t least_l4_length(std::uint8_t number) noexcept {
    switch (number) {
        case protocol::tcp:
            return sizeof(TcpHeader);
        case protocol::udp:
        case protocol::udp_lite:
            return sizeof(UdpHeader);
        case protocol::icmp:
            return sizeof(IcmpHeader);
        case protocol::icmpv6:
            return 4;         // RFC 4443 2.1: type, code, checksum
        case protocol::sctp:  // RFC 9260 3.1
        case protocol::dccp:
            return 12;  // RFC 4340 5.1
        default:
            return 0;
    }
}

/// `packet` ends where the IP packet does. A header that is not whole leaves no key behind, so that
/// no rule permits what cannot be seen (RFC 1858 3, RFC 7112 5).
void parse_l4(std::span<const std::byte> packet, std::size_t offset, IpLayout& layout) noexcept {
    const std::size_t least = least_l4_length(layout.protocol);
    if (offset > packet.size() || packet.size() - offset < least) return;
    layout.l4_offset = static_cast<std::uint16_t>(offset);
    const std::byte* data = packet.data() + offset;
    if (has_port_numbers(layout.protocol)) {
        layout.source_port = header<PortPair>(data).source.host();
        layout.destination_port = header<PortPair>(data).destination.host();
        if (layout.protocol == protocol::tcp) layout.tcp_flags = header<TcpHeader>(data).flags;
    } else if (layout.protocol == protocol::icmp || layout.protocol == protocol::icmpv6) {
        layout.icmp_type = static_cast<std::uint8_t>(data[0]);
        layout.icmp_code = static_cast<std::uint8_t>(data[1]);
    }
}

/// Bytes of one extension header; 0: more than is there.
std::size_t extension_length(std::span<const std::byte> packet, std::size_t offset,
                             std::uint8_t number) noexcept {
    if (number == protocol::fragment) {
        return header_at<Ipv6Fragment>(packet, offset) != nullptr ? sizeof(Ipv6Fragment) : 0;
    }
    const auto* extension = header_at<Ipv6Extension>(packet, offset);
    if (extension == nullptr) return 0;
    const std::size_t length = number == protocol::authentication
                                   ? (std::size_t{extension->length} + 2) * 4  // RFC 4302 2.2
                                   : (std::size_t{extension->length} + 1) * 8;
    return packet.size() - offset < length ? 0 : length;
}

}  // namespace

IpFault parse_ipv4(std::span<const std::byte> bytes, IpLayout& layout) noexcept {
    layout = {};
    layout.family = IpFamily::ipv4;
    layout.l4_offset = kNoOffset;
    // RFC 1812 5.2.2: at least 20 bytes, version 4, IHL at least 5, total length at least IHL.
    const auto* ip = header_at<Ipv4Header>(bytes, 0);
    if (ip == nullptr) return IpFault::truncated;
    if (ip->version() != 4) return IpFault::version;
    const std::size_t header_length = ip->header_length();
    const std::size_t total_length = ip->total_length.host();
    if (header_length < sizeof(Ipv4Header) || total_length < header_length) {
        return IpFault::header_length;
    }
    if (total_length > bytes.size()) return IpFault::truncated;
    layout.length = static_cast<std::uint16_t>(total_length);
    layout.protocol = ip->protocol;
    layout.has_options = header_length > sizeof(Ipv4Header);
    layout.is_later_fragment = ip->fragment_offset() != 0;
    layout.is_fragment = layout.is_later_fragment || ip->more_fragments();
    if (!layout.is_later_fragment) parse_l4(bytes.first(total_length), header_length, layout);
    return IpFault::none;
}

IpFault parse_ipv6(std::span<const std::byte> bytes, IpLayout& layout) noexcept {
    layout = {};
    layout.family = IpFamily::ipv6;
    layout.l4_offset = kNoOffset;
    const auto* ip = header_at<Ipv6Header>(bytes, 0);
    if (ip == nullptr) return IpFault::truncated;
    if (ip->version() != 6) return IpFault::version;
    const std::size_t length = sizeof(Ipv6Header) + std::size_t{ip->payload_length.host()};
    if (length > bytes.size() || length > 0xffff) return IpFault::truncated;
    const auto packet = bytes.first(length);
    layout.length = static_cast<std::uint16_t>(length);
    layout.protocol = ip->next_header;
    std::size_t offset = sizeof(Ipv6Header);
    for (unsigned walked = 0; is_extension_header(layout.protocol); ++walked) {
        // RFC 7045 2.1: what cannot be walked is no reason to drop; it only has no layer-4 key.
        if (layout.protocol == protocol::hop_by_hop) layout.has_options = true;
        if (walked == kMaxExtensionHeaders) return IpFault::none;
        const std::size_t step = extension_length(packet, offset, layout.protocol);
        if (step == 0) return IpFault::none;
        if (layout.protocol == protocol::fragment) {
            const auto& fragment = header<Ipv6Fragment>(packet.data() + offset);
            layout.is_later_fragment = fragment.fragment_offset() != 0;
            layout.is_fragment |= layout.is_later_fragment || fragment.more_fragments();
        }
        layout.protocol = static_cast<std::uint8_t>(packet[offset]);
        offset += step;
        if (layout.is_later_fragment) return IpFault::none;
    }
    parse_l4(packet, offset, layout);
    return IpFault::none;
}

}  // namespace wye::net
