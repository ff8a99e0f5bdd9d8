// Draining: taking an object out of the tables for a grace period, because its record is about to
// change in a way that readers must not see half done. What depends on it is down meanwhile.
#pragma once

#include "dataplane/control/objects.hh"

namespace wye::control {

struct Core;

/// Takes the vport out: no packet finds it, none leaves by it. False: the arena is full.
bool drain_vport(Core& core, Vport& vport);
/// Puts it back as it stands (its policy at the end of the batch).
void restore_vport(Core& core, Vport& vport);

/// The command that wanted the change will not be executed: back to what was.
void abandon_tunnel_drains(Core& core);
void abandon_vport_drains(Core& core);

}  // namespace wye::control
