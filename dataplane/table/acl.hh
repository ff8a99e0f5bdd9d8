// ACLs: ordered rules, first match wins, counted by rule. The interface behind which the structure
// can be replaced (today: dataplane/table/acl_tree.hh).
//
// build_acl runs on the builder thread; what it made is copied into an extent that the control
// thread reserved. match_acls runs on workers, under RCU, on all packets of a burst at once; their
// ACLs may be different ones. An Acl is immutable once published.
//
// A packet whose layer-4 header is not there (a later fragment, or cut short) has
// `has_ports` clear and matches no rule that asks for ports, ICMP type or TCP flags: rules with
// such conditions therefore never permit it (RFC 7112, and RFC 1858 for IPv4). If it is not a later
// fragment, the default does not permit it either where a rule of its family has such conditions.
// Such conditions need a protocol beside them that has what they look at; build_acl refuses others.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "dataplane/base/model.hh"
#include "dataplane/base/result.hh"
#include "dataplane/net/address.hh"
#include "dataplane/table/arena.hh"

namespace wye::table {

struct Acl;  // the compiled form; opaque

/// A rule as the control thread keeps it (private memory).
struct AclRuleSpec {
    net::IpFamily family = net::IpFamily::ipv4;
    net::IpPrefix source, destination;
    std::uint16_t source_port_low = 0, source_port_high = 0xffff;
    std::uint16_t destination_port_low = 0, destination_port_high = 0xffff;
    bool any_protocol = true;
    std::uint8_t protocol = 0;
    bool any_icmp = true;
    std::uint8_t icmp_type = 0;
    bool any_icmp_code = true;
    std::uint8_t icmp_code = 0;
    std::uint8_t tcp_flags_mask = 0, tcp_flags_value = 0;
    bool any_dscp = true;
    std::uint8_t dscp = 0;
    FragmentMatch fragment = FragmentMatch::any;
    AclAction action = AclAction::deny;
    friend bool operator==(const AclRuleSpec&, const AclRuleSpec&) = default;
};

/// What of a packet a rule can look at. Ports and ICMP are in host order.
struct AclKey {
    net::IpAddress source, destination;
    std::uint16_t source_port = 0, destination_port = 0;
    std::uint8_t protocol = 0;
    std::uint8_t icmp_type = 0, icmp_code = 0;
    std::uint8_t tcp_flags = 0;
    std::uint8_t dscp = 0;
    bool has_ports = false;    // the layer-4 header is present and unfragmented
    bool is_fragment = false;  // MF set or offset not zero
    bool is_later_fragment = false;
};

constexpr std::uint32_t kMaxAclRules = 65536;
constexpr std::uint32_t kNoRule = 0xffffffff;
constexpr std::size_t kMaxCountRules = 4;

struct AclVerdict {
    bool permit;
    std::uint32_t rule;  // index of the rule that decided, kNoRule: the default
    /// `count` rules before it that matched, the first kMaxCountRules of them.
    std::uint8_t counted;
    std::uint32_t count_rules[kMaxCountRules];
};

/// One packet of a burst. `words` is the packed key, the last word zero: acl_key.hh.
template <std::size_t Words>
struct AclQuery {
    Ref<Acl> acl;
    AclVerdict verdict;
    std::array<std::uint64_t, Words> words;
};
using Acl4Query = AclQuery<3>;
using Acl6Query = AclQuery<6>;

/// Packs all of a key but the ACL. The key is of the query's family.
void pack_acl_key(const AclKey& key, Acl4Query& query) noexcept;
void pack_acl_key(const AclKey& key, Acl6Query& query) noexcept;

/// Sets each query's verdict. By the fastest variant that the CPU has: acl_match.hh.
void match_acls(ArenaView arena, std::span<Acl4Query> queries) noexcept;
void match_acls(ArenaView arena, std::span<Acl6Query> queries) noexcept;

/// One packet, for what is not in a hurry.
AclVerdict match_acl(ArenaView arena, Ref<Acl> acl, const AclKey& key) noexcept;

/// First counter of its rules in CounterBlock::rules.
std::uint32_t acl_counter_base(ArenaView arena, Ref<Acl> acl) noexcept;

struct AclPlan;  // what a change of rules starts from; opaque

/// The compiled form of rules before it has its place. Private memory.
class AclImage {
  public:
    AclImage(std::vector<std::uint64_t> words, std::shared_ptr<const AclPlan> plan)
        : words_(std::move(words)), plan_(std::move(plan)) {}
    [[nodiscard]] std::size_t bytes() const noexcept { return words_.size() * 8; }
    /// Into `extent`, which is aligned to kUnit and has at least bytes().
    [[nodiscard]] Status write(bool default_permit, std::uint32_t counter_base,
                               std::span<std::byte> extent) const;

    /// For the next version of these rules; null: there are so few that it would not help.
    [[nodiscard]] const std::shared_ptr<const AclPlan>& plan() const noexcept { return plan_; }

  private:
    std::vector<std::uint64_t> words_;
    std::shared_ptr<const AclPlan> plan_;
};

/// Checks rules and compiles them. Errors name the rule's number. `former` is the plan of rules of
/// which these are a change, if any: where few differ, it takes milliseconds.
Result<AclImage> build_acl(std::span<const AclRuleSpec> rules, const AclPlan* former = nullptr);

/// The answer by going through the rules one by one: the oracle of the tests.
AclVerdict match_acl_naively(std::span<const AclRuleSpec> rules, bool default_permit,
                             const AclKey& key) noexcept;

}  // namespace wye::table
