// The plain lane against the general passes: two routers with the same tables, one of them without the
// lane, receive the same random bursts. What they send, punt and ask for must be the same, frame by
// frame, and so must every counter. Order is compared within a flow only: a packet that the lane gives
// up leaves behind those that it does not.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "test_router.hh"

namespace wye::pipeline::test {
namespace {

constexpr std::uint32_t kRules = 4;

table::AclRuleSpec rule(net::IpFamily family, AclAction action, std::uint16_t port) {
    table::AclRuleSpec spec;
    spec.family = family;
    spec.source = spec.destination =
        *net::parse_prefix(family == net::IpFamily::ipv4 ? "0.0.0.0/0" : "::/0");
    spec.action = action;
    if (port == 0) return spec;
    spec.any_protocol = false;
    spec.protocol = 17;
    spec.destination_port_low = spec.destination_port_high = port;
    return spec;
}

/// Two tenants and a carrier, and a route of every kind.
struct Network : TestRouter {
    explicit Network(bool uses_lane) {
        context.uses_lane = uses_lane;
        const VrfId underlay = add_vrf(add_tenant(), true);
        const VrfId red = add_vrf(add_tenant(1'000'000)), blue = add_vrf(add_tenant(1'000'000));
        const VportId carrier =
            add_vport(underlay, {.port = 2, .mtu = 1600, .source4 = "192.0.2.1"});
        const VportId carrier_b = add_vport(underlay, {.port = 3, .vlan = 300, .mtu = 1400});
        const NextHopId a = adjacency(carrier, "192.0.2.254");
        const NextHopId b = adjacency(carrier_b, "192.0.3.254");
        add_route(underlay, "192.0.2.1/32", add_nexthop(NextHopKind::local, carrier));
        add_route(underlay, "2001:db8:f::1/128", add_nexthop(NextHopKind::local, carrier));
        add_route(underlay, "198.51.100.0/25", a);
        add_route(underlay, "198.51.100.128/25", table::Leaf::of(add_group({a, b})));
        add_route(underlay, "2001:db8:f::/48", a);
        add_site(red, {.port = 0, .vlan = 10, .source4 = "10.0.0.1", .source6 = "2001:db8::1"});
        add_site(red, {.port = 0, .source4 = "10.0.1.1", .source6 = "2001:db8:1::1"});
        add_site(blue, {.port = 0, .vlan = 20, .inner_vlan = 7, .source4 = "10.0.2.1"});
        for (const VrfId vrf : {red, blue}) add_routes(vrf);
        add_tunnels(underlay, red);
        add_tunnels(underlay, blue);
        const std::vector<table::AclRuleSpec> rules{
            rule(net::IpFamily::ipv4, AclAction::count, 0),
            rule(net::IpFamily::ipv4, AclAction::deny, 23),
            rule(net::IpFamily::ipv6, AclAction::deny, 23),
            rule(net::IpFamily::ipv4, AclAction::permit, 0),
        };
        std::uint32_t base = 0;
        for (const VportId vport : {sites[0], sites[2], inside[0], inside[3]}) {
            const auto acl = add_acl(rules, true, base);
            base += kRules;
            change_vport(vport, [acl](auto& policy) { policy.ingress_acl = acl; });
        }
        counted_rules = base;
    }

