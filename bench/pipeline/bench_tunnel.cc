// Into a tunnel and out of it, 64-byte inner frames, over a set of buffers that stays in the first
// cache: what the steps themselves cost.
#include <benchmark/benchmark.h>

#include "dataplane/net/checksum.hh"
#include "dataplane/net/ethernet.hh"
#include "dataplane/net/ipv4.hh"
#include "tests/unit/pipeline/tunnel_fixture.hh"

namespace wye::pipeline {
namespace {

constexpr std::size_t kBuffers = 64;
constexpr std::size_t kInnerLength = 64;

TunnelChoice choice_of(TunnelKind kind, net::IpFamily family, std::uint8_t checksum) {
    const bool ipv4 = family == net::IpFamily::ipv4;
    TunnelChoice choice;
    choice.outer = {.local = *net::parse_ip(ipv4 ? "192.0.2.1" : "2001:db8::1"),
                    .remote = *net::parse_ip(ipv4 ? "192.0.2.2" : "2001:db8::2"),
                    .vni = 5001,
                    .kind = kind};
    choice.udp_checksum = checksum;
    return choice;
}

Bytes inner_frame() {
    Bytes bytes(kInnerLength);
    bytes[12] = 0x08;
    auto& ip = net::header<net::Ipv4Header>(reinterpret_cast<std::byte*>(bytes.data()) +
                                            sizeof(net::EthernetHeader));
    ip.version_ihl = 0x45;
    ip.tos = 2;
    ip.total_length = Be16{kInnerLength - sizeof(net::EthernetHeader)};
    ip.ttl = 64;
    ip.protocol = 17;
    ip.checksum = net::checksum(std::as_bytes(std::span(&ip, 1)));
    return bytes;
}

std::vector<std::unique_ptr<OwnedPacket>> buffers(const Bytes& bytes) {
    std::vector<std::unique_ptr<OwnedPacket>> result;
    for (std::size_t i = 0; i < kBuffers; ++i) {
        result.push_back(std::make_unique<OwnedPacket>(bytes));
        result.back()->packet.flow_hash = static_cast<std::uint32_t>(i * 0x9e3779b1u);
    }
    return result;
}

void encap(benchmark::State& state, TunnelKind kind, net::IpFamily family, std::uint8_t checksum) {
    TunnelTables tables;
    const auto& tunnel = tables.tunnel(tables.add(choice_of(kind, family, checksum)));
    const auto owned = buffers(inner_frame());
    for (auto _ : state) {
        for (const auto& one : owned) {
            benchmark::DoNotOptimize(encap_tunnel(one->packet, tunnel));
            one->packet.frame.strip(tunnel.header_length);
        }
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBuffers));
}

void decap(benchmark::State& state, TunnelKind kind, net::IpFamily family, std::uint8_t checksum) {
    TunnelTables tables;
    const auto choice = choice_of(kind, family, checksum);
    auto mirrored = choice;
    std::swap(mirrored.outer.local, mirrored.outer.remote);
    const auto& tunnel = tables.tunnel(tables.add(choice));
    tables.add(mirrored);
    OwnedPacket first(inner_frame());
    if (encap_tunnel(first.packet, tunnel)) std::abort();
    const auto owned = buffers(first.bytes());
    for (const auto& one : owned) {
        if (!one->parse()) std::abort();
    }
    for (auto _ : state) {
        for (const auto& one : owned) {
            Packet packet = one->packet;
            const auto result = decap_tunnel(tables.view(), tables.counters(), packet);
            if (result.outcome != DecapResult::Outcome::decapsulated) std::abort();
            benchmark::DoNotOptimize(packet.frame.data);
        }
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBuffers));
}

using net::IpFamily;
BENCHMARK_CAPTURE(encap, vxlan_ipv4, TunnelKind::vxlan, IpFamily::ipv4, std::uint8_t{0});
BENCHMARK_CAPTURE(encap, geneve_ipv4, TunnelKind::geneve, IpFamily::ipv4, std::uint8_t{0});
BENCHMARK_CAPTURE(encap, geneve_ipv4_checksum, TunnelKind::geneve, IpFamily::ipv4, std::uint8_t{1});
BENCHMARK_CAPTURE(encap, geneve_ipv6_checksum, TunnelKind::geneve, IpFamily::ipv6, std::uint8_t{1});
BENCHMARK_CAPTURE(decap, vxlan_ipv4, TunnelKind::vxlan, IpFamily::ipv4, std::uint8_t{0});
BENCHMARK_CAPTURE(decap, geneve_ipv4, TunnelKind::geneve, IpFamily::ipv4, std::uint8_t{0});
BENCHMARK_CAPTURE(decap, geneve_ipv6_checksum, TunnelKind::geneve, IpFamily::ipv6, std::uint8_t{1});

}  // namespace
}  // namespace wye::pipeline

BENCHMARK_MAIN();
