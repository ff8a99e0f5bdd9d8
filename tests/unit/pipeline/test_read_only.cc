// Traffic makes no state in the tables: a million random packets through ACLs, FIBs, tunnels and the
// host's doors, with the tables mapped without the right to write, leave every byte as it was.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "test_router.hh"

namespace wye::pipeline::test {
namespace {

constexpr const char* kNeighbor = "02:00:00:00:00:aa";
constexpr std::size_t kPackets = 1'000'000;

table::AclRuleSpec rule(std::mt19937& random, net::IpFamily family) {
    table::AclRuleSpec made;
    made.family = family;
    made.source.address.family = made.destination.address.family = family;
    made.action = random() % 3 == 0 ? AclAction::deny : AclAction::permit;
    if (random() % 4 == 0) made.action = AclAction::count;
    if (random() % 2 == 0) {
        made.any_protocol = false;
        made.protocol = random() % 2 == 0 ? 17 : 6;
        made.destination_port_low = static_cast<std::uint16_t>(random() % 1024);
        made.destination_port_high =
            static_cast<std::uint16_t>(made.destination_port_low + random() % 512);
    }
    const auto length = static_cast<std::uint8_t>(random() % 9);
    net::IpAddress address = made.source.address;
    for (std::size_t i = 0; i < 4; ++i) address.bytes[i] = static_cast<std::uint8_t>(random());
    made.source = {net::mask(address, length), length};
    return made;
}

/// A tenant with ACLs both ways, in tagged and tunnelled vports, and tables of both forms.
struct Target : TestRouter {
    Target() {
        std::mt19937 random(4);
        const VrfId underlay = add_vrf(add_tenant(), true);
        const VportId carrier = add_vport(underlay, {.port = 9, .mtu = 9000});
        add_route(underlay, "192.0.2.1/32", add_nexthop(NextHopKind::local, carrier));
        add_route(underlay, "0.0.0.0/0",
                  add_nexthop(NextHopKind::adjacency, carrier, "192.0.2.254", kNeighbor));
        vrf = add_vrf(add_tenant());
        const VportId site = add_vport(vrf, {.port = 0, .source4 = "10.0.0.1"});
        const VportId tagged = add_vport(vrf, {.port = 1, .vlan = 10});
        const VportId inside = add_vport(
            vrf, {.tunnel =
                      add_tunnel({TunnelKind::vxlan, "192.0.2.1", "198.51.100.1", 100, underlay})});
        for (const VportId vport : {site, tagged, inside}) {
            std::vector<table::AclRuleSpec> rules;
            for (int i = 0; i < 300; ++i) {
                rules.push_back(
                    rule(random, i % 2 == 0 ? net::IpFamily::ipv4 : net::IpFamily::ipv6));
            }
            const auto acl = add_acl(rules, true, 0);
            change_vport(vport, [&](table::VportPolicy& policy) {
                (vport == tagged ? policy.egress_acl : policy.ingress_acl) = acl;
            });
        }
        const NextHopId out = add_nexthop(NextHopKind::adjacency, tagged, "10.1.0.2", kNeighbor);
        const NextHopId through =
            add_nexthop(NextHopKind::adjacency, inside, "10.2.0.2", kNeighbor);
        const NextHopId silent = add_nexthop(NextHopKind::adjacency, tagged, "10.1.0.3");
        const GroupId group = add_group({out, through});
        add_route(vrf, "0.0.0.0/0", out);
        add_route(vrf, "2000::/3", table::Leaf::of(group));
        add_route(vrf, "10.0.0.1/32", add_nexthop(NextHopKind::local, site));
        add_route(vrf, "10.1.0.0/24", add_nexthop(NextHopKind::glean, tagged));
        for (int i = 0; i < 10000; ++i) {  // the form of large tables
            const std::string prefix = std::to_string(20 + i % 180) + "." +
                                       std::to_string(i / 180) + "." + std::to_string(i % 7) +
                                       ".0/24";
            add_route(vrf, prefix,
                      i % 3 == 0   ? table::Leaf::of(group)
                      : i % 3 == 1 ? table::Leaf::of(through)
                                   : table::Leaf::of(silent));
        }
    }
    VrfId vrf;
};

Bytes packet(std::mt19937& random) {
    const bool v4 = random() % 3 != 0;
    const auto port = [&] { return static_cast<std::uint16_t>(random() % 2048); };
    const Bytes inner =
        random() % 2 == 0 ? udp(port(), port(), Bytes(random() % 40)) : tcp(port(), port());
    const auto protocol = static_cast<std::uint8_t>(inner.size() >= 20 ? 6 : 17);
    const auto ttl = static_cast<std::uint8_t>(random() % 8);
    Bytes bytes = v4 ? ip_packet({"10.0.0.9", "10.0.0.1", protocol, ttl}, inner)
                     : ip_packet({"2001:db8::9", "2001:db8::1", protocol, ttl}, inner);
    return bytes;
}

struct Arrival {
    std::uint32_t port;
    Bytes bytes;
};

/// One of them as it is, or with a random byte here and there, cut short, or at another port.
Arrival arrival(std::mt19937& random, const std::vector<Arrival>& templates) {
    static constexpr std::uint32_t kPorts[] = {0, 1, 9};
    Arrival made = templates[random() % templates.size()];
    Bytes& bytes = made.bytes;
    if (random() % 4 == 0) {
        for (unsigned i = random() % 4; i > 0; --i) {
            bytes[random() % bytes.size()] = static_cast<std::byte>(random());
        }
    }
    if (random() % 16 == 0) bytes.resize(random() % bytes.size());
    if (random() % 16 == 0) made.port = kPorts[random() % 3];
    return made;
}

/// Valid frames to random destinations, plain, tagged and in the tunnel.
std::vector<Arrival> make_templates(std::mt19937& random) {
    std::vector<Arrival> templates;
    for (int i = 0; i < 4000; ++i) {
        Bytes inner = packet(random);
        if (i % 4 != 0) {
            const std::string to =
                std::to_string(10 + random() % 200) + "." + std::to_string(random() % 60) + "." +
                std::to_string(random() % 8) + "." + std::to_string(random() % 256);
            const std::string from = std::to_string(1 + random() % 200) + ".0.0.9";
            inner = ip_packet({from, to, 17, static_cast<std::uint8_t>(1 + random() % 64)},
                              udp(static_cast<std::uint16_t>(random()),
                                  static_cast<std::uint16_t>(random() % 2048)));
        }
        Link link;
        if (i % 3 == 1) link.vlans = {10};
        Bytes framed = ethernet(link, inner);
        if (i % 3 == 2) {
            Bytes payload = from_hex("0800000000006400");
            payload.insert(payload.end(), framed.begin(), framed.end());
            framed =
                ethernet({}, ip_packet({"198.51.100.1", "192.0.2.1"}, udp(50000, 4789, payload)));
        }
        templates.push_back({i % 3 == 0 ? 0u : i % 3 == 1 ? 1u : 9u, std::move(framed)});
    }
    return templates;
}

Bytes bytes_of(const table::ArenaView& arena) {
    return {arena.base(), arena.base() + arena.header().size.load()};
}

TEST(ReadOnly, AMillionRandomPacketsLeaveTheTablesAsTheyAre) {
    Target router;
    const auto mapping = table::ArenaMapping::map(router.arena.descriptor(), "arena", false);
    ASSERT_TRUE(mapping);
    router.context.arena = mapping->view();  // a write is a segmentation fault from here on
    const Bytes before = bytes_of(mapping->view());
    std::mt19937 random(99);
    const std::vector<Arrival> templates = make_templates(random);
    std::size_t done = 0;
    std::map<std::uint32_t, std::vector<Bytes>> bursts;
    while (done < kPackets) {
        auto [port, bytes] = arrival(random, templates);
        auto& burst = bursts[port];
        burst.push_back(std::move(bytes));
        if (burst.size() < kMaxBurst) continue;
        router.receive(port, burst);
        done += burst.size();
        burst.clear();
        router.clear_output();
        if (done % 4096 == 0) {
            router.from_inject(router.vrf, packet(random));
            router.advance_milliseconds(5);
            router.run_held(false);
        }
    }
    EXPECT_EQ(bytes_of(mapping->view()), before);
    router.context.arena = router.arena.view();
    // And it was not for want of traffic.
    EXPECT_GE(router.total(&table::LedgerRow::rx), kPackets);
    EXPECT_GT(router.total(&table::LedgerRow::tx), kPackets / 10);
    EXPECT_GT(router.drops(table::Reason::acl_ingress_denied), kPackets / 100);
    EXPECT_GT(router.drops(table::Reason::acl_egress_denied), kPackets / 1000);
}

/// The check above would see a write: the mapping is what it says.
TEST(ReadOnly, AWriteWouldBeAFault) {
    Target router;
    const auto mapping = table::ArenaMapping::map(router.arena.descriptor(), "arena", false);
    ASSERT_TRUE(mapping);
    auto* const base = const_cast<std::byte*>(mapping->view().base());
    EXPECT_DEATH(*const_cast<volatile std::byte*>(base) = std::byte{1}, "");
}

}  // namespace
}  // namespace wye::pipeline::test
