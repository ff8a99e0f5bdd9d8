// What tests of the plain lane have in common: a network with a route of every kind, twice the same,
// and random traffic through it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "test_router.hh"

namespace wye::pipeline::test {

inline constexpr std::uint32_t kRules = 5;

inline table::AclRuleSpec rule(net::IpFamily family, AclAction action, std::uint16_t port) {
    table::AclRuleSpec spec;
    spec.family = family;
    spec.source = spec.destination =
        *net::parse_prefix(family == net::IpFamily::ipv4 ? "0.0.0.0/0" : "::/0");
    spec.action = action;
    if (port == 0) return spec;
    spec.any_protocol = false;
    spec.protocol = 17;
    spec.destination_port_low = spec.destination_port_high = port;
    return spec;
}

/// Two tenants and a carrier, and a route of every kind.
struct Network : TestRouter {
    explicit Network(bool uses_lane) {
        context.uses_lane = uses_lane;
        const TenantId carriers = add_tenant();
        underlay = add_vrf(carriers, true);
        const VrfId red = add_vrf(add_tenant(1'000'000)), blue = add_vrf(add_tenant(1'000'000));
        carrier = add_vport(underlay, {.port = 2, .mtu = 1600, .source4 = "192.0.2.1"});
        const VportId carrier_b = add_vport(underlay, {.port = 3, .vlan = 300, .mtu = 1400});
        a = adjacency(carrier, "192.0.2.254");
        const NextHopId b = adjacency(carrier_b, "192.0.3.254");
        local = add_nexthop(NextHopKind::local, carrier);
        add_route(underlay, "192.0.2.1/32", local);
        add_route(underlay, "2001:db8:f::1/128", add_nexthop(NextHopKind::local, carrier));
        add_route(underlay, "198.51.100.0/25", a);
        add_route(underlay, "198.51.100.128/25", table::Leaf::of(add_group({a, b})));
        add_route(underlay, "2001:db8:f::/48", a);
        add_site(red, {.port = 0, .vlan = 10, .source4 = "10.0.0.1", .source6 = "2001:db8::1"});
        add_site(red, {.port = 0, .source4 = "10.0.1.1", .source6 = "2001:db8:1::1"});
        add_site(blue, {.port = 0, .vlan = 20, .inner_vlan = 7, .source4 = "10.0.2.1"});
        add_site(red, {.port = 2, .vlan = 10, .source4 = "10.0.0.2"});
        for (const VrfId vrf : {red, blue}) add_routes(vrf);
        add_tunnels(red);
        add_tunnels(blue);
        add_more_underlays(carriers, red, blue);
        const std::vector<table::AclRuleSpec> rules{
            rule(net::IpFamily::ipv4, AclAction::count, 0),
            rule(net::IpFamily::ipv4, AclAction::deny, 23),
            rule(net::IpFamily::ipv6, AclAction::deny, 23),
            rule(net::IpFamily::ipv4, AclAction::deny, 6081),
            rule(net::IpFamily::ipv4, AclAction::permit, 0),
        };
        std::uint32_t base = 0;
        for (const VportId vport : {sites[0], sites[2], inside[0], inside[3], carrier_asked}) {
            const auto acl = add_acl(rules, true, base);
            base += kRules;
            if (vport == carrier_asked) carriers_acl = acl;
            change_vport(vport, [acl](auto& policy) { policy.ingress_acl = acl; });
        }
        counted_rules = base;
    }

