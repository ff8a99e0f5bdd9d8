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

    /// Null: the tenant has no policy, or the id is none.
    [[nodiscard]] const table::TenantPolicy* policy_of(TenantId tenant) noexcept;

    /// The vport's policy in this burst; null: it is not there (yet, or any more).
    [[nodiscard]] const table::VportPolicy* find(VportId vport) noexcept;

    [[nodiscard]] const table::VportPolicy* find(VportId id, const table::Vport& vport) noexcept;
    /// The same without touching its memory: the caller prefetches it, and checks later that
    /// `vport` in it is `id`.
    [[nodiscard]] const table::VportPolicy* find_unread(const table::Vport& vport) noexcept;

  private:
    struct Entry {
        std::uint64_t burst = 0;
        TenantId tenant;
        table::Ref<table::TenantPolicy> policy;
    };
    /// More than the tenants that the packets of one burst can touch: the vports by which a packet
    /// enters and leaves, for each level of tunnels.
    static constexpr std::size_t kEntries = 1024;

    table::ArenaView arena_;
    std::uint64_t burst_ = 0;
    const Entry* last_ = nullptr;
    std::array<Entry, kEntries> entries_;
};

}  // namespace wye::pipeline
