#include "controlplane-shim/state/policy_plan.hh"

#include <algorithm>
#include <set>
#include <tuple>

#include "controlplane-shim/state/policy_encode.hh"

namespace wye::state {
namespace {

using ring::ObjectKind;
using ring::Opcode;

template <class T>
const T* find(const std::vector<T>& list, const std::string& name) {
    const auto found =
        std::find_if(list.begin(), list.end(), [&](const T& item) { return item.name == name; });
    return found == list.end() ? nullptr : &*found;
}

/// What of a vport the data plane sees.
bool same_in_data_plane(const manifest::Vport& a, const manifest::Vport& b) {
    manifest::Vport copy = a;
    copy.twin = b.twin;
    copy.addresses = b.addresses;
    copy.neighbors = b.neighbors;
    return copy == b;
}
bool same_in_data_plane(const manifest::Vrf& a, const manifest::Vrf& b) {
    return a.vni == b.vni && a.underlay == b.underlay;
}
template <class T>
bool same_in_data_plane(const T& a, const T& b) {
    return a == b;
}

/// Unique keys that an object holds, so that another one cannot have them meanwhile.
using Keys = std::set<std::tuple<std::string, std::string, std::uint32_t, std::uint32_t>>;

void add_keys(const manifest::Vport& vport, Keys& keys) {
    if (vport.kind == VportKind::port)
        keys.emplace("port", vport.port, vport.vlan, vport.inner_vlan);
}
void add_keys(const manifest::Tunnel& tunnel, Keys& keys) {
    const std::string ends = tunnel.underlay_vrf + " " + net::to_string(tunnel.local) + " " +
                             net::to_string(tunnel.remote);
    keys.emplace("tunnel", ends, tunnel.vni, static_cast<std::uint32_t>(tunnel.kind));
}
void add_keys(const manifest::Vrf& vrf, Keys& keys) {
    if (vrf.vni) keys.emplace("vni", "", *vrf.vni, 0);
}
/// Whether another object gets a key of the one before, which goes or gets another (`now`).
template <class T>
bool is_taken_over(const T& before, const T* now, const Keys& taken) {
    Keys keys, kept;
    add_keys(before, keys);
    if (now != nullptr) add_keys(*now, kept);
    return std::any_of(keys.begin(), keys.end(),
                       [&](const auto& k) { return taken.contains(k) && !kept.contains(k); });
}

class Planner {
  public:
    Planner(const manifest::Manifest& from, const manifest::Manifest& to, PolicyObjects& objects)
        : from_(from), to_(to), objects_(objects) {
        for (const manifest::Tenant& tenant : from.tenants)
            for (const manifest::Vport& vport : tenant.vports) bound_.insert(vport.port);
    }

    PolicyPlan run() {
        find_taken_keys();
        const manifest::Tenant nobody;
        for (const manifest::Tenant& old : from_.tenants) plan_early(old, in_new(old.name, nobody));
        for (const manifest::Tenant& tenant : to_.tenants) plan_tenant(in_old(tenant.name), tenant);
        for (const manifest::Tenant& old : from_.tenants)
            if (find(to_.tenants, old.name) == nullptr) plan_leaving(old);
        for (auto old = from_.tenants.rbegin(); old != from_.tenants.rend(); ++old)
            plan_cleanup(*old, find(to_.tenants, old->name));
        return std::move(plan_);
    }

  private:
    const manifest::Tenant* in_old(const std::string& name) const {
        return find(from_.tenants, name);
    }
    const manifest::Tenant& in_new(const std::string& name, const manifest::Tenant& none) const {
        const manifest::Tenant* const found = find(to_.tenants, name);
        return found == nullptr ? none : *found;
    }

