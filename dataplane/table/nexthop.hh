// Next hops and groups: what a route points at.
//
// Prefix → Leaf → next hop, or group → member. A Leaf is what the FIBs store: 32 bits.
//
// A next hop's link header can change (the neighbour answers, its MAC moves) while workers read it.
// So the record holds two copies and `active` says which one counts; the writer fills the other one
// and flips. It flips again only after a grace period (the control thread defers the second change).
//
// Liveness of links and sessions is not here: it is the data plane's own word, in the liveness
// array apart from the tables (dataplane/table/liveness.hh), keyed by the next hop's id and
// generation. Liveness of the neighbour is `active`: incomplete says that it does not answer, and a
// group then uses its other members.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "dataplane/base/ids.hh"
#include "dataplane/base/model.hh"
#include "dataplane/net/address.hh"
#include "dataplane/table/arena.hh"

namespace wye::table {

/// 0: no route. High bit clear: (next hop id + 1). High bit set: group id.
struct Leaf {
    std::uint32_t value = 0;
    static constexpr Leaf none() noexcept { return {}; }
    static constexpr Leaf of(NextHopId id) noexcept { return {id.value + 1}; }
    static constexpr Leaf of(GroupId id) noexcept { return {id.value | 0x80000000u}; }
    [[nodiscard]] constexpr bool is_none() const noexcept { return value == 0; }
    [[nodiscard]] constexpr bool is_group() const noexcept { return (value >> 31) != 0; }
    [[nodiscard]] constexpr NextHopId nexthop() const noexcept { return NextHopId{value - 1}; }
    [[nodiscard]] constexpr GroupId group() const noexcept { return GroupId{value & 0x7fffffffu}; }
    friend constexpr bool operator==(const Leaf&, const Leaf&) noexcept = default;
};

/// Which copy of the link header counts.
enum class Rewrite : std::uint8_t { incomplete = 0, first = 1, second = 2 };

/// Ethernet destination, source, up to two tags; the final EtherType is written by the step.
constexpr std::size_t kRewriteCapacity = 20;

struct alignas(64) NextHop {
    // First line: all that forwarding reads. control: rw as said above; workers: ro.
    std::uint32_t generation;
    NextHopKind kind;             // none: free
    std::atomic<Rewrite> active;  // adjacency only
    std::uint8_t rewrite_length;  // 12, 16 or 20 bytes; the EtherType comes behind
    std::uint8_t reserved;
    VportId vport;
    std::array<std::uint8_t, kRewriteCapacity> rewrite[2];
    std::uint8_t padding[12];
    // Second line: for the slow path (hold, resolve) and for people.
    net::IpAddress gateway;
    std::uint8_t padding2[47];
};
static_assert(sizeof(NextHop) == 128);

/// Immutable once published; a change makes a new one and swaps Group::table.
/// Buckets are more than members, so that weights are honoured and a change moves few flows.
struct alignas(64) GroupTable {
    std::uint32_t member_count;
    std::uint32_t bucket_mask;  // buckets - 1; a power of two minus one
    std::uint32_t reserved[14];
    // NextHopId buckets[bucket_mask + 1], then NextHopId members[member_count]
    [[nodiscard]] const NextHopId* buckets() const noexcept {
        return reinterpret_cast<const NextHopId*>(this + 1);
    }
    [[nodiscard]] const NextHopId* members() const noexcept { return buckets() + bucket_mask + 1; }
};

struct alignas(8) Group {
    AtomicRef<GroupTable> table;  // null: free
    std::uint32_t generation;
};

}  // namespace wye::table
