// look_up: the longest-prefix match of live packets in their VRFs, all of a family at once, since
// the lookups' cache misses are what a burst interleaves.
#pragma once

#include "dataplane/pipeline/burst.hh"
#include "dataplane/pipeline/context.hh"

namespace wye::pipeline {

/// Sets packet.leaf of each live packet. The caller knows that packet.vrf is within the limits.
void look_up(Context& context, const Live& live) noexcept;

}  // namespace wye::pipeline
