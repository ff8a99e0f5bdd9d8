// Tunnels of EVPN's routes, in a State between a fake kernel and a fake data plane.
#include <filesystem>

#include "controlplane-shim/api/columns.hh"
#include "tests/unit/state/state_test.hh"

namespace wye::state {
namespace {

/// Two tenants over an underlay; routes of EVPN with VNI 100 + tenant by interface 9.
class EvpnTest : public StateTest {
  protected:
    static constexpr std::uint32_t kInterface = 9;

    EvpnTest() : folder_(std::filesystem::temp_directory_path() / "wye-evpn-test") {
        std::filesystem::remove_all(folder_);
        std::filesystem::create_directory(folder_);
    }
    ~EvpnTest() override { std::filesystem::remove_all(folder_); }

    static manifest::Manifest with_underlay() {
        manifest::Manifest made;
        manifest::Tenant underlay;
        underlay.name = "underlay";
        underlay.vrfs.push_back({"underlay", {}, true, {}});
        manifest::Vport carrier = vport(8, 0);
        carrier.vrf = "underlay";
        carrier.mtu = 1600;
        underlay.vports.push_back(carrier);
        made.tenants.push_back(underlay);
        for (const manifest::Tenant& tenant : two_tenants().tenants) made.tenants.push_back(tenant);
        return made;
    }
    static net::MacAddress router_mac(const std::string& end) {
        return *net::parse_mac("02:00:00:00:99:0" + end.substr(end.size() - 1));
    }
    kernel::InterfaceKey interface(int tenant) const {
        return {"ns" + std::to_string(tenant), kInterface};
    }
    void make_interface(int tenant) {
        kernel::Link link{*net::parse_mac("02:00:00:00:88:01"), 1500, {}};
        state_->link_changed(interface(tenant), link);
        link.vxlan = kernel::Link::Vxlan{100u + static_cast<std::uint32_t>(tenant),
                                         *net::parse_ip("192.0.2.1"), 4789, 0, false};
        state_->link_changed({interface(tenant).netns, kInterface + 1}, link);
    }
    void learn(int tenant, const std::string& end) {
        state_->neighbor_changed(interface(tenant), *net::parse_ip(end), router_mac(end));
    }
    void add_evpn(int tenant, const std::string& to, std::vector<std::string> ends,
                  std::uint64_t operation = 0) {
        frr::Route route;
        route.zebra_type = 9;
        for (const std::string& end : ends) {
            route.nexthops.push_back({frr::RouteNextHop::Kind::evpn, *net::parse_ip(end),
                                      kInterface, kVrfIds + static_cast<std::uint32_t>(tenant), 1,
                                      false, 100u + static_cast<std::uint32_t>(tenant)});
        }
        state_->route_installed({operation, 1},
                                {kVrfIds + static_cast<std::uint32_t>(tenant), prefix(to)},
                                std::move(route));
    }
    std::string reason_of(const std::string& to) {
        const auto shown = state_->show("routes", {{"prefix", to}});
        return shown.result.empty() ? "" : shown.result[0].value("reason", "");
    }

    std::filesystem::path folder_;
};

TEST_F(EvpnTest, ARouteHasItsTunnelBeforeItIsAnswered) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(with_underlay()).empty());
    settle();
    make_interface(0);
    learn(0, "192.0.2.2");
    add_evpn(0, "10.7.0.0/24", {"192.0.2.2"}, 5);
    settle();
    EXPECT_EQ((plane_.routes.at({"v0", prefix("10.7.0.0/24")})),
              "1|evpn.100.192.0.2.2|192.0.2.2*1 ");
    EXPECT_TRUE(source_.answers.at(5)) << "never refused meanwhile";
    ASSERT_TRUE(plane_.tunnels.contains("evpn.100.192.0.2.2"));
    EXPECT_TRUE(plane_.vports.contains("evpn.100.192.0.2.2"));
    EXPECT_EQ(kernel_.twin_of("evpn.100.192.0.2.2").index, 0u) << "no twin";
    const auto& neighbors = plane_.neighbors;
    EXPECT_EQ(neighbors.at({"evpn.100.192.0.2.2", *net::parse_ip("192.0.2.2")}),
              router_mac("192.0.2.2"));
    const auto vports = state_->show("vports", {{"tenant", "t0"}}).result;
    EXPECT_EQ(api::check_rows("vports", vports), std::vector<std::string>{});
    EXPECT_FALSE(vports.back().contains("twin"));
    EXPECT_EQ(state_->manifest(), with_underlay()) << "what was applied";
    const std::uint64_t before = state_->commands_sent();
    ASSERT_TRUE(state_->apply_manifest(with_underlay()).empty());
    settle();
    EXPECT_EQ(state_->commands_sent(), before) << "applied again it changes nothing";
}

