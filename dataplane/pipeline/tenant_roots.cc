#include "dataplane/pipeline/tenant_roots.hh"

namespace wye::pipeline {

const table::TenantPolicy* TenantRoots::policy_of(TenantId tenant) noexcept {
    const auto resolve = [this](table::Ref<table::TenantPolicy> ref) {
        return ref ? arena_.at(ref) : nullptr;
    };
    if (last_ != nullptr && last_->tenant == tenant) return resolve(last_->policy);
    const auto& header = arena_.header();
    if (tenant.value >= header.limits.tenants) return nullptr;
    std::size_t slot = tenant.value % kEntries;
    for (std::size_t probes = 0; probes < kEntries; ++probes, slot = (slot + 1) % kEntries) {
        Entry& entry = entries_[slot];
        if (entry.burst != burst_) {
            entry = {burst_, tenant, arena_.record(header.tenants, tenant.value).policy.load()};
        }
        if (entry.tenant == tenant) {
            last_ = &entry;
            return resolve(entry.policy);
        }
    }
    return nullptr;
}

const table::VportPolicy* TenantRoots::find_unread(const table::Vport& vport) noexcept {
    const table::TenantPolicy* policy = policy_of(vport.tenant);
    if (policy == nullptr || vport.slot >= policy->vport_count) return nullptr;
    return policy->vports() + vport.slot;
}

const table::VportPolicy* TenantRoots::find(VportId id, const table::Vport& vport) noexcept {
    const table::VportPolicy* found = find_unread(vport);
    return found != nullptr && found->vport == id ? found : nullptr;
}

const table::VportPolicy* TenantRoots::find(VportId id) noexcept {
    const auto& header = arena_.header();
    if (id.value >= header.limits.vports) return nullptr;
    return find(id, arena_.record(header.vports, id.value));
}

}  // namespace wye::pipeline
