// The production pipeline on plain memory, burst by burst: what a packet costs between receive and
// transmit, buffers and devices left out. The whole path, with them, is `scripts/bench whole-path`.
#include <benchmark/benchmark.h>

#include <random>

#include "dataplane/pipeline/pipelines.hh"
#include "tests/unit/pipeline/test_router.hh"

namespace wye::pipeline::test {
namespace {

constexpr std::size_t kFlows = 4096;
constexpr unsigned kRoutes = 1000;
constexpr unsigned kRules = 100;
constexpr std::size_t kFrameLength = 64;
constexpr std::size_t kBufferBytes = 2048;
constexpr PortId kPort{0};

std::vector<table::AclRuleSpec> rules() {
    std::vector<table::AclRuleSpec> rules;
    for (std::uint32_t i = 0; i + 1 < kRules; ++i) {
        table::AclRuleSpec rule;
        rule.destination = {net::Ipv4Address::from_host(0xc0a80000u | i << 8), 24};
        rule.any_protocol = false;
        rule.protocol = 6;
        rules.push_back(rule);
    }
    rules.emplace_back().action = AclAction::permit;
    return rules;
}

/// A tenant with a site on the port and 1000 prefixes behind `out`.
struct Path {
    TestRouter router;
    VrfId underlay = router.add_vrf(router.add_tenant(), true);
    VrfId red = router.add_vrf(router.add_tenant());
    VportId site = router.add_vport(red, {});
    std::vector<Bytes> templates;

    Path() {
        std::mt19937 random(1);
        std::uniform_int_distribution<std::uint32_t> route(0, kRoutes - 1);
        for (std::size_t i = 0; i < kFlows; ++i) {
            const std::string destination =
                net::to_string(net::Ipv4Address::from_host(0x0a000001u | route(random) << 8));
            const auto port = static_cast<std::uint16_t>(1024 + random() % 60000);
            templates.push_back(
                ethernet({}, ip_packet({.source = "172.16.0.1", .destination = destination},
                                       udp(port, 443, Bytes(kFrameLength - 14 - 20 - 8)))));
        }
    }
    void add_routes(NextHopId nexthop) {
        for (std::uint32_t i = 0; i < kRoutes; ++i) {
            const net::IpPrefix prefix{net::Ipv4Address::from_host(0x0a000000u | i << 8), 24};
            router.add_route(red, net::to_string(prefix), nexthop);
        }
    }
    void add_acl() {
        const auto acl = router.add_acl(rules(), false, 0);
        router.change_vport(site, [acl](table::VportPolicy& policy) { policy.ingress_acl = acl; });
    }
    NextHopId plain_nexthop() {
        const VportId other = router.add_vport(red, {.vlan = 100});
        return router.add_nexthop(NextHopKind::adjacency, other, "169.254.0.2",
                                  "02:00:00:00:00:03");
    }
    NextHopId tunnel_nexthop() {
        const TunnelId tunnel = router.add_tunnel({.kind = TunnelKind::geneve,
                                                   .local = "192.0.2.1",
                                                   .remote = "192.0.2.2",
                                                   .vni = 5001,
                                                   .underlay = underlay});
        const VportId carrier = router.add_vport(underlay, {.vlan = 100});
        router.add_route(
            underlay, "192.0.2.0/24",
            router.add_nexthop(NextHopKind::adjacency, carrier, "192.0.2.2", "02:00:00:00:00:03"));
        const VportId inside = router.add_vport(red, {.tunnel = tunnel});
        return router.add_nexthop(NextHopKind::adjacency, inside, "169.254.0.2",
                                  "02:00:00:00:00:03");
    }
    /// Bursts of fresh frames in the same buffers; all of them must leave.
    void run(benchmark::State& state) {
        const auto memory = std::make_unique<std::byte[]>(kMaxBurst * kBufferBytes);
        std::array<Frame, kMaxBurst> frames;
        auto& output = (*router.context.outputs)[kPort.value];
        std::size_t next = 0;
        for (auto _ : state) {
            for (std::size_t i = 0; i < kMaxBurst; ++i) {
                Frame& frame = frames[i];
                frame = {};
                frame.headroom = kMinHeadroom;
                frame.data = memory.get() + i * kBufferBytes + kMinHeadroom;
                frame.length = kFrameLength;
                frame.tailroom = kBufferBytes - kMinHeadroom - kFrameLength;
                std::memcpy(frame.data, templates[next].data(), kFrameLength);
                next = (next + 1) % kFlows;
            }
            run_from_port(router.context, kPort, frames);
            if (output.count != kMaxBurst) std::abort();
            book_transmitted(router.context, kPort, output.count);
        }
        state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kMaxBurst));
    }
};

void route(benchmark::State& state) {
    Path path;
    path.add_routes(path.plain_nexthop());
    path.run(state);
}
void route_acl(benchmark::State& state) {
    Path path;
    path.add_acl();
    path.add_routes(path.plain_nexthop());
    path.run(state);
}
void route_acl_geneve(benchmark::State& state) {
    Path path;
    path.add_acl();
    path.add_routes(path.tunnel_nexthop());
    path.run(state);
}
BENCHMARK(route);
BENCHMARK(route_acl);
BENCHMARK(route_acl_geneve);

}  // namespace
}  // namespace wye::pipeline::test

BENCHMARK_MAIN();