    template <class T, class List>
    void take_keys(const List& list, const std::vector<T>* old) {
        for (const T& item : list) {
            const T* const before = old == nullptr ? nullptr : find(*old, item.name);
            if (before == nullptr || !same_in_data_plane(*before, item)) add_keys(item, taken_);
        }
    }
    void find_taken_keys() {
        for (const manifest::Tenant& tenant : to_.tenants) {
            const manifest::Tenant* const old = in_old(tenant.name);
            take_keys(tenant.vports, old == nullptr ? nullptr : &old->vports);
            take_keys(tenant.tunnels, old == nullptr ? nullptr : &old->tunnels);
            take_keys(tenant.vrfs, old == nullptr ? nullptr : &old->vrfs);
        }
    }

    /// Objects whose keys are taken over, with the vports that are in their way.
    void plan_early(const manifest::Tenant& old, const manifest::Tenant& now) {
        std::set<std::string> tunnels, vrfs, vports;
        for (const manifest::Tunnel& tunnel : old.tunnels)
            if (is_taken_over(tunnel, find(now.tunnels, tunnel.name), taken_))
                tunnels.insert(tunnel.name);
        for (const manifest::Vrf& vrf : old.vrfs)
            if (!find(now.vrfs, vrf.name) && is_taken_over<manifest::Vrf>(vrf, nullptr, taken_))
                vrfs.insert(vrf.name);
        for (const manifest::Vport& vport : old.vports) {
            const manifest::Vport* const stays = find(now.vports, vport.name);
            if (!is_taken_over(vport, stays, taken_) && !vrfs.contains(vport.vrf) &&
                !tunnels.contains(vport.tunnel))
                continue;
            vports.insert(vport.name);
            if (stays != nullptr) plan_.remade.insert(vport.name);
        }
        PolicyBatch batch{old.name, {}};
        if (!vports.empty()) {
            batch.commands.push_back(transaction(Opcode::transaction_begin, old.name));
            remove_all(Opcode::vport_delete, ObjectKind::vport, vports, batch);
            batch.commands.push_back(transaction(Opcode::transaction_commit, old.name));
        }
        remove_all(Opcode::tunnel_delete, ObjectKind::tunnel, tunnels, batch);
        remove_all(Opcode::vrf_delete, ObjectKind::vrf, vrfs, batch);
        if (!batch.commands.empty()) plan_.early.push_back(std::move(batch));
    }

    PolicyCommand transaction(Opcode opcode, const std::string& tenant) {
        return encode_object(opcode, ObjectKind::tenant, tenant, objects_);
    }
    void remove_all(Opcode opcode, ObjectKind kind, const std::set<std::string>& names,
                    PolicyBatch& batch) {
        for (const std::string& name : names) {
            removed_.insert({kind, name});
            batch.commands.push_back(encode_object(opcode, kind, name, objects_));
        }
    }
    bool is_removed(ObjectKind kind, const std::string& name) const {
        return removed_.contains({kind, name});
    }
    template <class T>
    void remove_missing(Opcode opcode, ObjectKind kind, const std::vector<T>& old,
                        const std::vector<T>* now, std::vector<PolicyCommand>& out) {
        for (const T& item : old) {
            if (now != nullptr && find(*now, item.name) != nullptr) continue;
            if (!removed_.insert({kind, item.name}).second) continue;
            out.push_back(encode_object(opcode, kind, item.name, objects_));
        }
    }
    void bind_port(const std::string& port, std::vector<PolicyCommand>& out) {
        if (!port.empty() && bound_.insert(port).second) out.push_back(encode_port(port, objects_));
    }

    void plan_tenant(const manifest::Tenant* old, const manifest::Tenant& now) {
        const manifest::Tenant nothing;
        const manifest::Tenant& before = old == nullptr ? nothing : *old;
        PolicyBatch batch{now.name, {}};
        declare(old, before, now, batch.commands);
        std::vector<PolicyCommand> staged;
        stage(before, now, staged);
        if (!staged.empty()) {
            batch.commands.push_back(transaction(Opcode::transaction_begin, now.name));
            std::move(staged.begin(), staged.end(), std::back_inserter(batch.commands));
            batch.commands.push_back(transaction(Opcode::transaction_commit, now.name));
        }
        if (!batch.commands.empty()) plan_.tenants.push_back(std::move(batch));
    }

