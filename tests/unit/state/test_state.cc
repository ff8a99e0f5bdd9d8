// State against a fake kernel and a fake data plane: what must be true after settling, whatever
// happened on the way.
#include <gtest/gtest.h>

#include <random>

#include "controlplane-shim/api/columns.hh"
#include "tests/unit/state/state_test.hh"

namespace wye::state {
namespace {

TEST_F(StateTest, PortsAreShownAsTheDataPlaneTellsThatTheyRun) {
    auto port = ring::make_message<ring::PortMessage>();
    port.port = *ObjectName::from("p0");
    port.receive_queues = 2;
    ring::set_words(port.driver, "af_xdp");
    ring::set_words(port.mode, "nat\x1bive");
    ring::set_words(port.takes, "UDP ports 4789, 6081");
    ports_ = {port};
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    connect();
    settle();
    const auto rows = state_->show("ports", nlohmann::json::object()).result;
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0]["driver"], "af_xdp");
    EXPECT_EQ(rows[0]["mode"], "nat?ive");
    EXPECT_EQ(rows[0]["takes"], "UDP ports 4789, 6081");
    EXPECT_EQ(rows[0]["queues"], 2);
    EXPECT_FALSE(rows[0].contains("buffers"));
    lose_session();
    EXPECT_FALSE(state_->show("ports", nlohmann::json::object()).result[0].contains("driver"));
}

TEST_F(StateTest, ManifestIsProgrammedWithTwinsLocalAndConnectedRoutes) {
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    EXPECT_TRUE(kernel_.twins.empty()) << "before it is known which twins a data plane holds";
    connect();
    settle();
    EXPECT_EQ(plane_.vports.size(), 4u);
    EXPECT_EQ(kernel_.twins.size(), 6u);
    EXPECT_EQ(plane_.twins.size(), 6u);
    EXPECT_EQ((plane_.routes.at({"v0", prefix("10.0.1.1/32")})), "3|t0p1|*1 ");
    EXPECT_EQ((plane_.routes.at({"v0", prefix("10.0.1.0/24")})), "2|t0p1|*1 ");
}

TEST_F(StateTest, EqualManifestSendsNothing) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    settle();
    const std::uint64_t before = state_->commands_sent();
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    settle();
    EXPECT_EQ(state_->commands_sent(), before);
    manifest::Manifest changed = two_tenants();
    changed.tenants[1].vports[0].mtu = 1400;
    ASSERT_TRUE(state_->apply_manifest(changed).empty());
    settle();
    EXPECT_EQ(state_->commands_sent(), before + 3) << "begin, the vport, commit";
}

TEST_F(StateTest, RefusedTransactionKeepsTheOldManifest) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    settle();
    const auto routes = plane_.routes;
    const auto vports = plane_.vports;
    const auto twins = plane_.twins;
    manifest::Manifest next = two_tenants();
    next.tenants[0].vports.pop_back();     // goes first, must come back
    next.tenants[0].vports[0].mtu = 1400;  // accepted first, must be taken back
    next.tenants.push_back(tenant(2));     // declared first, must be removed again
    next.tenants.back().vports.push_back(vport(2, 0));
    plane_.refused_vport = "t2p0";
    const auto errors = state_->apply_manifest(next);
    ASSERT_FALSE(errors.empty());
    EXPECT_NE(errors[0].find("vport t2p0"), std::string::npos) << errors[0];
    settle();
    EXPECT_EQ(state_->manifest(), two_tenants());
    EXPECT_EQ(plane_.routes, routes);
    EXPECT_EQ(plane_.vports, vports);
    EXPECT_EQ(plane_.twins, twins);
    EXPECT_EQ(plane_.tenants, (std::set<std::string>{"t0", "t1"}));
    plane_.refused_vport.clear();
    EXPECT_TRUE(state_->apply_manifest(next).empty());
    settle();
    EXPECT_EQ(plane_.vports.size(), 4u);
}

