#include "controlplane-shim/state/evpn.hh"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "controlplane-shim/kernel/kernel.hh"
#include "dataplane/base/name.hh"

namespace wye::state {
namespace {

constexpr std::uint16_t kSmallestMtu = 1280;  // RFC 8200 5
constexpr std::uint16_t kLargestMtu = 9216;   // what a packet buffer holds

/// Outer IP, UDP, VXLAN and the inner Ethernet header, in bytes.
constexpr std::uint32_t overhead(net::IpFamily family) {
    return (family == net::IpFamily::ipv4 ? 20u : 40u) + 8 + 8 + 14;
}

std::string hash_words(const net::IpAddress& address) {
    std::uint64_t hash = 14695981039346656037u;  // FNV-1a
    for (const std::uint8_t byte : address.bytes) hash = (hash ^ byte) * 1099511628211u;
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[hash >> shift & 0xf];
    return text;
}

const manifest::Tenant* tenant_named(const manifest::Manifest& manifest, const std::string& name) {
    const auto found = std::find_if(manifest.tenants.begin(), manifest.tenants.end(),
                                    [&](const auto& tenant) { return tenant.name == name; });
    return found == manifest.tenants.end() ? nullptr : &*found;
}

/// The VRF that the outer addresses of all of EVPN are in; FRR names none.
const manifest::Vrf* underlay_of(const manifest::Manifest& manifest) {
    const manifest::Tenant* const tenant = tenant_named(manifest, "underlay");
    return tenant == nullptr || tenant->vrfs.empty() ? nullptr : &tenant->vrfs.front();
}

class Planner {
  public:
    Planner(const manifest::Manifest& declared, const std::vector<TableView>& tables,
            const KernelView& kernel)
        : declared_(declared), tables_(tables), kernel_(kernel), underlay_(underlay_of(declared)) {
        for (const manifest::Tenant& tenant : declared.tenants) {
            for (const manifest::Vrf& vrf : tenant.vrfs)
                owners_[kernel_name(vrf.kernel)] = {&tenant, &vrf};
            for (const manifest::Tunnel& tunnel : tenant.tunnels) keys_.insert(key_of(tunnel));
        }
        if (underlay_ == nullptr) return;
        underlay_mtu_ = kLargestMtu;
        for (const manifest::Tenant& tenant : declared.tenants)
            for (const manifest::Vport& vport : tenant.vports)
                if (vport.vrf == underlay_->name)
                    underlay_mtu_ = std::min<std::uint32_t>(underlay_mtu_, vport.mtu);
    }

    /// The tunnel, or why there is none.
    Result<EvpnTunnel> plan(const TunnelEnd& end) {
        const auto owner = owners_.find(tables_[end.table].kernel_name);
        if (owner == owners_.end())
            return fail("no tenant has VRF " + tables_[end.table].kernel_name);
        const auto& [tenant, vrf] = owner->second;
        if (vrf->vni && *vrf->vni != end.vni) {
            return fail("VRF " + vrf->name + " has VNI " + std::to_string(*vrf->vni) +
                        " in the manifest and " + std::to_string(end.vni) + " in FRR");
        }
        Result<manifest::Tunnel> tunnel = tunnel_to(end, *vrf);
        if (!tunnel) return tl::unexpected<Error>(tunnel.error());
        Result<manifest::Vport> vport = vport_in(*tunnel, end, *vrf);
        if (!vport) return tl::unexpected<Error>(vport.error());
        if (!keys_.insert(key_of(*tunnel)).second) {
            return fail("another tunnel goes from " + net::to_string(tunnel->local) + " to " +
                        net::to_string(tunnel->remote) + " with VNI " + std::to_string(end.vni));
        }
        return EvpnTunnel{tenant->name, std::move(*tunnel), std::move(*vport)};
    }

  private:
    using Key = std::tuple<TunnelKind, std::string, net::IpAddress, net::IpAddress, std::uint32_t>;
    static Key key_of(const manifest::Tunnel& tunnel) {
        return {tunnel.kind, tunnel.underlay_vrf, tunnel.local, tunnel.remote, tunnel.vni};
    }

