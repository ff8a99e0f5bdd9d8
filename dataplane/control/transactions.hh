// Policy transactions: what of a tenant's vports and ACLs changes, published by one store.
//
// Staged: what was said and checked, nothing of it in the tables. publish() makes all of it true at
// once or nothing: one new TenantPolicy, one swap of the tenant's root. A command outside of a
// transaction is its own. A vport whose attachment changes is taken out first and put back after a
// grace period, since its record must not change under readers: publish() then waits.
#pragma once

#include <map>
#include <optional>

#include "dataplane/control/answer.hh"
#include "dataplane/control/objects.hh"

namespace wye::control {

struct Core;

struct StagedAcl {
    std::vector<table::AclRuleSpec> rules;
    bool default_permit = false;
    table::Ref<table::Acl> compiled;
    std::size_t bytes = 0;
    std::shared_ptr<const table::AclPlan> plan;
};

struct Transaction {
    Tenant* tenant = nullptr;
    std::map<Vport*, std::optional<VportSettings>> vports;  // none: to be deleted
    std::map<AccessList*, std::optional<StagedAcl>> acls;   // none: to be deleted
};

// Commands.
Answer begin_transaction(Core& core, ring::Handle tenant);
Answer commit_transaction(Core& core, ring::Handle tenant);
Answer abort_transaction(Core& core, ring::Handle tenant);

/// The open transaction of this tenant, if there is one.
Transaction* open_transaction(Core& core, const Tenant& tenant);
/// All or nothing. When it waits, call again with the same content; when it refuses, roll_back().
Answer publish(Core& core, Transaction& transaction);
/// Forgets what was staged: objects that it made, compiled ACLs, vports that it took out.
void roll_back(Core& core, Transaction& transaction);
/// Publishes a tenant's standing policy anew (own addresses, admin state). False: the arena is
/// full.
bool republish(Core& core, Tenant& tenant);

/// As the open transaction (if any) would have it; none: it would be gone.
std::optional<VportSettings> staged_settings(const Transaction* transaction, Vport& vport);

}  // namespace wye::control
