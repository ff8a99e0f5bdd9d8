// check_arena: whether everything that can be reached in an arena leads to something, for programs
// apart from the data plane. The first thing that does not is the error, by name.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "dataplane/base/result.hh"
#include "dataplane/table/checked_arena.hh"
#include "dataplane/table/counter_file.hh"

namespace wye::table {

struct ArenaReport {
    std::uint64_t vrfs = 0, routes = 0, vports = 0;
    std::uint64_t bytes = 0;  // of the heap, reached
};

using NameOf = std::function<std::string(SlotKind, std::uint32_t slot)>;

/// FIBs with their next hops and groups, tenants' policies with their vports, VRFs and ACLs, and
/// the two hashes by which received packets find vport and tunnel.
Result<ArenaReport> check_arena(CheckedArena& arena, const NameOf& name);

struct RecordCounts {
    std::uint64_t tenants = 0, vrfs = 0, vports = 0, tunnels = 0, nexthops = 0, groups = 0;
};
/// Records in use. Read from the file by `descriptor`, since a page that nobody has written would
/// get memory if it were looked at in a mapping.
RecordCounts count_records(const CheckedArena& arena, int descriptor);

}  // namespace wye::table