    void declare(const manifest::Tenant* old, const manifest::Tenant& before,
                 const manifest::Tenant& now, std::vector<PolicyCommand>& out) {
        if (old == nullptr || !(before.quotas == now.quotas))
            out.push_back(encode_tenant(now, objects_));
        for (const manifest::Vport& vport : now.vports) bind_port(vport.port, out);
        for (const manifest::Vrf& vrf : now.vrfs) {
            const manifest::Vrf* const was = find(before.vrfs, vrf.name);
            if (was == nullptr || !same_in_data_plane(*was, vrf))
                out.push_back(encode_vrf(vrf, now.name, objects_));
        }
        for (const manifest::Tunnel& tunnel : now.tunnels) {
            const manifest::Tunnel* const was = find(before.tunnels, tunnel.name);
            if (was == nullptr || !(*was == tunnel) || is_removed(ObjectKind::tunnel, tunnel.name))
                out.push_back(encode_tunnel(tunnel, objects_));
        }
    }

    void stage(const manifest::Tenant& before, const manifest::Tenant& now,
               std::vector<PolicyCommand>& out) {
        remove_missing(Opcode::vport_delete, ObjectKind::vport, before.vports, &now.vports, out);
        for (const manifest::Acl& acl : now.acls) {
            const manifest::Acl* const was = find(before.acls, acl.name);
            if (was == nullptr || !(*was == acl)) encode_acl(acl, now.name, objects_, out);
        }
        for (const manifest::Vport& vport : now.vports) {
            const manifest::Vport* const was = find(before.vports, vport.name);
            if (was == nullptr || !same_in_data_plane(*was, vport) ||
                is_removed(ObjectKind::vport, vport.name))
                out.push_back(encode_vport(vport, now.name, objects_));
        }
        remove_missing(Opcode::acl_delete, ObjectKind::acl, before.acls, &now.acls, out);
    }

    void plan_leaving(const manifest::Tenant& old) {
        PolicyBatch batch{old.name, {}};
        const manifest::Tenant nothing;
        stage(old, nothing, batch.commands);
        if (batch.commands.empty()) return;
        batch.commands.insert(batch.commands.begin(),
                              transaction(Opcode::transaction_begin, old.name));
        batch.commands.push_back(transaction(Opcode::transaction_commit, old.name));
        plan_.tenants.push_back(std::move(batch));
    }

    void plan_cleanup(const manifest::Tenant& old, const manifest::Tenant* now) {
        PolicyBatch batch{old.name, {}};
        remove_missing(Opcode::tunnel_delete, ObjectKind::tunnel, old.tunnels,
                       now == nullptr ? nullptr : &now->tunnels, batch.commands);
        remove_missing(Opcode::vrf_delete, ObjectKind::vrf, old.vrfs,
                       now == nullptr ? nullptr : &now->vrfs, batch.commands);
        if (now == nullptr) batch.commands.push_back(transaction(Opcode::tenant_delete, old.name));
        if (!batch.commands.empty()) plan_.cleanup.push_back(std::move(batch));
    }

    const manifest::Manifest& from_;
    const manifest::Manifest& to_;
    PolicyObjects& objects_;
    PolicyPlan plan_;
    Keys taken_;
    std::set<std::pair<ObjectKind, std::string>> removed_;
    std::set<std::string> bound_;
};

}  // namespace

PolicyPlan plan_policy(const manifest::Manifest& from, const manifest::Manifest& to,
                       PolicyObjects& objects) {
    return Planner(from, to, objects).run();
}

std::string describe(ObjectKind kind, const std::string& name) {
    static constexpr const char* kKinds[] = {"tenant", "VRF",      "port",  "vport", "tunnel",
                                             "ACL",    "next hop", "group", "worker"};
    return std::string(kKinds[static_cast<std::size_t>(kind)]) + " " + name;
}

}  // namespace wye::state
