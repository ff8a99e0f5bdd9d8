// Programs wye-dataplane for one of the measured paths, over the session socket as the shim would,
// and leaves: forwarding goes on. The frames that then arrive are those of bench/harness/frames.py,
// which knows the same numbers.
//
//   route PREFIXES [MTU]         path A, A6: in and out by one untagged vport, 1024 next hops
//   encap KIND PREFIXES RULES    path B: untagged vport with an ACL; the tenant's table is behind 16
//                                tunnels, each with its own lookup in the underlay; carrier: VLAN 100
//   decap KIND PREFIXES RULES    path C: tunnel packets arrive untagged, the ACL is asked inside, and
//                                what is inside leaves by the site, VLAN 10, 1024 next hops
//   tenants COUNT VRFS           COUNT tenants, each with a vport on a pair of VLANs and 100 IPv4 and
//                                20 IPv6 prefixes, the same in all; with VRFS = 1 one tenant has as
//                                many routes as all of them would
//
// PREFIXES is a file with a prefix a line. Prefix number i goes to next hop (i * 2654435761 mod 2^32)
// modulo their number (bench/data/README.md).
//
// usage: program SESSION_SOCKET route|encap|decap|tenants …
#include <array>
#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/table/rule_sets.hh"
#include "dataplane/net/ip_protocol.hh"
#include "tests/programmer/programmer.hh"

namespace wye::testing {
namespace {

using Arguments = std::vector<std::string>;

constexpr std::uint32_t kNextHops = 256;  // as many neighbours as a large exchange point has
constexpr std::uint32_t kTunnels = 16;
constexpr std::uint32_t kVni = 5001;
constexpr std::uint16_t kCarrierVlan = 100;
constexpr std::uint16_t kSiteVlan = 10;
constexpr std::uint32_t kRoutes4 = 100, kRoutes6 = 20;  // of a small tenant
constexpr const char* kRouterMac = "02:00:00:00:00:01";
constexpr const char* kNeighborMac = "02:00:00:00:00:03";
constexpr const char* kLocal = "192.0.2.1";

net::IpAddress ipv4(std::uint32_t host_order) {
    return net::Ipv4Address::from_host(host_order);
}
/// 2001:db8:high:low::1
std::string ipv6_text(std::uint32_t high, std::uint32_t low) {
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), "2001:db8:%x:%x::1", high, low);
    return text.data();
}
std::string remote(std::uint32_t tunnel) {
    return net::to_string(ipv4(0xc0000210u + tunnel));
}
std::size_t spread(std::size_t number, std::size_t among) {
    return static_cast<std::uint32_t>(number * 2654435761u) % among;
}

/// Whether frames of frames.py may match: UDP from 172.16.0.0/12, ports from 1024 on, to port 443.
bool may_match_frames(const table::AclRuleSpec& rule) {
    return (rule.any_protocol || rule.protocol == net::protocol::udp) &&
           rule.source_port_high >= 1024 && rule.destination_port_low <= 443 &&
           rule.destination_port_high >= 443;
}

/// A generated rule, its source moved into the block where the frames come from. What frames may match
/// permits: all of them are to arrive.
ring::AclRule moved_rule(const table::AclRuleSpec& generated) {
    ring::AclRule rule =
        any_rule(may_match_frames(generated) ? AclAction::permit : generated.action);
    rule.source = generated.source;
    if (rule.source.length >= 12) {
        rule.source.address.bytes[0] = 172;
        rule.source.address.bytes[1] =
            static_cast<std::uint8_t>(16 | (rule.source.address.bytes[1] & 15));
    } else {
        rule.source = {};
    }
    rule.destination = generated.destination;
    rule.any_protocol = generated.any_protocol ? 1 : 0;
    rule.protocol = generated.protocol;
    rule.source_port_low = generated.source_port_low;
    rule.source_port_high = generated.source_port_high;
    rule.destination_port_low = generated.destination_port_low;
    rule.destination_port_high = generated.destination_port_high;
    return rule;
}

