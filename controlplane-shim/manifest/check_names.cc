// Names are unique over the whole manifest, each kind of object by itself; references resolve.
#include <map>

#include "controlplane-shim/manifest/draft.hh"
#include "controlplane-shim/manifest/nearest.hh"

namespace wye::manifest {
namespace {

/// The names of one kind: who has each, and where.
class Names {
  public:
    Names(std::string_view kind, Problems& problems) : kind_(kind), problems_(problems) {}

    void add(const std::string& name, const Place& place) {
        if (name.empty()) return;
        if (name.starts_with(kEvpnPrefix)) {
            problem_at(problems_, place, "name",
                       "the " + std::string(kind_) + " name " + name + " begins with " +
                           std::string(kEvpnPrefix) +
                           ", as the tunnels of EVPN's routes do: choose another");
        }
        const auto [first, is_new] = taken_.emplace(name, place);
        if (is_new) return;
        const Place& other = first->second;
        problem_at(problems_, place, "name",
                   "the " + std::string(kind_) + " name " + name + " is taken by " + other.path +
                       " on line " + std::to_string(line_at(other, "name")) +
                       ": choose another (names are unique over all tenants)");
    }

  private:
    std::string_view kind_;
    Problems& problems_;
    std::map<std::string, Place> taken_;
};

template <class Object>
void add_all(Names& names, const std::vector<Object>& objects, const std::vector<Place>& places) {
    for (std::size_t i = 0; i < objects.size(); ++i) names.add(objects[i].name, places[i]);
}

/// Owners of the objects of one kind, to resolve references.
template <class Object>
class Owners {
  public:
    Owners(std::string_view kind, const Draft& draft, std::vector<Object> Tenant::*objects)
        : kind_(kind) {
        for (const DraftTenant& tenant : draft.tenants) {
            for (const Object& object : tenant.tenant.*objects) {
                if (!object.name.empty()) owners_.emplace(object.name, Owner{&tenant, &object});
            }
        }
    }
    struct Owner {
        const DraftTenant* tenant;
        const Object* object;
    };
    const Owner* find(const std::string& name) const {
        const auto found = owners_.find(name);
        return found == owners_.end() ? nullptr : &found->second;
    }
    [[nodiscard]] std::string absent(const std::string& name) const {
        std::vector<std::string_view> known;
        for (const auto& [known_name, owner] : owners_) known.push_back(known_name);
        const auto meant = nearest(name, known);
        return "there is no " + std::string(kind_) + " " + name +
               (meant.empty() ? ": declare it, or name one that exists"
                              : ": did you mean " + std::string(meant) + "?");
    }
    /// Notes a problem unless the tenant itself has an object of that name.
    void require_own(const std::string& name, const DraftTenant& tenant, const Place& place,
                     std::string_view key, Problems& problems) const {
        if (name.empty()) return;
        const Owner* owner = find(name);
        if (owner == nullptr) {
            problem_at(problems, place, key, absent(name));
        } else if (owner->tenant != &tenant) {
            problem_at(problems, place, key,
                       "the " + std::string(kind_) + " " + name + " belongs to tenant " +
                           owner->tenant->tenant.name + ": name one of tenant " +
                           tenant.tenant.name);
        }
    }

  private:
    std::string_view kind_;
    std::map<std::string, Owner> owners_;
};

void check_underlay_of(const Tunnel& tunnel, const DraftTenant& tenant, const Place& place,
                       const Owners<Vrf>& vrfs, Problems& problems) {
    if (tunnel.underlay_vrf.empty()) return;
    const auto* owner = vrfs.find(tunnel.underlay_vrf);
    if (owner == nullptr) {
        const bool by_default = tunnel.underlay_vrf == kUnderlayName;
        problem_at(problems, place, "underlay_vrf",
                   by_default ? "needs an underlay, but the manifest has no section underlay: add "
                                "it with the carriers' vports"
                              : vrfs.absent(tunnel.underlay_vrf));
    } else if (!owner->object->underlay) {
        problem_at(problems, place, "underlay_vrf",
                   "the VRF " + tunnel.underlay_vrf +
                       " is no underlay: name one that is, or give that VRF underlay: true");
    } else if (owner->tenant != &tenant && owner->tenant->tenant.name != kUnderlayName) {
        problem_at(problems, place, "underlay_vrf",
                   "the VRF " + tunnel.underlay_vrf + " belongs to tenant " +
                       owner->tenant->tenant.name + ": name one of tenant " + tenant.tenant.name +
                       ", or underlay");
    }
}

}  // namespace

void check_names(const Draft& draft, Problems& problems) {
    Names tenants("tenant", problems), vrfs("VRF", problems), tunnels("tunnel", problems),
        vports("vport", problems), acls("ACL", problems);
    const bool has_underlay =
        !draft.tenants.empty() && draft.tenants.front().place.path == kUnderlayName;
    for (const DraftTenant& tenant : draft.tenants) {
        tenants.add(tenant.tenant.name, tenant.place);
        if (!has_underlay && tenant.tenant.name == kUnderlayName) {
            problem_at(problems, tenant.place, "name",
                       "the tenant name underlay is reserved for the section underlay: choose "
                       "another");
        }
        add_all(vrfs, tenant.tenant.vrfs, tenant.vrfs);
        add_all(tunnels, tenant.tenant.tunnels, tenant.tunnels);
        add_all(vports, tenant.tenant.vports, tenant.vports);
        add_all(acls, tenant.tenant.acls, tenant.acls);
    }
}

void check_references(const Draft& draft, Problems& problems) {
    const Owners<Vrf> vrfs("VRF", draft, &Tenant::vrfs);
    const Owners<Tunnel> tunnels("tunnel", draft, &Tenant::tunnels);
    const Owners<Acl> acls("ACL", draft, &Tenant::acls);
    for (const DraftTenant& tenant : draft.tenants) {
        for (std::size_t i = 0; i < tenant.tunnels.size(); ++i) {
            check_underlay_of(tenant.tenant.tunnels[i], tenant, tenant.tunnels[i], vrfs, problems);
        }
        for (std::size_t i = 0; i < tenant.vports.size(); ++i) {
            const Vport& vport = tenant.tenant.vports[i];
            const Place& place = tenant.vports[i];
            vrfs.require_own(vport.vrf, tenant, place, "vrf", problems);
            tunnels.require_own(vport.tunnel, tenant, place, "tunnel", problems);
            acls.require_own(vport.ingress_acl, tenant, place, "ingress_acl", problems);
            acls.require_own(vport.egress_acl, tenant, place, "egress_acl", problems);
        }
    }
}

}  // namespace wye::manifest
