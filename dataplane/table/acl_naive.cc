// The oracle: rule by rule, condition by condition, as one would explain it.
#include "dataplane/table/acl.hh"
#include "dataplane/table/acl_rule.hh"

namespace wye::table {
namespace {

bool matches_fragment(FragmentMatch wanted, const AclKey& key) noexcept {
    switch (wanted) {
        case FragmentMatch::any:
            return true;
        case FragmentMatch::not_fragment:
            return !key.is_fragment;
        case FragmentMatch::fragment:
            return key.is_fragment;
        case FragmentMatch::later:
            return key.is_later_fragment;
    }
    return false;
}

bool matches_prefix(const net::IpPrefix& prefix, const net::IpAddress& address) noexcept {
    return prefix.length == 0 || prefix.contains(address);
}

bool matches_layer4(const AclRuleSpec& rule, const AclKey& key) noexcept {
    // RFC 7112 5, RFC 1858 3: what cannot be seen matches no condition on it.
    if (asks_layer4(rule) && !key.has_ports) return false;
    if (asks_source_port(rule) &&
        (key.source_port < rule.source_port_low || key.source_port > rule.source_port_high)) {
        return false;
    }
    if (asks_destination_port(rule) && (key.destination_port < rule.destination_port_low ||
                                        key.destination_port > rule.destination_port_high)) {
        return false;
    }
    if (!rule.any_icmp && key.icmp_type != rule.icmp_type) return false;
    if (!rule.any_icmp_code && key.icmp_code != rule.icmp_code) return false;
    return (key.tcp_flags & rule.tcp_flags_mask) == rule.tcp_flags_value;
}

bool matches(const AclRuleSpec& rule, const AclKey& key) noexcept {
    if (key.source.family != rule.family) return false;
    if (!rule.any_protocol && key.protocol != rule.protocol) return false;
    if (!rule.any_dscp && key.dscp != rule.dscp) return false;
    return matches_fragment(rule.fragment, key) && matches_prefix(rule.source, key.source) &&
           matches_prefix(rule.destination, key.destination) && matches_layer4(rule, key);
}

}  // namespace

AclVerdict match_acl_naively(std::span<const AclRuleSpec> rules, bool default_permit,
                             const AclKey& key) noexcept {
    AclVerdict verdict{default_permit, kNoRule, 0, {}};
    bool any_layer4 = false;
    for (std::uint32_t i = 0; i < rules.size(); ++i) {
        if (rules[i].family == key.source.family && asks_layer4(rules[i])) any_layer4 = true;
        if (!matches(rules[i], key)) continue;
        if (rules[i].action != AclAction::count) {
            verdict.permit = rules[i].action == AclAction::permit;
            verdict.rule = i;
            return verdict;
        }
        if (verdict.counted < kMaxCountRules) verdict.count_rules[verdict.counted++] = i;
    }
    // A first fragment (or a whole packet) whose header chain is cut short is not permitted by
    // default where a rule would have looked at layer 4.
    const bool is_cut_short = !key.has_ports && !key.is_later_fragment;
    if (any_layer4 && is_cut_short) verdict.permit = false;
    return verdict;
}

}  // namespace wye::table