TEST_F(EvpnTest, TunnelsComeBeforeAndGoAfterTheRoutesThatUseThem) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(with_underlay()).empty());
    make_interface(0);
    for (const char* end : {"192.0.2.2", "192.0.2.3"}) learn(0, end);
    add_evpn(0, "10.7.0.0/24", {"192.0.2.2"});
    settle();
    add_evpn(0, "10.7.0.0/24", {"192.0.2.2", "192.0.2.3"});
    settle();
    EXPECT_EQ((plane_.routes.at({"v0", prefix("10.7.0.0/24")})),
              "1|evpn.100.192.0.2.2|192.0.2.2*1 1|evpn.100.192.0.2.3|192.0.2.3*1 ");
    add_evpn(0, "10.7.0.0/24", {"192.0.2.3"});
    settle();
    EXPECT_EQ((plane_.routes.at({"v0", prefix("10.7.0.0/24")})),
              "1|evpn.100.192.0.2.3|192.0.2.3*1 ");
    EXPECT_FALSE(plane_.tunnels.contains("evpn.100.192.0.2.2"));
    state_->route_removed({9, 1}, {kVrfIds, prefix("10.7.0.0/24")});
    settle();
    EXPECT_FALSE(has_route("v0", "10.7.0.0/24"));
    EXPECT_TRUE(plane_.tunnels.empty());
    EXPECT_TRUE(source_.answers.at(9));
}

TEST_F(EvpnTest, WhatIsMissingIsSaidAndItsComingHeals) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(with_underlay()).empty());
    add_evpn(0, "10.7.0.0/24", {"192.0.2.2"}, 5);
    settle();
    EXPECT_FALSE(source_.answers.at(5));
    EXPECT_EQ(reason_of("10.7.0.0/24"),
              "no tunnel to 192.0.2.2: VRF v0 has no vxlan device with id 100");
    make_interface(0);
    settle();
    EXPECT_EQ(reason_of("10.7.0.0/24"),
              "no tunnel to 192.0.2.2: the router MAC of 192.0.2.2 is not known");
    state_->neighbor_changed(interface(0), *net::parse_ip("::ffff:192.0.2.2"),
                             router_mac("192.0.2.2"));
    settle();
    EXPECT_TRUE(has_route("v0", "10.7.0.0/24"));
    EXPECT_TRUE(source_.answers.at(5)) << "told late";
    state_->link_removed({"ns0", kInterface + 1});
    settle();
    EXPECT_FALSE(has_route("v0", "10.7.0.0/24"));
    EXPECT_TRUE(plane_.tunnels.empty());
}

TEST_F(EvpnTest, ARouterMacThatZebraTookAlongStaysAsLongAsTheRoute) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(with_underlay()).empty());
    make_interface(0);
    learn(0, "192.0.2.2");
    add_evpn(0, "10.7.0.0/24", {"192.0.2.2"});
    settle();
    state_->disconnected();
    state_->neighbor_changed(interface(0), *net::parse_ip("192.0.2.2"), std::nullopt);
    settle();
    EXPECT_TRUE(has_route("v0", "10.7.0.0/24")) << "zebra stopped: forwarding goes on";
    const net::MacAddress other = *net::parse_mac("02:00:00:00:99:77");
    state_->neighbor_changed(interface(0), *net::parse_ip("192.0.2.2"), other);
    settle();
    EXPECT_EQ(plane_.neighbors.at({"evpn.100.192.0.2.2", *net::parse_ip("192.0.2.2")}), other);
}

TEST_F(EvpnTest, AVniThatTheManifestContradictsIsRefused) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(with_underlay()).empty());
    frr::Route route;
    route.nexthops.push_back({frr::RouteNextHop::Kind::evpn, *net::parse_ip("192.0.2.2"),
                              kInterface, kVrfIds, 1, false, 777});
    state_->route_installed({5, 1}, {kVrfIds, prefix("10.7.0.0/24")}, std::move(route));
    settle();
    EXPECT_EQ(reason_of("10.7.0.0/24"),
              "no tunnel to 192.0.2.2: VRF v0 has VNI 100 in the manifest and 777 in FRR");
}

