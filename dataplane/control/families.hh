// The command families: one function a command. Each checks everything first and then changes;
// what it refuses has changed nothing. Definitions: the file named after the family.
#pragma once

#include "dataplane/base/ids.hh"
#include "dataplane/control/answer.hh"
#include "dataplane/ring/vocabulary.hh"

namespace wye::control {

struct Core;

// tenants.cc
Answer set_tenant(Core& core, const ring::TenantSet& command);
Answer delete_tenant(Core& core, ring::Handle handle);
// vrfs.cc
Answer set_vrf(Core& core, const ring::VrfSet& command);
Answer delete_vrf(Core& core, ring::Handle handle);
// ports.cc
Answer bind_port(Core& core, const ring::PortBind& command);
void change_port_link(Core& core, PortId id, bool up);
// tunnels.cc
Answer set_tunnel(Core& core, const ring::TunnelSet& command);
Answer delete_tunnel(Core& core, ring::Handle handle);
// vports.cc
Answer set_vport(Core& core, const ring::VportSet& command);
Answer delete_vport(Core& core, ring::Handle handle);
// acls.cc
Answer begin_acl(Core& core, const ring::AclBegin& command);
Answer add_acl_rule(Core& core, const ring::AclRule& command);
Answer commit_acl(Core& core, ring::Handle handle);
Answer delete_acl(Core& core, ring::Handle handle);
// workers.cc
Answer change_worker(Core& core, ring::Opcode opcode, const ring::WorkerChange& command);
Answer place_queue(Core& core, const ring::QueuePlace& command);
// nexthops.cc
Answer set_nexthop(Core& core, const ring::NextHopSet& command);
Answer delete_nexthop(Core& core, ring::Handle handle);
// groups.cc
Answer set_group(Core& core, const ring::GroupSet& command);
Answer delete_group(Core& core, ring::Handle handle);
// routes.cc
Answer set_route(Core& core, const ring::RouteSet& command);
Answer delete_route(Core& core, const ring::RouteDelete& command);
// neighbors.cc
Answer set_neighbor(Core& core, const ring::NeighborSet& command);
Answer delete_neighbor(Core& core, const ring::NeighborDelete& command);
// bfd.cc
Answer set_bfd(Core& core, const ring::BfdSet& command);
Answer delete_bfd(Core& core, ring::Handle handle);
Answer begin_bfd(Core& core, ring::Handle vrf);
Answer end_bfd(Core& core, ring::Handle vrf);
// replay.cc
Answer begin_replay(Core& core, ring::Stream stream);
Answer end_replay(Core& core, ring::Stream stream);

}  // namespace wye::control