/// In ClassBench's style, as those of docs/performance.md's ACL rows, and at last a permission.
std::vector<ring::AclRule> rules(std::uint32_t count) {
    std::vector<ring::AclRule> rules;
    for (const auto& generated : table::make_rule_set(
             table::RuleSetKind::access, net::IpFamily::ipv4, count - 1, table::kRuleSetSeed)) {
        rules.push_back(moved_rule(generated));
    }
    rules.push_back(any_rule(AclAction::permit));
    return rules;
}

void send_route(Programmer& router, Handle vrf, const net::IpPrefix& prefix, Handle group) {
    auto command = make_command(ring::Opcode::route_set);
    command.body.route.vrf = vrf;
    command.body.route.group = group;
    command.body.route.prefix = prefix;
    router.post(command);
}

void must_settle(Programmer& router) {
    if (router.settle() == 0) return;
    throw std::runtime_error(std::to_string(router.refusals().size()) + " commands refused");
}

void add_routes(Programmer& router, Handle vrf, const std::string& path,
                const std::vector<Handle>& groups) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::size_t number = 0;
    for (std::string line; std::getline(file, line); ++number) {
        send_route(router, vrf, prefix(line), groups[spread(number, groups.size())]);
    }
    must_settle(router);
}

/// Of both families, so that a table of either finds its own.
struct NextHops {
    std::vector<Handle> ipv4, ipv6;
    NextHops(Programmer& router, Handle vport, std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) {
            for (const bool six : {false, true}) {
                const std::string gateway =
                    six ? ipv6_text(0xffff, i) : net::to_string(testing::ipv4(0xac1f0001u + i));
                (six ? ipv6 : ipv4).push_back(router.group(router.adjacency(vport, gateway)));
                router.neighbor(vport, gateway, kNeighborMac);
            }
        }
    }
};

bool is_ipv6(const std::string& path) {
    std::string line;
    std::ifstream file(path);
    return std::getline(file, line) && line.find(':') != std::string::npos;
}

void program_route(Programmer& router, const Arguments& arguments) {
    const Handle port = router.port("source");
    const Handle red = router.tenant("red");
    const Handle vrf = router.vrf(red, "red");
    router.begin_transaction(red);
    VportOptions options;
    if (arguments.size() > 1) options.mtu = static_cast<std::uint16_t>(std::stoul(arguments[1]));
    const Handle site = router.vport(red, vrf, port, "red-site", kRouterMac, options);
    router.commit_transaction(red);
    const NextHops nexthops(router, site, kNextHops);
    const std::string& path = arguments.at(0);
    add_routes(router, vrf, path, is_ipv6(path) ? nexthops.ipv6 : nexthops.ipv4);
}

/// The tenant, the underlay, and the vports of paths B and C.
struct TunnelPath {
    Handle underlay_vrf, red_vrf, carrier, site;
    std::vector<Handle> inside;

    TunnelPath(Programmer& router, TunnelKind kind, std::uint32_t acl_rules, bool decapsulates) {
        const Handle port = router.port("source");
        const Handle underlay = router.tenant("underlay");
        underlay_vrf = router.vrf(underlay, "underlay", true);
        router.begin_transaction(underlay);
        carrier = router.vport(underlay, underlay_vrf, port, "carrier", kRouterMac,
                               {.vlan = decapsulates ? kNoVlan : kCarrierVlan});
        router.commit_transaction(underlay);

        const Handle red = router.tenant("red");
        red_vrf = router.vrf(red, "red");
        std::vector<Handle> tunnels;
        for (std::uint32_t i = 0; i < kTunnels; ++i) {
            tunnels.push_back(router.tunnel(underlay_vrf, "red-" + std::to_string(i), kind, kLocal,
                                            remote(i), kVni));
        }
        router.begin_transaction(red);
        const Handle acl = router.acl(red, "in", rules(acl_rules));
        VportOptions guarded, plain;
        guarded.ingress_acl = acl;
        (decapsulates ? plain : guarded).vlan = decapsulates ? kSiteVlan : kNoVlan;
        site = router.vport(red, red_vrf, port, "red-site", kRouterMac,
                            decapsulates ? plain : guarded);
        for (std::uint32_t i = 0; i < kTunnels; ++i) {
            inside.push_back(router.tunnel_vport(red, red_vrf, tunnels[i],
                                                 "red-inside-" + std::to_string(i), kRouterMac,
                                                 decapsulates ? guarded : plain));
        }
        router.commit_transaction(red);
    }
};