TEST_F(StateTest, WhatTheKernelOrThePortsLackIsRefusedBeforeAnythingChanges) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    settle();
    manifest::Manifest next = two_tenants();
    next.tenants[0].vports[0].port = "nowhere";
    auto errors = state_->apply_manifest(next);
    ASSERT_FALSE(errors.empty());
    EXPECT_NE(errors[0].find("port nowhere"), std::string::npos) << errors[0];
    next = two_tenants();
    next.tenants.push_back(tenant(2));
    kernel_.missing_namespaces.insert("ns2");
    const std::uint64_t before = state_->commands_sent();
    errors = state_->apply_manifest(next);
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_NE(errors[0].find("VRF v2"), std::string::npos) << errors[0];
    next = two_tenants();
    next.tenants[0].vports.push_back(vport(0, 5));
    kernel_.refused_twin = "t0p5";
    EXPECT_FALSE(state_->apply_manifest(next).empty());
    EXPECT_EQ(state_->commands_sent(), before);
    EXPECT_EQ(state_->manifest(), two_tenants());
}

TEST_F(StateTest, RefusedRoutesGetTheRoomOfRemovedOnes) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    settle();
    constexpr std::uint64_t kRoutes = 40, kRoom = 10;
    const auto nth = [](std::uint64_t i) { return "192.0." + std::to_string(i) + ".0/24"; };
    plane_.max_routes = plane_.routes.size() + kRoom;
    for (std::uint64_t i = 0; i < kRoutes; ++i) add_route(0, nth(i), "10.0.0.9", "t0p0", 100 + i);
    settle();
    for (std::uint64_t i = 0; i < kRoutes; ++i)
        EXPECT_EQ(source_.answers.at(100 + i), i < kRoom) << nth(i);
    for (std::uint64_t i = 0; i < kRoom; ++i)
        state_->route_removed({200 + i, 1}, {kVrfIds, prefix(nth(i))});
    settle();
    state_->tick();
    settle();
    std::uint64_t installed = 0;
    for (std::uint64_t i = kRoom; i < kRoutes; ++i)
        installed += source_.answers.at(100 + i) ? 1u : 0u;
    EXPECT_EQ(installed, kRoom) << "as many as were removed, and told without being asked";
    // Nothing more can be had: no endless tries.
    for (int i = 0; i < 3; ++i) {
        state_->tick();
        settle();
    }
    const std::uint64_t before = state_->commands_sent();
    for (int i = 0; i < 5; ++i) {
        state_->tick();
        settle();
    }
    EXPECT_EQ(state_->commands_sent(), before);
    EXPECT_EQ(source_.twice, 0);
}

TEST_F(StateTest, AcknowledgedOnlyWhenTheEpochIsReached) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    settle();
    plane_.hold_epochs = true;
    add_route(0, "192.0.2.0/24", "10.0.0.9", "t0p0", 7);
    for (int i = 0; i < 5; ++i) {
        state_->pump();
        plane_.step(100);
    }
    EXPECT_TRUE(has_route("v0", "192.0.2.0/24"));
    EXPECT_FALSE(source_.answers.contains(7));
    plane_.tell_epoch();
    state_->pump();
    EXPECT_TRUE(source_.answers.at(7));
    plane_.hold_epochs = false;
    // A table that is full, an interface that is no twin, a VRF that is not ours.
    plane_.max_routes = plane_.routes.size();
    add_route(0, "192.0.3.0/24", "10.0.0.9", "t0p0", 8);
    add_route(0, "192.0.4.0/24", "203.0.113.1", "none", 9);
    state_->route_installed({10, 1}, {99, prefix("192.0.5.0/24")}, {});
    settle();
    EXPECT_FALSE(source_.answers.at(8));
    EXPECT_FALSE(source_.answers.at(9));
    EXPECT_FALSE(source_.answers.at(10));
    state_->route_removed({11, 1}, {kVrfIds, prefix("192.0.2.0/24")});
    settle();
    EXPECT_TRUE(source_.answers.at(11));
    EXPECT_FALSE(has_route("v0", "192.0.2.0/24"));
    EXPECT_EQ(source_.twice, 0);
}

