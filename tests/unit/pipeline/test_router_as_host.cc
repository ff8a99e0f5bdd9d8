// What the router itself sends (from twins and inject), tunnels as the whole pipeline sees them,
// and ICMP errors. Whether the errors' bytes are right is judged by scapy (judge_with_scapy.py).
#include <gtest/gtest.h>

#include "dataplane/net/icmp.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "test_router.hh"

namespace wye::pipeline::test {
namespace {

using table::LedgerRow;
using table::Reason;

constexpr const char* kNeighbor = "02:00:00:00:00:aa";

TEST(FromTwin, LeavesByItsVportAsItIs) {
    TestRouter router;
    const VrfId vrf = router.add_vrf(router.add_tenant());
    const VportId plain = router.add_vport(vrf, {.port = 0});
    const VportId tagged = router.add_vport(vrf, {.port = 1, .vlan = 5, .mtu = 100});
    const VportId twice = router.add_vport(vrf, {.port = 2, .vlan = 5, .inner_vlan = 6});
    const Bytes packet(60, std::byte{0x11});
    const Link link{.destination = "01:80:c2:00:00:0e", .type = 0x88cc};
    Link with_tag = link, with_two = link;
    with_tag.vlans = {5};
    with_two.vlans = {5, 6};
    router.from_twin(plain, ethernet(link, packet));
    router.from_twin(tagged, ethernet(link, packet));
    router.from_twin(twice, ethernet(link, packet));
    ASSERT_EQ(router.sent.size(), 3u);
    EXPECT_EQ(to_hex(router.sent[0].bytes), to_hex(ethernet(link, packet)));
    EXPECT_EQ(to_hex(router.sent[1].bytes), to_hex(ethernet(with_tag, packet)));
    EXPECT_EQ(to_hex(router.sent[2].bytes), to_hex(ethernet(with_two, packet)));
    router.from_twin(tagged, ethernet(link, Bytes(101)));
    EXPECT_EQ(router.drops(Reason::mtu_exceeded), 1u);
    router.from_twin(plain, Bytes(13));
    router.from_twin(VportId{4000}, ethernet(link, packet));
    EXPECT_EQ(router.drops(Reason::host_frame_invalid), 2u);
    EXPECT_EQ(router.total(&LedgerRow::from_host), 6u);
}

TEST(FromInject, IsRoutedWithoutTtlAndAcl) {
    TestRouter router;
    const VrfId vrf = router.add_vrf(router.add_tenant());
    const VportId out = router.add_vport(vrf, {.port = 1});
    router.add_route(vrf, "10.1.0.0/16",
                     router.add_nexthop(NextHopKind::adjacency, out, "10.9.0.2", kNeighbor));
    const Bytes packet = ip_packet({"10.0.0.1", "10.1.2.3", 17, 1}, udp(1, 2));
    router.from_inject(vrf, packet);
    EXPECT_EQ(to_hex(router.only_sent(1)),
              to_hex(ethernet({kNeighbor, "02:00:00:00:00:01"}, packet)));
    router.from_inject(vrf, ip_packet({"10.0.0.1", "10.2.2.3"}, {}));  // no route, no ICMP to us
    EXPECT_EQ(router.drops(Reason::no_route), 1u);
    for (const Bytes& bad :
         {Bytes{}, Bytes(5), from_hex("4500"), ip_packet({"10.0.0.1", "224.0.0.5"}, {}),
          ip_packet({"fe80::1", "fe80::2"}, {}), ip_packet({"2001:db8::1", "ff02::1"}, {})}) {
        router.from_inject(vrf, bad);
    }
    router.from_inject(VrfId{4000}, packet);
    EXPECT_EQ(router.drops(Reason::host_frame_invalid), 7u);
    EXPECT_EQ(router.total(&LedgerRow::generated), 0u);
}

/// An underlay (tenant 0, port 9) and a tenant with a port and a tunnel vport.
struct Edge : TestRouter {
    explicit Edge(TunnelKind kind, bool outer6) {
        underlay = add_vrf(add_tenant(), true);
        vrf = add_vrf(add_tenant());
        carrier = add_vport(underlay, {.port = 9, .mtu = 9000, .mac = "02:00:00:00:09:00"});
        const std::string local = outer6 ? "2001:db8:a::1" : "192.0.2.1";
        const std::string remote = outer6 ? "2001:db8:b::1" : "198.51.100.1";
        const std::string bits = outer6 ? "/128" : "/32";
        tunnel = add_tunnel({kind, local, remote, 77, underlay});
        site = add_vport(vrf, {.port = 0, .source4 = "10.0.0.1", .source6 = "2001:db8::1"});
        inside = add_vport(vrf, {.tunnel = tunnel, .mac = "02:00:00:00:07:07"});
        to_local = add_nexthop(NextHopKind::local, carrier);
        add_route(underlay, local + bits, to_local);
        to_carrier = add_nexthop(NextHopKind::adjacency, carrier, "192.0.2.254", kNeighbor);
        add_route(underlay, remote + bits, to_carrier);
        add_route(vrf, "10.1.0.0/16",
                  add_nexthop(NextHopKind::adjacency, inside, "10.255.0.2", "02:00:00:00:07:08"));
        add_route(vrf, "10.0.0.0/24",
                  add_nexthop(NextHopKind::adjacency, site, "10.0.0.9", "02:00:00:00:00:99"));
    }
    VrfId underlay, vrf;
    VportId carrier, site, inside;
    TunnelId tunnel;
    NextHopId to_local, to_carrier;
};

/// Turns round what a tunnel end sent: as its peer would send to it.
Bytes as_from_peer(Bytes frame, bool outer6) {
    const auto swap = [&frame](std::size_t a, std::size_t b, std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) std::swap(frame[a + i], frame[b + i]);
    };
    swap(0, 6, 6);
    outer6 ? swap(14 + 8, 14 + 24, 16) : swap(14 + 12, 14 + 16, 4);
    return frame;
}

class Tunnels : public ::testing::TestWithParam<std::pair<TunnelKind, bool>> {};

TEST_P(Tunnels, ThereAndBack) {
    const auto [kind, outer6] = GetParam();
    Edge edge(kind, outer6);
    const Bytes packet = ip_packet({"10.0.0.9", "10.1.2.3"}, udp(1000, 53, Bytes(20)));
    edge.receive(0, ethernet({}, packet));
    Bytes frame = edge.only_sent(9);
    const std::size_t outer = 14u + (outer6 ? 40 : 20) + 8 + 8;
    ASSERT_EQ(frame.size(), outer + 14 + packet.size());
    // Inside: the tenant's frame, TTL less one, from the tunnel vport to its neighbour.
    EXPECT_EQ(to_hex(frame).substr(2 * outer, 28),
              "02000000070802000000070708"
              "00");
    const auto& ip = net::header<net::Ipv4Header>(frame.data() + outer + 14);
    EXPECT_EQ(ip.ttl, 63);
    EXPECT_EQ(edge.context.counters.tunnels[edge.tunnel.value].encapsulated.packets.get(), 1u);
    EXPECT_EQ(edge.context.counters.vports[edge.inside.value].tx.packets.get(), 1u);
    EXPECT_EQ(edge.context.counters.vports[edge.carrier.value].tx.packets.get(), 1u);
    // Booked on the row of the tenant whose packet it is.
    EXPECT_EQ(edge.context.counters.tenants[2].tx.get(), 1u);
    EXPECT_EQ(edge.context.counters.tenants[1].tx.get(), 0u);
    edge.clear_output();

    // The same from the peer: inside, a packet to the site, to our tunnel vport's MAC address.
    Bytes reply = as_from_peer(frame, outer6);
    for (std::size_t i = 0; i < 6; ++i) std::swap(reply[outer + i], reply[outer + 6 + i]);
    Bytes inner = ip_packet({"10.1.2.3", "10.0.0.9"}, udp(53, 1000, Bytes(20)));
    std::copy(inner.begin(), inner.end(), reply.begin() + static_cast<std::ptrdiff_t>(outer + 14));
    // Over IPv6 the outer checksum covers the inside, which was changed: the tunnel steps' own
    // tests have that way back.
    if (outer6) return;
    edge.receive(9, reply);
    const Bytes back = edge.only_sent(0);
    ASSERT_EQ(back.size(), 14 + inner.size());
    EXPECT_EQ(net::header<net::Ipv4Header>(back.data() + 14).ttl, 63);
    EXPECT_EQ(edge.context.counters.tenants[1].moved_out.get(), 1u);
    EXPECT_EQ(edge.context.counters.tenants[2].moved_in.get(), 1u);
    EXPECT_EQ(edge.context.counters.vports[edge.inside.value].rx.packets.get(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Tunnels,
                         ::testing::Values(std::pair{TunnelKind::vxlan, false},
                                           std::pair{TunnelKind::vxlan, true},
                                           std::pair{TunnelKind::geneve, false},
                                           std::pair{TunnelKind::geneve, true}));

// standards 40
TEST(Tunnel, ThatLeadsThroughItselfIsDropped) {
    Edge edge(TunnelKind::vxlan, false);
    // The way to the remote is the tunnel itself.
    edge.delete_route(edge.underlay, "198.51.100.1/32");
    edge.add_route(edge.underlay, "198.51.100.0/24",
                   edge.add_nexthop(NextHopKind::adjacency, edge.inside, "10.255.0.2", kNeighbor));
    edge.receive(0, ethernet({}, ip_packet({"10.0.0.9", "10.1.2.3"}, udp(1, 2))));
    EXPECT_EQ(edge.drops(Reason::tunnel_nesting), 1u);
    EXPECT_TRUE(edge.sent.empty());
}

TEST(Tunnel, WaitsForTheUnderlaysNeighbor) {
    Edge edge(TunnelKind::geneve, false);
    const NextHopId unknown = edge.add_nexthop(NextHopKind::adjacency, edge.carrier, "192.0.2.253");
    edge.add_route(edge.underlay, "198.51.100.1/32", unknown);
    edge.receive(0, ethernet({}, ip_packet({"10.0.0.9", "10.1.2.3"}, udp(1, 2))));
    EXPECT_EQ(edge.context.counters.tenants[2].held.get(), 1u);
    ASSERT_EQ(edge.resolves.size(), 1u);
    EXPECT_EQ(edge.resolves[0].vport, edge.carrier);
    edge.set_neighbor(unknown, kNeighbor);
    edge.run_held(true);
    EXPECT_EQ(edge.sent.size(), 1u);
}

TEST(Tunnel, TwinFramesAreEncapsulated) {
    Edge edge(TunnelKind::vxlan, false);
    const Bytes arp = ethernet({.destination = "ff:ff:ff:ff:ff:ff", .type = 0x0806}, Bytes(28));
    edge.from_twin(edge.inside, arp);
    const Bytes frame = edge.only_sent(9);
    ASSERT_EQ(frame.size(), 50 + arp.size());
    EXPECT_EQ(to_hex(frame).substr(100), to_hex(arp));
    EXPECT_EQ(edge.context.counters.tenants[2].from_host.get(), 1u);
}

TEST(Tunnel, WhatNoTunnelWantsIsTheHostStacks) {
    Edge edge(TunnelKind::vxlan, false);
    const Bytes frame =
        ethernet({.destination = "02:00:00:00:09:00"},
                 ip_packet({"203.0.113.1", "192.0.2.1"}, udp(1000, 3784, Bytes(24))));
    edge.receive(9, frame);
    ASSERT_EQ(edge.punted.size(), 1u);
    EXPECT_EQ(edge.punted[0].vport, edge.carrier);
    EXPECT_EQ(to_hex(edge.punted[0].bytes), to_hex(frame));
}

/// One site whose routes refuse; errors leave by the same port.
struct Refusing : TestRouter {
    explicit Refusing(const Limits& limits = {}) : TestRouter(limits) {
        vrf = add_vrf(add_tenant());
        site = add_vport(vrf, {.port = 0, .source4 = "10.0.0.1", .source6 = "2001:db8::1"});
        const NextHopId back = add_nexthop(NextHopKind::adjacency, site, "10.0.0.9", kNeighbor);
        add_route(vrf, "10.0.0.0/24", back);
        add_route(vrf, "2001:db8::/64", back);
    }
    VrfId vrf;
    VportId site;
};

// standards 12, 20: about these, never.
TEST(IcmpError, IsNeverSentAbout) {
    Refusing router;
    const auto no_error = [&router](const Bytes& packet, const Link& link = {}) {
        router.clear_output();
        router.receive(0, ethernet(link, packet));
        EXPECT_TRUE(router.sent.empty());
    };
    for (const std::uint8_t type : std::array<std::uint8_t, 5>{3, 4, 5, 11, 12}) {
        Bytes icmp(8);
        icmp[0] = static_cast<std::byte>(type);
        no_error(ip_packet({"10.0.0.9", "10.7.7.7", 1}, icmp));
    }
    for (const std::uint8_t type : std::array<std::uint8_t, 6>{1, 2, 3, 4, 127, 137}) {
        Bytes icmp(8);
        icmp[0] = static_cast<std::byte>(type);
        no_error(ip_packet({"2001:db8::9", "2001:db8:7::7", 58}, icmp));
    }
    no_error(ip_packet({"10.0.0.9", "10.7.7.7", 1}, {}));  // an ICMP header cut short
    no_error(ip_packet({"10.0.0.9", "10.7.7.7", 17, 64, 0x0010}, udp(1, 2)));  // later fragment
    no_error(ip_packet({"10.0.0.9", "10.7.7.7"}, udp(1, 2)), {.destination = "ff:ff:ff:ff:ff:ff"});
    no_error(ip_packet({"127.0.0.1", "10.7.7.7"}, udp(1, 2)));
    no_error(ip_packet({"fe80::9", "2001:db8:7::7"}, udp(1, 2)));
    EXPECT_EQ(router.total(&LedgerRow::generated), 0u);
    // But about an echo request and a first fragment it is.
    Bytes echo(8);
    echo[0] = std::byte{8};
    router.receive(0, ethernet({}, ip_packet({"10.0.0.9", "10.7.7.7", 1}, echo)));
    router.receive(0, ethernet({}, ip_packet({"10.0.0.9", "10.7.7.7", 17, 64, 0x2000}, udp(1, 2))));
    EXPECT_EQ(router.total(&LedgerRow::generated), 2u);
    EXPECT_EQ(router.sent.size(), 2u);
}

// standards 14, 21
TEST(IcmpError, IsRateLimitedForEachVrf) {
    Limits limits;
    limits.icmp_errors = {10, 5};
    Refusing router(limits);
    const Bytes packet = ethernet({}, ip_packet({"10.0.0.9", "10.7.7.7"}, udp(1, 2)));
    router.receive(0, std::vector<Bytes>(40, packet));
    EXPECT_EQ(router.sent.size(), 5u);
    router.advance_milliseconds(200);
    router.receive(0, std::vector<Bytes>(40, packet));
    EXPECT_EQ(router.sent.size(), 7u);
    EXPECT_EQ(router.drops(Reason::no_route), 80u);
    EXPECT_EQ(router.context.counters.vrfs[router.vrf.value].icmp_errors.get(), 7u);
}

TEST(IcmpError, WithoutAnAddressThereIsNone) {
    Refusing router;
    router.change_vport(router.site, [](auto& policy) { policy.source4 = {}; });
    router.receive(0, ethernet({}, ip_packet({"10.0.0.9", "10.7.7.7"}, udp(1, 2))));
    EXPECT_TRUE(router.sent.empty());
    EXPECT_EQ(router.drops(Reason::no_route), 1u);
}

// standards 16: unreachable once the neighbour did not answer.
TEST(IcmpError, HostUnreachableAfterTheWait) {
    Refusing router;
    router.add_route(router.vrf, "10.5.0.0/16",
                     router.add_nexthop(NextHopKind::glean, router.site));
    router.receive(0, ethernet({}, ip_packet({"10.0.0.9", "10.5.0.1"}, udp(1, 2))));
    EXPECT_TRUE(router.sent.empty());
    router.advance_milliseconds(3'100);
    router.run_held(false);
    const Bytes error = router.only_sent(0);
    ASSERT_GE(error.size(), 42u);
    EXPECT_EQ(error[34], std::byte{3});
    EXPECT_EQ(error[35], std::byte{1});
    EXPECT_EQ(router.drops(Reason::neighbor_unresolved), 1u);
}

// An error whose own way is unknown waits like any packet, and is not answered by another one.
TEST(IcmpError, NoErrorAboutAnError) {
    Refusing router;
    router.add_route(router.vrf, "10.0.0.0/24",
                     router.add_nexthop(NextHopKind::glean, router.site));
    router.receive(0, ethernet({}, ip_packet({"10.0.0.9", "10.7.7.7"}, udp(1, 2))));
    EXPECT_EQ(router.total(&LedgerRow::held), 1u);
    router.advance_milliseconds(3'100);
    router.run_held(false);
    EXPECT_TRUE(router.sent.empty());
    EXPECT_EQ(router.total(&LedgerRow::generated), 1u);
    EXPECT_EQ(router.drops(Reason::neighbor_unresolved), 1u);
}

}  // namespace
}  // namespace wye::pipeline::test