    NextHopId adjacency(VportId vport, std::string_view gateway) {
        return add_nexthop(NextHopKind::adjacency, vport, gateway, "02:00:00:00:00:aa");
    }
    void add_site(VrfId vrf, const VportOptions& options) {
        sites.push_back(add_vport(vrf, options));
    }
    void add_routes(VrfId vrf) {
        const auto vlan = static_cast<std::uint16_t>(100 + sites.size() + vrf.value);
        const VportId out = add_vport(vrf, {.port = 1, .vlan = vlan, .source4 = "10.9.0.1"});
        const VportId small = add_vport(
            vrf,
            {.port = 1, .vlan = vlan, .inner_vlan = 5, .mtu = 1280, .source6 = "2001:db8:9::1"});
        const NextHopId good = adjacency(out, "10.9.0.2"), other = adjacency(small, "10.9.1.2");
        const NextHopId dead = adjacency(out, "10.9.0.3");
        liveness.set_link(dead, 0, false);
        const NextHopId silent = add_nexthop(NextHopKind::adjacency, out, "10.9.0.4");
        const auto add = [&](std::string_view prefix4, std::string_view prefix6, table::Leaf leaf) {
            add_route(vrf, prefix4, leaf);
            add_route(vrf, prefix6, leaf);
        };
        add("10.1.0.0/24", "2001:db8:1:1::/64", table::Leaf::of(good));
        add("10.1.1.0/24", "2001:db8:1:2::/64", table::Leaf::of(other));
        add("10.1.2.0/24", "2001:db8:1:3::/64",
            table::Leaf::of(add_group({good, other, dead, silent})));
        add("10.1.3.0/24", "2001:db8:1:4::/64", table::Leaf::of(dead));
        add("10.1.4.0/24", "2001:db8:1:5::/64", table::Leaf::of(silent));
        add("10.1.5.0/24", "2001:db8:1:6::/64",
            table::Leaf::of(add_nexthop(NextHopKind::blackhole)));
        add("10.1.6.0/24", "2001:db8:1:7::/64",
            table::Leaf::of(add_nexthop(NextHopKind::prohibit)));
        add("10.0.0.1/32", "2001:db8::1/128",
            table::Leaf::of(add_nexthop(NextHopKind::local, sites[0])));
        const VportId filtered = add_vport(vrf, {.port = 1, .vlan = vlan, .inner_vlan = 6});
        const auto acl = add_acl(std::vector{rule(net::IpFamily::ipv4, AclAction::deny, 80)}, true,
                                 100 + vrf.value);
        change_vport(filtered, [acl](auto& policy) { policy.egress_acl = acl; });
        add("10.1.7.0/24", "2001:db8:1:8::/64", table::Leaf::of(adjacency(filtered, "10.9.2.2")));
    }
    /// VXLAN, GENEVE, and what the lane does not do: over IPv6, and with a checksum. By a group too.
    void add_tunnels(VrfId vrf) {
        struct Choice {
            TunnelKind kind;
            const char *local, *remote, *prefix4, *prefix6;
        };
        const Choice choices[] = {
            {TunnelKind::vxlan, "192.0.2.1", "198.51.100.2", "10.2.0.0/24", "2001:db8:2:1::/64"},
            {TunnelKind::geneve, "192.0.2.1", "198.51.100.3", "10.2.1.0/24", "2001:db8:2:2::/64"},
            {TunnelKind::geneve, "192.0.2.1", "198.51.100.200", "10.2.2.0/24", "2001:db8:2:3::/64"},
            {TunnelKind::vxlan, "192.0.2.1", "198.51.100.4", "10.2.3.0/24", "2001:db8:2:4::/64"},
            {TunnelKind::vxlan, "2001:db8:f::1", "2001:db8:f::9", "10.2.4.0/24",
             "2001:db8:2:5::/64"},
        };
        for (std::size_t i = 0; i < std::size(choices); ++i) {
            const Choice& choice = choices[i];
            const TunnelId id =
                add_tunnel({choice.kind, choice.local, choice.remote, 5000 + vrf.value, underlay});
            auto& record = arena.record(arena.header().tunnels, id.value);
            record.copy_dscp = i % 2;
            if (i == 3) record.udp_checksum = 1;
            const VportId vport =
                add_vport(vrf, {.mtu = 1500, .tunnel = id, .source4 = "10.3.0.1"});
            inside.push_back(vport);
            const NextHopId nexthop = adjacency(vport, "10.3.0.2");
            add_route(vrf, choice.prefix4, nexthop);
            add_route(vrf, choice.prefix6, nexthop);
        }
    }

    /// More vports by which tunnel packets come: with an ingress ACL, and of another VRF in which the
    /// same addresses and VNI are another tunnel's end. And tunnels in a tunnel: what comes out of VNI
    /// 6000 is for ends of a third underlay.
    void add_more_underlays(TenantId carriers, VrfId red, VrfId blue) {
        add_vport(underlay, {.port = 2, .vlan = 31});
        carrier_asked = add_vport(underlay, {.port = 2, .vlan = 30});
        const VrfId other = add_vrf(carriers, true), deep = add_vrf(carriers, true);
        const VportId other_carrier = add_vport(other, {.port = 2, .vlan = 32});
        add_route(other, "192.0.2.1/32", add_nexthop(NextHopKind::local, other_carrier));
        add_end(other, blue, {TunnelKind::vxlan, "192.0.2.1", "198.51.100.2", 5001, {}});
        add_end(other, red, {TunnelKind::geneve, "192.0.2.1", "198.51.100.3", 5001, {}});
        const VportId in_tunnel =
            add_end(underlay, deep, {TunnelKind::vxlan, "192.0.2.1", "198.51.100.2", 6000, {}});
        add_route(deep, "192.0.2.1/32", add_nexthop(NextHopKind::local, in_tunnel));
        add_end(deep, red, {TunnelKind::vxlan, "192.0.2.1", "198.51.100.2", 5001, {}});
    }
    VportId add_end(VrfId underlay_vrf, VrfId vrf, TunnelOptions options) {
        options.underlay = underlay_vrf;
        ends.push_back(add_vport(vrf, {.tunnel = add_tunnel(options), .source4 = "10.3.1.1"}));
        return ends.back();
    }

