// CheckedArena: an arena as a reader sees it who believes nothing that it says.
//
// Where the parts lie follows from the limits, which were checked once and are kept apart; every
// Ref that is followed is checked to lie, whole, in the heap of the file as it is now. So whatever
// bytes the arena holds, a reader never leaves it. Used by programs that read an arena under a
// lease, or a file that a process left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "dataplane/base/ids.hh"
#include "dataplane/base/result.hh"
#include "dataplane/table/arena.hh"
#include "dataplane/table/arena_layout.hh"

namespace wye::table {

class CheckedArena {
  public:
    /// `size`: how many bytes may be read now; asked again when a Ref lies beyond what it said
    /// before, since a living arena grows. Fails unless the header is that of an arena which lies
    /// within. The memory outlives this.
    static Result<CheckedArena> of(ArenaView arena, std::function<std::uint64_t()> size);

    [[nodiscard]] ArenaView view() const noexcept { return arena_; }
    [[nodiscard]] const ArenaLimits& limits() const noexcept { return limits_; }
    [[nodiscard]] const ArenaOffsets& offsets() const noexcept { return offsets_; }
    /// Units from the start of the file to its present end.
    [[nodiscard]] std::uint64_t units() const { return known_ / kUnit; }

    /// An extent of the heap; null unless all its bytes lie there.
    template <class T>
    [[nodiscard]] const T* extent(Ref<T> ref, std::uint64_t bytes = sizeof(T)) {
        if (!lies_in_heap(ref.unit, bytes)) return nullptr;
        return arena_.checked(ref, bytes);
    }
    // Records; null for an id beyond the limit.
    [[nodiscard]] const Vrf* vrf(VrfId id) const noexcept;
    [[nodiscard]] const Vport* vport(VportId id) const noexcept;
    [[nodiscard]] const Tunnel* tunnel(TunnelId id) const noexcept;
    [[nodiscard]] const NextHop* nexthop(NextHopId id) const noexcept;
    [[nodiscard]] const Group* group(GroupId id) const noexcept;
    [[nodiscard]] const TenantRoot* tenant(TenantId id) const noexcept;

  private:
    CheckedArena() = default;
    [[nodiscard]] bool lies_in_heap(std::uint32_t unit, std::uint64_t bytes);
    template <class T>
    [[nodiscard]] const T* record(std::uint64_t offset, std::uint32_t index,
                                  std::uint32_t limit) const noexcept {
        if (index >= limit) return nullptr;
        return reinterpret_cast<const T*>(arena_.base() + offset) + index;
    }

    ArenaView arena_;
    ArenaLimits limits_;
    ArenaOffsets offsets_{};
    std::function<std::uint64_t()> size_;
    std::uint64_t known_ = 0;
};

}  // namespace wye::table
