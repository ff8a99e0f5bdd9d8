// Rule sets and header traces in the style of ClassBench (Taylor, Turner, "ClassBench: A Packet
// Classification Benchmark", 2005), from a generator of our own: the same kinds of distribution,
// with parameters that are described here rather than taken from its seed files.
//
// A set is named by kind, family, size and seed, and is the same wherever it is made:
// - `access`: as on a provider's edge: both prefixes are mostly long, the source port is free, the
//   destination port is one port in most TCP and UDP rules;
// - `firewall`: every third source and every fourth destination is free, ranges on both ports;
// - `chain`: as in a host's packet filter: pairs of hosts, of nets, of a host and anything; ICMP
//   and protocols without ports are frequent.
// Addresses come from a binary tree whose branches are skewed (one of the two is taken with a
// probability that depends on the depth), so that prefixes nest and crowd as in real sets. Rules
// are all different, the more special come first, roughly. They say only what rte_acl can say, too:
// prefixes, protocol, port ranges.
//
// A trace takes a random rule for each header and a random point in it; every tenth header is
// random; every fourth repeats one of the last 64 headers.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/table/acl.hh"

namespace wye::table {

enum class RuleSetKind : std::uint8_t { access, firewall, chain };
constexpr RuleSetKind kRuleSetKinds[] = {RuleSetKind::access, RuleSetKind::firewall,
                                         RuleSetKind::chain};
const char* to_string(RuleSetKind kind) noexcept;

/// The seeds of the committed figures (docs/performance.md); tenants' sets begin at kTenantSeed.
constexpr std::uint64_t kRuleSetSeed = 20050501;
constexpr std::uint64_t kTenantSeed = 1000;

std::vector<AclRuleSpec> make_rule_set(RuleSetKind kind, net::IpFamily family, std::size_t rules,
                                       std::uint64_t seed);

std::vector<AclKey> make_trace(const std::vector<AclRuleSpec>& rules, std::size_t headers,
                               std::uint64_t seed);

}  // namespace wye::table
