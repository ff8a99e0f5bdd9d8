// match_acl: the vport's ingress or egress ACL. Counts the rule that decided and the `count` rules
// on the way to it. No ACL: everything passes. Ingress ACLs are asked for all packets of a burst at
// once, each its own vport's, since their comparisons and cache misses are what a burst interleaves.
#pragma once

#include <bitset>

#include "dataplane/pipeline/burst.hh"
#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/pipeline/verdict.hh"

namespace wye::pipeline {

/// By packet of the burst.
using Denied = std::bitset<kMaxBurst>;

/// Books the rules that matched a packet of `length` bytes; true: it may pass.
inline bool account_acl(table::PacketsAndBytes* rules, const table::AclVerdict& verdict,
                        std::uint32_t length) noexcept {
    for (std::uint8_t i = 0; i < verdict.counted; ++i) rules[verdict.count_rules[i]].add(length);
    if (verdict.rule != table::kNoRule) rules[verdict.rule].add(length);
    return verdict.permit;
}

/// Which of the live packets to drop as acl_ingress_denied. Each has its policy, or is the router's
/// own, which passes.
Denied match_ingress_acls(Context& context, const Live& live) noexcept;
/// Drops: acl_egress_denied. The router's own packets pass.
Verdict match_egress_acl(Context& context, const Packet& packet,
                         const table::VportPolicy& out) noexcept;

}  // namespace wye::pipeline
