// What two objects may not share: a place to attach, an address, a VNI, a kernel VRF, a twin's
// name. And what together does not fit: MTUs through tunnels, quotas.
#include <algorithm>
#include <map>
#include <tuple>

#include "controlplane-shim/manifest/draft.hh"

namespace wye::manifest {
namespace {

/// Keys that only one object may have. Notes a problem at the second.
template <class Key>
class Taken {
  public:
    explicit Taken(Problems& problems) : problems_(problems) {}
    /// `what`: the key in words, a sentence's subject.
    void add(const Key& key, const std::string& owner, const Place& place, std::string_view at,
             const std::string& what, std::string_view fix) {
        const auto [first, is_new] = owners_.emplace(key, Owner{owner, place.node->line});
        if (is_new) return;
        problem_at(problems_, place, at,
                   what + " taken by " + first->second.name + " on line " +
                       std::to_string(first->second.line) + ": " + std::string(fix));
    }

  private:
    struct Owner {
        std::string name;
        int line;
    };
    Problems& problems_;
    std::map<Key, Owner> owners_;
};

std::string attachment_text(const Vport& vport) {
    std::string text = "port " + vport.port;
    if (vport.vlan == kNoVlan) return text + " untagged is";
    text += ", VLAN " + std::to_string(vport.vlan);
    if (vport.inner_vlan != kNoVlan) text += ", inner VLAN " + std::to_string(vport.inner_vlan);
    return text + " is";
}

/// Calls f(tenant, object, place) for every object of a kind.
template <class Object, class F>
void for_all(const Draft& draft, std::vector<Object> Tenant::*objects,
             std::vector<Place> DraftTenant::*places, F&& f) {
    for (const DraftTenant& tenant : draft.tenants) {
        const auto& list = tenant.tenant.*objects;
        for (std::size_t i = 0; i < list.size(); ++i) f(tenant, list[i], (tenant.*places)[i]);
    }
}
template <class F>
void for_all_vports(const Draft& draft, F&& f) {
    for_all(draft, &Tenant::vports, &DraftTenant::vports, f);
}

/// Outer IP, UDP, VXLAN or GENEVE without options, inner Ethernet.
constexpr std::uint32_t overhead(net::IpFamily family) noexcept {
    return (family == net::IpFamily::ipv4 ? 20u : 40u) + 8 + 8 + 14;
}

void check_mtu(const Vport& vport, const Place& place, const Tunnel& tunnel,
               const std::map<std::string, const Vport*>& smallest, Problems& problems) {
    const auto narrow = smallest.find(tunnel.underlay_vrf);
    if (narrow == smallest.end() || vport.mtu == kUnreadable) return;
    const std::uint32_t room = narrow->second->mtu;
    const std::uint32_t extra = overhead(tunnel.local.family);
    if (vport.mtu + extra <= room) return;
    std::string text = "mtu " + std::to_string(vport.mtu) + " and " + std::to_string(extra) +
                       " bytes of tunnel headers do not fit the " + std::to_string(room) +
                       " of underlay vport " + narrow->second->name + ": ";
    if (room >= extra + 1280)
        text += "give this vport mtu: " + std::to_string(room - extra) + ", or ";
    text += "raise that one to " + std::to_string(vport.mtu + extra);
    problem_at(problems, place, "mtu", std::move(text));
}

/// The vport with the smallest MTU of each underlay VRF, by the VRF's name.
std::map<std::string, const Vport*> narrowest_of_underlays(const Draft& draft) {
    std::map<std::string, const Vport*> narrowest;
    for_all_vports(draft, [&](const DraftTenant& tenant, const Vport& vport, const Place&) {
        const bool in_own_underlay = std::ranges::any_of(
            tenant.tenant.vrfs,
            [&vport](const Vrf& vrf) { return vrf.underlay && vrf.name == vport.vrf; });
        if (!in_own_underlay || vport.mtu == kUnreadable) return;
        const auto [entry, is_new] = narrowest.emplace(vport.vrf, &vport);
        if (!is_new && vport.mtu < entry->second->mtu) entry->second = &vport;
    });
    return narrowest;
}

std::string namespace_of(const KernelVrf& kernel) {
    return kernel.kind == KernelVrf::Kind::netns ? kernel.name : std::string();
}

}  // namespace

void check_attachments(const Draft& draft, Problems& problems) {
    Taken<std::tuple<std::string, std::uint16_t, std::uint16_t>> places(problems);
    Taken<std::string> tunnels(problems);
    Taken<std::pair<std::string, net::IpAddress>> addresses(problems);
    for_all_vports(draft, [&](const DraftTenant&, const Vport& vport, const Place& place) {
        const std::string owner = "vport " + vport.name;
        if (vport.kind == VportKind::port && !vport.port.empty() && vport.vlan != kUnreadable &&
            vport.inner_vlan != kUnreadable) {
            places.add({vport.port, vport.vlan, vport.inner_vlan}, owner, place,
                       vport.vlan == kNoVlan ? "port" : "vlan", attachment_text(vport),
                       "choose another VLAN");
        }
        if (!vport.tunnel.empty()) {
            tunnels.add(vport.tunnel, owner, place, "tunnel", "the tunnel " + vport.tunnel + " is",
                        "a tunnel has one vport inside, make another tunnel");
        }
        for (const auto& address : vport.addresses) {
            addresses.add({vport.vrf, address.address}, owner, place, "addresses",
                          net::to_string(address.address) + " in VRF " + vport.vrf + " is",
                          "an address is given once in a VRF");
        }
    });
}

void check_tunnels(const Draft& draft, Problems& problems) {
    Taken<std::uint32_t> vnis(problems);
    for_all(draft, &Tenant::vrfs, &DraftTenant::vrfs,
            [&](const DraftTenant&, const Vrf& vrf, const Place& place) {
                if (!vrf.vni) return;
                vnis.add(*vrf.vni, "VRF " + vrf.name, place, "vni",
                         "VNI " + std::to_string(*vrf.vni) + " is", "a VNI names one VRF");
            });
    using Key = std::tuple<TunnelKind, std::string, net::IpAddress, net::IpAddress, std::uint32_t>;
    Taken<Key> keys(problems);
    std::map<std::string, const Tunnel*> by_name;
    for_all(draft, &Tenant::tunnels, &DraftTenant::tunnels,
            [&](const DraftTenant&, const Tunnel& tunnel, const Place& place) {
                by_name.emplace(tunnel.name, &tunnel);
                // An address that could not be read is all zero.
                if (tunnel.local == net::IpAddress{} || tunnel.remote == net::IpAddress{}) return;
                if (!place.node || tunnel.name.empty()) return;
                keys.add(
                    {tunnel.kind, tunnel.underlay_vrf, tunnel.local, tunnel.remote, tunnel.vni},
                    "tunnel " + tunnel.name, place, "vni",
                    "VNI " + std::to_string(tunnel.vni) + " between " +
                        net::to_string(tunnel.local) + " and " + net::to_string(tunnel.remote) +
                        " is",
                    "give this tunnel another VNI");
            });
    const auto smallest = narrowest_of_underlays(draft);
    for_all_vports(draft, [&](const DraftTenant&, const Vport& vport, const Place& place) {
        const auto tunnel = by_name.find(vport.tunnel);
        if (vport.tunnel.empty() || tunnel == by_name.end()) return;
        check_mtu(vport, place, *tunnel->second, smallest, problems);
    });
}

void check_kernel(const Draft& draft, Problems& problems) {
    Taken<std::pair<KernelVrf::Kind, std::string>> kernels(problems);
    Taken<std::pair<std::string, std::string>> interfaces(problems);  // by namespace
    std::map<std::string, const Vrf*> by_name;
    for_all(draft, &Tenant::vrfs, &DraftTenant::vrfs,
            [&](const DraftTenant&, const Vrf& vrf, const Place& place) {
                const bool in_this = vrf.kernel.kind == KernelVrf::Kind::this_namespace;
                if (vrf.name.empty() || (!in_this && vrf.kernel.name.empty())) return;
                by_name.emplace(vrf.name, &vrf);
                const std::string owner = "VRF " + vrf.name;
                switch (vrf.kernel.kind) {
                    case KernelVrf::Kind::this_namespace:
                        kernels.add({vrf.kernel.kind, ""}, owner, place, "",
                                    "has neither netns nor device, and the shim's own namespace is",
                                    "give this VRF a netns or a device");
                        break;
                    case KernelVrf::Kind::netns:
                        kernels.add({vrf.kernel.kind, vrf.kernel.name}, owner, place, "netns",
                                    "the namespace " + vrf.kernel.name + " is",
                                    "a VRF has a namespace of its own");
                        break;
                    case KernelVrf::Kind::device:
                        kernels.add({vrf.kernel.kind, vrf.kernel.name}, owner, place, "device",
                                    "the VRF device " + vrf.kernel.name + " is",
                                    "a VRF has a device of its own");
                        interfaces.add({"", vrf.kernel.name}, owner, place, "device",
                                       "the interface name " + vrf.kernel.name + " is",
                                       "choose another");
                        break;
                }
            });
    for_all_vports(draft, [&](const DraftTenant&, const Vport& vport, const Place& place) {
        const auto vrf = by_name.find(vport.vrf);
        if (vport.twin.empty() || vrf == by_name.end()) return;
        interfaces.add({namespace_of(vrf->second->kernel), vport.twin}, "vport " + vport.name,
                       place, "twin", "the interface name " + vport.twin + " is",
                       "give this vport another twin: NAME");
    });
}

void check_quotas(const Draft& draft, Problems& problems) {
    for (const DraftTenant& tenant : draft.tenants) {
        const Quotas& quotas = tenant.tenant.quotas;
        const auto check = [&](std::size_t have, std::uint32_t quota, std::string_view what,
                               std::string_view key) {
            if (quota == 0 || have <= quota) return;
            problem_at(problems, tenant.place, "quotas",
                       std::string(key) + " " + std::to_string(quota) + " is less than the " +
                           std::to_string(have) + " " + std::string(what) + " of tenant " +
                           tenant.tenant.name + " here: raise it");
        };
        std::size_t rules = 0;
        for (const Acl& acl : tenant.tenant.acls) rules += acl.rules.size();
        check(tenant.vports.size(), quotas.vports, "vports", "vports");
        check(rules, quotas.acl_rules, "ACL rules (one for each family)", "acl_rules");
    }
}

}  // namespace wye::manifest
