// Next hops as the other families use them: interned by content, with link headers filled in from
// neighbours and vports, and liveness from ports.
#pragma once

#include "dataplane/control/objects.hh"

namespace wye::control {

struct Core;

/// The next hop of this content, made if there is none. None: the table is full. A new one belongs
/// to nobody yet: refer to it or release_nexthop() it.
NextHop* intern_nexthop(Core& core, const NextHopContent& content);
/// Takes it out of the tables if nobody refers to it any more.
void release_nexthop(Core& core, NextHop& nexthop);
/// One member more or less of the set of users that keep a vport in use.
void change_groups(NextHop& nexthop, int by);
void set_standing(NextHop& nexthop, bool standing);

/// Writes the link header that neighbour and vport make, if it differs from what stands.
void refresh_rewrite(Core& core, NextHop& nexthop);
/// Of all next hops on it: after its MAC, tags or state changed.
void refresh_rewrites(Core& core, Vport& vport);
/// Next hops on a vport of a port without link are dead.
void refresh_liveness(Core& core, Vport& vport);

}  // namespace wye::control
