// Builds the bucket table of a next-hop group: weighted and resilient.
//
// A flow's bucket is (flow hash & bucket_mask), so a flow moves only when its bucket does. A new
// table is derived from the one that it replaces: a member that stays keeps its buckets as far as
// its share allows, so that removing one of N members moves that one's buckets alone, and adding
// one moves about 1/N of all (the aim of resilient hashing; RFC 2992 shows what plain modulo
// costs). Shares are met within one bucket when a table is made, and within an eighth (at least 2
// buckets) after changes. The table grows with the group and never shrinks: to halve it would move
// flows.
//
// Owner: control thread. Reader side: dataplane/table/nexthop.hh.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/table/arena_writer.hh"
#include "dataplane/table/nexthop.hh"

namespace wye::table {

struct GroupMemberSpec {
    NextHopId nexthop;
    std::uint32_t weight;  // 1 or more; members of one next hop add up
};

constexpr std::uint32_t kBucketsPerMember = 16;
constexpr std::uint32_t kMaxBuckets = 4096;

/// Bytes of a table, for retire() and discard().
std::size_t group_table_bytes(const GroupTable& table) noexcept;

/// A new, unpublished extent; `old` is the table that it will replace, or null. Null: the arena is
/// full. At least one member.
[[nodiscard]] Ref<GroupTable> build_group_table(ArenaWriter& arena,
                                                std::span<const GroupMemberSpec> members,
                                                Ref<GroupTable> old);

}  // namespace wye::table
