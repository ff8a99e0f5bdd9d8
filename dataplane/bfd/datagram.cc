#include "dataplane/bfd/datagram.hh"

#include <cstring>

#include "dataplane/net/checksum.hh"
#include "dataplane/net/ip_protocol.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "dataplane/net/udp.hh"

namespace wye::bfd {
namespace {

constexpr std::uint8_t kClass = 48 << 2;  // CS6, network control (RFC 4594 3.2)
constexpr std::uint16_t kUdpLength = sizeof(net::UdpHeader) + sizeof(net::BfdHeader);

void write_udp(const Departure& departure, std::byte* at, net::PartialSum pseudo) noexcept {
    auto& udp = net::header<net::UdpHeader>(at);
    udp.source_port = departure.end.source_port;
    udp.destination_port =
        departure.end.multihop() ? net::kBfdMultihopPort : net::kBfdSingleHopPort;
    udp.length = kUdpLength;
    udp.checksum = Be16{};
    std::memcpy(at + sizeof udp, &departure.header, sizeof departure.header);
    udp.checksum = net::udp_checksum_of(pseudo + net::sum_bytes({at, kUdpLength}));
}

}  // namespace

std::size_t write_datagram(const Departure& departure, std::byte* out) noexcept {
    const Endpoint& end = departure.end;
    if (end.local.is_ipv4()) {
        auto& ip = net::header<net::Ipv4Header>(out);
        ip = {};
        ip.version_ihl = 0x45;
        ip.tos = kClass;
        ip.total_length = static_cast<std::uint16_t>(sizeof ip + kUdpLength);
        ip.flags_offset =
            net::Ipv4Header::kDontFragment;  // so the identification may be 0 (RFC 6864 4.1)
        ip.ttl = net::kBfdHopLimit;
        ip.protocol = net::protocol::udp;
        ip.source = end.local.ipv4();
        ip.destination = end.remote.ipv4();
        ip.checksum = net::checksum({out, sizeof ip});
        write_udp(departure, out + sizeof ip,
                  net::pseudo_header_sum(ip.source, ip.destination, ip.protocol, kUdpLength));
        return sizeof ip + kUdpLength;
    }
    auto& ip = net::header<net::Ipv6Header>(out);
    ip = {};
    ip.version_class_flow = 6u << 28 | std::uint32_t{kClass} << 20;
    ip.payload_length = kUdpLength;
    ip.next_header = net::protocol::udp;
    ip.hop_limit = net::kBfdHopLimit;
    ip.source = end.local.ipv6();
    ip.destination = end.remote.ipv6();
    write_udp(departure, out + sizeof ip,
              net::pseudo_header_sum(ip.source, ip.destination, ip.next_header, kUdpLength));
    return sizeof ip + kUdpLength;
}

}  // namespace wye::bfd
