#include "dataplane/table/checked_arena.hh"

#include <algorithm>
#include <utility>

#include "dataplane/table/nexthop.hh"
#include "dataplane/table/tunnel.hh"
#include "dataplane/table/vport.hh"
#include "dataplane/table/vrf.hh"

namespace wye::table {

Result<CheckedArena> CheckedArena::of(ArenaView arena, std::function<std::uint64_t()> size) {
    CheckedArena checked;
    checked.arena_ = arena;
    checked.size_ = std::move(size);
    checked.known_ = checked.size_();
    if (checked.known_ < sizeof(ArenaHeader)) return fail("the arena is too short for its header");
    const ArenaHeader& header = arena.header();
    if (header.magic != kArenaMagic) return fail("these are not the bytes of an arena");
    if (header.layout != kArenaLayout) {
        return fail("the arena has layout " + std::to_string(header.layout) +
                    ", this program reads layout " + std::to_string(kArenaLayout));
    }
    checked.limits_ = header.limits;
    if (checked.limits_.heap_bytes > kMaxArenaBytes) {
        return fail("the arena's limits are impossible");
    }
    // The heap begins on a page of the file system, which the header does not tell: any will do,
    // since the heap is then only taken to begin where the arrays end.
    checked.offsets_ = lay_out_arena(checked.limits_, kUnit);
    if (checked.offsets_.heap > checked.known_) {
        return fail("the arena is cut short: its arrays do not lie within");
    }
    return checked;
}

bool CheckedArena::lies_in_heap(std::uint32_t unit, std::uint64_t bytes) {
    const std::uint64_t start = std::uint64_t{unit} * kUnit;
    if (start < offsets_.heap) return false;
    if (start + bytes <= known_) return true;
    known_ = std::max(known_, size_());
    return start + bytes <= known_;
}

const Vrf* CheckedArena::vrf(VrfId id) const noexcept {
    return record<Vrf>(offsets_.vrfs, id.value, limits_.vrfs);
}
const Vport* CheckedArena::vport(VportId id) const noexcept {
    return record<Vport>(offsets_.vports, id.value, limits_.vports);
}
const Tunnel* CheckedArena::tunnel(TunnelId id) const noexcept {
    return record<Tunnel>(offsets_.tunnels, id.value, limits_.tunnels);
}
const NextHop* CheckedArena::nexthop(NextHopId id) const noexcept {
    return record<NextHop>(offsets_.nexthops, id.value, limits_.nexthops);
}
const Group* CheckedArena::group(GroupId id) const noexcept {
    return record<Group>(offsets_.groups, id.value, limits_.groups);
}
const TenantRoot* CheckedArena::tenant(TenantId id) const noexcept {
    return record<TenantRoot>(offsets_.tenants, id.value, limits_.tenants);
}

}  // namespace wye::table
