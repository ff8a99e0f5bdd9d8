// Neighbours as the other families use them. A gleaned neighbour (one that a connected route on its
// vport covers) has a host route of its own in the VRF, which yields to a route by command.
#pragma once

#include "dataplane/control/objects.hh"

namespace wye::control {

struct Core;

/// Looks again at the host route of one address. False: the tables are full, nothing has changed.
bool refresh_host_route(Core& core, Vrf& vrf, const net::IpAddress& address);
/// After the route for this prefix came, changed or went.
void refresh_host_routes(Core& core, Vrf& vrf, const net::IpPrefix& prefix);

/// The vport goes to another VRF (or away: none): its neighbours go with it.
void move_neighbors(Core& core, Vport& vport, Vrf* from, Vrf* to);
void drop_neighbors(Core& core, Vport& vport);
void remove_neighbor(Core& core, Vport& vport, const net::IpAddress& address);

}  // namespace wye::control
