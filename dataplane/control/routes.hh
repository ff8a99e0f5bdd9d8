// Routes as the other families use them.
#pragma once

#include "dataplane/control/objects.hh"

namespace wye::control {

struct Core;

/// Writes the leaf of one prefix into the VRF's FIB, which is made on demand. False: the arena is
/// full, nothing has changed.
bool write_leaf(Core& core, Vrf& vrf, const net::IpPrefix& prefix, table::Leaf leaf);
/// False as above. The FIB goes with its last prefix.
bool erase_leaf(Core& core, Vrf& vrf, const net::IpPrefix& prefix);

/// Takes a standing route away; what a host route wanted there comes back. False: the arena is
/// full, the route stands.
bool remove_route(Core& core, Route& route);

/// What a command further on in the batch will look at is asked for, one dependent load a stage.
/// Changes nothing, whatever the command's bytes are.
enum class RouteStage : std::uint8_t { slot, route, neighbors };
void prefetch_route(const Core& core, const ring::Command& command, RouteStage stage);

/// Before (own: false) and after (true) the members of a group with routes change.
void note_own_addresses(Core& core, const Group& group, bool own);

/// The route by command that an address takes among prefixes shorter than itself.
const Route* longest_cover(const Vrf& vrf, const net::IpAddress& address);

}  // namespace wye::control