TEST_F(StateTest, RoutesDoNotLeakIntoAnotherVrf) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    settle();
    frr::Route route;
    route.nexthops.push_back({frr::RouteNextHop::Kind::gateway, *net::parse_ip("10.1.0.9"),
                              kernel_.twin_of("t1p0").index, kVrfIds + 1, 1, false});
    state_->route_installed({5, 1}, {kVrfIds, prefix("192.0.2.0/24")}, std::move(route));
    settle();
    EXPECT_FALSE(has_route("v0", "192.0.2.0/24"));
    EXPECT_FALSE(source_.answers.at(5));
}

TEST_F(StateTest, RoutesOfAVrfWithoutTenantWaitForOne) {
    connect();
    manifest::Manifest one = two_tenants(), two = two_tenants();
    one.tenants.pop_back();
    ASSERT_TRUE(state_->apply_manifest(one).empty());
    add_route(1, "192.0.2.0/24", "10.7.0.9", "t1p0", 7);  // on no link of the tenant's
    frr::Route blackhole;
    blackhole.kind = frr::RouteKind::blackhole;
    blackhole.zebra_type = 3;
    state_->route_installed({8, 1}, {kVrfIds + 1, prefix("192.0.3.0/24")}, std::move(blackhole));
    frr::Route connected;
    connected.zebra_type = 2;
    connected.nexthops.push_back({});
    state_->route_installed({9, 1}, {kVrfIds + 1, prefix("10.1.0.0/24")}, std::move(connected));
    settle();
    EXPECT_FALSE(source_.answers.at(7));
    EXPECT_FALSE(source_.answers.at(8));
    EXPECT_TRUE(source_.answers.at(9)) << "never fail connected routes";
    bool said = false;
    for (const auto& row : state_->show("status", nlohmann::json::object()).result)
        said = said || (row["state"] == "unresolved" &&
                        row["detail"].get<std::string>().ends_with("no tenant has VRF ns1"));
    EXPECT_TRUE(said);

    ASSERT_TRUE(state_->apply_manifest(two).empty());
    settle();
    EXPECT_TRUE(has_route("v1", "192.0.3.0/24"));
    EXPECT_TRUE(source_.answers.at(8)) << "installed after all, and FRR hears of it";
    EXPECT_FALSE(source_.answers.at(7));

    ASSERT_TRUE(state_->apply_manifest(one).empty());
    settle();
    EXPECT_FALSE(has_route("v1", "192.0.3.0/24"));
    ASSERT_TRUE(state_->apply_manifest(two).empty());
    settle();
    EXPECT_TRUE(has_route("v1", "192.0.3.0/24")) << "FRR does not say it again";
    // Taken away by FRR while no tenant has the VRF.
    ASSERT_TRUE(state_->apply_manifest(one).empty());
    state_->route_removed({10, 1}, {kVrfIds + 1, prefix("192.0.3.0/24")});
    settle();
    EXPECT_TRUE(source_.answers.at(10));
    ASSERT_TRUE(state_->apply_manifest(two).empty());
    settle();
    EXPECT_FALSE(has_route("v1", "192.0.3.0/24"));
    EXPECT_EQ(source_.twice, 0);
}

TEST_F(StateTest, NextHopOnAnInterfaceThatBecomesATwinLater) {
    connect();
    manifest::Manifest before = two_tenants();
    before.tenants[0].vports.pop_back();
    ASSERT_TRUE(state_->apply_manifest(before).empty());
    settle();
    frr::Route route;
    route.zebra_type = 3;
    route.nexthops.push_back({frr::RouteNextHop::Kind::gateway, *net::parse_ip("10.0.1.9"),
                              kernel_.next_index, kVrfIds, 1, false});
    state_->route_installed({7, 1}, {kVrfIds, prefix("192.0.2.0/24")}, std::move(route));
    settle();
    EXPECT_FALSE(source_.answers.at(7));
    EXPECT_FALSE(has_route("v0", "192.0.2.0/24"));
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    settle();
    ASSERT_TRUE(has_route("v0", "192.0.2.0/24"));
    EXPECT_EQ((plane_.routes.at({"v0", prefix("192.0.2.0/24")})), "1|t0p1|10.0.1.9*1 ");
    EXPECT_TRUE(source_.answers.at(7));
}

