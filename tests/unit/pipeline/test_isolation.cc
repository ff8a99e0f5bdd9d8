// Two tenants with the same addresses, ports shared by VLAN, a tunnel each over one underlay: what
// enters at one tenant's door must never leave at the other's, whatever the frame.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "test_router.hh"

namespace wye::pipeline::test {
namespace {

using table::Reason;

constexpr const char* kNeighbor = "02:00:00:00:00:aa";
constexpr unsigned kTenants = 2;

/// Tenant i: VLAN 10 + i on ports 0 and 1, VNI 100 + i. Port 9 is the underlay's.
struct Shared : TestRouter {
    explicit Shared(bool misbound = false) {
        underlay = add_vrf(add_tenant(), true);
        carrier = add_vport(underlay, {.port = 9, .mtu = 9000});
        add_route(underlay, "192.0.2.1/32", add_nexthop(NextHopKind::local, carrier));
        add_route(underlay, "0.0.0.0/0",
                  add_nexthop(NextHopKind::adjacency, carrier, "192.0.2.254", kNeighbor));
        for (unsigned i = 0; i < kTenants; ++i) vrfs[i] = add_vrf(add_tenant());
        for (unsigned i = 0; i < kTenants; ++i) {
            const auto vlan = static_cast<std::uint16_t>(10 + i);
            const VportId site =
                add_vport(vrfs[i], {.port = 0, .vlan = vlan, .source4 = "10.0.0.1"});
            const VportId second = add_vport(vrfs[i], {.port = 1, .vlan = vlan});
            const TunnelId tunnel = add_tunnel({i == 0 ? TunnelKind::vxlan : TunnelKind::geneve,
                                                "192.0.2.1", "198.51.100.1", 100 + i, underlay});
            inside[i] = add_vport(vrfs[misbound ? 0 : i], {.tunnel = tunnel});
            const auto via = [this](VportId vport) {
                return add_nexthop(NextHopKind::adjacency, vport, "10.255.0.2", kNeighbor);
            };
            add_route(vrfs[i], "10.0.0.0/24", via(site));
            add_route(vrfs[i], "10.1.0.0/16", via(second));
            if (!misbound) add_route(vrfs[i], "10.2.0.0/16", via(inside[i]));
            add_route(vrfs[i], "10.0.0.1/32", add_nexthop(NextHopKind::local, site));
            add_route(vrfs[i], "2001:db8::/32", via(second));
        }
    }
    VrfId underlay;
    VportId carrier;
    std::array<VrfId, kTenants> vrfs;
    std::array<VportId, kTenants> inside;
};

/// Whose door a frame left by, by what is on the wire; none: the underlay's own.
std::optional<unsigned> door_of(const Sent& sent) {
    const auto byte = [&sent](std::size_t i) { return static_cast<unsigned>(sent.bytes.at(i)); };
    if (sent.port != 9) return byte(15) - 10;
    if (byte(23) != 17) return std::nullopt;
    return (byte(42 + 4) << 16 | byte(42 + 5) << 8 | byte(42 + 6)) - 100;
}

std::string any_address(std::mt19937& random) {
    return "10." + std::to_string(random() % 4) + "." + std::to_string(random() % 2) + "." +
           std::to_string(random() % 4);
}

/// A tenant's packet: `mark` fills its payload.
Bytes marked_packet(std::mt19937& random, unsigned mark) {
    const Bytes payload(24, static_cast<std::byte>(0xe0 + mark));
    const auto ttl = static_cast<std::uint8_t>(random() % 4);
    if (random() % 4 == 0) {
        return ip_packet({"2001:db8:5::1", "2001:db8:1::1", 17, ttl}, udp(1, 2, payload));
    }
    const std::string from = any_address(random), to = any_address(random);
    return ip_packet({from, to, 17, ttl}, udp(1, 2, payload));
}

/// As the tunnel's peer sends it: outer IPv4, UDP without checksum, VXLAN or GENEVE.
Bytes tunnelled(unsigned tenant, const Bytes& frame) {
    Bytes payload = tenant == 0 ? from_hex("0800000000006400") : from_hex("0000655800006500");
    payload.insert(payload.end(), frame.begin(), frame.end());
    return ethernet({}, ip_packet({"198.51.100.1", "192.0.2.1"},
                                  udp(50000, tenant == 0 ? 4789 : 6081, payload)));
}

/// How many frames with a tenant's mark left, or were punted, at a door that is not its own.
std::size_t leaks(TestRouter& router, const Shared& shared, unsigned mark) {
    const Bytes pattern(16, static_cast<std::byte>(0xe0 + mark));
    const auto carries = [&pattern](const Bytes& bytes) {
        return std::search(bytes.begin(), bytes.end(), pattern.begin(), pattern.end()) !=
               bytes.end();
    };
    std::size_t found = 0;
    for (const Sent& sent : router.sent) {
        if (carries(sent.bytes) && door_of(sent) != mark) ++found;
    }
    for (const Punted& punted : router.punted) {
        const auto& vport =
            shared.arena.view().record(shared.arena.view().header().vports, punted.vport.value);
        // Tenant 0 is the underlay's.
        if (carries(punted.bytes) && vport.tenant.value != mark + 1) ++found;
    }
    return found;
}

std::size_t run_noise(Shared& router, unsigned rounds) {
    std::mt19937 random(21);
    std::size_t found = 0;
    for (unsigned round = 0; round < rounds; ++round) {
        const auto mark = static_cast<unsigned>(random() % kTenants);
        const Bytes packet = marked_packet(random, mark);
        router.clear_output();
        switch (random() % 3) {
            case 0: {
                Link link;
                link.vlans = {static_cast<std::uint16_t>(10 + mark)};
                router.receive(static_cast<std::uint32_t>(random() % 2), ethernet(link, packet));
                break;
            }
            case 1:
                router.receive(9, tunnelled(mark, ethernet({}, packet)));
                break;
            default:
                router.from_inject(router.vrfs[mark], packet);
                break;
        }
        found += leaks(router, router, mark);
        router.advance_milliseconds(5);
    }
    return found;
}

TEST(Isolation, NothingCrossesBetweenTenantsWithTheSameAddresses) {
    Shared router;
    EXPECT_EQ(run_noise(router, 20000), 0u);
    for (unsigned i = 0; i < kTenants; ++i) {  // and it was not for want of traffic
        const auto& row = router.context.counters.tenants[table::tenant_row(TenantId{i + 1})];
        EXPECT_GT(row.tx.get(), 2000u);
        EXPECT_GT(row.moved_in.get(), 1000u);
    }
}

TEST(Isolation, TheCheckCatchesAMisbinding) {
    Shared router(true);  // the second tenant's tunnel ends in the first one's VRF
    EXPECT_GT(run_noise(router, 2000), 0u);
}

// standards 37
TEST(Isolation, UnknownVniAndUnknownRemoteAreDropped) {
    Shared router;
    Bytes frame = tunnelled(0, ethernet({}, ip_packet({"10.1.0.1", "10.0.0.2"}, udp(1, 2))));
    frame[42 + 6] = std::byte{99};
    router.receive(9, frame);
    EXPECT_EQ(router.drops(Reason::tunnel_unknown), 1u);
    EXPECT_TRUE(router.sent.empty() && router.punted.empty());
}

}  // namespace
}  // namespace wye::pipeline::test
