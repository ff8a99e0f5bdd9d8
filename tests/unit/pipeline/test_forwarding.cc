// From frames in to frames out: routing, link headers, groups, neighbours, punting.
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "dataplane/net/checksum.hh"
#include "dataplane/net/ethernet.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "dataplane/pipeline/pipelines.hh"
#include "test_router.hh"

namespace wye::pipeline::test {
namespace {

using table::LedgerRow;
using table::Reason;

constexpr const char* kNeighbor = "02:00:00:00:00:aa";

/// Port 0 and port 1, one VRF; 10.1.0.0/16 and 2001:db8:1::/48 behind a neighbour on port 1.
struct TwoPorts : TestRouter {
    explicit TwoPorts(const Limits& limits = {}) : TestRouter(limits) {
        tenant = add_tenant();
        vrf = add_vrf(tenant);
        in = add_vport(vrf, {.port = 0, .source4 = "10.0.0.1", .source6 = "2001:db8::1"});
        out = add_vport(vrf, {.port = 1, .mac = "02:00:00:00:00:02"});
        nexthop = add_nexthop(NextHopKind::adjacency, out, "10.9.0.2", kNeighbor);
        add_route(vrf, "10.1.0.0/16", nexthop);
        add_route(vrf, "2001:db8:1::/48", nexthop);
    }
    TenantId tenant;
    VrfId vrf;
    VportId in, out;
    NextHopId nexthop;
};

Bytes packet4(std::string_view destination = "10.1.2.3", std::uint8_t ttl = 64) {
    return ip_packet({"10.0.0.9", destination, 17, ttl}, udp(1000, 53, from_hex("0102030405")));
}
Bytes packet6(std::string_view destination = "2001:db8:1::3", std::uint8_t ttl = 64) {
    return ip_packet({"2001:db8::9", destination, 17, ttl}, udp(1000, 53, from_hex("0102030405")));
}

/// The frame that forwarding makes of a packet: TTL less one, checksum computed from scratch.
Bytes forwarded(const Link& link, Bytes packet) {
    if (static_cast<unsigned>(packet[0]) >> 4 == 6) {
        packet[7] = static_cast<std::byte>(static_cast<unsigned>(packet[7]) - 1);
    } else {
        auto& ip = net::header<net::Ipv4Header>(packet.data());
        --ip.ttl;
        ip.checksum = {};
        ip.checksum = net::checksum(std::span(packet).first(ip.header_length()));
    }
    return ethernet(link, packet);
}

TEST(Forwarding, RoutesBothFamilies) {
    TwoPorts router;
    for (const Bytes& packet : {packet4(), packet6()}) {
        router.receive(0, ethernet({}, packet));
        EXPECT_EQ(to_hex(router.only_sent(1)),
                  to_hex(forwarded({kNeighbor, "02:00:00:00:00:02"}, packet)));
        EXPECT_EQ(router.sent[0].vport, router.out);
        router.clear_output();
    }
    EXPECT_EQ(router.context.counters.vports[router.in.value].rx.packets.get(), 2u);
    EXPECT_EQ(router.context.counters.vports[router.out.value].tx.packets.get(), 2u);
    EXPECT_EQ(router.context.counters.vrfs[router.vrf.value].lookups_ipv6.get(), 1u);
}

TEST(Forwarding, CutsLinkPadding) {  // standards 5b
    TwoPorts router;
    Bytes frame = ethernet({}, packet4());
    frame.resize(64);
    router.receive(0, frame);
    EXPECT_EQ(to_hex(router.only_sent(1)),
              to_hex(forwarded({kNeighbor, "02:00:00:00:00:02"}, packet4())));
}

TEST(Forwarding, TagsInAndOut) {
    using Tags = std::vector<std::uint16_t>;
    const std::vector<Tags> kinds{{}, {100}, {100, 7}};
    for (const Tags& tags_in : kinds) {
        for (const Tags& tags_out : kinds) {
            TestRouter router;
            const VrfId vrf = router.add_vrf(router.add_tenant());
            const auto vport = [&](std::uint16_t port, const Tags& tags) {
                return router.add_vport(vrf, {.port = port,
                                              .vlan = tags.empty() ? kNoVlan : tags[0],
                                              .inner_vlan = tags.size() < 2 ? kNoVlan : tags[1]});
            };
            vport(3, tags_in);
            const VportId out = vport(4, tags_out);
            router.add_route(
                vrf, "0.0.0.0/0",
                router.add_nexthop(NextHopKind::adjacency, out, "10.0.0.2", kNeighbor));
            Link link;
            link.vlans = tags_in;
            router.receive(3, ethernet(link, packet4()));
            EXPECT_EQ(to_hex(router.only_sent(4)),
                      to_hex(forwarded({kNeighbor, "02:00:00:00:00:01", tags_out}, packet4())));
        }
    }
}

TEST(Forwarding, EachVlanIsAWorldOfItsOwn) {
    TestRouter router;
    const VrfId red = router.add_vrf(router.add_tenant());
    const VrfId blue = router.add_vrf(router.add_tenant());
    router.add_vport(red, {.port = 0, .vlan = 10});
    router.add_vport(blue, {.port = 0, .vlan = 20});
    const VportId red_out = router.add_vport(red, {.port = 1, .vlan = 10});
    const VportId blue_out = router.add_vport(blue, {.port = 2, .vlan = 20});
    router.add_route(red, "10.1.0.0/16",
                     router.add_nexthop(NextHopKind::adjacency, red_out, "10.0.0.2", kNeighbor));
    router.add_route(blue, "10.1.0.0/16",
                     router.add_nexthop(NextHopKind::adjacency, blue_out, "10.0.0.2", kNeighbor));
    Link link;
    for (std::uint16_t vlan = 10; vlan <= 30; vlan += 10) {
        link.vlans = {vlan};
        router.receive(0, ethernet(link, packet4()));
    }
    ASSERT_EQ(router.sent.size(), 2u);
    EXPECT_EQ(router.sent[0].port, 1u);
    EXPECT_EQ(router.sent[1].port, 2u);
    EXPECT_EQ(router.drops(Reason::vlan_unknown), 1u);
    EXPECT_EQ(router.context.counters.tenants[1].rx.get(), 1u);
    EXPECT_EQ(router.context.counters.tenants[2].tx.get(), 1u);
}

TEST(Forwarding, FiltersDestinationMac) {
    TwoPorts router;
    Link link;
    link.destination = "02:00:00:00:00:77";
    router.receive(0, ethernet(link, packet4()));
    EXPECT_EQ(router.drops(Reason::ethernet_other_destination), 1u);
    for (const char* group : {"ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"}) {  // standards 7
        link.destination = group;
        router.receive(0, ethernet(link, packet4()));
        router.receive(0, ethernet(link, packet6()));
    }
    EXPECT_EQ(router.drops(Reason::broadcast_link_layer), 4u);
    EXPECT_TRUE(router.sent.empty() && router.punted.empty());
}

TEST(Forwarding, AdminDownDropsBothWays) {
    TwoPorts router;
    router.change_vport(router.out, [](auto& policy) { policy.admin_up = 0; });
    router.receive(0, ethernet({}, packet4()));
    router.change_vport(router.out, [](auto& policy) { policy.admin_up = 1; });
    router.change_vport(router.in, [](auto& policy) { policy.admin_up = 0; });
    router.receive(0, ethernet({}, packet4()));
    EXPECT_EQ(router.drops(Reason::vport_down), 2u);
}

// standards 1, 1a, 18
TEST(Forwarding, TtlIsCheckedOnlyWhenForwarding) {
    TwoPorts router;
    router.change_vport(router.in, [](auto& policy) {
        policy.source4 = {};
        policy.source6 = {};
    });
    router.add_route(router.vrf, "10.0.0.1/32", router.add_nexthop(NextHopKind::local, router.in));
    for (std::uint8_t ttl = 0; ttl <= 2; ++ttl) {
        router.receive(0, ethernet({}, packet4("10.1.2.3", ttl)));
        router.receive(0, ethernet({}, packet6("2001:db8:1::3", ttl)));
        router.receive(0, ethernet({}, packet4("10.0.0.1", ttl)));
    }
    EXPECT_EQ(router.drops(Reason::ttl_expired), 4u);
    EXPECT_EQ(router.sent.size(), 2u);
    EXPECT_EQ(router.punted.size(), 3u);
}

TEST(Forwarding, ExceedingTheMtuIsCounted) {
    TwoPorts router;
    const Bytes packet = ip_packet({"10.0.0.9", "10.1.2.3"}, udp(1, 2, Bytes(1472)));
    ASSERT_EQ(packet.size(), 1500u);
    router.receive(0, ethernet({}, packet));
    EXPECT_EQ(router.sent.size(), 1u);
    router.change_vport(router.out, [](auto& policy) { policy.mtu = 1499; });
    router.receive(0, ethernet({}, packet));
    EXPECT_EQ(router.drops(Reason::mtu_exceeded), 1u);
    // standards 2: expired comes before too big.
    router.receive(
        0, ethernet({}, ip_packet({"10.0.0.9", "10.1.2.3", 17, 1}, udp(1, 2, Bytes(1472)))));
    EXPECT_EQ(router.drops(Reason::ttl_expired), 1u);
}

TEST(Forwarding, RoutesThatRefuse) {
    TwoPorts router;
    router.change_vport(router.in, [](auto& policy) { policy.source4 = {}; });
    router.add_route(router.vrf, "10.2.0.0/16", router.add_nexthop(NextHopKind::blackhole));
    router.add_route(router.vrf, "10.3.0.0/16", router.add_nexthop(NextHopKind::unreachable));
    router.add_route(router.vrf, "10.4.0.0/16", router.add_nexthop(NextHopKind::prohibit));
    for (const char* to : {"10.2.0.1", "10.3.0.1", "10.4.0.1", "10.5.0.1"}) {
        router.receive(0, ethernet({}, packet4(to)));
    }
    EXPECT_EQ(router.drops(Reason::route_blackhole), 1u);
    EXPECT_EQ(router.drops(Reason::route_unreachable), 1u);
    EXPECT_EQ(router.drops(Reason::route_prohibited), 1u);
    EXPECT_EQ(router.drops(Reason::no_route), 1u);
    EXPECT_EQ(router.context.counters.vrfs[router.vrf.value].no_route.get(), 1u);
}

TEST(Forwarding, GroupSpreadsFlowsAndKeepsEachOnOnePath) {
    TwoPorts router;
    const VportId third = router.add_vport(router.vrf, {.port = 2});
    const NextHopId other =
        router.add_nexthop(NextHopKind::adjacency, third, "10.8.0.2", kNeighbor);
    router.add_route(router.vrf, "10.7.0.0/16",
                     table::Leaf::of(router.add_group({router.nexthop, other})));
    const auto path_of = [&router](std::uint16_t flow) {
        router.clear_output();
        router.receive(0, ethernet({}, ip_packet({"10.0.0.9", "10.7.0.1"}, udp(flow, 80))));
        EXPECT_EQ(router.sent.size(), 1u);
        return router.sent.empty() ? 0 : router.sent[0].port;
    };
    std::array<unsigned, 3> counts{};
    std::vector<std::uint32_t> first;
    for (std::uint16_t flow = 0; flow < 400; ++flow) {
        first.push_back(path_of(flow));
        ++counts[first.back()];
    }
    EXPECT_GT(counts[1], 120u);
    EXPECT_GT(counts[2], 120u);
    for (std::uint16_t flow = 0; flow < 400; ++flow) EXPECT_EQ(path_of(flow), first[flow]);

    // A dead member's flows move, the others' stay; alive again, all are where they were.
    router.liveness.set_link(other, 0, false);
    for (std::uint16_t flow = 0; flow < 400; ++flow) EXPECT_EQ(path_of(flow), 1u);
    router.liveness.set_link(router.nexthop, 0, false);
    router.clear_output();
    router.receive(0, ethernet({}, packet4("10.7.0.1")));
    EXPECT_EQ(router.drops(Reason::nexthop_dead), 1u);
    router.liveness.set_link(other, 0, true);
    router.liveness.set_link(router.nexthop, 0, true);
    for (std::uint16_t flow = 0; flow < 400; ++flow) EXPECT_EQ(path_of(flow), first[flow]);
}

TEST(Forwarding, GroupDoesNotWaitForANeighbourThatDoesNotAnswer) {
    TwoPorts router;
    const VportId third = router.add_vport(router.vrf, {.port = 2});
    const NextHopId other =
        router.add_nexthop(NextHopKind::adjacency, third, "10.8.0.2", kNeighbor);
    router.add_route(router.vrf, "10.7.0.0/16",
                     table::Leaf::of(router.add_group({router.nexthop, other})));
    router.add_route(router.vrf, "10.6.0.0/16", other);
    const auto path_of = [&router](std::uint16_t flow) {
        router.clear_output();
        router.receive(0, ethernet({}, ip_packet({"10.0.0.9", "10.7.0.1"}, udp(flow, 80))));
        EXPECT_EQ(router.sent.size(), 1u);
        return router.sent.empty() ? 0 : router.sent[0].port;
    };
    std::vector<std::uint32_t> first;
    for (std::uint16_t flow = 0; flow < 200; ++flow) first.push_back(path_of(flow));

    router.set_neighbor(other, "");
    for (std::uint16_t flow = 0; flow < 200; ++flow) EXPECT_EQ(path_of(flow), 1u);
    EXPECT_TRUE(router.resolves.empty());
    // By itself the same next hop holds its packet and asks.
    router.clear_output();
    router.receive(0, ethernet({}, packet4("10.6.0.1")));
    EXPECT_TRUE(router.sent.empty());
    ASSERT_EQ(router.resolves.size(), 1u);
    EXPECT_EQ(router.resolves[0].vport, third);
    router.set_neighbor(other, kNeighbor);
    router.run_held(true);

    // None answers: the group too holds and asks. Dead is worse than that.
    router.advance_milliseconds(2000);  // or it would be asked for too often
    router.set_neighbor(other, "");
    router.set_neighbor(router.nexthop, "");
    router.liveness.set_link(router.nexthop, 0, false);
    router.clear_output();
    router.receive(0, ethernet({}, packet4("10.7.0.1")));
    EXPECT_EQ(router.drops(Reason::nexthop_dead), 0u);
    ASSERT_EQ(router.resolves.size(), 1u);
    EXPECT_EQ(router.resolves[0].vport, third);
    router.liveness.set_link(router.nexthop, 0, true);
    router.set_neighbor(router.nexthop, kNeighbor);
    router.set_neighbor(other, kNeighbor);
    router.run_held(true);
    for (std::uint16_t flow = 0; flow < 200; ++flow) EXPECT_EQ(path_of(flow), first[flow]);
}

// standards 17
TEST(Forwarding, FragmentsOfADatagramTakeOnePath) {
    TwoPorts router;
    const VportId third = router.add_vport(router.vrf, {.port = 2});
    router.add_route(router.vrf, "10.7.0.0/16",
                     table::Leaf::of(router.add_group(
                         {router.nexthop, router.add_nexthop(NextHopKind::adjacency, third,
                                                             "10.8.0.2", kNeighbor)})));
    for (std::uint8_t host = 1; host < 60; ++host) {
        const std::string to = "10.7.0." + std::to_string(host);
        router.clear_output();
        for (const std::uint16_t flags : std::array<std::uint16_t, 3>{0x2000, 0x2010, 0x0020}) {
            router.receive(0, ethernet({}, ip_packet({"10.0.0.9", to, 17, 64, flags},
                                                     udp(1000, 53, from_hex("aabbccdd")))));
        }
        ASSERT_EQ(router.sent.size(), 3u);
        EXPECT_EQ(router.sent[0].port, router.sent[1].port);
        EXPECT_EQ(router.sent[0].port, router.sent[2].port);
    }
}

TEST(Punt, WhatIsForTheRouter) {
    TestRouter router;
    const VrfId vrf = router.add_vrf(router.add_tenant());
    const VportId in = router.add_vport(vrf, {.port = 0, .vlan = 9});
    const NextHopId local = router.add_nexthop(NextHopKind::local, in);
    router.add_route(vrf, "10.0.0.1/32", local);
    router.add_route(vrf, "2001:db8::1/128", local);
    const auto expect_punted = [&](const Link& link, const Bytes& packet, std::uint16_t type = 0) {
        Link tagged = link, plain = link;
        tagged.vlans = {9};
        tagged.type = plain.type = type;
        router.clear_output();
        router.receive(0, ethernet(tagged, packet));
        ASSERT_EQ(router.punted.size(), 1u);
        EXPECT_EQ(router.punted[0].vport, in);
        EXPECT_EQ(to_hex(router.punted[0].bytes), to_hex(ethernet(plain, packet)));
    };
    const Link to_all{.destination = "ff:ff:ff:ff:ff:ff"};
    const Link to_group{.destination = "33:33:ff:00:00:01"};
    expect_punted(to_all, Bytes(28), 0x0806);
    expect_punted({}, Bytes(28), 0x0806);
    expect_punted({}, packet4("10.0.0.1"));
    expect_punted({}, packet6("2001:db8::1"));
    // standards 8: limited broadcast is received; DHCP's source is 0.0.0.0.
    expect_punted(to_all, ip_packet({"0.0.0.0", "255.255.255.255"}, udp(68, 67)));
    expect_punted(to_group, ip_packet({"10.0.0.9", "224.0.0.5", 89, 1}, Bytes(24)));
    // Neighbour discovery: solicited-node multicast, and to the link-local address.
    expect_punted(to_group, ip_packet({"::", "ff02::1:ff00:1", 58, 255}, Bytes(24)));
    expect_punted({}, ip_packet({"fe80::9", "fe80::1", 58, 255}, Bytes(24)));
    // From a link-local source to an address of the router: stays on the link.
    expect_punted({}, ip_packet({"fe80::9", "2001:db8::1", 58, 255}, Bytes(24)));
    EXPECT_EQ(router.context.counters.vports[in.value].punted.get(), 9u);
}

TEST(Punt, ByTheTwinOfTheAddressWhereTheVportHasNone) {
    TestRouter router;
    const VrfId vrf = router.add_vrf(router.add_tenant());
    const VportId in = router.add_vport(vrf, {.port = 0, .vlan = 9});
    const VportId site = router.add_vport(vrf, {.port = 1, .mac = "02:00:00:00:00:07"});
    router.add_route(vrf, "10.0.0.1/32", router.add_nexthop(NextHopKind::local, site));
    const auto punted_at = [&](std::uint8_t without_twin) {
        router.change_vport(in, [&](auto& policy) { policy.without_twin = without_twin; });
        router.clear_output();
        Link tagged;
        tagged.vlans = {9};
        router.receive(0, ethernet(tagged, packet4("10.0.0.1")));
        EXPECT_EQ(router.punted.size(), 1u);
        return router.punted.at(0);
    };
    EXPECT_EQ(punted_at(0).vport, in) << "the kernel shall know where it came in";
    const Punted other = punted_at(1);
    EXPECT_EQ(other.vport, site);
    Link plain;
    plain.destination = "02:00:00:00:00:07";
    EXPECT_EQ(to_hex(other.bytes), to_hex(ethernet(plain, packet4("10.0.0.1"))));
}

TEST(Punt, IsPolicedByTenant) {
    TestRouter router;
    const VrfId red = router.add_vrf(router.add_tenant(80));  // bucket of 10
    const VrfId blue = router.add_vrf(router.add_tenant(80));
    router.add_vport(red, {.port = 0});
    router.add_vport(blue, {.port = 1});
    const Bytes arp = ethernet({.destination = "ff:ff:ff:ff:ff:ff", .type = 0x0806}, Bytes(28));
    router.receive(0, std::vector<Bytes>(50, arp));
    EXPECT_EQ(router.punted.size(), 10u);
    EXPECT_EQ(router.drops(Reason::punt_policed), 40u);
    router.receive(1, std::vector<Bytes>(5, arp));  // the flood is not blue's
    EXPECT_EQ(router.punted.size(), 15u);
    router.advance_milliseconds(50);  // 4 tokens
    router.receive(0, std::vector<Bytes>(50, arp));
    EXPECT_EQ(router.punted.size(), 19u);
}

TEST(Hold, WaitsForTheNeighborAndGoesOn) {
    TwoPorts router;
    const NextHopId unknown = router.add_nexthop(NextHopKind::adjacency, router.out, "10.9.0.7");
    router.add_route(router.vrf, "10.6.0.0/16", unknown);
    router.receive(0, {ethernet({}, packet4("10.6.0.1")), ethernet({}, packet4("10.6.0.2"))});
    EXPECT_TRUE(router.sent.empty());
    EXPECT_EQ(router.total(&LedgerRow::held), 2u);
    ASSERT_EQ(router.resolves.size(), 1u);  // once for both
    EXPECT_EQ(router.resolves[0].vport, router.out);
    EXPECT_EQ(router.resolves[0].address, *net::parse_ip("10.9.0.7"));
    router.run_held(true);
    EXPECT_EQ(router.total(&LedgerRow::held), 2u);
    router.set_neighbor(unknown, "02:00:00:00:00:bb");
    router.run_held(true);
    ASSERT_EQ(router.sent.size(), 2u);
    EXPECT_EQ(to_hex(router.sent[1].bytes),
              to_hex(forwarded({"02:00:00:00:00:bb", "02:00:00:00:00:02"}, packet4("10.6.0.2"))));
    EXPECT_EQ(router.total(&LedgerRow::held), 0u);
}

TEST(Hold, GleanAsksForTheDestination) {
    TwoPorts router;
    router.add_route(router.vrf, "10.9.0.0/24", router.add_nexthop(NextHopKind::glean, router.out));
    router.add_route(router.vrf, "2001:db8:9::/64",
                     router.add_nexthop(NextHopKind::glean, router.out));
    router.receive(0, {ethernet({}, packet4("10.9.0.33")), ethernet({}, packet6("2001:db8:9::7"))});
    ASSERT_EQ(router.resolves.size(), 2u);
    EXPECT_EQ(router.resolves[0].address, *net::parse_ip("10.9.0.33"));
    EXPECT_EQ(router.resolves[1].address, *net::parse_ip("2001:db8:9::7"));
    // The control thread answers with a host route.
    router.add_route(
        router.vrf, "10.9.0.33/32",
        router.add_nexthop(NextHopKind::adjacency, router.out, "10.9.0.33", kNeighbor));
    router.run_held(true);
    EXPECT_EQ(router.sent.size(), 1u);
    EXPECT_EQ(router.total(&LedgerRow::held), 1u);
}

// standards 16: bounded for each neighbour, the latest kept; unreachable only after a while.
TEST(Hold, IsBoundedAndEnds) {
    TwoPorts router;
    router.add_route(router.vrf, "10.6.0.0/16",
                     router.add_nexthop(NextHopKind::adjacency, router.out, "10.9.0.7"));
    router.change_vport(router.in, [](auto& policy) { policy.source4 = {}; });
    for (unsigned i = 0; i < 20; ++i) router.receive(0, ethernet({}, packet4("10.6.0.1")));
    EXPECT_EQ(router.total(&LedgerRow::held), 8u);
    EXPECT_EQ(router.drops(Reason::hold_full), 12u);
    router.advance_milliseconds(2'900);
    router.run_held(false);
    EXPECT_EQ(router.total(&LedgerRow::held), 8u);
    router.run_held(true);  // looking again does not prolong the wait
    router.advance_milliseconds(200);
    router.run_held(false);
    EXPECT_EQ(router.total(&LedgerRow::held), 0u);
    EXPECT_EQ(router.drops(Reason::neighbor_unresolved), 8u);
}

TEST(Hold, ATenantsScanLeavesRoomForOthers) {
    Limits limits;
    limits.held_packets = 64;
    limits.held_packets_of_tenant = 16;
    TestRouter router(limits);
    const VrfId red = router.add_vrf(router.add_tenant());
    const VrfId blue = router.add_vrf(router.add_tenant());
    const VportId red_in = router.add_vport(red, {.port = 0});
    const VportId blue_in = router.add_vport(blue, {.port = 1});
    router.add_route(red, "10.0.0.0/8", router.add_nexthop(NextHopKind::glean, red_in));
    router.add_route(blue, "10.0.0.0/8", router.add_nexthop(NextHopKind::glean, blue_in));
    for (unsigned i = 0; i < 100; ++i) {
        router.receive(0, ethernet({}, packet4("10.5.0." + std::to_string(i))));
    }
    EXPECT_EQ(router.context.counters.tenants[1].held.get(), 16u);
    router.receive(1, ethernet({}, packet4("10.5.0.1")));
    EXPECT_EQ(router.context.counters.tenants[2].held.get(), 1u);
}

// A VRF that was deleted while a packet waited, and whose id another tenant got: not its packet.
TEST(Hold, APacketDoesNotEndUpInAnotherTenantsVrf) {
    TwoPorts router;
    const NextHopId unknown = router.add_nexthop(NextHopKind::adjacency, router.out, "10.9.0.7");
    router.add_route(router.vrf, "10.6.0.0/16", unknown);
    router.receive(0, ethernet({}, packet4("10.6.0.1")));
    auto& vrf = router.arena.record(router.arena.header().vrfs, router.vrf.value);
    vrf.tenant = router.add_tenant();
    ++vrf.generation;
    router.set_neighbor(unknown, kNeighbor);
    router.run_held(true);
    EXPECT_TRUE(router.sent.empty());
    EXPECT_EQ(router.drops(Reason::no_route), 1u);
}

TEST(Output, FullQueuesAndRefusalsAreCounted) {
    TwoPorts router;
    auto& output = (*router.context.outputs)[1];
    Frame frame = router.pool.make(ethernet({}, packet4()));
    run_from_port(router.context, PortId{0}, {&frame, 1});
    ASSERT_EQ(output.count, 1u);
    book_transmitted(router.context, PortId{1}, 0);  // the port took none
    EXPECT_EQ(router.drops(Reason::port_transmit_full), 1u);
    EXPECT_EQ(router.total(&LedgerRow::tx), 0u);
}

TEST(Bursts, MayBeEmpty) {
    TwoPorts router;
    run_from_port(router.context, PortId{0}, {});
    EXPECT_EQ(router.total(&LedgerRow::rx), 0u);
}

TEST(NoTables, EveryFrameIsCounted) {
    TwoPorts router;
    const auto view = router.context.arena;
    router.context.arena = table::ArenaView{};
    router.receive(0, ethernet({}, packet4()));
    router.from_twin(router.in, ethernet({}, packet4()));
    router.run_held(true);
    router.context.arena = view;
    EXPECT_EQ(router.drops(Reason::no_tables), 2u);
}

}  // namespace
}  // namespace wye::pipeline::test
