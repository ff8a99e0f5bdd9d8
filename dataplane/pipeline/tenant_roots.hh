// TenantRoots: each tenant's root is read at most once while the tables' epoch stays the same, so that
// no packet, and no two packets of a burst, are judged by a mixture of two generations of a tenant's
// policy. A transaction swaps roots and then advances the epoch; until that is seen the generation
// before it counts, which no grace period has ended for yet.
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
    /// The arena is the one that this burst is forwarded from, `epoch` Context::tables_epoch. Forgets
    /// what was read of another arena or in another epoch.
    void begin_burst(table::ArenaView arena, std::uint64_t epoch) noexcept {
        if (arena_ == arena && epoch_ == epoch && used_ <= kEntries / 2) [[likely]]
            return;
        arena_ = arena;
        epoch_ = epoch;
        ++state_;
        used_ = 0;
        last_ = nullptr;
    }

    /// What is concluded from policies, and from whatever else changes with the epoch only, holds for
    /// as long as this stays the same. Never 0 once a burst has begun.
    [[nodiscard]] std::uint64_t state() const noexcept { return state_; }

    /// Null: the tenant has no policy, or the id is none.
    [[nodiscard]] const table::TenantPolicy* policy_of(TenantId tenant) noexcept {
        if (last_ == nullptr || last_->tenant != tenant) last_ = load_root(tenant);
        return last_ != nullptr && last_->policy ? arena_.at(last_->policy) : nullptr;
    }

    /// The vport's policy; null: it is not there (yet, or any more).
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
        std::uint64_t state = 0;
        TenantId tenant;
        table::Ref<table::TenantPolicy> policy;
    };
    /// Half of them are more than the tenants that the packets of one burst can touch: the vports by
    /// which a packet enters and leaves, for each level of tunnels.
    static constexpr std::size_t kEntries = 16384;

    /// What was read of this tenant, or is read now; null: the id is none.
    const Entry* load_root(TenantId tenant) noexcept;

    table::ArenaView arena_;
    std::uint64_t epoch_ = 0, state_ = 0;
    std::size_t used_ = 0;
    const Entry* last_ = nullptr;
    std::array<Entry, kEntries> entries_;
};

}  // namespace wye::pipeline
