// Tunnels that nobody declares: those to the far ends of EVPN's routes (RFC 9136 type 5, RFC 9135
// symmetric IRB).
//
// A route of EVPN names a far tunnel end, a VNI and the interface of the VRF that stands for that VNI
// here (FRR's SVI). The rest is the kernel's, as ordinary FRR configuration wants it: the vxlan device
// with that VNI says which address is this router's own, the interface has this router's MAC, and its
// neighbour table, which zebra fills, has the far router's MAC. From these a tunnel and a vport inside
// it are made as if the manifest had them, with the far router's MAC as a static neighbour. Such a
// vport has no twin: routers in EVPN do not talk to each other inside the tunnel.
//
// Pure functions, but for the file that a restarted shim remembers them by: until zebra has told all
// routes again, what forwarded before must stay.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane-shim/kernel/kernel.hh"
#include "controlplane-shim/manifest/manifest.hh"
#include "controlplane-shim/state/topology.hh"
#include "dataplane/base/result.hh"

namespace wye::state {

/// `evpn.100.192.0.2.2`, also the name of the vport; `evpn.100.2001-db8--2` for IPv6. The manifest may
/// have no name that begins so. An IPv6 address that is too long for a name goes by its hash.
std::string evpn_name(const TunnelEnd& end);

struct EvpnTunnel {
    std::string tenant;
    manifest::Tunnel tunnel;
    manifest::Vport vport;
    friend bool operator==(const EvpnTunnel&, const EvpnTunnel&) = default;
};

struct EvpnPlan {
    std::vector<EvpnTunnel> tunnels;           // in the order of their ends
    std::map<TunnelEnd, std::string> missing;  // why there is none for this end
};

/// What the kernel says. The functions may be asked for anything and know nothing of it.
struct KernelView {
    std::function<const kernel::Link*(const kernel::InterfaceKey&)> link;
    /// The vxlan device of a namespace with that VNI.
    std::function<const kernel::Link*(const std::string& netns, std::uint32_t vni)> vxlan;
    /// Of the router at that end, by the interface that stands for the VNI.
    std::function<std::optional<net::MacAddress>(const kernel::InterfaceKey&, const TunnelEnd&)>
        router_mac;
};

/// `ends`: of routes, each with how many contents name it. `tables` says whose VRF a table is.
EvpnPlan plan_evpn(const manifest::Manifest& declared, const std::vector<TableView>& tables,
                   const std::map<TunnelEnd, std::uint32_t>& ends, const KernelView& kernel);

/// The manifest with these; those of tenants or VRFs that it does not have are left out.
manifest::Manifest with_evpn(manifest::Manifest declared, const std::vector<EvpnTunnel>& tunnels);

/// Written whole or not at all (a temporary file, then rename).
Status save_evpn(const std::string& path, const std::vector<EvpnTunnel>& tunnels);
/// None if there is no file; an error if it is not what save_evpn writes.
Result<std::vector<EvpnTunnel>> load_evpn(const std::string& path);

}  // namespace wye::state
