// Programs wye-dataplane for the whole-path measurement, over the session socket as the shim would,
// and leaves: forwarding goes on. The frames that then arrive are those of bench/harness/frames.py.
//
//   port "source", untagged   tenant red: ACL of 100 rules, the last one permits
//   red's table               1000 prefixes 10.x.y.0/24 by the GENEVE tunnel
//   port "source", VLAN 100   the underlay, by which the tunnel packets leave
//
// usage: program SESSION_SOCKET
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "tests/programmer/programmer.hh"

namespace wye::testing {
namespace {

constexpr std::uint32_t kRoutes = 1000;
constexpr std::uint32_t kRules = 100;
constexpr std::uint32_t kVni = 5001;
constexpr std::uint16_t kUnderlayVlan = 100;
constexpr const char* kRouterMac = "02:00:00:00:00:01";
constexpr const char* kNeighborMac = "02:00:00:00:00:03";

/// TCP to 192.168.x.0/24: like the packets in nothing, but each must be ruled out.
std::vector<ring::AclRule> rules() {
    std::vector<ring::AclRule> rules;
    for (std::uint32_t i = 0; i + 1 < kRules; ++i) {
        ring::AclRule rule = any_rule(AclAction::deny);
        rule.destination = {net::Ipv4Address::from_host(0xc0a80000u | i << 8), 24};
        rule.any_protocol = 0;
        rule.protocol = 6;
        rules.push_back(rule);
    }
    rules.push_back(any_rule(AclAction::permit));
    return rules;
}

struct Vports {
    Handle carrier, inside, underlay_vrf, red_vrf;
};

Vports program_policy(Programmer& router) {
    const Handle port = router.port("source");
    const Handle underlay = router.tenant("underlay");
    const Handle underlay_vrf = router.vrf(underlay, "underlay", true);
    router.begin_transaction(underlay);
    const Handle carrier =
        router.vport(underlay, underlay_vrf, port, "carrier", kRouterMac, {.vlan = kUnderlayVlan});
    router.commit_transaction(underlay);

    const Handle tunnel =
        router.tunnel(underlay_vrf, "red-far", TunnelKind::geneve, "192.0.2.1", "192.0.2.2", kVni);
    const Handle red = router.tenant("red");
    const Handle red_vrf = router.vrf(red, "red");
    router.begin_transaction(red);
    const Handle acl = router.acl(red, "site-in", rules());
    router.vport(red, red_vrf, port, "red-site", kRouterMac, {.ingress_acl = acl});
    const Handle inside = router.tunnel_vport(red, red_vrf, tunnel, "red-inside", kRouterMac);
    router.commit_transaction(red);
    return {carrier, inside, underlay_vrf, red_vrf};
}

void program_routes(Programmer& router, const Vports& vports) {
    const Handle far = router.group(router.adjacency(vports.carrier, "192.0.2.2"));
    router.neighbor(vports.carrier, "192.0.2.2", kNeighborMac);
    router.route(vports.underlay_vrf, "192.0.2.2/32", far);
    const Handle behind = router.group(router.adjacency(vports.inside, "169.254.0.2"));
    router.neighbor(vports.inside, "169.254.0.2", kNeighborMac);
    for (std::uint32_t i = 0; i < kRoutes; ++i) {
        const net::IpPrefix prefix{net::Ipv4Address::from_host(0x0a000000u | i << 8), 24};
        router.route(vports.red_vrf, net::to_string(prefix), behind);
    }
}

void program(const std::string& socket) {
    Programmer router = Programmer::connect(socket);
    router.begin_replay();
    program_routes(router, program_policy(router));
    router.end_replay();
    router.reach();
}

}  // namespace
}  // namespace wye::testing

int main(int count, char** arguments) {
    if (count != 2) {
        std::fprintf(stderr, "usage: program SESSION_SOCKET\n");
        return 2;
    }
    try {
        wye::testing::program(arguments[1]);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "program: %s\n", error.what());
        return 1;
    }
    return 0;
}
