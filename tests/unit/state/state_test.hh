// The fixture of the tests of state/: a State between a fake kernel and a fake data plane.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/state/fakes.hh"

namespace wye::state {

constexpr std::uint32_t kVrfIds = 10;  // zebra's id of VRF i is kVrfIds + i

inline net::IpPrefix prefix(const std::string& text) {
    return *net::parse_prefix(text);
}

class StateTest : public ::testing::Test {
  protected:
    StateTest() { restart_shim(); }

    void restart_shim() {
        StateOptions options;
        options.zebra_expected = zebra_expected_;
        options.run_dir = run_dir_;
        options.log = [this](const std::string& line) { said_.push_back(line); };
        options.apply_timeout = std::chrono::milliseconds(2000);
        state_ = std::make_unique<State>(options);
        kernel_.sink = state_.get();
        state_->wire(kernel_, &source_);
        for (std::uint32_t i = 0; i < 4; ++i)
            state_->vrf_named(kVrfIds + i, "ns" + std::to_string(i));
    }
    static manifest::Tenant tenant(int i) {
        const std::string n = std::to_string(i);
        manifest::Tenant made;
        made.name = "t" + n;
        made.vrfs.push_back({"v" + n,
                             100u + static_cast<std::uint32_t>(i),
                             false,
                             {manifest::KernelVrf::Kind::netns, "ns" + n}});
        return made;
    }
    static manifest::Vport vport(int tenant, int i) {
        manifest::Vport made;
        made.name = "t" + std::to_string(tenant) + "p" + std::to_string(i);
        made.vrf = "v" + std::to_string(tenant);
        made.port = "p0";
        made.vlan = static_cast<std::uint16_t>(10 * tenant + i + 1);
        made.mac = *net::parse_mac("02:00:00:00:00:01");
        made.addresses.push_back(*net::parse_interface_address("10." + std::to_string(tenant) +
                                                               "." + std::to_string(i) + ".1/24"));
        return made;
    }
    static manifest::Manifest two_tenants() {
        manifest::Manifest made;
        for (int t = 0; t < 2; ++t) {
            made.tenants.push_back(tenant(t));
            for (int i = 0; i < 2; ++i) made.tenants.back().vports.push_back(vport(t, i));
        }
        return made;
    }
    void connect() {
        plane_.new_session();
        ring::Announced announced;
        announced.fib4 = *ObjectName::from("AVX2");
        announced.fib6 = *ObjectName::from("x86-64-v2");
        announced.acl = *ObjectName::from("AVX-512");
        announced.admission = *ObjectName::from("AVX-512");
        announced.ports = ports_;
        ring::Welcome welcome{};
        welcome.version = version_;
        state_->session_opened(plane_, welcome, announced, plane_.returned());
    }
    void lose_session() {
        plane_.alive = false;
        state_->session_closed();
    }
    void settle() {
        for (int i = 0; i < 2000; ++i) {
            state_->pump();
            state_->adjust_evpn();
            plane_.step(17);
            if (i % 20 == 19) state_->tick();
            if (state_->settled() && plane_.idle()) break;
            if (const auto due = state_->next_adjustment()) std::this_thread::sleep_until(*due);
        }
        state_->pump();
        EXPECT_TRUE(state_->settled());
        EXPECT_TRUE(plane_.violations.empty()) << plane_.violations.front();
    }
    void add_route(int tenant, const std::string& to, const std::string& gateway,
                   const std::string& by, std::uint64_t operation = 0) {
        frr::Route route;
        route.zebra_type = 3;
        frr::RouteNextHop nexthop;
        nexthop.kind = frr::RouteNextHop::Kind::gateway;
        nexthop.gateway = *net::parse_ip(gateway);
        nexthop.interface_index = kernel_.twin_of(by).index;
        nexthop.vrf_id = kVrfIds + static_cast<std::uint32_t>(tenant);
        route.nexthops.push_back(nexthop);
        state_->route_installed({operation, 1}, {nexthop.vrf_id, prefix(to)}, std::move(route));
    }
    bool has_route(const std::string& vrf, const std::string& to) const {
        return plane_.routes.contains({vrf, prefix(to)});
    }

    bool zebra_expected_ = false;
    std::uint16_t version_ = ring::kVocabularyVersion;
    std::vector<ring::PortMessage> ports_;
    std::string run_dir_;
    FakeKernel kernel_;
    FakeDataplane plane_;
    FakeRouteSource source_;
    std::unique_ptr<State> state_;
    std::vector<std::string> said_;
};

}  // namespace wye::state
