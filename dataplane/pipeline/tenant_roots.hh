// TenantRoots: each tenant's root is read at most once in a burst, so that no packet, and no two
// packets of a burst, are judged by a mixture of two generations of a tenant's policy.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/ids.hh"
#include "dataplane/table/arena.hh"
#include "dataplane/table/vport.hh"

namespace wye::pipeline {

class TenantRoots {
  public:
    /// Forgets what was read. The arena is the one that this burst is forwarded from.
    void begin_burst(table::ArenaView arena) noexcept {
        arena_ = arena;
        ++burst_;
        last_ = nullptr;
    }

    /// Grows whenever a root that was read may be another one than when it was read before.
    [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }

    /// Null: the tenant has no policy, or the id is none.
    [[nodiscard]] const table::TenantPolicy* policy_of(TenantId tenant) noexcept {
        if (last_ == nullptr || last_->tenant != tenant) last_ = load_root(tenant);
        return last_ != nullptr && last_->policy ? arena_.at(last_->policy) : nullptr;
    }

    /// The vport's policy in this burst; null: it is not there (yet, or any more).
    [[nodiscard]] const table::VportPolicy* find(VportId vport) noexcept;

    [[nodiscard]] const table::VportPolicy* find(VportId id, const table::Vport& vport) noexcept {
        const table::VportPolicy* found = find_unread(vport);
        return found != nullptr && found->vport == id ? found : nullptr;
    }
    /// The same without touching its memory: the caller prefetches it, and checks later that
    /// `vport` in it is `id`.
    [[nodiscard]] const table::VportPolicy* find_unread(const table::Vport& vport) noexcept {
        const table::TenantPolicy* policy = policy_of(vport.tenant);
        if (policy == nullptr || vport.slot >= policy->vport_count) return nullptr;
        return policy->vports() + vport.slot;
    }

  private:
    struct Entry {
        std::uint64_t burst = 0;
        TenantId tenant;
        table::Ref<table::TenantPolicy> policy;
    };
    /// More than the tenants that the packets of one burst can touch: the vports by which a packet
    /// enters and leaves, for each level of tunnels. As many as there are tenants by default, so that
    /// each keeps its place from burst to burst and changes() tells changes.
    static constexpr std::size_t kEntries = 4096;

    /// What was read of this tenant in this burst, or is read now; null: the id is none.
    const Entry* load_root(TenantId tenant) noexcept;

    table::ArenaView arena_;
    std::uint64_t burst_ = 0, changes_ = 0;
    const Entry* last_ = nullptr;
    std::array<Entry, kEntries> entries_;
};

}  // namespace wye::pipeline
