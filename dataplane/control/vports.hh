// Vports: the steps of a policy transaction, and what an abort takes back.
#pragma once

#include "dataplane/control/objects.hh"
#include "dataplane/table/vport.hh"

namespace wye::control {

struct Core;
struct Transaction;

/// Before publication: the half that never changes while the vport is in the tables.
void write_vport_record(Core& core, const Vport& vport, const VportSettings& settings);
/// After publication: keys, next hops, neighbours follow.
void finish_vport_change(Core& core, Vport& vport, const VportSettings& settings);
void finish_vport_deletion(Core& core, Vport& vport);
/// Made by a transaction that came to nothing.
void discard_vport(Core& core, Vport& vport);

/// Sources of ICMP errors. Of IPv6 never a link-local one.
void write_own_addresses(table::VportPolicy& slot, const Vport& vport);
/// A route of kind local came or went.
void change_own_address(Core& core, Vport& vport, const net::IpAddress& address, bool own);

/// Removes what this replay did not declare; vports that next hops refer to are put down and kept.
/// False: some are left.
bool sweep_vports(Core& core);

}  // namespace wye::control
