// The plain lane against the general passes: two routers with the same tables, one of them without the
// lane, receive the same random bursts. What they send, punt and ask for must be the same, frame by
// frame, and so must every counter. Order is compared within a flow only: a packet that the lane gives
// up leaves behind those that it does not.
#include "lane_network.hh"

namespace wye::pipeline::test {
namespace {

TEST(PlainLane, DoesWhatTheGeneralPassesDo) {
    Network lane(true), general(false);
    Traffic traffic(20261121);
    std::size_t sent = 0;
    for (unsigned round = 0; round < 20000; ++round) {
        const std::uint32_t port = round % 3 != 0 ? 0 : round % 4 == 0 ? 3 : 2;
        std::vector<Bytes> frames(1 + traffic.below(kMaxBurst));
        for (Bytes& frame : frames) {
            frame = port != 0 ? traffic.carriers_frame(port) : traffic.tenants_frame(false);
        }
        for (Network* router : {&lane, &general}) {
            router->clear_output();
            router->receive(port, frames);
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

/// What is known of tunnels' ends does not hold any more (`breaks`), or holds again.
void change(Network& router, std::size_t what, std::size_t which, bool breaks) {
    switch (what) {
        case 0:
            return breaks ? router.liveness.set_link(router.local, 0, false)
                          : router.liveness.set_link(router.local, 0, true);
        case 1:
            return router.add_route(router.underlay, "192.0.2.1/32",
                                    breaks ? router.a : router.local);
        case 2:
            return router.change_vport(
                router.ends[which % router.ends.size()],
                [breaks](auto& policy) { policy.admin_up = breaks ? 0 : 1; });
        case 3:
            return router.change_vport(router.carrier, [&](auto& policy) {
                policy.ingress_acl = breaks ? router.carriers_acl : table::Ref<table::Acl>{};
            });
        case 4:
            return router.change_vport(router.carrier,
                                       [](auto& policy) { policy.mac.bytes[5] ^= 1; });
        case 5: {
            table::Vrf& vrf =
                router.arena.record(router.arena.header().vrfs, router.underlay.value);
            vrf.underlay = breaks ? 0 : 1;
            break;
        }
        default:
            break;
    }
    ++router.context.tables_epoch;
}

/// So many ends that some share a slot, and changes between the bursts. Most bursts are for a few of
/// the ends only, so that they find each other's.
TEST(PlainLane, KnowsTunnelsEndsForAsLongAsTheyAre) {
    Network lane(true), general(false);
    Traffic traffic(20261122);
    // Half of them differ by address, half by VNI.
    struct Known {
        std::string remote;
        std::uint32_t vni;
    };
    std::vector<Known> ends;
    for (unsigned i = 0; i < 400; ++i) {
        const auto random = static_cast<std::uint32_t>(traffic.below(1u << 24));
        const bool by_vni = traffic.below(2) == 0;
        const auto remote = net::Ipv4Address::from_host(by_vni ? 0xc6336402 : 0x14000000 | random);
        ends.push_back({net::to_string(remote), by_vni ? random : 7000});
        for (Network* router : {&lane, &general}) {
            router->add_end(
                router->underlay, VrfId{1 + i % 2},
                {TunnelKind::vxlan, "192.0.2.1", ends.back().remote, ends.back().vni, {}});
        }
    }
    std::size_t sent = 0, what = 0, which = 0;
    bool broken = false;
    for (unsigned round = 0; round < 20000; ++round) {
        if (traffic.below(8) < (broken ? 4 : 1)) {
            broken = !broken;
            if (broken) what = traffic.below(8);
            if (broken) which = traffic.below(ends.size());
            for (Network* router : {&lane, &general}) change(*router, what, which, broken);
        }
        std::vector<Bytes> frames(1 + traffic.below(kMaxBurst));
        const std::size_t first = traffic.below(ends.size());
        const std::size_t few = traffic.below(2) == 0 ? ends.size() : 4;
        for (Bytes& frame : frames) {
            const Known& end = ends[(first + traffic.below(few)) % ends.size()];
            std::string_view remote = end.remote;
            if (traffic.below(8) == 0) remote = "198.51.100.4";
            frame = traffic.below(4) == 0
                        ? traffic.carriers_frame(2)
                        : ethernet({}, traffic.tunnel_packet({remote, 4789}, end.vni,
                                                             traffic.tenants_frame(true)));
        }
        for (Network* router : {&lane, &general}) {
            router->clear_output();
            router->receive(2, frames);
            router->advance_milliseconds(5'000);
            router->run_held(false);
        }
        expect_same(lane, general, round);
        if (HasFatalFailure()) return;
        sent += lane.sent.size();
    }
    EXPECT_GT(sent, 40000u);
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
