// Next hops, groups, routes and neighbours as workers see them.
#include "tests/unit/control/rig.hh"

namespace wye::control::test {
namespace {

using wye::testing::ip;

TEST(Routes, ARouteLeadsToItsNextHop) {
    Rig rig;
    Programmer p = rig.connect();
    p.begin_replay();
    const Basics made = make_basics(p);
    const Handle gateway = p.adjacency(made.vport, "192.0.2.1");
    p.route(made.vrf, "10.0.0.0/8", p.group(gateway));
    const table::NextHop* const nexthop = rig.nexthop(rig.lookup("v", "10.1.2.3"));
    ASSERT_NE(nexthop, nullptr);
    EXPECT_EQ(nexthop->kind, NextHopKind::adjacency);
    EXPECT_EQ(nexthop->vport, rig.vport("a"));
    EXPECT_EQ(nexthop->gateway, ip("192.0.2.1"));
    EXPECT_TRUE(rig.rewrite(*nexthop).empty());
    EXPECT_TRUE(rig.lookup("v", "11.0.0.1").is_none());
    p.delete_route(made.vrf, "10.0.0.0/8");
    EXPECT_TRUE(rig.lookup("v", "10.1.2.3").is_none());
    p.reach();
}

TEST(Routes, BothFamiliesAndLongestPrefix) {
    Rig rig;
    Programmer p = rig.connect();
    p.begin_replay();
    const Basics made = make_basics(p);
    const Handle drop = p.group(p.special(NextHopKind::blackhole));
    const Handle deny = p.group(p.special(NextHopKind::prohibit));
    p.route(made.vrf, "2001:db8::/32", drop);
    p.route(made.vrf, "2001:db8:1::/48", deny);
    p.route(made.vrf, "0.0.0.0/0", drop);
    EXPECT_EQ(rig.nexthop(rig.lookup("v", "2001:db8::1"))->kind, NextHopKind::blackhole);
    EXPECT_EQ(rig.nexthop(rig.lookup("v", "2001:db8:1::1"))->kind, NextHopKind::prohibit);
    EXPECT_EQ(rig.nexthop(rig.lookup("v", "203.0.113.7"))->kind, NextHopKind::blackhole);
}

TEST(Routes, ANeighbourFillsInTheLinkHeader) {
    Rig rig;
    Programmer p = rig.connect();
    p.begin_replay();
    const Basics made = make_basics(p);
    const Handle tagged = p.vport(made.tenant, made.vrf, made.port, "b", kMacB, {.vlan = 100});
    const Handle stacked =
        p.vport(made.tenant, made.vrf, made.port, "c", kMacB, {.vlan = 100, .inner_vlan = 200});
    // One is known before the next hop exists, the others after.
    p.neighbor(made.vport, "192.0.2.1", "02:00:00:00:01:01");
    p.route(made.vrf, "10.0.0.0/8", p.group(p.adjacency(made.vport, "192.0.2.1")));
    p.route(made.vrf, "11.0.0.0/8", p.group(p.adjacency(tagged, "192.0.2.1")));
    p.route(made.vrf, "12.0.0.0/8", p.group(p.adjacency(stacked, "192.0.2.1")));
    const auto* const plain = rig.nexthop(rig.lookup("v", "10.0.0.1"));
    const auto* const one = rig.nexthop(rig.lookup("v", "11.0.0.1"));
    const auto* const two = rig.nexthop(rig.lookup("v", "12.0.0.1"));
    const std::vector<std::uint8_t> untagged = {2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 0x0a};
    EXPECT_EQ(rig.rewrite(*plain), untagged);
    EXPECT_TRUE(rig.rewrite(*one).empty());
    const auto generation = rig.published.neighbor_generation.load();
    p.neighbor(tagged, "192.0.2.1", "02:00:00:00:01:02");
    p.neighbor(stacked, "192.0.2.1", "02:00:00:00:01:03");
    EXPECT_GT(rig.published.neighbor_generation.load(), generation);
    const std::vector<std::uint8_t> single = {2, 0, 0, 0,    1,    2, 2, 0,
                                              0, 0, 0, 0x0b, 0x81, 0, 0, 100};
    EXPECT_EQ(rig.rewrite(*one), single);
    const std::vector<std::uint8_t> pair = {2, 0,    0,    0,    1, 3,   2,    0, 0, 0,
                                            0, 0x0b, 0x88, 0xa8, 0, 100, 0x81, 0, 0, 200};
    EXPECT_EQ(rig.rewrite(*two), pair);
    p.delete_neighbor(tagged, "192.0.2.1");
    EXPECT_TRUE(rig.rewrite(*one).empty());
}

TEST(Routes, ASecondChangeOfALinkHeaderWaitsForReaders) {
    Rig rig;
    Programmer p = rig.connect();
    p.begin_replay();
    const Basics made = make_basics(p);
    p.route(made.vrf, "10.0.0.0/8", p.group(p.adjacency(made.vport, "192.0.2.1")));
    p.neighbor(made.vport, "192.0.2.1", "02:00:00:00:01:01");
    p.reach();
    rig.rest();
    const auto* const nexthop = rig.nexthop(rig.lookup("v", "10.0.0.1"));
    const auto first = nexthop->active.load();
    rig.hang(true);
    p.neighbor(made.vport, "192.0.2.1", "02:00:00:00:01:02");
    EXPECT_NE(nexthop->active.load(), first);
    EXPECT_EQ(rig.rewrite(*nexthop)[5], 2);
    // A reader may still copy from the other one: it must stay as it is.
    p.neighbor(made.vport, "192.0.2.1", "02:00:00:00:01:03");
    EXPECT_EQ(rig.rewrite(*nexthop)[5], 2);
    rig.hang(false);
    rig.rest();
    EXPECT_EQ(rig.rewrite(*nexthop)[5], 3);
    EXPECT_EQ(nexthop->active.load(), first);
}

TEST(Routes, AGleanedNeighbourHasAHostRoute) {
    Rig rig;
    Programmer p = rig.connect();
    p.begin_replay();
    const Basics made = make_basics(p);
    p.neighbor(made.vport, "192.0.2.9", "02:00:00:00:01:09");
    p.neighbor(made.vport, "198.51.100.1", "02:00:00:00:01:0a");  // not on the connected prefix
    const Handle glean = p.group(p.glean(made.vport));
    p.route(made.vrf, "192.0.2.0/24", glean);
    EXPECT_EQ(rig.nexthop(rig.lookup("v", "192.0.2.10"))->kind, NextHopKind::glean);
    const auto* host = rig.nexthop(rig.lookup("v", "192.0.2.9"));
    EXPECT_EQ(host->kind, NextHopKind::adjacency);
    EXPECT_EQ(host->gateway, ip("192.0.2.9"));
    EXPECT_FALSE(rig.rewrite(*host).empty());
    EXPECT_TRUE(rig.lookup("v", "198.51.100.1").is_none());
    EXPECT_EQ(rig.control->status().host_routes, 1u);
    // It yields to a route by command for the same prefix, and to a longer one that covers it.
    p.route(made.vrf, "192.0.2.9/32", p.group(p.special(NextHopKind::blackhole)));
    EXPECT_EQ(rig.nexthop(rig.lookup("v", "192.0.2.9"))->kind, NextHopKind::blackhole);
    p.delete_route(made.vrf, "192.0.2.9/32");
    EXPECT_EQ(rig.nexthop(rig.lookup("v", "192.0.2.9"))->gateway, ip("192.0.2.9"));
    p.route(made.vrf, "192.0.2.8/29", p.group(p.special(NextHopKind::prohibit)));
    EXPECT_EQ(rig.nexthop(rig.lookup("v", "192.0.2.9"))->kind, NextHopKind::prohibit);
    p.delete_route(made.vrf, "192.0.2.8/29");
    EXPECT_EQ(rig.nexthop(rig.lookup("v", "192.0.2.9"))->gateway, ip("192.0.2.9"));
    p.delete_neighbor(made.vport, "192.0.2.9");
    EXPECT_EQ(rig.nexthop(rig.lookup("v", "192.0.2.9"))->kind, NextHopKind::glean);
    // It goes with the connected route.
    p.neighbor(made.vport, "192.0.2.9", "02:00:00:00:01:09");
    p.delete_route(made.vrf, "192.0.2.0/24");
    EXPECT_TRUE(rig.lookup("v", "192.0.2.9").is_none());
    EXPECT_EQ(rig.control->status().host_routes, 0u);
}

TEST(Routes, AGroupSpreadsByWeightAndChangesInPlace) {
    Rig rig;
    Programmer p = rig.connect();
    p.begin_replay();
    const Basics made = make_basics(p);
    const Handle one = p.adjacency(made.vport, "192.0.2.1");
    const Handle two = p.adjacency(made.vport, "192.0.2.2");
    const Handle group = p.group({{one, 3}, {two, 1}});
    p.route(made.vrf, "10.0.0.0/8", group);
    p.route(made.vrf, "2001:db8::/32", group);
    const table::Leaf leaf = rig.lookup("v", "10.0.0.1");
    ASSERT_TRUE(leaf.is_group());
    EXPECT_EQ(rig.lookup("v", "2001:db8::1"), leaf);
    const auto members = [&] {
        const auto& record = rig.view().record(rig.view().header().groups, leaf.group().value);
        const table::GroupTable& table = *rig.view().at(record.table.load());
        std::map<std::uint32_t, int> count;
        for (std::uint32_t i = 0; i <= table.bucket_mask; ++i) ++count[table.buckets()[i].value];
        return count;
    };
    EXPECT_EQ(members().size(), 2u);
    p.change_group(group, {{two, 1}});
    EXPECT_EQ(rig.lookup("v", "10.0.0.1"), leaf);
    EXPECT_EQ(members().size(), 1u);
    p.remove(Opcode::nexthop_delete, one);
    p.change_group(group, {{two, 1}, {p.adjacency(made.vport, "192.0.2.3"), 1}});
    EXPECT_EQ(members().size(), 2u);
}

TEST(Routes, AGroupOfOneBecomesOneOfTwo) {
    Rig rig;
    Programmer p = rig.connect();
    p.begin_replay();
    const Basics made = make_basics(p);
    const Handle one = p.adjacency(made.vport, "192.0.2.1");
    const Handle two = p.adjacency(made.vport, "192.0.2.2");
    const Handle group = p.group(one);
    p.route(made.vrf, "10.0.0.0/8", group);
    p.route(made.vrf, "11.0.0.0/8", group);
    EXPECT_FALSE(rig.lookup("v", "10.0.0.1").is_group());
    p.change_group(group, {{one, 1}, {two, 1}});
    EXPECT_TRUE(rig.lookup("v", "10.0.0.1").is_group());
    EXPECT_EQ(rig.lookup("v", "10.0.0.1"), rig.lookup("v", "11.0.0.1"));
    const Handle single = p.group(two);
    p.route(made.vrf, "12.0.0.0/8", single);
    p.change_group(single, {{one, 1}});
    EXPECT_EQ(rig.nexthop(rig.lookup("v", "12.0.0.1"))->gateway, ip("192.0.2.1"));
}

TEST(Routes, ALargeGroupComesInSeveralCommands) {
    Rig rig;
    Programmer p = rig.connect();
    p.begin_replay();
    const Basics made = make_basics(p);
    std::vector<ring::GroupMember> members;
    for (int i = 1; i <= 64; ++i) {
        members.push_back({p.adjacency(made.vport, "192.0.2." + std::to_string(i)), 1});
    }
    p.route(made.vrf, "10.0.0.0/8", p.group(members));
    const table::Leaf leaf = rig.lookup("v", "10.0.0.1");
    const auto& record = rig.view().record(rig.view().header().groups, leaf.group().value);
    EXPECT_EQ(rig.view().at(record.table.load())->member_count, 64u);
    auto late = make_command(Opcode::group_set);
    late.body.group.group = p.new_handle();
    late.body.group.total = 20;
    late.body.group.offset = 12;
    late.body.group.count = 8;
    for (auto& member : late.body.group.members) member = {1, 1};
    EXPECT_EQ(p.call(late).outcome, Outcome::out_of_order);
}

TEST(Routes, LinkLossKillsTheNextHopsOfThePortOnly) {
    Rig rig;
    Programmer p = rig.connect();
    p.begin_replay();
    const Basics made = make_basics(p);
    const Handle other = p.vport(made.tenant, made.vrf, p.port("p1"), "b", kMacB);
    p.route(made.vrf, "10.0.0.0/8", p.group(p.adjacency(made.vport, "192.0.2.1")));
    p.route(made.vrf, "11.0.0.0/8", p.group(p.adjacency(other, "192.0.2.1")));
    const auto alive = [&](const char* address) {
        const table::Leaf leaf = rig.lookup("v", address);
        return rig.liveness.alive(leaf.nexthop(), rig.nexthop(leaf)->generation);
    };
    rig.control->set_port_link(PortId{0}, false);
    EXPECT_FALSE(alive("10.0.0.1"));
    EXPECT_TRUE(alive("11.0.0.1"));
    // A command never revives a dead member; a new one on a dead port is born dead.
    p.route(made.vrf, "12.0.0.0/8", p.group(p.adjacency(made.vport, "192.0.2.7")));
    EXPECT_FALSE(alive("12.0.0.1"));
    p.neighbor(made.vport, "192.0.2.1", "02:00:00:00:01:01");
    EXPECT_FALSE(alive("10.0.0.1"));
    rig.control->set_port_link(PortId{0}, true);
    EXPECT_TRUE(alive("10.0.0.1"));
    rig.poll();
    std::vector<std::uint64_t> states;
    for (const ring::Event& event : p.take_events()) {
        if (event.kind == ring::EventKind::port_link && event.object == made.port) {
            states.push_back(event.value);
        }
    }
    EXPECT_EQ(states, (std::vector<std::uint64_t>{1, 0, 1}));
}

TEST(Routes, LocalRoutesNameTheVportsOwnAddresses) {
    Rig rig;
    Programmer p = rig.connect();
    p.begin_replay();
    const Basics made = make_basics(p);
    const Handle local = p.group(p.local(made.vport));
    p.route(made.vrf, "192.0.2.1/32", local);
    p.route(made.vrf, "fe80::1/128", local);
    p.route(made.vrf, "2001:db8::1/128", local);
    rig.rest();
    EXPECT_EQ(net::IpAddress(rig.policy("a")->source4), ip("192.0.2.1"));
    EXPECT_EQ(net::IpAddress(rig.policy("a")->source6), ip("2001:db8::1"));
    p.delete_route(made.vrf, "192.0.2.1/32");
    p.delete_route(made.vrf, "2001:db8::1/128");
    rig.rest();
    EXPECT_EQ(rig.policy("a")->source4, net::Ipv4Address{});
    EXPECT_TRUE(rig.policy("a")->source6.is_unspecified());
}

TEST(Routes, AVportWithoutAnAddressHasThatOfItsVrf) {
    Rig rig;
    Programmer p = rig.connect();
    p.begin_replay();
    const Basics made = make_basics(p);
    const Handle other_vrf = p.vrf(made.tenant, "elsewhere");
    const auto add = [&](const char* name, Handle vrf, std::uint16_t vlan) {
        testing::VportOptions options;
        options.vlan = vlan;
        return p.vport(made.tenant, vrf, made.port, name, "02:00:00:00:00:07", options);
    };
    add("unnumbered", made.vrf, 77);
    add("apart", other_vrf, 78);
    p.route(made.vrf, "192.0.2.1/32", p.group(p.local(made.vport)));
    rig.rest();
    EXPECT_EQ(net::IpAddress(rig.policy("unnumbered")->source4), ip("192.0.2.1"));
    EXPECT_EQ(rig.policy("apart")->source4, net::Ipv4Address{}) << "of another VRF";
}

}  // namespace
}  // namespace wye::control::test
