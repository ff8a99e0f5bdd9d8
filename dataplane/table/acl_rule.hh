// What a rule asks for, in words that both the compiler and the naive oracle use: which of its
// conditions is a condition at all. How a condition is tested, each says for itself.
#pragma once

#include "dataplane/table/acl.hh"

namespace wye::table {

inline bool asks_source_port(const AclRuleSpec& rule) noexcept {
    return rule.source_port_low != 0 || rule.source_port_high != 0xffff;
}
inline bool asks_destination_port(const AclRuleSpec& rule) noexcept {
    return rule.destination_port_low != 0 || rule.destination_port_high != 0xffff;
}
inline bool asks_ports(const AclRuleSpec& rule) noexcept {
    return asks_source_port(rule) || asks_destination_port(rule);
}
inline bool asks_tcp_flags(const AclRuleSpec& rule) noexcept {
    return rule.tcp_flags_mask != 0;
}
/// Of a packet's layer-4 header, which may not be there.
inline bool asks_layer4(const AclRuleSpec& rule) noexcept {
    return asks_ports(rule) || asks_tcp_flags(rule) || !rule.any_icmp || !rule.any_icmp_code;
}

/// Checks one rule; `number` counts from 1, for the error.
Status check_acl_rule(const AclRuleSpec& rule, std::size_t number);
/// Checks all, and how many there are.
Status check_acl_rules(std::span<const AclRuleSpec> rules);

}  // namespace wye::table