    Result<manifest::Tunnel> tunnel_to(const TunnelEnd& end, const manifest::Vrf& vrf) {
        const std::string vni = std::to_string(end.vni);
        if (underlay_ == nullptr) return fail("the manifest has no underlay");
        const kernel::Link* const device = kernel_.vxlan(netns_of(vrf.kernel), end.vni);
        if (device == nullptr)
            return fail("VRF " + vrf.name + " has no vxlan device with id " + vni);
        const kernel::Link::Vxlan& vxlan = *device->vxlan;
        if (!vxlan.local) return fail("the vxlan device with id " + vni + " has no local address");
        if (vxlan.local->family != end.address.family) {
            return fail("the vxlan device with id " + vni + " is at " +
                        net::to_string(*vxlan.local) + ", which is of another family than " +
                        net::to_string(end.address));
        }
        if (*vxlan.local == end.address)
            return fail(net::to_string(end.address) + " is this router's own tunnel end");
        manifest::Tunnel tunnel;
        tunnel.name = evpn_name(end);
        tunnel.underlay_vrf = underlay_->name;
        tunnel.local = *vxlan.local;
        tunnel.remote = end.address;
        tunnel.vni = end.vni;
        tunnel.destination_port = vxlan.destination_port;
        if (vxlan.ttl != 0) tunnel.ttl = vxlan.ttl;
        tunnel.copy_dscp = vxlan.copies_dscp;
        return tunnel;
    }

    Result<manifest::Vport> vport_in(const manifest::Tunnel& tunnel, const TunnelEnd& end,
                                     const manifest::Vrf& vrf) {
        const kernel::InterfaceKey interface { netns_of(vrf.kernel), end.interface_index };
        const kernel::Link* const link = kernel_.link(interface);
        if (link == nullptr || link->mac.is_zero())
            return fail("interface " + std::to_string(end.interface_index) + " of VRF " + vrf.name +
                        " has no MAC address");
        const auto router_mac = kernel_.router_mac(interface, end);
        if (!router_mac)
            return fail("the router MAC of " + net::to_string(end.address) + " is not known");
        const std::uint32_t room =
            underlay_mtu_ - std::min(underlay_mtu_, overhead(end.address.family));
        const std::uint32_t mtu = std::min(room, link->mtu);
        if (mtu < kSmallestMtu) {
            return fail("packets of " + std::to_string(mtu) + " bytes are the largest in VNI " +
                        std::to_string(end.vni) + ", and an underlay of " +
                        std::to_string(kSmallestMtu + overhead(end.address.family)) +
                        " bytes is needed");
        }
        manifest::Vport vport;
        vport.name = tunnel.name;
        vport.vrf = vrf.name;
        vport.kind = VportKind::tunnel;
        vport.tunnel = tunnel.name;
        vport.mac = link->mac;
        vport.mtu = static_cast<std::uint16_t>(mtu);
        vport.has_twin = false;
        vport.neighbors.push_back({end.address, *router_mac});
        return vport;
    }

    const manifest::Manifest& declared_;
    const std::vector<TableView>& tables_;
    const KernelView& kernel_;
    const manifest::Vrf* underlay_;
    std::uint32_t underlay_mtu_ = 0;
    std::map<std::string, std::pair<const manifest::Tenant*, const manifest::Vrf*>> owners_;
    std::set<Key> keys_;
};

}  // namespace

std::string evpn_name(const TunnelEnd& end) {
    const std::string start = std::string(manifest::kEvpnPrefix) + std::to_string(end.vni) + ".";
    std::string name = start + net::to_string(end.address);
    std::replace(name.begin(), name.end(), ':', '-');
    return ObjectName::from(name) ? name : start + hash_words(end.address);
}

EvpnPlan plan_evpn(const manifest::Manifest& declared, const std::vector<TableView>& tables,
                   const std::map<TunnelEnd, std::uint32_t>& ends, const KernelView& kernel) {
    EvpnPlan made;
    Planner planner(declared, tables, kernel);
    for (const auto& [end, contents] : ends) {
        Result<EvpnTunnel> tunnel = planner.plan(end);
        if (tunnel) {
            made.tunnels.push_back(std::move(*tunnel));
        } else {
            made.missing[end] = tunnel.error().text;
        }
    }
    return made;
}

manifest::Manifest with_evpn(manifest::Manifest declared, const std::vector<EvpnTunnel>& tunnels) {
    if (underlay_of(declared) == nullptr) return declared;
    std::map<std::pair<std::string_view, std::string_view>, manifest::Tenant*> owners;
    for (manifest::Tenant& tenant : declared.tenants)
        for (const manifest::Vrf& vrf : tenant.vrfs) owners[{tenant.name, vrf.name}] = &tenant;
    for (const EvpnTunnel& made : tunnels) {
        const auto owner = owners.find({made.tenant, made.vport.vrf});
        if (owner == owners.end()) continue;
        owner->second->tunnels.push_back(made.tunnel);
        owner->second->vports.push_back(made.vport);
    }
    return declared;
}

}  // namespace wye::state
