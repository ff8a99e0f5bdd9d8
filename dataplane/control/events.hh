// What the data plane tells the shim of its own accord.
#pragma once

#include "dataplane/control/objects.hh"
#include "dataplane/control/resolver.hh"

namespace wye::control {

struct Core;

/// The state of a port that this session has bound. Never lost: it waits for room.
void tell_port_link(Core& core, const Port& port);
/// All workers have reached what was completed.
void tell_reached(Core& core);
/// Neighbours that workers ask for. Lost when there is no room: the worker asks again.
/// True if there were any.
bool pass_on_resolves(Core& core);
bool pass_on_lost_twins(Core& core);
void flush_events(Core& core);

}  // namespace wye::control
