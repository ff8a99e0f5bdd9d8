// The manifest as plain values: what the tenants and operators declare, parsed and checked.
//
// Owner: the shim's main thread. Made only by load_manifest, which reports everything that is wrong
// at once and then gives no manifest at all, so whoever holds one holds a consistent one: names are
// unique, references resolve, keys do not overlap, numbers are possible.
//
// Written by people (YAML, conf/manifest.example.yaml, docs/manifest.md):
//
//   apiVersion: wye/v1
//   underlay:                          # the provider's own: tenant "underlay", VRF "underlay"
//     vports:
//       - {name: carrier4, port: c4, mac: 02:…, mtu: 1600}
//   tenants:
//     - name: red
//       quotas: {routes: 1000, vports: 10, acl_rules: 100, neighbors: 1000, punt_pps: 1000}
//       vrfs:
//         - {name: red, vni: 100, netns: red}        # or device: vrf-red
//       tunnels:
//         - {name: red-b, kind: vxlan, local: 192.0.2.1, remote: 192.0.2.2, vni: 100}
//       vports:
//         - {name: red-site, vrf: red, port: access, vlan: 10, mac: 02:…, ingress_acl: guard}
//         - {name: red-pop-b, vrf: red, tunnel: red-b, mac: 02:…, neighbors: [{address: …, mac:
//         …}]}
//       acls:
//         - name: guard
//           default: permit
//           rules:
//             - {action: deny, protocol: tcp, destination: 10.0.0.0/8, destination_ports: 443}
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/model.hh"
#include "dataplane/net/address.hh"

namespace wye::manifest {

/// One thing that is wrong: where (file, line, path such as tenants[0].vports[2].vlan) and what.
struct Problem {
    std::string file;
    int line = 0;  // 1-based; 0: the file as a whole
    std::string path;
    std::string text;
    [[nodiscard]] std::string to_string() const;  // file:line: path: text
};

/// Tunnels and vports that begin so are the shim's own (state/evpn.hh).
constexpr std::string_view kEvpnPrefix = "evpn.";

struct Quotas {  // 0: the data plane's own limit
    std::uint32_t routes = 0, vports = 0, acl_rules = 0, neighbors = 0, punt_pps = 0;
    friend bool operator==(const Quotas&, const Quotas&) = default;
};

/// Where the kernel's half of a VRF is.
struct KernelVrf {
    enum class Kind : std::uint8_t { this_namespace, netns, device } kind = Kind::this_namespace;
    std::string name;  // of the namespace in /run/netns, or of the VRF device
    friend bool operator==(const KernelVrf&, const KernelVrf&) = default;
};

struct Vrf {
    std::string name;
    std::optional<std::uint32_t> vni;
    bool underlay = false;
    KernelVrf kernel;
    friend bool operator==(const Vrf&, const Vrf&) = default;
};

struct Tunnel {
    std::string name;
    TunnelKind kind = TunnelKind::vxlan;
    std::string underlay_vrf;
    net::IpAddress local, remote;
    std::uint32_t vni = 0;
    std::uint16_t destination_port = 0;  // 0: the kind's own
    std::uint8_t ttl = 64;
    std::uint8_t dscp = 0;
    bool copy_dscp = false;
    bool udp_checksum = false;
    friend bool operator==(const Tunnel&, const Tunnel&) = default;
};

struct StaticNeighbor {
    net::IpAddress address;
    net::MacAddress mac;
    friend bool operator==(const StaticNeighbor&, const StaticNeighbor&) = default;
};

struct Vport {
    std::string name;
    std::string vrf;
    VportKind kind = VportKind::port;
    std::string port;    // kind port: a name of the data plane's configuration
    std::string tunnel;  // kind tunnel
    std::uint16_t vlan = kNoVlan, inner_vlan = kNoVlan;
    net::MacAddress mac;
    std::uint16_t mtu = 1500;
    bool admin_up = true;
    /// No vport that a manifest declares is without one; those of EVPN (state/evpn.hh) are.
    bool has_twin = true;
    std::string twin;  // interface name in the kernel; default: the vport's name (at most 15 bytes)
    std::string ingress_acl, egress_acl;  // empty: permit
    /// Addresses that the shim sets on the twin; those set in vtysh stay as they are.
    std::vector<net::InterfaceAddress> addresses;
    std::vector<StaticNeighbor> neighbors;
    friend bool operator==(const Vport&, const Vport&) = default;
};

/// As dataplane/table/acl.hh: what is not given is not looked at. `family` follows from the
/// prefixes; a rule without any is made for both families by the parser.
struct AclRule {
    AclAction action = AclAction::deny;
    net::IpFamily family = net::IpFamily::ipv4;
    net::IpPrefix source, destination;
    std::uint16_t source_port_low = 0, source_port_high = 0xffff;
    std::uint16_t destination_port_low = 0, destination_port_high = 0xffff;
    std::optional<std::uint8_t> protocol;
    std::optional<std::uint8_t> icmp_type, icmp_code;
    std::uint8_t tcp_flags_mask = 0, tcp_flags_value = 0;
    std::optional<std::uint8_t> dscp;
    FragmentMatch fragment = FragmentMatch::any;
    friend bool operator==(const AclRule&, const AclRule&) = default;
};

struct Acl {
    std::string name;
    bool default_permit = false;
    std::vector<AclRule> rules;
    friend bool operator==(const Acl&, const Acl&) = default;
};

/// The section `underlay` parses into a tenant of that name with one VRF of that name,
/// this_namespace and underlay set, so that nothing behind the parser treats it apart.
struct Tenant {
    std::string name;
    Quotas quotas;
    std::vector<Vrf> vrfs;
    std::vector<Tunnel> tunnels;
    std::vector<Vport> vports;
    std::vector<Acl> acls;
    friend bool operator==(const Tenant&, const Tenant&) = default;
};

struct Manifest {
    std::vector<Tenant> tenants;  // in the order of the file, underlay first
    friend bool operator==(const Manifest&, const Manifest&) = default;
};

struct Loaded {
    std::optional<Manifest> manifest;  // none if there are problems
    std::vector<Problem> problems;
};

Loaded load_manifest(std::string_view yaml, const std::string& file_name);
Loaded load_manifest_file(const std::string& path);

}  // namespace wye::manifest