TEST_F(StateTest, RoutesWithoutTenantAreBoundedAndCounted) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    settle();
    constexpr std::uint32_t kMost = RouteProgrammer::kMaxWithoutTenant;
    const auto blackhole = [&](std::uint32_t i, std::uint8_t type) {
        frr::Route route;
        route.kind = frr::RouteKind::blackhole;
        route.zebra_type = type;
        const net::IpPrefix to{net::IpAddress(net::Ipv4Address::from_host(0x20000000 + i)), 32};
        state_->route_installed({i + 1, 1}, {kVrfIds + 2, to}, std::move(route));
    };
    for (std::uint32_t i = 0; i < kMost + 3; ++i) blackhole(i, 3);
    blackhole(kMost + 3, 2);
    settle();
    EXPECT_FALSE(source_.answers.at(kMost + 3));
    EXPECT_TRUE(source_.answers.at(kMost + 4)) << "connected";
    std::string detail;
    for (const auto& row : state_->show("status", nlohmann::json::object()).result)
        if (row["item"] == "routes of VRFs without a tenant") detail = row["detail"];
    EXPECT_TRUE(detail.starts_with("4 so far")) << detail;
    // A tenant's are taken as before, and one that is gone makes room.
    add_route(0, "192.0.2.0/24", "10.0.0.9", "t0p0");
    state_->route_removed({kMost + 10, 1}, {kVrfIds + 2, {*net::parse_ip("32.0.0.0"), 32}});
    settle();
    EXPECT_TRUE(has_route("v0", "192.0.2.0/24"));
    frr::Route again;
    again.kind = frr::RouteKind::blackhole;
    state_->route_installed({kMost + 11, 1}, {kVrfIds + 2, prefix("192.0.9.0/24")},
                            std::move(again));
    settle();
    bool kept = false;
    for (const auto& row :
         state_->show("routes", nlohmann::json{{"prefix", "192.0.9.0/24"}}).result)
        kept = kept || row["state"] == "unresolved";
    EXPECT_TRUE(kept);
}

TEST_F(StateTest, AnotherNameUnderAVrfIdTakesItsRoutesAway) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    settle();
    add_route(0, "192.0.2.0/24", "10.0.0.9", "t0p0");
    settle();
    ASSERT_TRUE(has_route("v0", "192.0.2.0/24"));
    state_->vrf_named(kVrfIds, "elsewhere");
    settle();
    EXPECT_FALSE(has_route("v0", "192.0.2.0/24"));
}

TEST_F(StateTest, SnapshotMarksAndSweeps) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    add_route(0, "192.0.2.0/24", "10.0.0.9", "t0p0");
    add_route(0, "192.0.3.0/24", "10.0.0.9", "t0p0");
    settle();
    state_->disconnected();
    settle();
    EXPECT_TRUE(has_route("v0", "192.0.3.0/24")) << "zebra's death removes nothing";
    const std::uint64_t writes = plane_.route_writes;
    state_->snapshot_begin();
    add_route(0, "192.0.2.0/24", "10.0.0.9", "t0p0", 21);
    state_->disconnected();  // not complete: nothing is swept
    settle();
    EXPECT_TRUE(has_route("v0", "192.0.3.0/24"));
    state_->snapshot_begin();
    add_route(0, "192.0.2.0/24", "10.0.0.9", "t0p0", 22);
    state_->snapshot_end();
    settle();
    EXPECT_TRUE(has_route("v0", "192.0.2.0/24"));
    EXPECT_FALSE(has_route("v0", "192.0.3.0/24"));
    EXPECT_TRUE(source_.answers.at(22));
    EXPECT_EQ(plane_.route_writes, writes) << "what did not change was not touched";
}

