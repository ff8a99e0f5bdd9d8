#include "dataplane/table/arena_layout.hh"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <bit>

#include "dataplane/table/nexthop.hh"
#include "dataplane/table/tunnel.hh"
#include "dataplane/table/vport.hh"
#include "dataplane/table/vrf.hh"

namespace wye::table {
namespace {

constexpr std::uint64_t kSmallPage = 4096;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) noexcept {
    return (value + to - 1) / to * to;
}

/// At most half full, so that probes stay short.
std::uint32_t hash_slots(std::uint32_t records) noexcept {
    return std::bit_ceil(std::clamp(records, 32u, 1u << 30) * 2);
}

}  // namespace

ArenaOffsets lay_out_arena(const ArenaLimits& limits, std::uint64_t page_bytes) noexcept {
    ArenaOffsets offsets{};
    std::uint64_t next = kSmallPage;
    const auto place = [&next](std::uint64_t count, std::uint64_t record_bytes) {
        const std::uint64_t at = next;
        next = round_up(at + count * record_bytes, kSmallPage);
        return at;
    };
    offsets.vport_key_slots = hash_slots(limits.vports);
    offsets.tunnel_key_slots = hash_slots(limits.tunnels);
    offsets.vport_keys = place(offsets.vport_key_slots, sizeof(std::uint64_t));
    offsets.tunnel_keys = place(offsets.tunnel_key_slots, sizeof(std::uint32_t));
    offsets.backed_end = next;
    offsets.tenants = place(limits.tenants, sizeof(TenantRoot));
    offsets.vrfs = place(limits.vrfs, sizeof(Vrf));
    offsets.vports = place(limits.vports, sizeof(Vport));
    offsets.tunnels = place(limits.tunnels, sizeof(Tunnel));
    offsets.nexthops = place(limits.nexthops, sizeof(NextHop));
    offsets.groups = place(limits.groups, sizeof(Group));
    offsets.heap = round_up(next, page_bytes);
    offsets.total = offsets.heap + round_up(limits.heap_bytes, page_bytes);
    return offsets;
}

std::uint64_t file_page_bytes(int descriptor) noexcept {
    struct statfs info {};
    if (fstatfs(descriptor, &info) == 0 && info.f_type == HUGETLBFS_MAGIC) {
        return static_cast<std::uint64_t>(info.f_bsize);
    }
    return kSmallPage;
}

}  // namespace wye::table
