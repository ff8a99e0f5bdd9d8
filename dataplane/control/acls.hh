// ACLs: the steps of a policy transaction, and what an abort takes back.
#pragma once

#include <optional>

#include "dataplane/control/objects.hh"
#include "dataplane/control/transactions.hh"

namespace wye::control {

/// After publication: the old extent goes. None staged: the ACL itself goes.
void finish_acl_change(Core& core, AccessList& acl, std::optional<StagedAcl>& staged);
void discard_acl_change(Core& core, AccessList& acl, std::optional<StagedAcl>& staged);

/// A vport of its tenant refers to it, published or staged.
bool is_acl_used(Core& core, const AccessList& acl);

/// The assembly will not be committed: what the builder has is freed when it is done with it.
void abandon_assembly(Core& core);
void free_abandoned_builds(Core& core);

}  // namespace wye::control