TunnelKind kind_of(const std::string& text) {
    if (text == "geneve") return TunnelKind::geneve;
    if (text == "vxlan") return TunnelKind::vxlan;
    throw std::invalid_argument("KIND is geneve or vxlan");
}

void program_encap(Programmer& router, const Arguments& arguments) {
    const TunnelPath path(router, kind_of(arguments.at(0)),
                          static_cast<std::uint32_t>(std::stoul(arguments.at(2))), false);
    std::vector<Handle> behind;
    for (std::uint32_t i = 0; i < kTunnels; ++i) {
        const Handle far = router.group(router.adjacency(path.carrier, remote(i)));
        router.neighbor(path.carrier, remote(i), kNeighborMac);
        router.route(path.underlay_vrf, remote(i) + "/32", far);
        behind.push_back(router.group(router.adjacency(path.inside[i], "169.254.0.2")));
        router.neighbor(path.inside[i], "169.254.0.2", kNeighborMac);
    }
    add_routes(router, path.red_vrf, arguments.at(1), behind);
}

void program_decap(Programmer& router, const Arguments& arguments) {
    const TunnelPath path(router, kind_of(arguments.at(0)),
                          static_cast<std::uint32_t>(std::stoul(arguments.at(2))), true);
    router.route(path.underlay_vrf, std::string(kLocal) + "/32",
                 router.group(router.local(path.carrier)));
    const NextHops nexthops(router, path.site, kNextHops);
    add_routes(router, path.red_vrf, arguments.at(1), nexthops.ipv4);
}

void add_small_table(Programmer& router, Handle vrf, Handle vport, std::uint32_t tables) {
    const NextHops nexthops(router, vport, 1);
    for (std::uint32_t i = 0; i < tables * kRoutes4; ++i) {
        send_route(router, vrf, {ipv4(0x10000000u + (i << 8)), 24}, nexthops.ipv4[0]);
    }
    for (std::uint32_t i = 0; i < tables * kRoutes6; ++i) {
        const net::IpAddress address = ip(ipv6_text(i >> 16, i & 0xffff));
        send_route(router, vrf, {net::mask(address, 64), 64}, nexthops.ipv6[0]);
    }
}

void program_tenants(Programmer& router, const Arguments& arguments) {
    const auto count = static_cast<std::uint32_t>(std::stoul(arguments.at(0)));
    const auto vrfs = static_cast<std::uint32_t>(std::stoul(arguments.at(1)));
    const Handle port = router.port("source");
    for (std::uint32_t i = 0; i < vrfs; ++i) {
        const std::string name = "t" + std::to_string(i);
        const Handle tenant = router.tenant(name);
        const Handle vrf = router.vrf(tenant, name);
        router.begin_transaction(tenant);
        const Handle site = router.vport(tenant, vrf, port, name, kRouterMac,
                                         {.vlan = static_cast<std::uint16_t>(1 + i / 64),
                                          .inner_vlan = static_cast<std::uint16_t>(1 + i % 64)});
        router.commit_transaction(tenant);
        add_small_table(router, vrf, site, vrfs == 1 ? count : 1);
    }
    must_settle(router);
}

void program(const std::string& socket, const std::string& what, const Arguments& arguments) {
    Programmer router = Programmer::connect(socket);
    router.begin_replay();
    if (what == "route") {
        program_route(router, arguments);
    } else if (what == "encap") {
        program_encap(router, arguments);
    } else if (what == "decap") {
        program_decap(router, arguments);
    } else if (what == "tenants") {
        program_tenants(router, arguments);
    } else {
        throw std::invalid_argument("there is no path " + what);
    }
    router.end_replay();
    router.reach();
}

}  // namespace
}  // namespace wye::testing

int main(int count, char** arguments) {
    if (count < 4) {
        std::fprintf(stderr, "usage: program SESSION_SOCKET route|encap|decap|tenants …\n");
        return 2;
    }
    try {
        wye::testing::program(arguments[1], arguments[2], {arguments + 3, arguments + count});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "program: %s\n", error.what());
        return 1;
    }
    return 0;
}
