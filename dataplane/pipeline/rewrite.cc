#include "dataplane/pipeline/rewrite.hh"

#include <cstring>

#include "dataplane/net/ethernet.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"

namespace wye::pipeline {

bool ttl_is_spent(const Packet& packet) noexcept {
    if (packet.family == net::IpFamily::ipv4) {
        return net::header<net::Ipv4Header>(packet.l3()).ttl <= 1;
    }
    return net::header<net::Ipv6Header>(packet.l3()).hop_limit <= 1;
}

void decrement_ttl(Packet& packet) noexcept {
    if (packet.family == net::IpFamily::ipv6) {
        --net::header<net::Ipv6Header>(packet.l3()).hop_limit;
        return;
    }
    net::decrement_ttl(net::header<net::Ipv4Header>(packet.l3()));
}

Verdict rewrite_link(Packet& packet, const table::NextHop& nexthop,
                     table::Rewrite active) noexcept {
    const std::size_t length = nexthop.rewrite_length;
    const std::size_t wanted = length + sizeof(Be16);
    if (wanted > std::size_t{packet.l3_offset} + packet.frame.headroom) {
        return Verdict::drop(table::Reason::headroom);
    }
    packet.frame.move_start(static_cast<int>(packet.l3_offset) - static_cast<int>(wanted));
    const auto& bytes = nexthop.rewrite[active == table::Rewrite::second ? 1 : 0];
    // Copies of fixed size: 12 bytes of addresses, then up to two tags.
    std::memcpy(packet.frame.data, bytes.data(), 12);
    if (length > 12) std::memcpy(packet.frame.data + 12, bytes.data() + 12, 4);
    if (length > 16) std::memcpy(packet.frame.data + 16, bytes.data() + 16, 4);
    packet.l3_offset = static_cast<std::uint16_t>(wanted);
    const auto type =
        packet.family == net::IpFamily::ipv4 ? net::EtherType::ipv4 : net::EtherType::ipv6;
    net::header<Be16>(packet.frame.data + length) = net::ether_type(type);
    return Verdict::go_on();
}

}  // namespace wye::pipeline