TEST_F(StateTest, RestartedShimTakesTwinsBackAndWaitsForZebra) {
    zebra_expected_ = true;
    restart_shim();
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    connect();
    state_->snapshot_begin();
    state_->snapshot_end();
    settle();
    add_route(0, "192.0.2.0/24", "10.0.0.9", "t0p0");
    add_route(0, "192.0.3.0/24", "10.0.0.9", "t0p0");
    settle();
    const auto twins = kernel_.twins;
    const std::uint64_t writes = plane_.route_writes;
    restart_shim();  // SIGKILL: the data plane holds twins and routes
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    for (const auto& [key, spec] : kernel_.twins)
        for (const auto& own : spec.addresses) state_->address_changed(key, own, true);
    connect();
    for (int i = 0; i < 50; ++i) {
        state_->pump();
        plane_.step(100);
    }
    EXPECT_FALSE(state_->settled());
    EXPECT_TRUE(has_route("v0", "192.0.2.0/24")) << "zebra has not spoken yet";
    EXPECT_EQ(kernel_.twins, twins);
    state_->snapshot_begin();
    add_route(0, "192.0.2.0/24", "10.0.0.9", "t0p0", 31);
    state_->snapshot_end();
    settle();
    EXPECT_TRUE(has_route("v0", "192.0.2.0/24"));
    EXPECT_FALSE(has_route("v0", "192.0.3.0/24"));
    EXPECT_EQ(plane_.route_writes, writes);
    EXPECT_TRUE(source_.answers.at(31));
}

TEST_F(StateTest, NeighborsFollowTheKernelAndTheQuotaGuardsIt) {
    connect();
    manifest::Manifest wanted = two_tenants();
    const net::IpAddress fixed = *net::parse_ip("10.0.0.5"), peer = *net::parse_ip("10.0.0.9");
    const net::MacAddress mac = *net::parse_mac("02:00:00:00:00:99");
    wanted.tenants[0].vports[0].neighbors.push_back({fixed, mac});
    ASSERT_TRUE(state_->apply_manifest(wanted).empty());
    settle();
    EXPECT_EQ((plane_.neighbors.at({"t0p0", fixed})), mac);
    ring::Event event;
    event.kind = ring::EventKind::resolve;
    event.object = plane_.handle_of(ring::ObjectKind::vport, "t0p0");
    event.address = peer;
    plane_.events.push_back(event);
    settle();
    ASSERT_EQ(kernel_.asked.size(), 1u);
    EXPECT_FALSE(kernel_.asked[0].second);
    state_->neighbor_changed(kernel_.twin_of("t0p0"), peer, mac);
    settle();
    EXPECT_EQ((plane_.neighbors.at({"t0p0", peer})), mac);
    ASSERT_EQ(kernel_.asked.size(), 2u);
    EXPECT_TRUE(kernel_.asked[1].second) << "kept from now on";
    state_->neighbor_changed(kernel_.twin_of("t0p0"), peer, std::nullopt);
    settle();
    EXPECT_FALSE((plane_.neighbors.contains({"t0p0", peer})));
    EXPECT_EQ(kernel_.forgotten.size(), 1u);
    // A scan of one tenant: bounded, and the other's first requests still go through.
    const std::size_t before = kernel_.asked.size();
    for (std::uint32_t i = 0; i < 500; ++i) {
        event.address = net::IpAddress(net::Ipv4Address::from_host(0x0a000100 + i));
        plane_.events.push_back(event);
    }
    settle();
    EXPECT_EQ(kernel_.asked.size() - before, ResolveQuota::kPendingOfVport);
    event.object = plane_.handle_of(ring::ObjectKind::vport, "t1p0");
    plane_.events.push_back(event);
    settle();
    EXPECT_EQ(kernel_.asked.size() - before, ResolveQuota::kPendingOfVport + 1);
}