    NextHopId adjacency(VportId vport, std::string_view gateway) {
        return add_nexthop(NextHopKind::adjacency, vport, gateway, "02:00:00:00:00:aa");
    }
    void add_site(VrfId vrf, const VportOptions& options) {
        sites.push_back(add_vport(vrf, options));
    }
    void add_routes(VrfId vrf) {
        const auto vlan = static_cast<std::uint16_t>(100 + sites.size() + vrf.value);
        const VportId out = add_vport(vrf, {.port = 1, .vlan = vlan, .source4 = "10.9.0.1"});
        const VportId small = add_vport(
            vrf,
            {.port = 1, .vlan = vlan, .inner_vlan = 5, .mtu = 1280, .source6 = "2001:db8:9::1"});
        const NextHopId good = adjacency(out, "10.9.0.2"), other = adjacency(small, "10.9.1.2");
        const NextHopId dead = adjacency(out, "10.9.0.3");
        liveness.set_dead(dead, 0);
        const NextHopId silent = add_nexthop(NextHopKind::adjacency, out, "10.9.0.4");
        const auto add = [&](std::string_view prefix4, std::string_view prefix6, table::Leaf leaf) {
            add_route(vrf, prefix4, leaf);
            add_route(vrf, prefix6, leaf);
        };
        add("10.1.0.0/24", "2001:db8:1:1::/64", table::Leaf::of(good));
        add("10.1.1.0/24", "2001:db8:1:2::/64", table::Leaf::of(other));
        add("10.1.2.0/24", "2001:db8:1:3::/64",
            table::Leaf::of(add_group({good, other, dead, silent})));
        add("10.1.3.0/24", "2001:db8:1:4::/64", table::Leaf::of(dead));
        add("10.1.4.0/24", "2001:db8:1:5::/64", table::Leaf::of(silent));
        add("10.1.5.0/24", "2001:db8:1:6::/64",
            table::Leaf::of(add_nexthop(NextHopKind::blackhole)));
        add("10.1.6.0/24", "2001:db8:1:7::/64",
            table::Leaf::of(add_nexthop(NextHopKind::prohibit)));
        add("10.0.0.1/32", "2001:db8::1/128",
            table::Leaf::of(add_nexthop(NextHopKind::local, sites[0])));
        const VportId filtered = add_vport(vrf, {.port = 1, .vlan = vlan, .inner_vlan = 6});
        const auto acl = add_acl(std::vector{rule(net::IpFamily::ipv4, AclAction::deny, 80)}, true,
                                 100 + vrf.value);
        change_vport(filtered, [acl](auto& policy) { policy.egress_acl = acl; });
        add("10.1.7.0/24", "2001:db8:1:8::/64", table::Leaf::of(adjacency(filtered, "10.9.2.2")));
    }
    /// VXLAN, GENEVE, and what the lane does not do: over IPv6, and with a checksum. By a group too.
    void add_tunnels(VrfId underlay, VrfId vrf) {
        struct Choice {
            TunnelKind kind;
            const char *local, *remote, *prefix4, *prefix6;
        };
        const Choice choices[] = {
            {TunnelKind::vxlan, "192.0.2.1", "198.51.100.2", "10.2.0.0/24", "2001:db8:2:1::/64"},
            {TunnelKind::geneve, "192.0.2.1", "198.51.100.3", "10.2.1.0/24", "2001:db8:2:2::/64"},
            {TunnelKind::geneve, "192.0.2.1", "198.51.100.200", "10.2.2.0/24", "2001:db8:2:3::/64"},
            {TunnelKind::vxlan, "192.0.2.1", "198.51.100.4", "10.2.3.0/24", "2001:db8:2:4::/64"},
            {TunnelKind::vxlan, "2001:db8:f::1", "2001:db8:f::9", "10.2.4.0/24",
             "2001:db8:2:5::/64"},
        };
        for (std::size_t i = 0; i < std::size(choices); ++i) {
            const Choice& choice = choices[i];
            const TunnelId id =
                add_tunnel({choice.kind, choice.local, choice.remote, 5000 + vrf.value, underlay});
            auto& record = arena.record(arena.header().tunnels, id.value);
            record.copy_dscp = i % 2;
            if (i == 3) record.udp_checksum = 1;
            const VportId vport =
                add_vport(vrf, {.mtu = 1500, .tunnel = id, .source4 = "10.3.0.1"});
            inside.push_back(vport);
            const NextHopId nexthop = adjacency(vport, "10.3.0.2");
            add_route(vrf, choice.prefix4, nexthop);
            add_route(vrf, choice.prefix6, nexthop);
        }
    }

    /// All that was counted, as numbers.
    std::vector<std::uint64_t> cells() {
        std::vector<std::uint64_t> all;
        const auto take = [&all](const auto* rows, std::size_t count) {
            const std::size_t bytes = sizeof(*rows) * count, at = all.size();
            all.resize(at + bytes / sizeof(std::uint64_t));
            std::memcpy(&all[at], static_cast<const void*>(rows), bytes);
        };
        const table::CounterBlock& block = context.counters;
        take(block.ports, 8);
        take(block.tenants, 8);
        take(block.vports, 64);
        take(block.tunnels, 16);
        take(block.vrfs, 8);
        take(block.rules, 128);
        return all;
    }
    /// What came out, in an order that does not depend on the lane.
    std::vector<std::string> output() {
        std::vector<std::string> lines;
        for (const Sent& one : sent) {
            lines.push_back("port " + std::to_string(one.port) + " vport " +
                            std::to_string(one.vport.value) + ": " + to_hex(one.bytes));
        }
        for (const Punted& one : punted) {
            lines.push_back("punt " + std::to_string(one.vport.value) + ": " + to_hex(one.bytes));
        }
        std::sort(lines.begin(), lines.end());
        return lines;
    }

