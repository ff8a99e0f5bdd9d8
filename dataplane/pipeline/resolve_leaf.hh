// resolve_leaf: from what the FIB answered to one next hop that is alive.
// A group's bucket is chosen by the flow hash; if its member is dead, or its neighbour does not
// answer, another one that can be used, again by the flow hash, so that the flows of such a member
// are spread over the others and those of the others stay where they are. If no member's neighbour
// answers, one that is alive is taken: its packets are held and its neighbour is asked for.
#pragma once

#include "dataplane/pipeline/context.hh"
#include "dataplane/table/nexthop.hh"

namespace wye::pipeline {

/// Touches the group's tables, so that the next pass finds the next hop's record prefetched.
/// An id that is none: no route (leaf none), or no member.
NextHopId choose_nexthop(const Context& context, table::Leaf leaf,
                         std::uint32_t flow_hash) noexcept;

/// Null unless there is a next hop in the record and it is alive.
const table::NextHop* alive_nexthop(const Context& context, NextHopId id) noexcept;

/// The next hop to use (incomplete: there is no better one); null: all are dead, or the record is
/// free.
const table::NextHop* resolve_nexthop(const Context& context, table::Leaf leaf, NextHopId chosen,
                                      std::uint32_t flow_hash) noexcept;

}  // namespace wye::pipeline