TEST_F(StateTest, GatewaysOfAGroupAreResolvedAndChecked) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    settle();
    const net::IpAddress one = *net::parse_ip("10.0.0.9"), two = *net::parse_ip("10.0.1.9");
    const net::IpAddress single = *net::parse_ip("10.1.0.9");
    const net::MacAddress mac = *net::parse_mac("02:00:00:00:00:99");
    frr::Route route;
    route.zebra_type = 3;
    for (const auto& [gateway, by] : {std::pair{one, "t0p0"}, std::pair{two, "t0p1"}})
        route.nexthops.push_back({frr::RouteNextHop::Kind::gateway, gateway,
                                  kernel_.twin_of(by).index, kVrfIds, 1, false});
    state_->route_installed({1, 1}, {kVrfIds, prefix("192.0.2.0/24")}, std::move(route));
    add_route(1, "192.0.2.0/24", "10.1.0.9", "t1p0");
    settle();
    state_->tick();
    for (const net::IpAddress& gateway : {one, two, single})
        EXPECT_EQ(std::count(kernel_.asked.begin(), kernel_.asked.end(), std::pair{gateway, false}),
                  1)
            << net::to_string(gateway);
    state_->neighbor_changed(kernel_.twin_of("t0p0"), one, mac);
    state_->neighbor_changed(kernel_.twin_of("t1p0"), single, mac);
    settle();
    for (int i = 0; i < 8; ++i) state_->tick();
    EXPECT_EQ(std::count(kernel_.checked.begin(), kernel_.checked.end(), one), 2);
    EXPECT_EQ(std::count(kernel_.checked.begin(), kernel_.checked.end(), two), 0) << "not there";
    EXPECT_EQ(std::count(kernel_.checked.begin(), kernel_.checked.end(), single), 0) << "alone";
    // It goes: the data plane hears of it, and it is asked for again.
    kernel_.asked.clear();
    state_->neighbor_changed(kernel_.twin_of("t0p0"), one, std::nullopt);
    settle();
    EXPECT_FALSE((plane_.neighbors.contains({"t0p0", one})));
    state_->tick();
    EXPECT_EQ(std::count(kernel_.asked.begin(), kernel_.asked.end(), std::pair{one, false}), 1);
}

TEST_F(StateTest, WhatAReplayRefusedIsTriedAgain) {
    ASSERT_TRUE(state_->apply_manifest(two_tenants()).empty());
    plane_.refused_vport = "t0p1";
    connect();
    settle();
    EXPECT_FALSE(plane_.vports.contains("t0p1"));
    const auto refused = [&] {
        for (const auto& row : state_->show("status", nlohmann::json::object()).result)
            if (row["item"] == "vport t0p1" && row["state"] == "refused") return true;
        return false;
    };
    EXPECT_TRUE(refused());
    const auto wait = [&] {
        for (int i = 0; i < 4; ++i) state_->tick();
        settle();
    };
    const std::uint64_t before = state_->commands_sent();
    wait();
    EXPECT_TRUE(refused()) << "still in the way";
    EXPECT_LE(state_->commands_sent() - before, 6u) << "a transaction with one vport, seldom";
    // It is no obstacle to another edit, nor to being taken away.
    manifest::Manifest edited = two_tenants();
    edited.tenants[1].vports[0].mtu = 1400;
    EXPECT_TRUE(state_->apply_manifest(edited).empty());
    manifest::Manifest without = edited;
    without.tenants[0].vports.pop_back();
    EXPECT_TRUE(state_->apply_manifest(without).empty());
    settle();
    EXPECT_FALSE(refused());
    plane_.refused_vport.clear();
    EXPECT_TRUE(state_->apply_manifest(edited).empty());
    settle();
    lose_session();
    plane_.refused_vport = "t0p1";
    plane_.lose_tables();
    connect();
    settle();
    EXPECT_TRUE(refused());
    plane_.refused_vport.clear();  // what was in the way has gone
    wait();
    EXPECT_FALSE(refused());
    EXPECT_TRUE(plane_.vports.contains("t0p1"));
    EXPECT_TRUE(has_route("v0", "10.0.1.1/32"));
}