TEST_F(EvpnTest, ATenantWhoseTunnelIsRefusedDoesNotHoldUpAnother) {
    connect();
    ASSERT_TRUE(state_->apply_manifest(with_underlay()).empty());
    settle();
    plane_.refused_vport = "evpn.100.192.0.2.2";
    for (const int t : {0, 1}) {
        make_interface(t);
        learn(t, "192.0.2.2");
        add_evpn(t, "10.7.0.0/24", {"192.0.2.2"});
    }
    settle();
    EXPECT_FALSE(has_route("v0", "10.7.0.0/24"));
    EXPECT_TRUE(has_route("v1", "10.7.0.0/24"));
    plane_.refused_vport.clear();
    for (int i = 0; i < 4; ++i) state_->tick();
    settle();
    EXPECT_TRUE(has_route("v0", "10.7.0.0/24")) << "tried again";
}

TEST_F(EvpnTest, ARestartedShimKeepsThemUntilZebraHasToldAll) {
    zebra_expected_ = true;
    run_dir_ = folder_.string();
    restart_shim();
    connect();
    ASSERT_TRUE(state_->apply_manifest(with_underlay()).empty());
    state_->snapshot_begin();
    make_interface(0);
    for (const char* end : {"192.0.2.2", "192.0.2.3"}) learn(0, end);
    add_evpn(0, "10.7.0.0/24", {"192.0.2.2"});
    add_evpn(0, "10.8.0.0/24", {"192.0.2.3"});
    state_->snapshot_end();
    settle();
    ASSERT_EQ(plane_.tunnels.size(), 2u);
    lose_session();
    restart_shim();
    ASSERT_TRUE(state_->apply_manifest(with_underlay()).empty());
    connect();
    const auto everything_stays = [&] {
        for (int i = 0; i < 60; ++i) {
            state_->pump();
            state_->adjust_evpn();
            plane_.step(17);
            ASSERT_EQ(plane_.tunnels.size(), 2u) << i;
            ASSERT_TRUE(has_route("v0", "10.7.0.0/24")) << i;
        }
    };
    everything_stays();
    make_interface(0);
    for (const char* end : {"192.0.2.2", "192.0.2.3"}) learn(0, end);
    state_->snapshot_begin();
    add_evpn(0, "10.7.0.0/24", {"192.0.2.2"});
    everything_stays();
    state_->snapshot_end();
    settle();
    EXPECT_EQ(plane_.tunnels.size(), 1u) << "what zebra no longer has is gone";
    EXPECT_TRUE(has_route("v0", "10.7.0.0/24"));
    EXPECT_FALSE(has_route("v0", "10.8.0.0/24"));
}

TEST_F(EvpnTest, AThousandTunnelsComeInAFewAdjustments) {
    constexpr int kTenants = 250;
    connect();
    manifest::Manifest made = with_underlay();
    made.tenants.resize(1);
    for (int t = 0; t < kTenants; ++t) made.tenants.push_back(tenant(t));
    ASSERT_TRUE(state_->apply_manifest(made).empty());
    settle();
    for (int t = 0; t < kTenants; ++t) {
        state_->vrf_named(kVrfIds + static_cast<std::uint32_t>(t), "ns" + std::to_string(t));
        make_interface(t);
        for (const char* end : {"192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"}) {
            learn(t, end);
            add_evpn(t, "10.7.0.0/24", {end});
            add_evpn(t, "10.8.0." + std::string(1, end[8]) + "/32", {end});
        }
    }
    const std::uint64_t before = state_->commands_sent();
    settle();
    EXPECT_EQ(plane_.tunnels.size(), 4u * kTenants);
    // Of each tenant: 4 tunnels, 4 vports in one transaction, 4 neighbours, and for its 5 routes at
    // most a next hop, a group and the route each time that they move.
    EXPECT_LT(state_->commands_sent() - before, 50u * kTenants);
    for (int t = 0; t < kTenants; ++t)
        EXPECT_TRUE(has_route("v" + std::to_string(t), "10.8.0.5/32")) << t;
}

}  // namespace
}  // namespace wye::state
