#include "dataplane/pipeline/tenant_roots.hh"

namespace wye::pipeline {

const TenantRoots::Entry* TenantRoots::load_root(TenantId tenant) noexcept {
    const auto& header = arena_.header();
    if (tenant.value >= header.limits.tenants) return nullptr;
    std::size_t slot = tenant.value % kEntries;
    for (std::size_t probes = 0; probes < kEntries; ++probes, slot = (slot + 1) % kEntries) {
        Entry& entry = entries_[slot];
        if (entry.state != state_) {
            entry = {state_, tenant, arena_.record(header.tenants, tenant.value).policy.load()};
            ++used_;
        }
        if (entry.tenant == tenant) return &entry;
    }
    return nullptr;
}

const table::VportPolicy* TenantRoots::find(VportId id) noexcept {
    const auto& header = arena_.header();
    if (id.value >= header.limits.vports) return nullptr;
    return find(id, arena_.record(header.vports, id.value));
}

}  // namespace wye::pipeline
