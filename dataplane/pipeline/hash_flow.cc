#include "dataplane/pipeline/hash_flow.hh"

#include "dataplane/net/ethernet.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"

namespace wye::pipeline {

void hash_flow(Packet& packet) noexcept {
    const bool ipv4 = packet.family == net::IpFamily::ipv4;
    const std::uint32_t ports =
        packet.is_fragment ? 0 : std::uint32_t{packet.source_port} << 16 | packet.destination_port;
    packet.flow_hash = hash_of_flow(packet.protocol, ports,
                                    packet.l3() + (ipv4 ? offsetof(net::Ipv4Header, source)
                                                        : offsetof(net::Ipv6Header, source)),
                                    ipv4 ? 8 : 32);
}

void hash_link(Packet& packet) noexcept {
    // Destination and source, and in the last two bytes again what came before them.
    static_assert(sizeof(net::EthernetHeader) == 14);
    std::byte key[16];
    std::memcpy(key, packet.frame.data, 8);
    std::memcpy(key + 8, packet.frame.data + 6, 8);
    packet.flow_hash = hash_of_flow(0, 0, key, sizeof key);
}

}  // namespace wye::pipeline
