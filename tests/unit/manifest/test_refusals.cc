// Every refusal that one value causes, with its exact line and path.
#include <gtest/gtest.h>

#include "tests/unit/manifest/manifest_samples.hh"

namespace wye::manifest {
namespace {

struct Spoilt {
    std::string_view passage, replacement;
    int line;
    std::string_view path, words;
};

void PrintTo(const Spoilt& spoilt, std::ostream* out) {
    *out << spoilt.replacement;
}

class Refusal : public testing::TestWithParam<Spoilt> {};

TEST_P(Refusal, NamesLineAndPath) {
    const Spoilt& s = GetParam();
    expect_only(sample_with(s.passage, s.replacement), s.line, s.path, s.words);
}

constexpr std::string_view kRedSite = "tenants[0].vports[0]";

INSTANTIATE_TEST_SUITE_P(
    Document, Refusal,
    testing::Values(
        Spoilt{"apiVersion: wye/v1", "apiVersion: wye/v2", 1, "apiVersion", "must be wye/v1"},
        Spoilt{"apiVersion: wye/v1\n", "\n", 2, "", "has no apiVersion"},
        Spoilt{"tenants:\n", "tennants:\n", 5, "tennants", "did you mean tenants?"},
        Spoilt{"    quotas: {routes: 100,", "    quotas: {rutes: 100,", 7,
               "tenants[0].quotas.rutes", "did you mean routes?"},
        Spoilt{"        vlan: 10\n", "        vlan: 10\n        vlan: 11\n", 21,
               "tenants[0].vports[0].vlan", "is given twice, first on line 20"},
        Spoilt{"        vlan: 10\n", "        vlan:\n", 20, "tenants[0].vports[0].vlan",
               "is empty"},
        Spoilt{"        vlan: 10\n", "        vlan: [10]\n", 20, "tenants[0].vports[0].vlan",
               "must be a number"},
        Spoilt{"        vlan: 10\n", "        vlan: 0x10\n", 20, "tenants[0].vports[0].vlan",
               "\"0x10\" must be a number"},
        Spoilt{"        vlan: 10\n", "        vlan: !!int 10\n", 20, "", "tags"},
        Spoilt{"        vlan: 10\n", "        vlan: &v 10\n", 20, "", "anchors (&v)"},
        Spoilt{"addresses: [10.1.0.1/24]", "addresses: 10.1.0.1/24", 23,
               "tenants[0].vports[0].addresses", "must be a list"},
        Spoilt{"        rules:\n          - {action",
               "        rules:\n          - [action]\n"
               "          - {action",
               32, "tenants[0].acls[0].rules[0]", "must be a mapping"},
        Spoilt{"acl_rules: 3", "acl_rules: 4294967296", 7, "tenants[0].quotas.acl_rules",
               "0 to 4294967295"},
        Spoilt{"    quotas: {routes: 100, vports: 2,", "    quotas: {routes: 100, vports: 1,", 7,
               "tenants[0].quotas", "vports 1 is less than the 2 vports of tenant red"}));

INSTANTIATE_TEST_SUITE_P(
    Names, Refusal,
    testing::Values(
        Spoilt{"- name: red-site\n", "- name: evpn.site\n", 17, "tenants[0].vports[0].name",
               "begins with evpn., as the tunnels of EVPN's routes do"},
        Spoilt{"- name: blue\n", "- name: red\n", 33, "tenants[1].name",
               "the tenant name red is taken by tenants[0] on line 6"},
        Spoilt{"- name: blue\n", "- name: underlay\n", 33, "tenants[1].name",
               "is taken by underlay on line"},
        Spoilt{"- name: blue\n", "- name: bl ue\n", 33, "tenants[1].name", "is no name"},
        Spoilt{"- name: blue\n", "- name: b2345678901234567890123456789012\n", 33,
               "tenants[1].name", "1 to 31"},
        Spoilt{"  - name: blue\n", "  -\n", 34, "tenants[1]", "has no name"},
        Spoilt{"- name: blue-site\n        vrf: blue\n",
               "- name: red-site\n        twin: other\n        vrf: blue\n", 39,
               "tenants[1].vports[0].name", "taken by tenants[0].vports[0] on line 17"},
        Spoilt{"{name: blue-b,", "{name: red-b,", 37, "tenants[1].tunnels[0].name",
               "the tunnel name red-b is taken"},
        Spoilt{"    acls:\n      - {name: wall,",
               "    acls:\n      - {name: guard, default: deny}\n      - {name: wall,", 46,
               "tenants[1].acls[0].name", "the ACL name guard is taken"},
        Spoilt{"      - {name: blue, vni: 200, device: vrf-blue}\n",
               "      - {name: red, device: x}\n      - {name: blue, device: vrf-blue}\n", 35,
               "tenants[1].vrfs[0].name", "the VRF name red is taken by tenants[0].vrfs[0]"}));

INSTANTIATE_TEST_SUITE_P(
    References, Refusal,
    testing::Values(
        Spoilt{"        vrf: red\n        port", "        vrf: rad\n        port", 18,
               "tenants[0].vports[0].vrf", "there is no VRF rad: did you mean red?"},
        Spoilt{"        vrf: red\n        port", "        vrf: blue\n        port", 18,
               "tenants[0].vports[0].vrf", "belongs to tenant blue"},
        Spoilt{"        vrf: red\n        port", "        port", 17, kRedSite, "has no vrf"},
        Spoilt{"        tunnel: red-b\n", "        tunnel: nowhere-at-all\n", 26,
               "tenants[0].vports[1].tunnel", "there is no tunnel nowhere-at-all: declare it"},
        Spoilt{"        tunnel: red-b\n", "        tunnel: blue-b\n        mtu: 1400\n", 26,
               "tenants[0].vports[1].tunnel", "the tunnel blue-b belongs to tenant blue"},
        Spoilt{"ingress_acl: guard", "ingress_acl: gard", 22, "tenants[0].vports[0].ingress_acl",
               "did you mean guard?"},
        Spoilt{"egress_acl: wall", "egress_acl: guard", 44, "tenants[1].vports[0].egress_acl",
               "belongs to tenant red"},
        Spoilt{"        kind: vxlan\n", "        kind: vxlan\n        underlay_vrf: red\n", 13,
               "tenants[0].tunnels[0].underlay_vrf", "the VRF red is no underlay"},
        Spoilt{"        kind: vxlan\n", "        kind: vxlan\n        underlay_vrf: underley\n", 13,
               "tenants[0].tunnels[0].underlay_vrf", "did you mean underlay?"},
        Spoilt{"egress_acl: wall",
               "egress_acl: wall\n      - {name: x, vrf: underlay, port: p, "
               "mac: 02:00:00:00:00:07}",
               45, "tenants[1].vports[1].vrf", "belongs to tenant underlay"}));

INSTANTIATE_TEST_SUITE_P(
    Values, Refusal,
    testing::Values(
        Spoilt{"vlan: 10", "vlan: 0", 20, "tenants[0].vports[0].vlan", "0 means no VLAN"},
        Spoilt{"vlan: 10", "vlan: 4095", 20, "tenants[0].vports[0].vlan", "4095 is reserved"},
        Spoilt{"vlan: 10", "vlan: 10\n        inner_vlan: 4095", 21,
               "tenants[0].vports[0].inner_vlan", "4095 is reserved"},
        Spoilt{"vlan: 10", "inner_vlan: 10", 20, "tenants[0].vports[0].inner_vlan", "needs vlan"},
        Spoilt{"tunnel: red-b\n", "tunnel: red-b\n        vlan: 3\n", 27,
               "tenants[0].vports[1].vlan", "has no VLAN"},
        Spoilt{"tunnel: red-b\n", "tunnel: red-b\n        port: p\n", 26,
               "tenants[0].vports[1].tunnel", "not both"},
        Spoilt{"        tunnel: red-b\n", "", 24, "tenants[0].vports[1]",
               "neither port nor tunnel"},
        Spoilt{"mtu: 1600", "mtu: 1279", 4, "underlay.vports[0].mtu", "RFC 8200"},
        Spoilt{"mtu: 1600", "mtu: 9217", 4, "underlay.vports[0].mtu", "above 9216"},
        Spoilt{"mac: 02:00:00:00:10:01", "mac: 03:00:00:00:10:01", 21, "tenants[0].vports[0].mac",
               "multicast"},
        Spoilt{"mac: 02:00:00:00:10:01", "mac: 00:00:00:00:00:00", 21, "tenants[0].vports[0].mac",
               "belongs to nobody"},
        Spoilt{"mac: 02:00:00:00:10:01", "mac: 2:0:0:0:10:1", 21, "tenants[0].vports[0].mac",
               "no MAC address such as"},
        Spoilt{"        mac: 02:00:00:00:10:01\n", "", 17, kRedSite, "has no mac"},
        Spoilt{"vni: 200", "vni: 16777216", 35, "tenants[1].vrfs[0].vni", "24 bits"},
        Spoilt{"        vni: 100\n", "        vni: 16777216\n", 15, "tenants[0].tunnels[0].vni",
               "24 bits"},
        Spoilt{"        vni: 100\n", "", 11, "tenants[0].tunnels[0]", "has no vni"},
        Spoilt{"kind: vxlan", "kind: gre", 12, "tenants[0].tunnels[0].kind", "vxlan or geneve"},
        Spoilt{"local: 192.0.2.1\n", "local: 2001:db8::1\n", 14, "tenants[0].tunnels[0].remote",
               "different families"},
        Spoilt{"local: 192.0.2.1\n", "local: 192.0.2.2\n", 14, "tenants[0].tunnels[0].remote",
               "same address as local"},
        Spoilt{"local: 192.0.2.1\n", "local: 224.0.0.1\n", 13, "tenants[0].tunnels[0].local",
               "is multicast"},
        Spoilt{"local: 192.0.2.1\n", "local: 127.0.0.1\n", 13, "tenants[0].tunnels[0].local",
               "loopback"},
        Spoilt{"local: 192.0.2.1\n", "local: 192.0.2.1/32\n", 13, "tenants[0].tunnels[0].local",
               "without a prefix length"},
        Spoilt{"local: 2001:db8::1", "local: fe80::1", 37, "tenants[1].tunnels[0].local",
               "link-local"},
        Spoilt{"        vni: 100\n", "        vni: 100\n        ttl: 0\n", 16,
               "tenants[0].tunnels[0].ttl", "1 to 255"},
        Spoilt{"        vni: 100\n", "        vni: 100\n        dscp: 64\n", 16,
               "tenants[0].tunnels[0].dscp", "0 to 63"},
        Spoilt{"        vni: 100\n", "        vni: 100\n        copy_dscp: yes\n", 16,
               "tenants[0].tunnels[0].copy_dscp", "must be true or false"},
        Spoilt{"        vni: 100\n", "        vni: 100\n        dscp: 3\n        copy_dscp: true\n",
               16, "tenants[0].tunnels[0].dscp", "no effect"},
        Spoilt{"        vni: 100\n", "        vni: 100\n        destination_port: 65536\n", 16,
               "tenants[0].tunnels[0].destination_port", "1 to 65535"},
        Spoilt{"[10.1.0.1/24]", "[10.1.0.0/24]", 23, "tenants[0].vports[0].addresses[0]",
               "is the network itself"},
        Spoilt{"[10.1.0.1/24]", "[10.1.0.255/24]", 23, "tenants[0].vports[0].addresses[0]",
               "broadcast"},
        Spoilt{"[10.1.0.1/24]", "[10.1.0.1]", 23, "tenants[0].vports[0].addresses[0]",
               "no address with a length"},
        Spoilt{"[10.1.0.1/24]", "[10.1.0.1/0]", 23, "tenants[0].vports[0].addresses[0]",
               "length 0"},
        Spoilt{"[10.1.0.1/24]", "[\"ff02::1/64\"]", 23, "tenants[0].vports[0].addresses[0]",
               "multicast"},
        Spoilt{"[10.1.0.1/24]", "[10.1.0.1/24, 10.1.0.1/25]", 23,
               "tenants[0].vports[0].addresses[1]", "given twice"},
        Spoilt{"tunnel: red-b\n",
               "tunnel: red-b\n        neighbors:\n          - {address: 10.2.0.1}\n", 28,
               "tenants[0].vports[1].neighbors[0]", "has no mac"},
        Spoilt{"tunnel: red-b\n",
               "tunnel: red-b\n        neighbors:\n"
               "          - {address: 10.2.0.1, mac: 02:00:00:00:00:01}\n"
               "          - {address: 10.2.0.1, mac: 02:00:00:00:00:02}\n",
               29, "tenants[0].vports[1].neighbors[1].address", "10.2.0.1 is given twice"}));

INSTANTIATE_TEST_SUITE_P(
    Overlaps, Refusal,
    testing::Values(
        Spoilt{"vlan: 20", "vlan: 10", 42, "tenants[1].vports[0].vlan",
               "port access, VLAN 10 is taken by vport red-site on line 17"},
        Spoilt{"port: access\n        vlan: 20", "port: c4", 41, "tenants[1].vports[0].port",
               "port c4 untagged is taken by vport carrier on line 4"},
        Spoilt{"        tunnel: red-b\n        mac: 02:00:00:00:10:ff\n",
               "        tunnel: red-b\n        mac: 02:00:00:00:10:ff\n    quotas: {}\n", 28,
               "tenants[0].quotas", "is given twice, first on line 7"},
        Spoilt{"vni: 200", "vni: 100", 35, "tenants[1].vrfs[0].vni",
               "VNI 100 is taken by VRF red on line 9"},
        Spoilt{"{name: blue-b, kind: geneve, local: 2001:db8::1, remote: 2001:db8::2, vni: 1}",
               "{name: blue-b, kind: vxlan, local: 192.0.2.1, remote: 192.0.2.2, vni: 100}", 37,
               "tenants[1].tunnels[0].vni",
               "VNI 100 between 192.0.2.1 and 192.0.2.2 is taken by tunnel red-b on line 11"},
        Spoilt{"port: access\n        vlan: 20\n",
               "tunnel: blue-b\n        mtu: 1280\n"
               "        mac: 02:00:00:00:20:02\n      - name: again\n        vrf: blue\n        "
               "tunnel: blue-b\n        mtu: 1280\n",
               46, "tenants[1].vports[1].tunnel", "the tunnel blue-b is taken by vport blue-site"},
        Spoilt{"tunnel: red-b\n", "tunnel: red-b\n        addresses: [10.1.0.1/30]\n", 27,
               "tenants[0].vports[1].addresses", "10.1.0.1 in VRF red is taken by vport red-site"},
        Spoilt{"device: vrf-blue", "netns: red", 35, "tenants[1].vrfs[0].netns",
               "the namespace red is taken by VRF red on line 9"},
        Spoilt{", device: vrf-blue", "", 35, "tenants[1].vrfs[0]",
               "the shim's own namespace is taken by VRF underlay"},
        Spoilt{"device: vrf-blue", "device: vrf-blue, netns: blue", 35, "tenants[1].vrfs[0].device",
               "not both"},
        Spoilt{"device: vrf-blue", "device: a-name-longer-than-15", 35, "tenants[1].vrfs[0].device",
               "no interface name that Linux takes"},
        Spoilt{"- name: blue-site\n", "- name: blue-site\n        twin: carrier\n", 40,
               "tenants[1].vports[0].twin", "the interface name carrier is taken by vport carrier"},
        Spoilt{"- name: blue-site\n", "- name: blue-site\n        twin: vrf-blue\n", 40,
               "tenants[1].vports[0].twin", "is taken by VRF blue"},
        Spoilt{"- name: blue-site\n", "- name: blue-site\n        twin: lo\n", 40,
               "tenants[1].vports[0].twin", "cannot be a twin"},
        Spoilt{"- name: blue-site\n", "- name: inj-blue\n", 39, "tenants[1].vports[0].name",
               "belong to the VRFs' inject devices"},
        Spoilt{"- name: blue-site\n", "- name: blue-site-with-a-long-name\n", 39,
               "tenants[1].vports[0].name", "give the vport a twin"},
        Spoilt{"- name: blue-site\n", "- name: blue-site\n        twin: sixteen-bytes-xx\n", 40,
               "tenants[1].vports[0].twin", "1 to 15"}));

INSTANTIATE_TEST_SUITE_P(
    Mtu, Refusal,
    testing::Values(
        Spoilt{"mtu: 1600", "mtu: 1549", 24, "tenants[0].vports[1]",
               "mtu 1500 and 50 bytes of tunnel headers do not fit the 1549 of underlay vport "
               "carrier: give this vport mtu: 1499, or raise that one to 1550"},
        Spoilt{"port: access\n        vlan: 20\n", "tunnel: blue-b\n        mtu: 1531\n", 42,
               "tenants[1].vports[0].mtu", "give this vport mtu: 1530, or raise that one to 1601"},
        Spoilt{"mtu: 1600", "mtu: 1300", 24, "tenants[0].vports[1]",
               "underlay vport carrier: raise that one to 1550"}));

struct SpoiltRule {
    std::string_view rule, key, words;
};
void PrintTo(const SpoiltRule& rule, std::ostream* out) {
    *out << rule.rule;
}

class RuleRefusal : public testing::TestWithParam<SpoiltRule> {};

TEST_P(RuleRefusal, NamesLineAndPath) {
    const SpoiltRule& s = GetParam();
    std::string path = "tenants[0].acls[0].rules[0]";
    if (!s.key.empty()) path += "." + std::string(s.key);
    expect_only(sample_with("{action: deny, protocol: tcp, destination: 10.0.0.0/8}", s.rule), 32,
                path, s.words);
}

INSTANTIATE_TEST_SUITE_P(
    Acl, RuleRefusal,
    testing::Values(
        SpoiltRule{"{protocol: tcp}", "", "has no action"},
        SpoiltRule{"{action: drop}", "action", "deny, permit or count"},
        SpoiltRule{"{action: deny, protocol: tpc}", "protocol", "must be one of icmp"},
        SpoiltRule{"{action: deny, protocol: 256}", "protocol", "0 to 255"},
        SpoiltRule{"{action: deny, destination: 10.0.0.1/8}", "destination",
                   "10.0.0.1/8 has host bits set: did you mean 10.0.0.0/8?"},
        SpoiltRule{"{action: deny, destination: \"2001:db8::1\"}", "destination",
                   "did you mean 2001:db8::1/128?"},
        SpoiltRule{"{action: deny, source: any}", "source", "no prefix such as"},
        SpoiltRule{"{action: deny, source: 10.0.0.0/8, destination: \"fd00::/8\"}", "destination",
                   "is IPv6, but source is IPv4"},
        SpoiltRule{"{action: deny, family: ipv6, source: 10.0.0.0/8}", "source",
                   "is IPv4, but family is IPv6"},
        SpoiltRule{"{action: deny, protocol: icmp, source: \"fd00::/8\"}", "protocol",
                   "is IPv4, but source is IPv6"},
        SpoiltRule{"{action: deny, protocol: tcp, source_ports: 443-80}", "source_ports",
                   "reversed: did you mean 80-443?"},
        SpoiltRule{"{action: deny, protocol: tcp, destination_ports: 65536}", "destination_ports",
                   "0 to 65535"},
        SpoiltRule{"{action: deny, protocol: tcp, destination_ports: 1-}", "destination_ports",
                   "a range such as"},
        SpoiltRule{"{action: deny, destination_ports: 80}", "destination_ports",
                   "needs a protocol that has ports"},
        SpoiltRule{"{action: deny, protocol: icmp, source_ports: 80}", "source_ports",
                   "needs a protocol that has ports"},
        SpoiltRule{"{action: deny, protocol: udp, tcp_flags: +syn}", "tcp_flags",
                   "needs protocol: tcp"},
        SpoiltRule{"{action: deny, protocol: tcp, tcp_flags: syn}", "tcp_flags", "+ or - before"},
        SpoiltRule{"{action: deny, protocol: tcp, tcp_flags: +sin}", "tcp_flags", "+ or - before"},
        SpoiltRule{"{action: deny, protocol: tcp, tcp_flags: +syn-syn}", "tcp_flags",
                   "syn is given twice"},
        SpoiltRule{"{action: deny, protocol: tcp, icmp_type: 8}", "icmp_type",
                   "needs protocol: icmp or icmpv6"},
        SpoiltRule{"{action: deny, protocol: icmp, icmp_code: 0}", "icmp_code", "needs icmp_type"},
        SpoiltRule{"{action: deny, protocol: icmp, icmp_type: 256}", "icmp_type", "0 to 255"},
        SpoiltRule{"{action: deny, dscp: 64}", "dscp", "0 to 63"},
        SpoiltRule{"{action: deny, fragment: first}", "fragment",
                   "any, not_fragment, fragment or later"},
        SpoiltRule{"{action: deny, protocol: tcp, source_ports: 1, fragment: later}",
                   "source_ports", "never matches"}));

TEST(Refusals, OfTunnelsWithoutAnUnderlay) {
    expect_only(
        "apiVersion: wye/v1\n"
        "tenants:\n"
        "  - name: red\n"
        "    tunnels:\n"
        "      - {name: t, kind: vxlan, local: 192.0.2.1, remote: 192.0.2.2, vni: 1}\n",
        5, "tenants[0].tunnels[0]", "the manifest has no section underlay");
    expect_only("apiVersion: wye/v1\ntenants: [{name: underlay}]\n", 2, "tenants[0].name",
                "reserved for the section underlay");
}

TEST(Refusals, OfQuotasThatTheManifestItselfExceeds) {
    expect_only(sample_with("acl_rules: 3}", "acl_rules: 1}")
                    .replace(std::string(kSample).find("destination: 10.0.0.0/8}"), 24,
                             "dscp: 1}                "),
                7, "tenants[0].quotas", "acl_rules 1 is less than the 2 ACL rules");
}

TEST(Refusals, OfTextThatIsNoManifest) {
    expect_only("", 0, "", "is empty");
    expect_only("# nothing\n", 0, "", "is empty");
    expect_only("- a\n- b\n", 1, "", "must be a mapping");
    expect_only("apiVersion: wye/v1\ntenants: {a\n", 3, "", "is no YAML");
    expect_only("apiVersion: wye/v1\n---\napiVersion: wye/v1\n", 3, "", "second YAML document");
    expect_only("apiVersion: wye/v1\ntenants: " + std::string(60, '['), 2, "", "nested too deeply");
    expect_only(std::string((16 << 20) + 1, ' '), 0, "", "more than 16 MiB");
    const Loaded alias = load_manifest("apiVersion: &a wye/v1\ntenants: *a\n", "m.yaml");
    ASSERT_EQ(alias.problems.size(), 2u);
    EXPECT_EQ(alias.problems[0].line, 1);
    EXPECT_EQ(alias.problems[1].line, 2);
}

}  // namespace
}  // namespace wye::manifest
