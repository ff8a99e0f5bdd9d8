#include <algorithm>

#include "dataplane/control/core.hh"
#include "dataplane/control/families.hh"
#include "dataplane/control/fields.hh"
#include "dataplane/control/removal.hh"

namespace wye::control {
namespace {

std::uint32_t or_default(std::uint32_t wish, std::uint32_t limit) {
    return wish == 0 ? limit : wish;
}

Quotas quotas_of(const Core& core, const ring::TenantSet& command) {
    const Quotas& limits = core.options.quotas;
    return {or_default(command.max_routes, limits.routes),
            or_default(command.max_vports, limits.vports),
            or_default(command.max_acl_rules, limits.acl_rules),
            or_default(command.max_neighbors, limits.neighbors),
            or_default(command.punt_packets_per_second, limits.punt_packets_per_second)};
}

Tenant* make_tenant(Core& core, const ObjectName& name) {
    const auto slot = core.wiring.counters.claim(table::SlotKind::tenant, name);
    if (!slot) return nullptr;
    const auto& header = core.arena.header();
    if (*slot >= header.limits.tenants || !core.arena.back(header.tenants, *slot)) {
        core.wiring.counters.release(table::SlotKind::tenant, *slot);
        return nullptr;
    }
    Tenant& tenant = core.tenants.add(name);
    tenant.id = TenantId{*slot};
    return &tenant;
}

}  // namespace

Answer set_tenant(Core& core, const ring::TenantSet& command) {
    const auto name = valid_name(command.name);
    if (command.tenant == ring::kNoHandle) return malformed(WYE_FIELD(TenantSet, tenant));
    if (!name) return malformed(WYE_FIELD(TenantSet, name));
    const auto match = core.tenants.match(command.tenant, *name);
    if (!match.problem.accepted()) return match.problem;
    Tenant* tenant = match.object;
    if (tenant == nullptr) tenant = make_tenant(core, *name);
    if (tenant == nullptr) return refuse(ring::Outcome::table_full);
    core.tenants.bind(*tenant, command.tenant);
    core.declare(*tenant);
    tenant->quotas = quotas_of(core, command);
    auto& root = core.arena.record(core.arena.header().tenants, tenant->id.value);
    if (root.punt_packets_per_second != tenant->quotas.punt_packets_per_second) {
        root.punt_packets_per_second = tenant->quotas.punt_packets_per_second;
        core.changed = true;
    }
    return accept();
}

Answer delete_tenant(Core& core, ring::Handle handle) {
    Tenant* const tenant = core.tenants.find(handle);
    if (tenant == nullptr) return unknown(handle);
    if (!remove_tenant(core, *tenant)) return refuse(ring::Outcome::in_use, handle);
    return accept();
}

bool remove_tenant(Core& core, Tenant& tenant) {
    const auto& slots = tenant.slots;
    const bool has_vports = std::any_of(slots.begin(), slots.end(), [](const Vport* vport) {
        return vport != nullptr && !vport->dying;
    });
    if (has_vports || tenant.vrfs != 0 || tenant.acls != 0) return false;
    if (open_transaction(core, tenant) != nullptr) return false;
    core.tenants.unbind(tenant);
    tenant.dying = true;
    auto& root = core.arena.record(core.arena.header().tenants, tenant.id.value);
    root.policy.store({});
    if (tenant.policy) core.arena.retire(tenant.policy, tenant.policy_bytes);
    core.changed = true;
    core.frees.after([&core, &tenant] {
        core.arena.record(core.arena.header().tenants, tenant.id.value).punt_packets_per_second = 0;
        core.wiring.counters.release(table::SlotKind::tenant, tenant.id.value);
        core.tenants.remove(tenant);
    });
    return true;
}

}  // namespace wye::control
