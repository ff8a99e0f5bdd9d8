#include "dataplane/table/acl_rule.hh"

#include <string>

#include "dataplane/net/ip_protocol.hh"

namespace wye::table {
namespace {

bool is_prefix_of(const net::IpPrefix& prefix, net::IpFamily family) noexcept {
    return prefix.address.family == family && prefix.length <= net::address_bits(family) &&
           net::mask(prefix.address, prefix.length) == prefix.address;
}

/// A wildcard is a prefix of length 0, of whatever family a default-constructed one says.
bool is_any(const net::IpPrefix& prefix) noexcept {
    return prefix.length == 0 && prefix.address.bytes == std::array<std::uint8_t, 16>{};
}

const char* fault_of(const AclRuleSpec& rule) noexcept {
    const bool protocol_has_ports = !rule.any_protocol && net::has_port_numbers(rule.protocol);
    const bool protocol_is_icmp = !rule.any_protocol && (rule.protocol == net::protocol::icmp ||
                                                         rule.protocol == net::protocol::icmpv6);
    const bool protocol_is_tcp = !rule.any_protocol && rule.protocol == net::protocol::tcp;
    if (rule.family != net::IpFamily::ipv4 && rule.family != net::IpFamily::ipv6) {
        return "the family must be IPv4 or IPv6";
    }
    if (!is_any(rule.source) && !is_prefix_of(rule.source, rule.family)) {
        return "the source must be a prefix of the rule's family without host bits";
    }
    if (!is_any(rule.destination) && !is_prefix_of(rule.destination, rule.family)) {
        return "the destination must be a prefix of the rule's family without host bits";
    }
    if (rule.source_port_low > rule.source_port_high ||
        rule.destination_port_low > rule.destination_port_high) {
        return "a port range must begin below its end";
    }
    if (asks_ports(rule) && !protocol_has_ports) {
        return "ports need a protocol that has them: tcp, udp, sctp, dccp or udp-lite";
    }
    if (asks_tcp_flags(rule) && !protocol_is_tcp) return "TCP flags need the protocol tcp";
    if ((rule.tcp_flags_value & ~rule.tcp_flags_mask) != 0) {
        return "TCP flags that must be set must be among those that are looked at";
    }
    if ((!rule.any_icmp || !rule.any_icmp_code) && !protocol_is_icmp) {
        return "an ICMP type needs the protocol icmp or icmpv6";
    }
    if (rule.any_icmp && !rule.any_icmp_code) return "an ICMP code needs an ICMP type";
    if (!rule.any_dscp && rule.dscp > 63) return "a DSCP is a number from 0 to 63";
    if (rule.fragment > FragmentMatch::later) return "there is no such fragment condition";
    if (rule.action > AclAction::count) return "there is no such action";
    return nullptr;
}

}  // namespace

Status check_acl_rule(const AclRuleSpec& rule, std::size_t number) {
    if (const char* fault = fault_of(rule); fault != nullptr) {
        return fail("rule " + std::to_string(number) + ": " + fault);
    }
    return {};
}

Status check_acl_rules(std::span<const AclRuleSpec> rules) {
    if (rules.size() > kMaxAclRules) {
        return fail("rule " + std::to_string(kMaxAclRules + 1) + ": an ACL has at most " +
                    std::to_string(kMaxAclRules) + " rules, this one has " +
                    std::to_string(rules.size()));
    }
    for (std::size_t i = 0; i < rules.size(); ++i) {
        if (Status sound = check_acl_rule(rules[i], i + 1); !sound) return sound;
    }
    return {};
}

}  // namespace wye::table