    /// All that was counted, as numbers.
    std::vector<std::uint64_t> cells() {
        std::vector<std::uint64_t> all;
        const auto take = [&all](const auto* rows, std::size_t count) {
            const std::size_t bytes = sizeof(*rows) * count, at = all.size();
            all.resize(at + bytes / sizeof(std::uint64_t));
            std::memcpy(&all[at], static_cast<const void*>(rows), bytes);
        };
        const table::CounterBlock& block = context.counters;
        take(block.ports, 8);
        take(block.tenants, 8);
        take(block.vports, 512);
        take(block.tunnels, 512);
        take(block.vrfs, 8);
        take(block.rules, 128);
        return all;
    }
    /// What came out, in an order that does not depend on the lane.
    std::vector<std::string> output() {
        std::vector<std::string> lines;
        for (const Sent& one : sent) {
            lines.push_back("port " + std::to_string(one.port) + " vport " +
                            std::to_string(one.vport.value) + ": " + to_hex(one.bytes));
        }
        for (const Punted& one : punted) {
            lines.push_back("punt " + std::to_string(one.vport.value) + ": " + to_hex(one.bytes));
        }
        std::sort(lines.begin(), lines.end());
        return lines;
    }

    std::vector<VportId> sites, inside, ends;
    VrfId underlay;
    VportId carrier, carrier_asked;
    table::Ref<table::Acl> carriers_acl;
    NextHopId a, local;
    std::uint32_t counted_rules = 0;
};

class Traffic {
  public:
    explicit Traffic(unsigned seed) : random_(seed) {}
    std::size_t below(std::size_t n) { return random_() % n; }
    template <class T, std::size_t N>
    const T& one_of(const T (&choices)[N]) {
        return choices[below(N)];
    }

    /// A tenant's frame, mostly one that may pass.
    Bytes tenants_frame(bool inside) {
        const bool ipv4 = below(3) != 0;
        Ip ip{ipv4 ? "10.0.0.9" : "2001:db8::9", ""};
        const std::string destination =
            ipv4 ? (below(8) == 0 ? "10.0.0.1"
                                  : "10." + std::to_string(1 + below(2)) + "." +
                                        std::to_string(below(8)) + "." + std::to_string(below(3)))
                 : (below(8) == 0
                        ? "2001:db8::1"
                        : "2001:db8:" + std::to_string(1 + below(2)) + ":" +
                              std::to_string(1 + below(9)) + "::" + std::to_string(1 + below(3)));
        ip.destination = destination;
        static constexpr std::uint8_t kTtls[] = {64, 64, 64, 64, 64, 64, 64, 2, 1, 0};
        ip.ttl = one_of(kTtls);
        ip.tos = static_cast<std::uint8_t>(random_());
        if (below(16) == 0) ip.flags_offset = static_cast<std::uint16_t>(random_());
        const auto to = static_cast<std::uint16_t>(below(4) == 0 ? 23 : 80);
        const auto from = static_cast<std::uint16_t>(random_());
        const Bytes payload(below(8) == 0 ? 1180 + below(340) : below(40), std::byte{0x5a});
        static constexpr std::uint8_t kProtocols[] = {17, 17, 17, 17, 6, 6, 6, 1, 132};
        ip.protocol = one_of(kProtocols);
        Bytes packet =
            ip_packet(ip, ip.protocol == 6 ? tcp(from, to, 0x12) : udp(from, to, payload));
        spoil(packet);
        Link link;
        if (!inside) {
            switch (below(4)) {
                case 0:
                    break;
                case 1:
                    link.vlans = {20, 7};
                    break;
                case 2:
                    link.vlans = {static_cast<std::uint16_t>(below(16) == 0 ? 11 : 0x200a)};
                    break;
                default:
                    link.vlans = {10};
            }
        } else if (below(16) == 0) {
            link.vlans = {10};
        }
        if (below(16) == 0) link.destination = "02:00:00:00:00:02";
        if (below(24) == 0) link.destination = "ff:ff:ff:ff:ff:ff";
        if (below(24) == 0) link.type = 0x0806;
        Bytes frame = ethernet(link, packet);
        if (below(8) == 0) frame.resize(frame.size() + below(30));
        return frame;
    }