TEST_F(StateTest, VlansAndTwinNamesAreSwappedLive) {
    connect();
    manifest::Manifest before = two_tenants();
    before.tenants[0].vports[0].twin = "one";
    before.tenants[0].vports[1].twin = "two";
    ASSERT_TRUE(state_->apply_manifest(before).empty());
    settle();
    add_route(0, "192.0.2.0/24", "10.0.0.9", "t0p0");
    settle();
    manifest::Manifest next = before;
    std::swap(next.tenants[0].vports[0].vlan, next.tenants[1].vports[1].vlan);  // over tenants
    std::swap(next.tenants[0].vports[1].vlan, next.tenants[1].vports[0].vlan);
    const auto routes = plane_.routes;
    EXPECT_TRUE(state_->apply_manifest(next).empty());
    settle();
    EXPECT_TRUE(plane_.vports.at("t0p0").starts_with("v0 12 ")) << plane_.vports.at("t0p0");
    EXPECT_TRUE(plane_.vports.at("t1p1").starts_with("v1 1 ")) << plane_.vports.at("t1p1");
    EXPECT_EQ(plane_.routes, routes) << "of FRR and connected ones, back";
    // One refusal in the same edit: as it was.
    plane_.refused_vport = "t1p1";
    EXPECT_FALSE(state_->apply_manifest(before).empty());
    plane_.refused_vport.clear();
    for (int i = 0; i < 4; ++i) state_->tick();  // the way back was refused too, and tried again
    settle();
    EXPECT_EQ(state_->manifest(), next);
    EXPECT_TRUE(plane_.vports.at("t0p0").starts_with("v0 12 "));
    EXPECT_EQ(plane_.routes, routes);
    EXPECT_TRUE(state_->apply_manifest(before).empty());
    settle();
    // A new vport with the twin name, address and VLAN of one that goes in the same edit.
    next = before;
    next.tenants[0].vports[0].name = "t0p9";
    EXPECT_TRUE(state_->apply_manifest(next).empty());
    settle();
    EXPECT_EQ(kernel_.twins.at(kernel_.twin_of("t0p9")).interface, "one");
    EXPECT_FALSE(plane_.vports.contains("t0p0"));
    // The kernel refuses another twin in the same edit: as it was, with the twin made anew.
    manifest::Manifest refused = before;
    refused.tenants[1].vports.push_back(vport(1, 5));
    kernel_.refused_twin = "t1p5";
    EXPECT_FALSE(state_->apply_manifest(refused).empty());
    settle();
    EXPECT_EQ(kernel_.twins.at(kernel_.twin_of("t0p9")).interface, "one");
    EXPECT_EQ(plane_.twins.size(), 6u);
    EXPECT_TRUE(plane_.vports.contains("t0p9"));
    EXPECT_TRUE(has_route("v0", "10.0.0.1/32"));
}

TEST_F(StateTest, AnswersKeepToTheColumns) {
    connect();
    manifest::Manifest wanted = two_tenants();
    wanted.tenants[0].acls.push_back({"guard", true, {{}, {}}});
    wanted.tenants[0].vports[0].ingress_acl = "guard";
    ASSERT_TRUE(state_->apply_manifest(wanted).empty());
    add_route(0, "192.0.2.0/24", "10.0.0.9", "t0p0");
    add_route(0, "192.0.3.0/24", "203.0.113.1", "none");
    settle();
    for (const api::Show& show : api::shows()) {
        const api::Reply reply = state_->show(std::string(show.what), nlohmann::json::object());
        EXPECT_TRUE(reply.ok) << show.what;
        for (const std::string& problem : api::check_rows(show.what, reply.result))
            ADD_FAILURE() << problem;
    }
    const auto matched = state_->show("routes", {{"vrf", "v0"}, {"match", "192.0.2.77"}});
    ASSERT_EQ(matched.result.size(), 1u);
    EXPECT_EQ(matched.result[0]["nexthop"], "10.0.0.9");
    EXPECT_EQ(matched.result[0]["state"], "installed");
    const auto unresolved = state_->show("routes", {{"prefix", "192.0.3.0/24"}});
    ASSERT_EQ(unresolved.result.size(), 1u);
    EXPECT_EQ(unresolved.result[0]["state"], "unresolved");
}

/// Random edits of everything, sessions lost in between, against what must be there at the end.
class RandomStateTest : public StateTest, public ::testing::WithParamInterface<unsigned> {
  protected:
    using Routes = std::map<std::pair<std::string, net::IpPrefix>, std::string>;

    unsigned pick(unsigned n) { return static_cast<unsigned>(random_() % n); }

