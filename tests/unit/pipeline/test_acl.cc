// ACLs as the passes use them: which packets are judged, by which key, and what is counted.
#include <gtest/gtest.h>

#include "test_router.hh"

namespace wye::pipeline::test {
namespace {

using table::AclRuleSpec;
using table::Reason;

constexpr const char* kNeighbor = "02:00:00:00:00:aa";

AclRuleSpec any4(AclAction action) {
    AclRuleSpec rule;
    rule.source = rule.destination = *net::parse_prefix("0.0.0.0/0");
    rule.action = action;
    return rule;
}
AclRuleSpec any6(AclAction action) {
    AclRuleSpec rule;
    rule.family = net::IpFamily::ipv6;
    rule.source = rule.destination = *net::parse_prefix("::/0");
    rule.action = action;
    return rule;
}
AclRuleSpec tcp_to(std::uint16_t port, AclAction action) {
    AclRuleSpec rule = any4(action);
    rule.any_protocol = false;
    rule.protocol = 6;
    rule.destination_port_low = rule.destination_port_high = port;
    return rule;
}

struct Filtered : TestRouter {
    Filtered() {
        vrf = add_vrf(add_tenant());
        in = add_vport(vrf, {.port = 0});
        out = add_vport(vrf, {.port = 1});
        const NextHopId nexthop = add_nexthop(NextHopKind::adjacency, out, "10.9.0.2", kNeighbor);
        add_route(vrf, "0.0.0.0/0", nexthop);
        add_route(vrf, "::/0", nexthop);
        add_route(vrf, "10.0.0.1/32", add_nexthop(NextHopKind::local, in));
    }
    void set_ingress(const std::vector<AclRuleSpec>& rules, bool default_permit) {
        const auto acl = add_acl(rules, default_permit, kBase);
        change_vport(in, [acl](auto& policy) { policy.ingress_acl = acl; });
    }
    void set_egress(const std::vector<AclRuleSpec>& rules, bool default_permit) {
        const auto acl = add_acl(rules, default_permit, kBase);
        change_vport(out, [acl](auto& policy) { policy.egress_acl = acl; });
    }
    bool passes(const Bytes& packet) {
        clear_output();
        receive(0, ethernet({}, packet));
        return sent.size() + punted.size() == 1;
    }
    std::uint64_t hits(std::size_t rule) {
        return context.counters.rules[kBase + rule].packets.get();
    }
    static constexpr std::uint32_t kBase = 100;
    VrfId vrf;
    VportId in, out;
};

Bytes tcp4(std::uint16_t port, std::uint8_t flags = 0x02) {
    return ip_packet({"10.0.0.9", "10.1.2.3", 6}, tcp(1000, port, flags));
}

TEST(IngressAcl, BlocksOnePortAndCounts) {
    Filtered router;
    router.set_ingress({any4(AclAction::count), tcp_to(22, AclAction::deny),
                        any4(AclAction::permit), any6(AclAction::permit)},
                       false);
    EXPECT_TRUE(router.passes(tcp4(80)));
    EXPECT_FALSE(router.passes(tcp4(22)));
    EXPECT_TRUE(router.passes(ip_packet({"2001:db8::9", "2001:db8:1::1", 6}, tcp(1, 22))));
    EXPECT_EQ(router.drops(Reason::acl_ingress_denied), 1u);
    EXPECT_EQ(router.hits(0), 2u);
    EXPECT_EQ(router.hits(1), 1u);
    EXPECT_EQ(router.hits(2), 1u);
    EXPECT_EQ(router.hits(3), 1u);
    EXPECT_EQ(router.context.counters.rules[Filtered::kBase + 1].bytes.get(), 40u);
}

TEST(IngressAcl, JudgesWhatIsForTheRouterToo) {
    Filtered router;
    router.set_ingress({tcp_to(179, AclAction::permit)}, false);
    EXPECT_TRUE(router.passes(ip_packet({"10.0.0.9", "10.0.0.1", 6}, tcp(1, 179))));
    EXPECT_FALSE(router.passes(ip_packet({"10.0.0.9", "10.0.0.1", 6}, tcp(1, 22))));
    // But not ARP and neighbour discovery, without which no link works.
    router.receive(0, ethernet({.destination = "ff:ff:ff:ff:ff:ff", .type = 0x0806}, Bytes(28)));
    router.receive(0, ethernet({.destination = "33:33:00:00:00:01"},
                               ip_packet({"fe80::9", "ff02::1", 58, 255}, Bytes(24))));
    EXPECT_EQ(router.punted.size(), 2u);
}

// standards 26; RFC 1858: a header that is not there matches no condition on it.
TEST(IngressAcl, AHeaderThatIsNotThereIsNotPermitted) {
    Filtered router;
    router.set_ingress({tcp_to(80, AclAction::permit)}, false);
    EXPECT_TRUE(router.passes(tcp4(80)));
    const Bytes whole = tcp(1000, 80);
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
        EXPECT_FALSE(router.passes(ip_packet({"10.0.0.9", "10.1.2.3", 6}, cut))) << length;
        EXPECT_FALSE(router.passes(ip_packet({"10.0.0.9", "10.1.2.3", 6, 64, 0x2000}, cut)));
    }
    EXPECT_FALSE(router.passes(ip_packet({"10.0.0.9", "10.1.2.3", 6, 64, 0x0008}, whole)));
}

TEST(IngressAcl, FlagsDscpAndIcmp) {
    Filtered router;
    AclRuleSpec established = any4(AclAction::permit);
    established.any_protocol = false;
    established.protocol = 6;
    established.tcp_flags_mask = established.tcp_flags_value = 0x10;
    AclRuleSpec expedited = any4(AclAction::permit);
    expedited.any_dscp = false;
    expedited.dscp = 46;
    AclRuleSpec echo = any4(AclAction::permit);
    echo.any_protocol = false;
    echo.protocol = 1;
    echo.any_icmp = false;
    echo.icmp_type = 8;
    router.set_ingress({established, expedited, echo}, false);
    EXPECT_TRUE(router.passes(tcp4(80, 0x10)));
    EXPECT_FALSE(router.passes(tcp4(80, 0x02)));
    Bytes icmp(8);
    icmp[0] = std::byte{8};
    EXPECT_TRUE(router.passes(ip_packet({"10.0.0.9", "10.1.2.3", 1}, icmp)));
    icmp[0] = std::byte{13};
    EXPECT_FALSE(router.passes(ip_packet({"10.0.0.9", "10.1.2.3", 1}, icmp)));
    EXPECT_TRUE(router.passes(
        ip_packet({.source = "10.0.0.9", .destination = "10.1.2.3", .tos = 0xb8}, udp(1, 2))));
    EXPECT_FALSE(router.passes(
        ip_packet({.source = "10.0.0.9", .destination = "10.1.2.3", .tos = 0x2e}, udp(1, 2))));
}

TEST(EgressAcl, JudgesTransitOnly) {
    Filtered router;
    router.set_egress({tcp_to(22, AclAction::deny), any4(AclAction::permit)}, false);
    EXPECT_TRUE(router.passes(tcp4(80)));
    EXPECT_FALSE(router.passes(tcp4(22)));
    EXPECT_EQ(router.drops(Reason::acl_egress_denied), 1u);
    router.clear_output();
    router.from_inject(router.vrf, tcp4(22));
    EXPECT_EQ(router.sent.size(), 1u);
}

TEST(Policy, AChangeIsInEffectForTheNextBurst) {
    Filtered router;
    router.set_ingress({any4(AclAction::permit)}, false);
    EXPECT_TRUE(router.passes(tcp4(22)));
    router.set_ingress({any4(AclAction::deny)}, false);
    EXPECT_FALSE(router.passes(tcp4(22)));
    router.change_vport(router.in, [](auto& policy) { policy.ingress_acl = {}; });
    EXPECT_TRUE(router.passes(tcp4(22)));
}

}  // namespace
}  // namespace wye::pipeline::test
