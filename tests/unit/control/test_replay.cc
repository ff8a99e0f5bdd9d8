// Sessions come and go: replays, what they leave alone, what they sweep, and what waits for
// workers.
#include <unistd.h>

#include <random>

#include "dataplane/table/vport_key.hh"
#include "tests/unit/control/rig.hh"

namespace wye::control::test {
namespace {

using wye::testing::any_rule;
using wye::testing::ip;
using wye::testing::object_name;
using wye::testing::prefix;

/// Something of every kind. `variant` 1 differs in what it says of some objects and leaves out
/// others.
void declare_all(Programmer& p, int variant) {
    p.begin_replay();
    const Handle underlay = p.tenant("underlay");
    const Handle under = p.vrf(underlay, "under", true);
    const Handle red = p.tenant("red");
    const Handle red_vrf = p.vrf(red, "red");
    const Handle port = p.port("p0");
    const Handle carrier = p.vport(underlay, under, port, "carrier", kMacA);
    const Handle tunnel = p.tunnel(under, "x", TunnelKind::vxlan, "192.0.2.1", "192.0.2.2", 100);
    const Handle acl =
        p.acl(red, "guard", {any_rule(variant == 0 ? AclAction::deny : AclAction::permit)});
    p.begin_transaction(red);
    const Handle site =
        p.vport(red, red_vrf, port, "site", kMacB, {.vlan = 10, .ingress_acl = acl});
    const Handle remote = p.tunnel_vport(red, red_vrf, tunnel, "remote", kMacB);
    if (variant == 0) p.vport(red, red_vrf, port, "old", kMacB, {.vlan = 20});
    if (variant == 1) p.vport(red, red_vrf, port, "new", kMacB, {.vlan = 20});
    p.commit_transaction(red);
    p.end_replay(ring::Stream::policy);
    const Handle gateway = p.adjacency(carrier, "192.0.2.254");
    const Handle one = p.adjacency(remote, "10.0.0.1");
    const Handle two = p.adjacency(site, "10.1.0.1");
    p.route(under, "0.0.0.0/0", p.group(gateway));
    p.route(red_vrf, "10.0.0.0/8", p.group({{one, 1}, {two, 2}}));
    p.route(red_vrf, "192.168.0.0/24", p.group(p.glean(site)));
    p.route(red_vrf, variant == 0 ? "10.9.0.0/16" : "10.8.0.0/16", p.group(two));
    p.neighbor(carrier, "192.0.2.254", "02:00:00:00:01:01");
    p.neighbor(site, "192.168.0.9", "02:00:00:00:01:02");
    if (variant == 0) p.neighbor(site, "192.168.0.10", "02:00:00:00:01:03");
    p.end_replay(ring::Stream::routes);
}

TEST(Replay, NothingBeforeItsBegin) {
    Rig rig;
    Programmer p = rig.connect();
    auto tenant = make_command(Opcode::tenant_set);
    tenant.body.tenant.tenant = 1;
    tenant.body.tenant.name = object_name("t");
    EXPECT_EQ(p.call(tenant).outcome, Outcome::not_ready);
    EXPECT_EQ(p.call(ring::Stream::routes, make_command(Opcode::replay_end)).outcome,
              Outcome::not_ready);
    p.begin_replay();
    EXPECT_EQ(p.call(ring::Stream::routes, make_command(Opcode::replay_begin)).outcome,
              Outcome::out_of_order);
    EXPECT_EQ(p.call(tenant).outcome, Outcome::accepted);
    p.end_replay();
    EXPECT_EQ(p.call(ring::Stream::routes, make_command(Opcode::replay_end)).outcome,
              Outcome::out_of_order);
    p.reach();
}

TEST(Replay, TheSameAgainWritesNothing) {
    Rig rig;
    {
        Programmer p = rig.connect();
        declare_all(p, 0);
        p.reach();
    }
    rig.rest();
    const std::uint64_t digest = rig.digest();
    const Status before = rig.control->status();
    for (int session = 0; session < 3; ++session) {
        Programmer p = rig.connect();
        p.new_handle();  // other handles for the same objects
        for (int i = 0; i < session * 7; ++i) p.new_handle();
        declare_all(p, 0);
        p.reach();
        rig.rest();
        EXPECT_EQ(rig.digest(), digest);
    }
    const Status after = rig.control->status();
    EXPECT_EQ(after.nexthops, before.nexthops);
    EXPECT_EQ(after.groups, before.groups);
    EXPECT_EQ(after.arena_used, before.arena_used);
    EXPECT_EQ(after.refusals, 0u);
}

TEST(Replay, WhatDiffersIsChangedAndTheRestIsSwept) {
    Rig rig;
    {
        Programmer p = rig.connect();
        declare_all(p, 0);
    }
    const VportId site = rig.vport("site");
    EXPECT_TRUE(rig.vport("old").valid());
    EXPECT_FALSE(rig.lookup("red", "10.9.0.1").is_group());
    Programmer p = rig.connect();
    declare_all(p, 1);
    rig.rest();
    EXPECT_EQ(rig.vport("site"), site);
    EXPECT_FALSE(rig.vport("old").valid());
    // Took over the tag of a vport that was not declared yet.
    EXPECT_EQ(table::find_vport(rig.view(), 0, 20, kNoVlan), rig.vport("new"));
    EXPECT_TRUE(rig.lookup("red", "10.9.0.1").is_group());
    EXPECT_FALSE(rig.lookup("red", "10.8.0.1").is_group());
    EXPECT_EQ(rig.nexthop(rig.lookup("red", "192.168.0.10"))->kind, NextHopKind::glean);
    EXPECT_EQ(rig.nexthop(rig.lookup("red", "192.168.0.9"))->kind, NextHopKind::adjacency);
    EXPECT_EQ(rig.control->status().refusals, 0u);
    EXPECT_EQ(rig.control->status().vports, 4u);
}

TEST(Replay, AnEmptyOneLeavesNothing) {
    Rig rig;
    {
        Programmer p = rig.connect();
        declare_all(p, 0);
    }
    Programmer p = rig.connect();
    p.begin_replay();
    p.end_replay();
    rig.rest();
    const Status status = rig.control->status();
    EXPECT_EQ(status.tenants, 0u);
    EXPECT_EQ(status.vrfs, 0u);
    EXPECT_EQ(status.vports, 0u);
    EXPECT_EQ(status.tunnels, 0u);
    EXPECT_EQ(status.acls, 0u);
    EXPECT_EQ(status.nexthops + status.groups + status.routes + status.neighbors, 0u);
    EXPECT_EQ(status.arena_used, 0u);
}

TEST(Replay, AVportThatRoutesStillUseIsPutDownAndGoesWithThem) {
    Rig rig;
    {
        Programmer p = rig.connect();
        p.begin_replay();
        const Basics made = make_basics(p);
        p.route(made.vrf, "10.0.0.0/8", p.group(p.adjacency(made.vport, "192.0.2.1")));
        p.end_replay();
    }
    EXPECT_EQ(rig.policy("a")->admin_up, 1);
    Programmer p = rig.connect();
    p.begin_replay();
    p.tenant("t");
    p.end_replay(ring::Stream::policy);
    rig.rest();
    ASSERT_NE(rig.policy("a"), nullptr);
    EXPECT_EQ(rig.policy("a")->admin_up, 0);
    EXPECT_TRUE(rig.vrf("v").valid());
    p.end_replay(ring::Stream::routes);
    rig.rest();
    EXPECT_FALSE(rig.vport("a").valid());
    EXPECT_FALSE(rig.vrf("v").valid());
    EXPECT_TRUE(rig.tenant("t").valid());
}

TEST(Replay, AnUnfinishedOneRemovesNothing) {
    Rig rig;
    {
        Programmer p = rig.connect();
        declare_all(p, 0);
    }
    rig.rest();
    const std::uint64_t digest = rig.digest();
    {
        Programmer p = rig.connect();
        p.begin_replay();
        p.tenant("red");
    }
    rig.disconnect();
    rig.rest();
    EXPECT_EQ(rig.digest(), digest);
    Programmer p = rig.connect();
    declare_all(p, 0);
    rig.rest();
    EXPECT_EQ(rig.digest(), digest);
}

TEST(Replay, ManyRoutesAreSweptInTurns) {
    Rig rig;
    const auto declare = [&](Programmer& p, std::uint32_t routes) {
        p.begin_replay();
        const Basics made = make_basics(p);
        const Handle group = p.group(p.special(NextHopKind::blackhole));
        for (std::uint32_t i = 0; i < routes; ++i) {
            auto route = make_command(Opcode::route_set);
            const auto address = net::Ipv4Address::from_host(0x0a000000u + (i << 8));
            route.body.route = {made.vrf, group, {net::IpAddress(address), 24}, 0, {}};
            p.post(route);
        }
        EXPECT_EQ(p.settle(), 0u);
        p.end_replay();
    };
    {
        Programmer p = rig.connect();
        declare(p, 20000);
    }
    EXPECT_EQ(rig.control->status().routes, 20000u);
    Programmer p = rig.connect();
    declare(p, 5000);
    EXPECT_EQ(rig.control->status().routes, 5000u);
    EXPECT_FALSE(rig.lookup("v", "10.0.1.1").is_none());
    EXPECT_TRUE(rig.lookup("v", "10.64.0.1").is_none());
}

TEST(Frees, AreWithheldWhileAReaderDoesNotReport) {
    Options options = test_options();
    options.retired_budget = 20000;
    Rig rig(options);
    Programmer p = rig.connect();
    p.begin_replay();
    const Basics made = make_basics(p);
    const Handle drop = p.group(p.special(NextHopKind::blackhole));
    const Handle deny = p.group(p.special(NextHopKind::prohibit));
    p.reach();
    rig.rest();
    rig.hang(true);
    const auto flip = [&](Handle group) {
        auto route = make_command(Opcode::route_set);
        route.body.route = {made.vrf, group, prefix("10.0.0.0/8"), 0, {}};
        return p.call(route).outcome;
    };
    Outcome outcome = Outcome::accepted;
    int accepted = 0;
    for (; outcome == Outcome::accepted && accepted < 10000; ++accepted) {
        outcome = flip(accepted % 2 == 0 ? drop : deny);
    }
    EXPECT_EQ(outcome, Outcome::frees_pending);
    EXPECT_GT(rig.control->status().arena_retired, options.retired_budget);
    EXPECT_LT(rig.control->status().reached, rig.control->status().epoch);
    const table::Leaf stands = rig.lookup("v", "10.0.0.1");
    EXPECT_EQ(flip(drop), Outcome::frees_pending);  // at once now
    EXPECT_EQ(rig.lookup("v", "10.0.0.1"), stands);
    rig.hang(false);
    rig.rest();
    EXPECT_EQ(rig.control->status().arena_retired, 0u);
    EXPECT_EQ(flip(drop), Outcome::accepted);
}

TEST(Events, AnEpochIsReachedOnlyWhenTheReaderReports) {
    Rig rig;
    Programmer p = rig.connect();
    p.begin_replay();
    p.reach();
    rig.rest();
    rig.hang(true);
    p.tenant("t");
    const std::uint64_t epoch = p.last_epoch();
    for (int i = 0; i < 100; ++i) rig.poll();
    EXPECT_LT(rig.control->status().reached, epoch);
    rig.hang(false);
    p.reach(epoch);
}

TEST(Events, ASlowShimHoldsTheControlThreadBackAndLosesNothing) {
    Rig rig;
    Programmer p = rig.connect();
    p.begin_replay();
    // Completions are not taken: 2047 fit.
    std::vector<ring::Command> barriers(100, make_command(Opcode::barrier));
    std::uint32_t sent = 0;
    for (int i = 0; i < 10000; ++i) {
        for (auto& barrier : barriers) barrier.header.sequence = 2 + sent++;
        if (!p.channel().send(ring::Stream::routes, barriers)) {
            sent -= 100;
            rig.poll();
        }
    }
    EXPECT_LT(sent, 3200u);
    std::uint32_t got = 0;
    std::array<ring::Completion, 64> some;
    for (int i = 0; i < 1000; ++i) {
        const std::size_t count = p.channel().receive_completions(ring::Stream::routes, some);
        for (std::size_t k = 0; k < count; ++k) EXPECT_EQ(some[k].sequence, 2 + got++);
        rig.poll();
    }
    EXPECT_EQ(got, sent);
}

TEST(Events, ResolvesAreOfThisSessionRareAndOnce) {
    Options options = test_options();
    options.resolves_per_second = 10;
    Rig rig(options);
    Programmer p = rig.connect();
    p.begin_replay();
    const Basics made = make_basics(p);
    const ring::ResolveRequest request{rig.vport("a"), ip("192.0.2.7")};
    for (int i = 0; i < 5; ++i) rig.resolve.push(request);
    rig.resolve.push({VportId{200}, ip("192.0.2.7")});  // no such vport
    rig.poll();
    auto events = p.take_events();
    std::erase_if(events, [](const auto& e) { return e.kind != ring::EventKind::resolve; });
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].object, made.vport);
    EXPECT_EQ(events[0].address, ip("192.0.2.7"));
    for (std::uint32_t i = 0; i < 50; ++i) {
        rig.resolve.push({rig.vport("a"), net::Ipv4Address::from_host(0x0a000001u + i)});
    }
    rig.poll();
    EXPECT_EQ(p.take_events().size(), 9u);
    p.neighbor(made.vport, "192.0.2.77", kMacB);
    rig.resolve.push({rig.vport("a"), ip("192.0.2.77")});
    rig.poll();
    EXPECT_TRUE(p.take_events().empty());
}

}  // namespace
}  // namespace wye::control::test
