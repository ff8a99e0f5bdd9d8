// What a good manifest becomes, and that a bad one tells everything at once.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "tests/unit/manifest/manifest_samples.hh"

namespace wye::manifest {
namespace {

TEST(Manifest, ReadsTheSampleWithItsDefaults) {
    const Loaded loaded = load_manifest(kSample, "m.yaml");
    for (const Problem& problem : loaded.problems) ADD_FAILURE() << problem.to_string();
    ASSERT_TRUE(loaded.manifest);
    const auto& tenants = loaded.manifest->tenants;
    ASSERT_EQ(tenants.size(), 3u);

    EXPECT_EQ(tenants[0].name, "underlay");
    ASSERT_EQ(tenants[0].vrfs.size(), 1u);
    EXPECT_EQ(tenants[0].vrfs[0].name, "underlay");
    EXPECT_TRUE(tenants[0].vrfs[0].underlay);
    EXPECT_EQ(tenants[0].vrfs[0].kernel.kind, KernelVrf::Kind::this_namespace);
    EXPECT_EQ(tenants[0].vports[0].vrf, "underlay");
    EXPECT_EQ(tenants[0].vports[0].mtu, 1600);
    EXPECT_EQ(tenants[0].vports[0].vlan, kNoVlan);
    EXPECT_EQ(tenants[0].vports[0].twin, "carrier");

    const Tenant& red = tenants[1];
    EXPECT_EQ(red.quotas, (Quotas{.routes = 100, .vports = 2, .acl_rules = 3}));
    EXPECT_EQ(red.vrfs[0].vni, 100u);
    EXPECT_EQ(red.vrfs[0].kernel, (KernelVrf{KernelVrf::Kind::netns, "red"}));
    EXPECT_EQ(red.tunnels[0].kind, TunnelKind::vxlan);
    EXPECT_EQ(red.tunnels[0].underlay_vrf, "underlay");
    EXPECT_EQ(red.tunnels[0].ttl, 64);
    EXPECT_EQ(net::to_string(red.tunnels[0].remote), "192.0.2.2");
    EXPECT_EQ(red.vports[0].vlan, 10);
    EXPECT_EQ(red.vports[0].inner_vlan, kNoVlan);
    EXPECT_EQ(red.vports[0].mtu, 1500);
    EXPECT_TRUE(red.vports[0].admin_up);
    EXPECT_EQ(net::to_string(red.vports[0].mac), "02:00:00:00:10:01");
    EXPECT_EQ(red.vports[0].addresses[0].length, 24);
    EXPECT_EQ(red.vports[1].kind, VportKind::tunnel);
    EXPECT_EQ(red.vports[1].tunnel, "red-b");
    EXPECT_TRUE(red.acls[0].default_permit);
    EXPECT_FALSE(tenants[2].acls[0].default_permit);
    EXPECT_EQ(tenants[2].vrfs[0].kernel, (KernelVrf{KernelVrf::Kind::device, "vrf-blue"}));
    EXPECT_EQ(tenants[2].tunnels[0].kind, TunnelKind::geneve);
    EXPECT_EQ(load_manifest(kSample, "other.yaml").manifest, loaded.manifest);
}

std::vector<AclRule> rules_of(std::string_view rule) {
    const Loaded loaded = load_manifest(
        sample_with("{action: deny, protocol: tcp, destination: 10.0.0.0/8}", rule), "m.yaml");
    for (const Problem& problem : loaded.problems) ADD_FAILURE() << problem.to_string();
    return loaded.manifest ? loaded.manifest->tenants[1].acls[0].rules : std::vector<AclRule>{};
}

TEST(Manifest, ReadsEveryKeyOfARule) {
    const auto rules = rules_of(
        "{action: permit, protocol: tcp, source: 10.0.0.0/8, destination: 10.1.2.3/32, "
        "source_ports: 1-2, destination_ports: 443, tcp_flags: +syn-ack, dscp: 46, "
        "fragment: not_fragment}");
    ASSERT_EQ(rules.size(), 1u);
    const AclRule& rule = rules[0];
    EXPECT_EQ(rule.action, AclAction::permit);
    EXPECT_EQ(rule.family, net::IpFamily::ipv4);
    EXPECT_EQ(net::to_string(rule.source), "10.0.0.0/8");
    EXPECT_EQ(net::to_string(rule.destination), "10.1.2.3/32");
    EXPECT_EQ(rule.protocol, 6);
    EXPECT_EQ(rule.source_port_low, 1);
    EXPECT_EQ(rule.source_port_high, 2);
    EXPECT_EQ(rule.destination_port_low, 443);
    EXPECT_EQ(rule.destination_port_high, 443);
    EXPECT_EQ(rule.tcp_flags_mask, 0x12);
    EXPECT_EQ(rule.tcp_flags_value, 0x02);
    EXPECT_EQ(rule.dscp, 46);
    EXPECT_EQ(rule.fragment, FragmentMatch::not_fragment);

    const auto icmp = rules_of("{action: count, protocol: icmpv6, icmp_type: 128, icmp_code: 0}");
    ASSERT_EQ(icmp.size(), 1u);
    EXPECT_EQ(icmp[0].action, AclAction::count);
    EXPECT_EQ(icmp[0].family, net::IpFamily::ipv6);
    EXPECT_EQ(icmp[0].protocol, 58);
    EXPECT_EQ(icmp[0].icmp_type, 128);
    EXPECT_EQ(icmp[0].icmp_code, 0);
}

TEST(Manifest, ARuleWithoutAFamilyIsMadeForBoth) {
    const auto rules = rules_of("{action: deny, protocol: 17, destination_ports: 53}");
    ASSERT_EQ(rules.size(), 2u);
    EXPECT_EQ(rules[0].family, net::IpFamily::ipv4);
    EXPECT_EQ(rules[0].source.address.family, net::IpFamily::ipv4);
    EXPECT_EQ(rules[1].family, net::IpFamily::ipv6);
    EXPECT_EQ(rules[1].source.address.family, net::IpFamily::ipv6);
    EXPECT_EQ(rules[1].destination.length, 0);
    const auto one = rules_of("{action: deny, family: ipv6}");
    ASSERT_EQ(one.size(), 1u);
    EXPECT_EQ(one[0].family, net::IpFamily::ipv6);
}

TEST(Manifest, ReportsEverythingAtOnceInTheOrderOfTheFile) {
    const Loaded loaded = load_manifest(
        "apiVersion: wye/v1\n"
        "tenants:\n"
        "  - name: red\n"
        "    vrfs:\n"
        "      - {name: red, netns: red, vni: 16777216}\n"
        "    vports:\n"
        "      - name: a\n"
        "        vrf: rde\n"
        "        port: p\n"
        "        vlan: 4095\n"
        "        mtu: 100\n"
        "        mac: 01:00:00:00:00:01\n"
        "        collor: red\n",
        "m.yaml");
    EXPECT_FALSE(loaded.manifest);
    std::string all;
    for (const Problem& problem : loaded.problems) all += problem.to_string() + "\n";
    EXPECT_EQ(all,
              "m.yaml:5: tenants[0].vrfs[0].vni: \"16777216\" must be a number from 0 to 16777215: "
              "a VNI has 24 bits\n"
              "m.yaml:8: tenants[0].vports[0].vrf: there is no VRF rde: did you mean red?\n"
              "m.yaml:10: tenants[0].vports[0].vlan: \"4095\" must be a number from 1 to 4094: 0 "
              "means no VLAN and 4095 is reserved (IEEE 802.1Q 9.6); leave the key out for "
              "untagged\n"
              "m.yaml:11: tenants[0].vports[0].mtu: \"100\" must be a number from 1280 to 9216: "
              "below 1280 IPv6 does not work (RFC 8200 5), above 9216 no packet buffer holds it\n"
              "m.yaml:12: tenants[0].vports[0].mac: \"01:00:00:00:00:01\" is a multicast MAC "
              "address: the lowest bit of its first byte must be 0\n"
              "m.yaml:13: tenants[0].vports[0].collor: is no known key: the keys here are: "
              "name, vrf, port, tunnel, vlan, inner_vlan, mac, mtu, admin_up, twin, ingress_acl, "
              "egress_acl, addresses, neighbors\n");
}

TEST(Manifest, ReadsFilesAndSaysWhyItCannot) {
    const Loaded example = load_manifest_file(WYE_EXAMPLE_MANIFEST);
    for (const Problem& problem : example.problems) ADD_FAILURE() << problem.to_string();
    EXPECT_TRUE(example.manifest);
    const Loaded absent = load_manifest_file("/nonexistent/m.yaml");
    ASSERT_EQ(absent.problems.size(), 1u);
    EXPECT_EQ(absent.problems[0].to_string(),
              "/nonexistent/m.yaml: cannot be read: No such file or directory");
    const Loaded folder = load_manifest_file("/");
    ASSERT_EQ(folder.problems.size(), 1u);
    EXPECT_NE(folder.problems[0].text.find("cannot be read"), std::string::npos);
}

}  // namespace
}  // namespace wye::manifest
