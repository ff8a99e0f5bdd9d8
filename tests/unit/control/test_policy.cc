// Tenants, VRFs, ports, vports, tunnels, ACLs and transactions as workers see them.
#include "dataplane/table/acl.hh"
#include "dataplane/table/vport_key.hh"
#include "tests/unit/control/rig.hh"

namespace wye::control::test {
namespace {

using wye::testing::any_rule;
using wye::testing::ip;
using wye::testing::object_name;
using wye::testing::prefix;

struct Policy : ::testing::Test {
    Policy() : p(rig.connect()) { p.begin_replay(); }
    Rig rig;
    Programmer p;
    VportId attached(std::uint16_t vlan, std::uint16_t inner = kNoVlan, std::uint16_t port = 0) {
        return table::find_vport(rig.view(), port, vlan, inner);
    }
    Outcome outcome_of(Opcode opcode, Handle object) {
        auto command = make_command(opcode);
        command.body.object.object = object;
        return p.call(command).outcome;
    }
    ring::Command vport_command(const Basics& made, std::string_view name, std::uint16_t vlan) {
        auto command = make_command(Opcode::vport_set);
        ring::VportSet& vport = command.body.vport;
        vport.vport = p.new_handle();
        vport.tenant = made.tenant;
        vport.vrf = made.vrf;
        vport.port = made.port;
        vport.kind = VportKind::port;
        vport.name = object_name(name);
        vport.mac = wye::testing::mac(kMacB);
        vport.mtu = 1500;
        vport.vlan = vlan;
        vport.inner_vlan = kNoVlan;
        vport.admin_up = 1;
        return command;
    }
};

TEST_F(Policy, AVportIsFoundByItsTagsAndHasItsPolicy) {
    const Basics made = make_basics(p);
    p.vport(made.tenant, made.vrf, made.port, "b", kMacB, {.vlan = 10, .mtu = 9000});
    p.vport(made.tenant, made.vrf, made.port, "c", kMacB, {.vlan = 10, .inner_vlan = 20});
    EXPECT_EQ(attached(kNoVlan), rig.vport("a"));
    EXPECT_EQ(attached(10), rig.vport("b"));
    EXPECT_EQ(attached(10, 20), rig.vport("c"));
    EXPECT_FALSE(attached(11).valid());
    EXPECT_FALSE(attached(10, kNoVlan, 1).valid());
    const auto& record = rig.view().record(rig.view().header().vports, rig.vport("b").value);
    EXPECT_EQ(record.kind, VportKind::port);
    EXPECT_EQ(record.tenant, rig.tenant("t"));
    ASSERT_NE(rig.policy("b"), nullptr);
    EXPECT_EQ(rig.policy("b")->vrf, rig.vrf("v"));
    EXPECT_EQ(rig.policy("b")->mtu, 9000);
    EXPECT_EQ(rig.policy("b")->admin_up, 1);
}

TEST_F(Policy, APortIsToLetThroughTheOuterTagsOfItsVports) {
    const Basics made = make_basics(p);
    const PortId port{0}, other{1};
    using Vlans = std::vector<std::uint16_t>;
    EXPECT_EQ(rig.control->vlans_of(port), Vlans{}) << "an untagged vport needs none";
    const Handle late = p.vport(made.tenant, made.vrf, made.port, "b", kMacB, {.vlan = 20});
    p.vport(made.tenant, made.vrf, made.port, "c", kMacB, {.vlan = 10});
    p.vport(made.tenant, made.vrf, made.port, "d", kMacB, {.vlan = 10, .inner_vlan = 30});
    p.vport(made.tenant, made.vrf, p.port("p1"), "e", kMacB, {.vlan = 40});
    EXPECT_EQ(rig.control->vlans_of(port), (Vlans{10, 20}));
    EXPECT_EQ(rig.control->vlans_of(other), (Vlans{40}));
    const std::uint64_t before = rig.control->vlan_changes();
    p.remove(Opcode::vport_delete, late);
    EXPECT_GT(rig.control->vlan_changes(), before);
    EXPECT_EQ(rig.control->vlans_of(port), (Vlans{10}));
}

TEST_F(Policy, ADeletedVportIsGoneAtOnceAndItsSlotAfterAGracePeriod) {
    const Basics made = make_basics(p);
    const VportId id = rig.vport("a");
    rig.hang(true);
    p.remove(Opcode::vport_delete, made.vport);
    EXPECT_FALSE(attached(kNoVlan).valid());
    EXPECT_EQ(rig.policy("a"), nullptr);
    EXPECT_TRUE(rig.vport("a").valid());
    // The same name again has the same id, so it must wait; the worker hangs, so it is refused.
    EXPECT_EQ(p.call(vport_command(made, "a", kNoVlan)).outcome, Outcome::frees_pending);
    rig.hang(false);
    rig.rest();
    EXPECT_FALSE(rig.vport("a").valid());
    EXPECT_EQ(p.call(vport_command(made, "a", kNoVlan)).outcome, Outcome::accepted);
    EXPECT_EQ(rig.vport("a"), id);
    const auto& record = rig.view().record(rig.view().header().vports, id.value);
    EXPECT_EQ(record.generation, 2u);
}

TEST_F(Policy, AVportChangesWithoutLosingItsId) {
    const Basics made = make_basics(p);
    p.neighbor(made.vport, "192.0.2.1", "02:00:00:00:01:01");
    p.route(made.vrf, "10.0.0.0/8", p.group(p.adjacency(made.vport, "192.0.2.1")));
    const VportId id = rig.vport("a");
    auto command = vport_command(made, "a", 77);
    command.body.vport.vport = made.vport;
    command.body.vport.mtu = 1400;
    EXPECT_EQ(p.call(command).outcome, Outcome::accepted);
    EXPECT_EQ(rig.vport("a"), id);
    EXPECT_EQ(attached(77), id);
    EXPECT_FALSE(attached(kNoVlan).valid());
    EXPECT_EQ(rig.policy("a")->mtu, 1400);
    rig.rest();
    const auto bytes = rig.rewrite(*rig.nexthop(rig.lookup("v", "10.0.0.1")));
    ASSERT_EQ(bytes.size(), 16u);
    EXPECT_EQ(bytes[11], 0x0b);
    EXPECT_EQ(bytes[15], 77);
}

TEST_F(Policy, AnAttachmentChangeThatCannotFinishIsTakenBack) {
    const Basics made = make_basics(p);
    p.neighbor(made.vport, "192.0.2.1", "02:00:00:00:01:01");
    p.route(made.vrf, "10.0.0.0/8", p.group(p.adjacency(made.vport, "192.0.2.1")));
    rig.rest();
    rig.hang(true);
    auto command = vport_command(made, "a", 77);
    command.body.vport.vport = made.vport;
    EXPECT_EQ(p.call(command).outcome, Outcome::frees_pending);
    EXPECT_EQ(attached(kNoVlan), rig.vport("a"));
    EXPECT_FALSE(attached(77).valid());
    ASSERT_NE(rig.policy("a"), nullptr);
    rig.hang(false);
    rig.rest();
    EXPECT_EQ(rig.rewrite(*rig.nexthop(rig.lookup("v", "10.0.0.1"))).size(), 12u);
    EXPECT_EQ(p.call(command).outcome, Outcome::accepted);
    EXPECT_EQ(attached(77), rig.vport("a"));
}

TEST_F(Policy, ATunnelIsFoundByItsKeyAndLeadsToItsVport) {
    const Basics made = make_basics(p);
    const Handle under = p.vrf(made.tenant, "under", true);
    const Handle tunnel = p.tunnel(under, "x", TunnelKind::vxlan, "192.0.2.1", "192.0.2.2", 100);
    table::TunnelKey key{};
    key.local = ip("192.0.2.1");
    key.remote = ip("192.0.2.2");
    key.kind = TunnelKind::vxlan;
    key.vni = 100;
    key.underlay = rig.vrf("under");
    const TunnelId id = table::find_tunnel(rig.view(), key);
    ASSERT_EQ(id, rig.tunnel("x"));
    const auto& record = rig.view().record(rig.view().header().tunnels, id.value);
    EXPECT_FALSE(record.vport.valid());
    EXPECT_EQ(record.header_length, 36);
    const Handle inside = p.tunnel_vport(made.tenant, made.vrf, tunnel, "in", kMacB);
    EXPECT_EQ(record.vport, rig.vport("in"));
    EXPECT_EQ(outcome_of(Opcode::tunnel_delete, tunnel), Outcome::in_use);
    EXPECT_EQ(outcome_of(Opcode::vrf_delete, under), Outcome::in_use);
    p.remove(Opcode::vport_delete, inside);
    EXPECT_FALSE(record.vport.valid());
    p.remove(Opcode::tunnel_delete, tunnel);
    EXPECT_FALSE(table::find_tunnel(rig.view(), key).valid());
    p.remove(Opcode::vrf_delete, under);
}

TEST_F(Policy, ATunnelChangesWhileItsVportIsOut) {
    const Basics made = make_basics(p);
    const Handle under = p.vrf(made.tenant, "under", true);
    const Handle tunnel = p.tunnel(under, "x", TunnelKind::geneve, "2001:db8::1", "2001:db8::2", 7);
    p.tunnel_vport(made.tenant, made.vrf, tunnel, "in", kMacB);
    auto command = make_command(Opcode::tunnel_set);
    ring::TunnelSet& set = command.body.tunnel;
    set.tunnel = tunnel;
    set.underlay_vrf = under;
    set.name = object_name("x");
    set.kind = TunnelKind::geneve;
    set.local = ip("2001:db8::1");
    set.remote = ip("2001:db8::3");
    set.vni = 8;
    EXPECT_EQ(p.call(command).outcome, Outcome::accepted);
    rig.rest();
    const auto& record = rig.view().record(rig.view().header().tunnels, rig.tunnel("x").value);
    EXPECT_EQ(record.key.vni, 8u);
    EXPECT_EQ(record.vport, rig.vport("in"));
    EXPECT_EQ(table::find_tunnel(rig.view(), record.key), rig.tunnel("x"));
    ASSERT_NE(rig.policy("in"), nullptr);
    // The key is unique.
    set.tunnel = p.new_handle();
    set.name = object_name("y");
    const auto refused = p.call(command);
    EXPECT_EQ(refused.outcome, Outcome::duplicate);
    EXPECT_EQ(refused.detail, tunnel);
    set.underlay_vrf = made.vrf;
    EXPECT_EQ(p.call(command).outcome, Outcome::not_underlay);
}

TEST_F(Policy, AnAclIsCompiledAndReplacedWithItsUsers) {
    const Basics made = make_basics(p);
    ring::AclRule rule = any_rule(AclAction::permit);
    rule.destination = prefix("10.0.0.0/8");
    const Handle acl = p.acl(made.tenant, "guard", {rule});
    auto command = vport_command(made, "a", kNoVlan);
    command.body.vport.vport = made.vport;
    command.body.vport.ingress_acl = acl;
    EXPECT_EQ(p.call(command).outcome, Outcome::accepted);
    const auto permitted = [&](const char* destination) {
        table::AclKey key;
        key.source = ip("192.0.2.1");
        key.destination = ip(destination);
        return table::match_acl(rig.view(), rig.policy("a")->ingress_acl, key).permit;
    };
    EXPECT_TRUE(permitted("10.0.0.1"));
    EXPECT_FALSE(permitted("11.0.0.1"));
    EXPECT_EQ(outcome_of(Opcode::acl_delete, acl), Outcome::in_use);
    // The same name with other rules: the vport follows in the same swap.
    rule.destination = prefix("11.0.0.0/8");
    auto begin = make_command(Opcode::acl_begin);
    begin.body.acl = {acl, made.tenant, object_name("guard"), 1, 0, {}};
    EXPECT_EQ(p.call(begin).outcome, Outcome::accepted);
    auto body = make_command(Opcode::acl_rule);
    body.body.rule = rule;
    body.body.rule.acl = acl;
    EXPECT_EQ(p.call(body).outcome, Outcome::accepted);
    EXPECT_TRUE(permitted("10.0.0.1"));
    EXPECT_EQ(outcome_of(Opcode::acl_commit, acl), Outcome::accepted);
    EXPECT_FALSE(permitted("10.0.0.1"));
    EXPECT_TRUE(permitted("11.0.0.1"));
    command.body.vport.ingress_acl = ring::kNoHandle;
    EXPECT_EQ(p.call(command).outcome, Outcome::accepted);
    EXPECT_EQ(outcome_of(Opcode::acl_delete, acl), Outcome::accepted);
    rig.rest();
    EXPECT_FALSE(rig.counters.rules("guard").has_value());
}

TEST_F(Policy, AnAclIsRefusedWholeAndInOrder) {
    const Basics made = make_basics(p);
    auto rule = make_command(Opcode::acl_rule);
    rule.body.rule = any_rule(AclAction::permit);
    rule.body.rule.acl = 99;
    EXPECT_EQ(p.call(rule).outcome, Outcome::out_of_order);
    EXPECT_EQ(outcome_of(Opcode::acl_commit, 99), Outcome::out_of_order);
    auto begin = make_command(Opcode::acl_begin);
    begin.body.acl = {99, made.tenant, object_name("guard"), 2, 0, {}};
    EXPECT_EQ(p.call(begin).outcome, Outcome::accepted);
    rule.body.rule.index = 1;
    EXPECT_EQ(p.call(rule).outcome, Outcome::out_of_order);
    rule.body.rule.index = 0;
    EXPECT_EQ(p.call(rule).outcome, Outcome::accepted);
    EXPECT_EQ(outcome_of(Opcode::acl_commit, 99), Outcome::out_of_order);  // one is missing
    EXPECT_EQ(p.call(begin).outcome, Outcome::accepted);
    rule.body.rule.dscp = 64;
    const auto bad = p.call(rule);
    EXPECT_EQ(bad.outcome, Outcome::malformed);
    EXPECT_EQ(bad.detail, offsetof(ring::AclRule, dscp));
    EXPECT_EQ(rig.control->status().acls, 0u);
    begin.body.acl.rules = 5000;  // more counters than there are
    EXPECT_EQ(p.call(begin).outcome, Outcome::accepted);
    rule.body.rule.dscp = 0;
    for (std::uint32_t i = 0; i < 5000; ++i) {
        rule.body.rule.index = i;
        p.post(rule);
    }
    EXPECT_EQ(p.settle(), 0u);
    EXPECT_EQ(outcome_of(Opcode::acl_commit, 99), Outcome::table_full);
    EXPECT_EQ(rig.control->status().acls, 0u);
    EXPECT_FALSE(rig.counters.rules("guard").has_value());
    p.acl(made.tenant, "small", {any_rule(AclAction::permit)});
}

TEST_F(Policy, ATransactionIsPublishedAtOnce) {
    const Basics made = make_basics(p);
    p.begin_transaction(made.tenant);
    const Handle acl = p.acl(made.tenant, "guard", {any_rule(AclAction::deny)});
    p.vport(made.tenant, made.vrf, made.port, "b", kMacB, {.vlan = 10, .ingress_acl = acl});
    auto command = vport_command(made, "a", kNoVlan);
    command.body.vport.vport = made.vport;
    command.body.vport.egress_acl = acl;
    EXPECT_EQ(p.call(command).outcome, Outcome::accepted);
    // Nothing of it yet.
    EXPECT_FALSE(attached(10).valid());
    EXPECT_EQ(rig.policy("b"), nullptr);
    EXPECT_FALSE(rig.policy("a")->egress_acl);
    const auto& root = rig.view().record(rig.view().header().tenants, rig.tenant("t").value);
    const auto before = root.policy.load();
    const std::uint32_t generation = rig.view().at(before)->generation;
    p.commit_transaction(made.tenant);
    EXPECT_EQ(rig.view().at(root.policy.load())->generation, generation + 1);
    EXPECT_EQ(attached(10), rig.vport("b"));
    EXPECT_TRUE(rig.policy("a")->egress_acl);
    EXPECT_EQ(rig.policy("a")->egress_acl, rig.policy("b")->ingress_acl);
}

TEST_F(Policy, AnAbortedTransactionLeavesNothing) {
    const Basics made = make_basics(p);
    rig.rest();
    const auto used = rig.control->status().arena_used;
    for (const bool by_session : {false, true}) {
        p.begin_transaction(made.tenant);
        const Handle acl = p.acl(made.tenant, "guard", {any_rule(AclAction::deny)});
        p.vport(made.tenant, made.vrf, made.port, "b", kMacB, {.vlan = 10, .ingress_acl = acl});
        p.remove(Opcode::vport_delete, made.vport);
        if (by_session) {
            rig.disconnect();
        } else {
            p.abort_transaction(made.tenant);
        }
        rig.rest();
        EXPECT_EQ(rig.control->status().vports, 1u);
        EXPECT_EQ(rig.control->status().acls, 0u);
        EXPECT_EQ(rig.control->status().arena_used, used);
        EXPECT_EQ(attached(kNoVlan), rig.vport("a"));
        EXPECT_FALSE(rig.vport("b").valid());
        EXPECT_FALSE(rig.counters.rules("guard").has_value());
    }
}

TEST_F(Policy, VportsSwapTheirTagsInOneTransaction) {
    const Basics made = make_basics(p);
    const Handle b = p.vport(made.tenant, made.vrf, made.port, "b", kMacB, {.vlan = 10});
    const Handle c = p.vport(made.tenant, made.vrf, made.port, "c", kMacB, {.vlan = 20});
    p.begin_transaction(made.tenant);
    auto one = vport_command(made, "b", 30);
    one.body.vport.vport = b;
    auto two = vport_command(made, "c", 10);
    two.body.vport.vport = c;
    EXPECT_EQ(p.call(two).outcome, Outcome::vlan_conflict);  // b has not moved yet
    EXPECT_EQ(p.call(one).outcome, Outcome::accepted);
    EXPECT_EQ(p.call(two).outcome, Outcome::accepted);
    one.body.vport.vlan = 20;
    EXPECT_EQ(p.call(one).outcome, Outcome::accepted);
    p.commit_transaction(made.tenant);
    EXPECT_EQ(attached(20), rig.vport("b"));
    EXPECT_EQ(attached(10), rig.vport("c"));
    EXPECT_FALSE(attached(30).valid());
    ASSERT_NE(rig.policy("b"), nullptr);
    ASSERT_NE(rig.policy("c"), nullptr);
}

TEST_F(Policy, TransactionsAreOrdered) {
    const Basics made = make_basics(p);
    const Handle other = p.tenant("u");
    EXPECT_EQ(outcome_of(Opcode::transaction_commit, made.tenant), Outcome::out_of_order);
    p.begin_transaction(made.tenant);
    EXPECT_EQ(outcome_of(Opcode::transaction_begin, other), Outcome::out_of_order);
    EXPECT_EQ(outcome_of(Opcode::transaction_commit, other), Outcome::out_of_order);
    EXPECT_EQ(outcome_of(Opcode::tenant_delete, made.tenant), Outcome::in_use);
    p.commit_transaction(made.tenant);
    EXPECT_EQ(outcome_of(Opcode::transaction_begin, 4711), Outcome::unknown_handle);
}

TEST_F(Policy, ADeletionThatBecameImpossibleRefusesTheWholeTransaction) {
    const Basics made = make_basics(p);
    p.begin_transaction(made.tenant);
    p.vport(made.tenant, made.vrf, made.port, "b", kMacB, {.vlan = 10});
    p.remove(Opcode::vport_delete, made.vport);
    const Handle nexthop = p.adjacency(made.vport, "192.0.2.1");  // the other stream was quicker
    EXPECT_EQ(outcome_of(Opcode::transaction_commit, made.tenant), Outcome::in_use);
    EXPECT_EQ(attached(kNoVlan), rig.vport("a"));
    EXPECT_FALSE(rig.vport("b").valid());
    p.remove(Opcode::nexthop_delete, nexthop);
    p.remove(Opcode::vport_delete, made.vport);
}

TEST_F(Policy, WhatIsReferredToIsNotDeleted) {
    const Basics made = make_basics(p);
    const Handle nexthop = p.adjacency(made.vport, "192.0.2.1");
    const Handle group = p.group(nexthop);
    p.route(made.vrf, "10.0.0.0/8", group);
    EXPECT_EQ(outcome_of(Opcode::tenant_delete, made.tenant), Outcome::in_use);
    EXPECT_EQ(outcome_of(Opcode::vrf_delete, made.vrf), Outcome::in_use);
    EXPECT_EQ(outcome_of(Opcode::vport_delete, made.vport), Outcome::in_use);
    EXPECT_EQ(outcome_of(Opcode::nexthop_delete, nexthop), Outcome::in_use);
    EXPECT_EQ(outcome_of(Opcode::group_delete, group), Outcome::in_use);
    p.delete_route(made.vrf, "10.0.0.0/8");
    p.remove(Opcode::group_delete, group);
    p.remove(Opcode::nexthop_delete, nexthop);
    p.remove(Opcode::vport_delete, made.vport);
    p.remove(Opcode::vrf_delete, made.vrf);
    p.remove(Opcode::tenant_delete, made.tenant);
    rig.rest();
    const Status status = rig.control->status();
    EXPECT_EQ(status.tenants + status.vrfs + status.vports + status.nexthops + status.groups, 0u);
    EXPECT_EQ(status.arena_used, 0u);
    EXPECT_EQ(status.arena_retired, 0u);
    EXPECT_FALSE(rig.tenant("t").valid());
}

TEST_F(Policy, OneTenantCannotReachIntoAnother) {
    const Basics made = make_basics(p);
    const Handle evil = p.tenant("evil");
    const Handle evil_vrf = p.vrf(evil, "evil");
    const Handle acl = p.acl(evil, "evil", {any_rule(AclAction::permit)});
    auto command = vport_command(made, "b", 10);
    command.body.vport.vrf = evil_vrf;
    auto refused = p.call(command);
    EXPECT_EQ(refused.outcome, Outcome::malformed);
    EXPECT_EQ(refused.detail, offsetof(ring::VportSet, vrf));
    command.body.vport.vrf = made.vrf;
    command.body.vport.ingress_acl = acl;
    EXPECT_EQ(p.call(command).outcome, Outcome::malformed);
    const Handle evil_vport = p.vport(evil, evil_vrf, made.port, "e", kMacB, {.vlan = 99});
    auto route = make_command(Opcode::route_set);
    route.body.route.vrf = made.vrf;
    route.body.route.prefix = prefix("10.0.0.0/8");
    const Handle theirs = p.adjacency(evil_vport, "192.0.2.1");
    route.body.route.group = p.group(theirs);
    EXPECT_EQ(p.call(route).outcome, Outcome::malformed);
    auto group = make_command(Opcode::group_set);
    group.body.group.group = p.new_handle();
    group.body.group.total = group.body.group.count = 2;
    group.body.group.members[0] = {theirs, 1};
    group.body.group.members[1] = {p.adjacency(made.vport, "192.0.2.1"), 1};
    EXPECT_EQ(p.call(group).outcome, Outcome::malformed);
    // Nor by changing a group that its routes already use.
    const Handle mine = p.group(p.special(NextHopKind::blackhole));
    p.route(made.vrf, "10.0.0.0/8", mine);
    group.body.group.group = mine;
    group.body.group.total = group.body.group.count = 1;
    EXPECT_EQ(p.call(group).outcome, Outcome::malformed);
}

TEST_F(Policy, QuotasHold) {
    auto tenant = make_command(Opcode::tenant_set);
    tenant.body.tenant.tenant = p.new_handle();
    tenant.body.tenant.name = object_name("small");
    tenant.body.tenant.max_routes = 2;
    tenant.body.tenant.max_vports = 1;
    tenant.body.tenant.max_acl_rules = 3;
    tenant.body.tenant.max_neighbors = 1;
    ASSERT_EQ(p.call(tenant).outcome, Outcome::accepted);
    const Handle handle = tenant.body.tenant.tenant;
    const Handle vrf = p.vrf(handle, "v");
    const Handle port = p.port("p0");
    const Handle vport = p.vport(handle, vrf, port, "a", kMacA);
    const Basics made{handle, vrf, port, vport};
    EXPECT_EQ(p.call(vport_command(made, "b", 10)).outcome, Outcome::quota_exceeded);
    const auto permit = any_rule(AclAction::permit);
    p.acl(handle, "one", {permit, permit});
    EXPECT_THROW(p.acl(handle, "two", {permit, permit}), std::runtime_error);
    p.acl(handle, "two", {permit});
    const Handle group = p.group(p.special(NextHopKind::blackhole));
    p.route(vrf, "10.0.0.0/8", group);
    p.route(vrf, "11.0.0.0/8", group);
    p.route(vrf, "11.0.0.0/8", group);  // again is not one more
    auto route = make_command(Opcode::route_set);
    route.body.route = {vrf, group, prefix("12.0.0.0/8"), 0, {}};
    EXPECT_EQ(p.call(route).outcome, Outcome::quota_exceeded);
    EXPECT_TRUE(rig.lookup("v", "12.0.0.1").is_none());
    p.delete_route(vrf, "10.0.0.0/8");
    EXPECT_EQ(p.call(route).outcome, Outcome::accepted);
    p.neighbor(vport, "192.0.2.1", kMacB);
    EXPECT_THROW(p.neighbor(vport, "192.0.2.2", kMacB), std::runtime_error);
    p.delete_neighbor(vport, "192.0.2.1");
    p.neighbor(vport, "192.0.2.2", kMacB);
}

TEST_F(Policy, NamesAndHandlesAreOfOneObject) {
    const Basics made = make_basics(p);
    auto tenant = make_command(Opcode::tenant_set);
    tenant.body.tenant.tenant = made.tenant;
    tenant.body.tenant.name = object_name("other");
    auto refused = p.call(tenant);
    EXPECT_EQ(refused.outcome, Outcome::duplicate);
    EXPECT_EQ(refused.detail, made.tenant);
    tenant.body.tenant.tenant = p.new_handle();
    tenant.body.tenant.name = object_name("t");
    refused = p.call(tenant);
    EXPECT_EQ(refused.outcome, Outcome::duplicate);
    EXPECT_EQ(refused.detail, made.tenant);
    auto conflict = vport_command(made, "b", kNoVlan);
    refused = p.call(conflict);
    EXPECT_EQ(refused.outcome, Outcome::vlan_conflict);
    EXPECT_EQ(refused.detail, made.vport);
    auto port = make_command(Opcode::port_bind);
    port.body.port.port = p.new_handle();
    port.body.port.name = object_name("nowhere");
    EXPECT_EQ(p.call(port).outcome, Outcome::no_such_port);
    auto vrf = make_command(Opcode::vrf_set);
    vrf.body.vrf = {made.vrf, made.tenant, object_name("v"), 77, 1, 0, {}};
    EXPECT_EQ(p.call(vrf).outcome, Outcome::accepted);
    vrf.body.vrf.vrf = p.new_handle();
    vrf.body.vrf.name = object_name("w");
    refused = p.call(vrf);
    EXPECT_EQ(refused.outcome, Outcome::duplicate);
    EXPECT_EQ(refused.detail, made.vrf);
}

TEST_F(Policy, MalformedFieldsAreNamedByTheirOffset) {
    const Basics made = make_basics(p);
    rig.rest();
    const std::uint64_t digest = rig.digest();
    const auto expect = [&](ring::Command command, std::size_t offset) {
        const auto refused = p.call(command);
        EXPECT_EQ(refused.outcome, Outcome::malformed) << offset;
        EXPECT_EQ(refused.detail, offset);
    };
    const ring::Command good = vport_command(made, "b", 10);
    ring::Command bad = good;
    bad.body.vport.vport = 0;
    expect(bad, offsetof(ring::VportSet, vport));
    bad = good;
    bad.body.vport.name.text.fill('x');  // no terminator
    expect(bad, offsetof(ring::VportSet, name));
    bad = good;
    bad.body.vport.mac.bytes[0] = 1;
    expect(bad, offsetof(ring::VportSet, mac));
    bad = good;
    bad.body.vport.mtu = 67;
    expect(bad, offsetof(ring::VportSet, mtu));
    bad = good;
    bad.body.vport.vlan = 4095;
    expect(bad, offsetof(ring::VportSet, vlan));
    bad = good;
    bad.body.vport.vlan = kNoVlan;
    bad.body.vport.inner_vlan = 5;
    expect(bad, offsetof(ring::VportSet, inner_vlan));
    bad = good;
    bad.body.vport.kind = VportKind::none;
    expect(bad, offsetof(ring::VportSet, kind));
    bad = good;
    bad.body.vport.admin_up = 2;
    expect(bad, offsetof(ring::VportSet, admin_up));
    bad = good;
    bad.body.vport.without_twin = 2;
    expect(bad, offsetof(ring::VportSet, without_twin));
    bad = good;
    bad.body.vport.reserved = 1;
    expect(bad, offsetof(ring::VportSet, reserved));
    auto route = make_command(Opcode::route_set);
    route.body.route.vrf = made.vrf;
    route.body.route.prefix = prefix("10.0.0.0/8");
    route.body.route.prefix.address.bytes[3] = 1;
    expect(route, offsetof(ring::RouteSet, prefix));
    route.body.route.prefix = prefix("10.0.0.0/8");
    route.body.route.prefix.length = 33;
    expect(route, offsetof(ring::RouteSet, prefix));
    auto neighbor = make_command(Opcode::neighbor_set);
    neighbor.body.neighbor = {made.vport, ip("224.0.0.1"), wye::testing::mac(kMacA), {}};
    expect(neighbor, offsetof(ring::NeighborSet, address));
    EXPECT_EQ(p.call(make_command(static_cast<Opcode>(999))).outcome, Outcome::unknown_opcode);
    auto astray = make_command(Opcode::route_set);
    EXPECT_EQ(p.call(ring::Stream::policy, astray).outcome, Outcome::unknown_opcode);
    rig.rest();
    EXPECT_EQ(rig.digest(), digest);
    EXPECT_EQ(p.call(good).outcome, Outcome::accepted);
}

TEST_F(Policy, AFullTableIsRefusedAndTheRestWorks) {
    const Basics made = make_basics(p);
    for (int i = 1; i < 64; ++i) p.tenant("t" + std::to_string(i));
    EXPECT_THROW(p.tenant("t64"), std::runtime_error);
    const Handle group = p.group(p.special(NextHopKind::blackhole));
    std::uint32_t refused = 0;
    auto route = make_command(Opcode::route_set);
    for (std::uint32_t i = 0; refused == 0 && i < 3000000; i += 3000) {
        for (std::uint32_t k = i; k < i + 3000; ++k) {
            const std::uint32_t scattered = k * 2654435761u;
            net::Ipv6Address address{};
            address.bytes[0] = 0x20;
            std::memcpy(&address.bytes[4], &scattered, 4);
            std::memcpy(&address.bytes[10], &scattered, 4);
            route.body.route = {made.vrf, group, {net::IpAddress(address), 128}, 0, {}};
            p.post(route);
        }
        p.settle();
        refused = static_cast<std::uint32_t>(p.refusals().size());
    }
    ASSERT_GT(refused, 0u);
    EXPECT_EQ(p.refusals().front().outcome, Outcome::table_full);
    const std::size_t routes = rig.control->status().routes;
    EXPECT_GT(routes, 1000u);
    // Deleting makes room again.
    net::Ipv6Address first{};
    first.bytes[0] = 0x20;
    auto gone = make_command(Opcode::route_delete);
    gone.body.route_delete = {made.vrf, {net::IpAddress(first), 128}};
    EXPECT_EQ(p.call(gone).outcome, Outcome::accepted);
    rig.rest();
    route.body.route.prefix = {net::IpAddress(first), 128};
    EXPECT_EQ(p.call(route).outcome, Outcome::accepted);
    EXPECT_EQ(rig.control->status().routes, routes);
}

}  // namespace
}  // namespace wye::control::test
