// match_acl: the vport's ingress or egress ACL. Counts the rule that decided and the `count` rules
// on the way to it. No ACL: everything passes.
#pragma once

#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/pipeline/verdict.hh"
#include "dataplane/table/acl.hh"

namespace wye::pipeline {

table::AclKey make_acl_key(const Packet& packet) noexcept;

/// Drops: acl_ingress_denied.
Verdict match_ingress_acl(Context& context, const Packet& packet) noexcept;
/// Drops: acl_egress_denied. The router's own packets pass.
Verdict match_egress_acl(Context& context, const Packet& packet,
                         const table::VportPolicy& out) noexcept;

}  // namespace wye::pipeline