    /// By a carrier's port (2 or 3): mostly in a tunnel.
    Bytes carriers_frame(std::uint32_t port) {
        static constexpr std::uint16_t kVlans[] = {30, 31, 32};
        Link link;
        if (below(3) == 0) link.vlans = {one_of(kVlans)};
        if (port == 3) link.vlans = {300};
        Bytes frame;
        switch (below(16)) {
            case 0:
                return tenants_frame(false);
            case 1:  // on the way to somewhere else
                frame = ethernet(link, ip_packet({"198.51.100.2", "198.51.100.3"}, udp(1, 4789)));
                break;
            case 2:
            case 3:
                frame =
                    ethernet(link, tunnel_packet(kEnds[0], 6000, ethernet({}, tunnel_packet())));
                break;
            default:
                frame = ethernet(link, tunnel_packet());
        }
        if (below(16) == 0) frame.resize(frame.size() + below(30));
        return frame;
    }

    Bytes tunnel_packet() {
        return tunnel_packet(one_of(kEnds),
                             static_cast<std::uint32_t>(5001 + below(below(8) == 0 ? 4 : 2)),
                             tenants_frame(true));
    }
    struct End {
        std::string_view remote;
        std::uint16_t port;
    };
    static constexpr End kEnds[] = {{"198.51.100.2", 4789},   {"198.51.100.3", 6081},
                                    {"198.51.100.200", 6081}, {"198.51.100.4", 4789},
                                    {"198.51.100.9", 4789},   {"2001:db8:f::9", 4789}};
    /// In a tunnel, as its other end sends it; or not quite.
    Bytes tunnel_packet(const End& end, std::uint32_t vni, const Bytes& inner) {
        const bool ipv6 = end.remote.find(':') != std::string_view::npos;
        const bool geneve = end.port == 6081;
        Bytes shim(8, std::byte{0});
        if (geneve) {
            shim[2] = std::byte{0x65};
            shim[3] = std::byte{0x58};
        } else {
            shim[0] = std::byte{0x08};
        }
        shim[4] = static_cast<std::byte>(vni >> 16);
        shim[5] = static_cast<std::byte>(vni >> 8);
        shim[6] = static_cast<std::byte>(vni);
        if (below(12) == 0) shim[below(8)] = static_cast<std::byte>(random_());
        shim.insert(shim.end(), inner.begin(), inner.end());
        Ip ip{end.remote, ipv6 ? "2001:db8:f::1" : "192.0.2.1"};
        if (below(4) == 0) ip.tos = static_cast<std::uint8_t>(random_());
        if (below(32) == 0) ip.flags_offset = static_cast<std::uint16_t>(random_());
        if (below(32) == 0) ip.ttl = static_cast<std::uint8_t>(below(2));
        if (below(64) == 0) ip.protocol = 6;
        Bytes datagram = udp(static_cast<std::uint16_t>(0xc000 + below(100)), end.port, shim);
        datagram[6] = datagram[7] = std::byte{0};
        if (below(16) == 0) datagram[6] = std::byte{0x12};  // a checksum that is wrong
        if (below(16) == 0) datagram[5] = static_cast<std::byte>(random_());
        // The IP packet ends before its UDP packet, or where that does.
        const std::size_t behind = below(32) == 0 ? below(30) : 0;
        const Bytes rest(datagram.end() - static_cast<std::ptrdiff_t>(behind), datagram.end());
        datagram.resize(datagram.size() - behind);
        Bytes packet = ip_packet(ip, datagram);
        packet.insert(packet.end(), rest.begin(), rest.end());
        if (below(24) == 0) packet[below(50)] = static_cast<std::byte>(random_());
        if (below(64) == 0) packet.resize(below(packet.size()));
        return packet;
    }

  private:
    void spoil(Bytes& packet) {
        if (below(10) == 0) packet[below(packet.size())] = static_cast<std::byte>(random_());
        if (below(16) == 0) packet.resize(below(packet.size()));
    }
    std::mt19937 random_;
};

inline void expect_same(Network& lane, Network& general, unsigned round) {
    ASSERT_EQ(lane.output(), general.output()) << "round " << round;
    ASSERT_EQ(lane.resolves.size(), general.resolves.size()) << "round " << round;
    ASSERT_EQ(lane.cells(), general.cells()) << "round " << round;
}

}  // namespace wye::pipeline::test
