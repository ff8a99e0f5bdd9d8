// Removing objects, by command or because a replay did not declare them. False: still referred to,
// nothing has changed. What is removed is unpublished at once; its id, name and counters are given
// back after a grace period.
#pragma once

#include "dataplane/control/objects.hh"

namespace wye::control {

struct Core;

bool remove_tenant(Core& core, Tenant& tenant);
bool remove_vrf(Core& core, Vrf& vrf);
bool remove_tunnel(Core& core, Tunnel& tunnel);
bool remove_acl(Core& core, AccessList& acl);

}  // namespace wye::control