    std::vector<VportId> sites, inside;
    std::uint32_t counted_rules = 0;
};

class Traffic {
  public:
    explicit Traffic(unsigned seed) : random_(seed) {}
    std::size_t below(std::size_t n) { return random_() % n; }
    template <class T, std::size_t N>
    const T& one_of(const T (&choices)[N]) {
        return choices[below(N)];
    }

    /// A tenant's frame, mostly one that may pass.
    Bytes tenants_frame(bool inside) {
        const bool ipv4 = below(3) != 0;
        Ip ip{ipv4 ? "10.0.0.9" : "2001:db8::9", ""};
        const std::string destination =
            ipv4 ? (below(8) == 0 ? "10.0.0.1"
                                  : "10." + std::to_string(1 + below(2)) + "." +
                                        std::to_string(below(8)) + "." + std::to_string(below(3)))
                 : (below(8) == 0
                        ? "2001:db8::1"
                        : "2001:db8:" + std::to_string(1 + below(2)) + ":" +
                              std::to_string(1 + below(9)) + "::" + std::to_string(1 + below(3)));
        ip.destination = destination;
        static constexpr std::uint8_t kTtls[] = {64, 64, 64, 64, 64, 64, 64, 2, 1, 0};
        ip.ttl = one_of(kTtls);
        ip.tos = static_cast<std::uint8_t>(random_());
        if (below(16) == 0) ip.flags_offset = static_cast<std::uint16_t>(random_());
        const auto to = static_cast<std::uint16_t>(below(4) == 0 ? 23 : 80);
        const auto from = static_cast<std::uint16_t>(random_());
        const Bytes payload(below(8) == 0 ? 1180 + below(340) : below(40), std::byte{0x5a});
        static constexpr std::uint8_t kProtocols[] = {17, 17, 17, 17, 6, 6, 6, 1, 132};
        ip.protocol = one_of(kProtocols);
        Bytes packet =
            ip_packet(ip, ip.protocol == 6 ? tcp(from, to, 0x12) : udp(from, to, payload));
        spoil(packet);
        Link link;
        if (!inside) {
            switch (below(4)) {
                case 0:
                    break;
                case 1:
                    link.vlans = {20, 7};
                    break;
                case 2:
                    link.vlans = {static_cast<std::uint16_t>(below(16) == 0 ? 11 : 0x200a)};
                    break;
                default:
                    link.vlans = {10};
            }
        } else if (below(16) == 0) {
            link.vlans = {10};
        }
        if (below(16) == 0) link.destination = "02:00:00:00:00:02";
        if (below(24) == 0) link.destination = "ff:ff:ff:ff:ff:ff";
        if (below(24) == 0) link.type = 0x0806;
        Bytes frame = ethernet(link, packet);
        if (below(8) == 0) frame.resize(frame.size() + below(30));
        return frame;
    }

    /// In a tunnel, as its other end sends it; or not quite.
    Bytes tunnel_frame() {
        struct End {
            const char* remote;
            std::uint16_t port;
        };
        static constexpr End kEnds[] = {{"198.51.100.2", 4789},   {"198.51.100.3", 6081},
                                        {"198.51.100.200", 6081}, {"198.51.100.4", 4789},
                                        {"198.51.100.9", 4789},   {"2001:db8:f::9", 4789}};
        const End& end = one_of(kEnds);
        const bool ipv6 = end.remote[0] == '2' && end.remote[1] == '0';
        const std::uint32_t vni = static_cast<std::uint32_t>(5001 + below(below(8) == 0 ? 4 : 2));
        const bool geneve = end.port == 6081;
        Bytes shim(8, std::byte{0});
        if (geneve) {
            shim[2] = std::byte{0x65};
            shim[3] = std::byte{0x58};
        } else {
            shim[0] = std::byte{0x08};
        }
        shim[5] = static_cast<std::byte>(vni >> 8);
        shim[6] = static_cast<std::byte>(vni);
        if (below(12) == 0) shim[below(8)] = static_cast<std::byte>(random_());
        const Bytes inner = tenants_frame(true);
        shim.insert(shim.end(), inner.begin(), inner.end());
        Ip ip{end.remote, ipv6 ? "2001:db8:f::1" : "192.0.2.1"};
        if (below(4) == 0) ip.tos = static_cast<std::uint8_t>(random_());
        Bytes datagram = udp(static_cast<std::uint16_t>(0xc000 + below(100)), end.port, shim);
        datagram[6] = datagram[7] = std::byte{0};
        if (below(16) == 0) datagram[6] = std::byte{0x12};  // a checksum that is wrong
        if (below(16) == 0) datagram[5] = static_cast<std::byte>(random_());
        return ethernet({}, ip_packet(ip, datagram));
    }

