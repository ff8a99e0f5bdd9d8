#include "dataplane/pipeline/hash_flow.hh"

#include <cstring>

#include "dataplane/net/ethernet.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"

namespace wye::pipeline {
namespace {

std::uint64_t crc(std::uint64_t seed, const std::byte* data) noexcept {
    std::uint64_t word;
    std::memcpy(&word, data, sizeof word);
    return __builtin_ia32_crc32di(seed, word);
}

/// CRC is linear; the finisher (of MurmurHash3) spreads it over all bits, since groups take the
/// low ones and tunnels the high ones.
std::uint32_t finish(std::uint64_t h) noexcept {
    auto v = static_cast<std::uint32_t>(h);
    v = (v ^ (v >> 16)) * 0x85ebca6bu;
    v = (v ^ (v >> 13)) * 0xc2b2ae35u;
    return v ^ (v >> 16);
}

}  // namespace

void hash_flow(Packet& packet) noexcept {
    std::uint64_t key = std::uint64_t{packet.protocol} << 32;
    if (!packet.is_fragment) {
        key |= std::uint64_t{packet.source_port} << 16 | packet.destination_port;
    }
    std::uint64_t h = __builtin_ia32_crc32di(0x77796531u, key);
    if (packet.family == net::IpFamily::ipv4) {
        h = crc(h, packet.l3() + offsetof(net::Ipv4Header, source));
    } else {
        const std::byte* addresses = packet.l3() + offsetof(net::Ipv6Header, source);
        for (std::size_t i = 0; i < 32; i += 8) h = crc(h, addresses + i);
    }
    packet.flow_hash = finish(h);
}

void hash_link(Packet& packet) noexcept {
    static_assert(sizeof(net::EthernetHeader) == 14);
    std::uint64_t h = crc(0x77796532u, packet.frame.data);
    h = crc(h, packet.frame.data + 6);
    packet.flow_hash = finish(h);
}

}  // namespace wye::pipeline
