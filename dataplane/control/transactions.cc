#include "dataplane/control/transactions.hh"

#include <algorithm>
#include <cstring>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "dataplane/control/acls.hh"
#include "dataplane/control/core.hh"
#include "dataplane/control/drain.hh"
#include "dataplane/control/neighbors.hh"
#include "dataplane/control/nexthops.hh"
#include "dataplane/control/vports.hh"

namespace wye::control {
namespace {

table::Ref<table::Acl> acl_ref(const Transaction& transaction, AccessList* acl) {
    if (acl == nullptr) return {};
    const auto staged = transaction.acls.find(acl);
    if (staged == transaction.acls.end() || !staged->second) return acl->compiled;
    return staged->second->compiled;
}

struct NewPolicy {
    table::Ref<table::TenantPolicy> ref;
    std::size_t bytes = 0;
    bool failed = false;
};

void write_slot(table::VportPolicy& slot, const Transaction& transaction, const Vport& vport,
                const VportSettings& settings) {
    slot.vport = vport.id;
    slot.vrf = settings.vrf->id;
    slot.ingress_acl = acl_ref(transaction, settings.ingress);
    slot.egress_acl = acl_ref(transaction, settings.egress);
    slot.mac = settings.mac;
    slot.mtu = settings.mtu;
    slot.admin_up = settings.admin_up && !vport.condemned ? 1 : 0;
    slot.without_twin = settings.without_twin ? 1 : 0;
    write_own_addresses(slot, vport);
}

/// A vport without an address speaks by that of the first one of its VRF.
void lend_addresses(std::span<table::VportPolicy> slots) {
    std::map<VrfId, std::pair<net::Ipv4Address, net::Ipv6Address>> lenders;
    for (const table::VportPolicy& slot : slots) {
        if (!slot.vport.valid()) continue;
        auto& [source4, source6] = lenders[slot.vrf];
        if (source4 == net::Ipv4Address{}) source4 = slot.source4;
        if (source6.is_unspecified()) source6 = slot.source6;
    }
    for (table::VportPolicy& slot : slots) {
        if (!slot.vport.valid()) continue;
        const auto& [source4, source6] = lenders[slot.vrf];
        if (slot.source4 == net::Ipv4Address{}) slot.source4 = source4;
        if (slot.source6.is_unspecified()) slot.source6 = source6;
    }
}

/// The tenant's policy as the transaction would have it; a null reference when no vport is in it.
NewPolicy build_policy(Core& core, const Transaction& transaction) {
    const Tenant& tenant = *transaction.tenant;
    std::vector<std::optional<VportSettings>> settings(tenant.slots.size());
    std::size_t count = 0;
    for (std::size_t i = 0; i < tenant.slots.size(); ++i) {
        Vport* const vport = tenant.slots[i];
        if (vport == nullptr) continue;
        const bool back = vport->drain == Drain::done && transaction.vports.contains(vport);
        if (vport->drain != Drain::no && !back) continue;
        settings[i] = staged_settings(&transaction, *vport);
        if (settings[i]) count = i + 1;
    }
    if (count == 0) return {};
    NewPolicy made;
    made.bytes = sizeof(table::TenantPolicy) + count * sizeof(table::VportPolicy);
    made.ref = core.arena.allocate<table::TenantPolicy>(made.bytes);
    made.failed = !made.ref;
    if (made.failed) return made;
    table::TenantPolicy* const policy = core.arena.writable(made.ref);
    policy->generation = tenant.policy_generation + 1;
    policy->vport_count = static_cast<std::uint32_t>(count);
    auto* const slots = reinterpret_cast<table::VportPolicy*>(policy + 1);
    for (std::size_t i = 0; i < count; ++i) {
        slots[i].vport = VportId{};
        if (settings[i]) write_slot(slots[i], transaction, *tenant.slots[i], *settings[i]);
    }
    lend_addresses({slots, count});
    return made;
}

/// The one store that publishes a transaction.
void swap_policy(Core& core, Tenant& tenant, const NewPolicy& made) {
    core.arena.record(core.arena.header().tenants, tenant.id.value).policy.store(made.ref);
    if (tenant.policy) core.arena.retire(tenant.policy, tenant.policy_bytes);
    tenant.policy = made.ref;
    tenant.policy_bytes = made.bytes;
    tenant.policy_dirty = false;
    ++tenant.policy_generation;
    core.changed = true;
}

bool moves(const Vport& vport, const std::optional<VportSettings>& staged) {
    return vport.now && staged && vport.now->attachment != staged->attachment;
}

/// Vports whose record must be rewritten are out of the tables for a grace period first.
Answer drain_moving(Core& core, Transaction& transaction) {
    bool waiting = false;
    for (const auto& [vport, staged] : transaction.vports) {
        if (!moves(*vport, staged)) continue;
        if (vport->drain == Drain::no && !drain_vport(core, *vport)) {
            return refuse(ring::Outcome::table_full);
        }
        waiting |= vport->drain == Drain::waiting;
    }
    return waiting ? wait_for(Wait::grace) : accept();
}

Answer check_deletions(const Transaction& transaction) {
    for (const auto& [vport, staged] : transaction.vports) {
        if (!staged && vport->declared_users != 0) {
            return refuse(ring::Outcome::in_use, vport->handle);
        }
    }
    return accept();
}

}  // namespace

Transaction* open_transaction(Core& core, const Tenant& tenant) {
    auto& open = core.session.transaction;
    return open && open->tenant == &tenant ? &*open : nullptr;
}

std::optional<VportSettings> staged_settings(const Transaction* transaction, Vport& vport) {
    if (transaction != nullptr) {
        const auto staged = transaction->vports.find(&vport);
        if (staged != transaction->vports.end()) return staged->second;
    }
    return vport.now;
}

bool republish(Core& core, Tenant& tenant) {
    const Transaction nothing{.tenant = &tenant, .vports = {}, .acls = {}};
    const NewPolicy made = build_policy(core, nothing);
    if (made.failed) return false;
    swap_policy(core, tenant, made);
    return true;
}

Answer publish(Core& core, Transaction& transaction) {
    if (const Answer checked = check_deletions(transaction); !checked.accepted()) return checked;
    if (const Answer drained = drain_moving(core, transaction); !drained.accepted()) {
        return drained;
    }
    const NewPolicy made = build_policy(core, transaction);
    if (made.failed) return refuse(ring::Outcome::table_full);
    for (const auto& [vport, staged] : transaction.vports) {
        if (staged) write_vport_record(core, *vport, *staged);
    }
    swap_policy(core, *transaction.tenant, made);
    for (const auto& [vport, staged] : transaction.vports) {
        if (!staged) finish_vport_deletion(core, *vport);
    }
    for (const auto& [vport, staged] : transaction.vports) {
        if (staged) finish_vport_change(core, *vport, *staged);
    }
    for (auto& [acl, staged] : transaction.acls) finish_acl_change(core, *acl, staged);
    return accept();
}

void roll_back(Core& core, Transaction& transaction) {
    for (const auto& [vport, staged] : transaction.vports) {
        if (vport->drain != Drain::no) restore_vport(core, *vport);
        if (!vport->now) discard_vport(core, *vport);
    }
    for (auto& [acl, staged] : transaction.acls) discard_acl_change(core, *acl, staged);
    transaction.vports.clear();
    transaction.acls.clear();
}

Answer begin_transaction(Core& core, ring::Handle handle) {
    Tenant* const tenant = core.tenants.find(handle);
    if (tenant == nullptr) return unknown(handle);
    if (core.session.transaction) return refuse(ring::Outcome::out_of_order);
    core.session.transaction = Transaction{.tenant = tenant, .vports = {}, .acls = {}};
    return accept();
}

Answer commit_transaction(Core& core, ring::Handle handle) {
    Tenant* const tenant = core.tenants.find(handle);
    if (tenant == nullptr) return unknown(handle);
    Transaction* const open = open_transaction(core, *tenant);
    if (open == nullptr) return refuse(ring::Outcome::out_of_order);
    const bool empty = open->vports.empty() && open->acls.empty();
    const Answer published = empty ? accept() : publish(core, *open);
    if (published.wait != Wait::no) return published;
    if (!published.accepted()) roll_back(core, *open);
    core.session.transaction.reset();
    return published;
}

Answer abort_transaction(Core& core, ring::Handle handle) {
    Tenant* const tenant = core.tenants.find(handle);
    if (tenant == nullptr) return unknown(handle);
    Transaction* const open = open_transaction(core, *tenant);
    if (open == nullptr) return refuse(ring::Outcome::out_of_order);
    roll_back(core, *open);
    core.session.transaction.reset();
    return accept();
}

}  // namespace wye::control