    manifest::Manifest random_manifest() {
        manifest::Manifest made;
        for (int t = 0; t < 3; ++t) {
            if (pick(4) == 0) continue;
            made.tenants.push_back(tenant(t));
            for (int i = 0; i < 3; ++i) {
                if (pick(3) == 0) continue;
                made.tenants.back().vports.push_back(vport(t, i));
                if (pick(4) == 0) made.tenants.back().vports.back().mtu = 1400;
                if (pick(4) == 0) made.tenants.back().vports.back().addresses.clear();
            }
            if (pick(2) == 0)
                made.tenants.back().acls.push_back({"acl" + std::to_string(t), false, {}});
        }
        return made;
    }
    void random_route() {
        const int t = static_cast<int>(pick(3)), i = static_cast<int>(pick(3));
        const std::string by = "t" + std::to_string(t) + "p" + std::to_string(i);
        const std::string to = "192.0." + std::to_string(pick(20)) + ".0/24";
        const std::uint32_t vrf = kVrfIds + static_cast<std::uint32_t>(t);
        const std::uint64_t operation = ++operations_;
        if (pick(3) == 0) {
            state_->route_removed({operation, 1}, {vrf, prefix(to)});
            frr_.erase({t, prefix(to)});
            return;
        }
        const std::string gateway = "10.9.0." + std::to_string(1 + pick(3));
        const std::uint32_t index = kernel_.twin_of(by).index;
        add_route(t, to, gateway, by, operation);
        frr_[{t, prefix(to)}] = {gateway, index};
    }
    Routes expected() {
        Routes routes;
        std::map<std::uint32_t, std::string> by_index;
        for (const auto& [key, spec] : kernel_.twins)
            if (spec.kind == ring::TwinKind::vport_tap) by_index[key.index] = spec.object;
        for (const manifest::Tenant& tenant : state_->manifest().tenants) {
            const int t = tenant.name[1] - '0';
            const std::string vrf = tenant.vrfs[0].name;
            for (const auto& [key, route] : frr_) {
                if (key.first != t || route.second == 0 || !by_index.contains(route.second))
                    continue;
                routes[{vrf, key.second}] =
                    "1|" + by_index[route.second] + "|" + route.first + "*1 ";
            }
            for (const manifest::Vport& vport : tenant.vports) {
                for (const auto& own : vport.addresses) {
                    routes[{vrf, {own.address, 32}}] = "3|" + vport.name + "|*1 ";
                    routes[{vrf, {net::mask(own.address, own.length), own.length}}] =
                        "2|" + vport.name + "|*1 ";
                }
            }
        }
        return routes;
    }

    std::mt19937 random_{GetParam()};
    std::map<std::pair<int, net::IpPrefix>, std::pair<std::string, std::uint32_t>> frr_;
    std::uint64_t operations_ = 0;
};

TEST_P(RandomStateTest, DataPlaneHoldsWhatItShould) {
    connect();
    plane_.frees_pending_every = GetParam() % 3 == 0 ? 13 : 0;
    for (int round = 0; round < 60; ++round) {
        switch (pick(8)) {
            case 0: {
                settle();  // so that the refusal meets this change, not a replay before it
                plane_.refused_vport = pick(3) == 0 ? "t1p1" : "";
                const manifest::Manifest before = state_->manifest(), next = random_manifest();
                const auto errors = state_->apply_manifest(next);
                EXPECT_EQ(state_->manifest(), errors.empty() ? next : before);
                plane_.refused_vport.clear();
                break;
            }
            case 1:
                lose_session();
                if (pick(2) == 0) plane_.lose_tables();
                connect();
                break;
            case 2:
                settle();
                EXPECT_EQ(plane_.routes, expected()) << "round " << round;
                break;
            default:
                for (unsigned i = pick(20); i > 0; --i) random_route();
                state_->pump();
                plane_.step(pick(30));
        }
    }
    settle();
    EXPECT_EQ(plane_.routes, expected());
    EXPECT_EQ(source_.twice, 0);
    EXPECT_EQ(source_.answers.size(), operations_) << "each operation has its answer";
    std::set<std::string> vports;
    for (const auto& tenant : state_->manifest().tenants)
        for (const auto& vport : tenant.vports) vports.insert(vport.name);
    EXPECT_EQ(plane_.vports.size(), vports.size());
    ASSERT_TRUE(state_->apply_manifest({}).empty());
    settle();
    EXPECT_TRUE(plane_.routes.empty());
    EXPECT_TRUE(plane_.vports.empty() && plane_.vrfs.empty() && plane_.tenants.empty());
    EXPECT_TRUE(kernel_.twins.empty());
    EXPECT_TRUE(plane_.twins.empty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomStateTest, ::testing::Range(1u, 25u));

}  // namespace
}  // namespace wye::state