  private:
    void spoil(Bytes& packet) {
        if (below(10) == 0) packet[below(packet.size())] = static_cast<std::byte>(random_());
        if (below(16) == 0) packet.resize(below(packet.size()));
    }
    std::mt19937 random_;
};

void expect_same(Network& lane, Network& general, unsigned round) {
    ASSERT_EQ(lane.output(), general.output()) << "round " << round;
    ASSERT_EQ(lane.resolves.size(), general.resolves.size()) << "round " << round;
    ASSERT_EQ(lane.cells(), general.cells()) << "round " << round;
}

TEST(PlainLane, DoesWhatTheGeneralPassesDo) {
    Network lane(true), general(false);
    Traffic traffic(20261121);
    std::size_t sent = 0;
    for (unsigned round = 0; round < 20000; ++round) {
        const bool from_carrier = round % 3 == 0;
        std::vector<Bytes> frames(1 + traffic.below(kMaxBurst));
        for (Bytes& frame : frames) {
            frame = from_carrier ? traffic.tunnel_frame() : traffic.tenants_frame(false);
        }
        for (Network* router : {&lane, &general}) {
            router->clear_output();
            router->receive(from_carrier ? 2 : 0, frames);
        }
        expect_same(lane, general, round);
        if (HasFatalFailure()) return;
        sent += lane.sent.size();
        // Whatever waits for the silent neighbour is given up, and all buckets are full again.
        for (Network* router : {&lane, &general}) {
            router->clear_output();
            router->advance_milliseconds(5'000);
            router->run_held(false);
        }
        expect_same(lane, general, round);
        if (HasFatalFailure()) return;
    }
    EXPECT_GT(sent, 60000u);
}

/// Tunnels whose next hops lie so far apart that the lane's exits take each other's places: each
/// exit's packets must have been counted by then.
TEST(PlainLane, CountsForExitsThatTakeEachOthersPlaces) {
    constexpr unsigned kTunnels = 7, kApart = 128;
    TestRouter router;
    const VrfId vrf = router.add_vrf(router.add_tenant());
    const VrfId underlay = router.add_vrf(router.add_tenant(), true);
    router.add_vport(vrf, {.port = 0});
    const VportId out = router.add_vport(underlay, {.port = 1, .mtu = 1600});
    const auto add_neighbor = [&router](VportId vport) {
        return router.add_nexthop(NextHopKind::adjacency, vport, "192.0.2.2", "02:00:00:00:00:aa");
    };
    router.add_route(underlay, "0.0.0.0/0", add_neighbor(out));
    for (unsigned i = 0; i < kTunnels; ++i) {
        const std::string number = std::to_string(i);
        const std::string remote = "198.51.100." + number, prefix = "10.0." + number + ".0/24";
        const TunnelId tunnel =
            router.add_tunnel({TunnelKind::vxlan, "192.0.2.1", remote, 1000 + i, underlay});
        router.add_route(vrf, prefix, add_neighbor(router.add_vport(vrf, {.tunnel = tunnel})));
        for (unsigned between = 1; between < kApart; ++between) add_neighbor(out);
    }
    std::mt19937 random(7);
    std::array<std::uint64_t, kTunnels> expected{};
    for (unsigned round = 0; round < 200; ++round) {
        std::vector<Bytes> frames;
        for (std::size_t i = 0; i < kMaxBurst; ++i) {
            const std::size_t to = random() % kTunnels;
            ++expected[to];
            const std::string address = "10.0." + std::to_string(to) + ".9";
            frames.push_back(ethernet({}, ip_packet({"10.9.9.9", address}, udp(1, 2))));
        }
        router.clear_output();
        router.receive(0, frames);
        ASSERT_EQ(router.sent.size(), frames.size());
    }
    for (std::size_t i = 0; i < kTunnels; ++i) {
        EXPECT_EQ(router.context.counters.tunnels[i].encapsulated.packets.get(), expected[i]) << i;
    }
}

}  // namespace
}  // namespace wye::pipeline::test
