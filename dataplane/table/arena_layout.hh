// Where the parts of an arena lie, computed from its limits alone: header, fixed arrays, heap. The
// writer lays them out so, and a reader checks that the header says the same.
#pragma once

#include <cstdint>

#include "dataplane/table/arena.hh"

namespace wye::table {

/// Offsets in bytes from the start of the file. Every array starts on a 4 KiB page, so that it can
/// be backed without its neighbours; the heap starts on a page of the file system.
struct ArenaOffsets {
    std::uint64_t vport_keys, tunnel_keys;  // behind the header: backed when the arena is made
    std::uint64_t backed_end;
    std::uint64_t tenants, vrfs, vports, tunnels, nexthops, groups;
    std::uint64_t heap;   // also the end of the arrays
    std::uint64_t total;  // of the reserved address space
    std::uint32_t vport_key_slots, tunnel_key_slots;
};

/// A FIB's words have 28 bits for a unit (dataplane/table/fib_table.hh), or 30 (fib6_page.hh).
constexpr std::uint64_t kMaxArenaBytes = kUnit << 28;

ArenaOffsets lay_out_arena(const ArenaLimits& limits, std::uint64_t page_bytes) noexcept;

/// Page size of the file system that `descriptor` is on: its own on hugetlbfs, else 4 KiB.
std::uint64_t file_page_bytes(int descriptor) noexcept;

}  // namespace wye::table
