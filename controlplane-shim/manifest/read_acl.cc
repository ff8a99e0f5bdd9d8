// An ACL and its rules. A rule that can never match is refused, since nobody means it.
#include <array>
#include <initializer_list>

#include "controlplane-shim/manifest/draft.hh"

namespace wye::manifest {
namespace {

struct NamedProtocol {
    std::string_view name;
    std::uint8_t number;
};
constexpr std::uint8_t kIcmp = 1, kTcp = 6, kIcmpv6 = 58;
constexpr std::array<NamedProtocol, 9> kProtocols{{{"icmp", kIcmp},
                                                   {"igmp", 2},
                                                   {"tcp", kTcp},
                                                   {"udp", 17},
                                                   {"gre", 47},
                                                   {"esp", 50},
                                                   {"icmpv6", kIcmpv6},
                                                   {"ospf", 89},
                                                   {"sctp", 132}}};
// In the order of their bits (RFC 9293 3.1, RFC 3168 6.1).
constexpr std::array<std::string_view, 8> kTcpFlags{"fin", "syn", "rst", "psh",
                                                    "ack", "urg", "ece", "cwr"};

void read_protocol(Section& section, AclRule& rule) {
    const auto word = section.text("protocol", "a protocol");
    if (!word) return;
    for (const auto& [name, number] : kProtocols) {
        if (*word == name) {
            rule.protocol = number;
            return;
        }
    }
    const auto number = parse_number(*word);
    if (number && *number <= 255) {
        rule.protocol = static_cast<std::uint8_t>(*number);
        return;
    }
    std::string names;
    for (const auto& [name, value] : kProtocols) names += std::string(name) + ", ";
    section.problem("protocol", "\"" + *word + "\" must be one of " + names + "or 0 to 255");
}

void read_ports(Section& section, std::string_view key, std::uint16_t& low, std::uint16_t& high) {
    const auto word = section.text(key, "a port or a range such as 80-443");
    if (!word) return;
    const auto dash = word->find('-');
    const auto first = parse_number(std::string_view(*word).substr(0, dash));
    const auto last =
        dash == std::string::npos ? first : parse_number(std::string_view(*word).substr(dash + 1));
    if (!first || !last || *first > 65535 || *last > 65535) {
        section.problem(key, "\"" + *word +
                                 "\" must be a port from 0 to 65535, or a range such as "
                                 "80-443");
    } else if (*first > *last) {
        section.problem(key, "the range " + *word + " is reversed: did you mean " +
                                 std::to_string(*last) + "-" + std::to_string(*first) + "?");
    } else {
        low = static_cast<std::uint16_t>(*first);
        high = static_cast<std::uint16_t>(*last);
    }
}

bool ports_possible(const std::optional<std::uint8_t>& protocol) noexcept {
    // TCP, UDP, DCCP, SCTP, UDP-Lite have ports in their first four bytes.
    return protocol && (*protocol == kTcp || *protocol == 17 || *protocol == 33 ||
                        *protocol == 132 || *protocol == 136);
}

/// "+syn-ack": SYN is set and ACK is not.
void read_tcp_flags(Section& section, AclRule& rule) {
    static constexpr std::string_view kExample = "flags such as +syn-ack";
    const auto word = section.text("tcp_flags", kExample);
    if (!word) return;
    std::string_view rest = *word;
    if (rest.empty()) return section.problem("tcp_flags", "is empty: give flags such as +syn-ack");
    while (!rest.empty()) {
        const char sign = rest.front();
        const auto end = rest.find_first_of("+-", 1);
        const std::string_view name = rest.substr(1, end == rest.npos ? rest.npos : end - 1);
        const auto found = std::find(kTcpFlags.begin(), kTcpFlags.end(), name);
        if ((sign != '+' && sign != '-') || found == kTcpFlags.end()) {
            return section.problem("tcp_flags",
                                   "\"" + *word +
                                       "\" must be + or - before each of fin, syn, "
                                       "rst, psh, ack, urg, ece, cwr, such as +syn-ack");
        }
        const auto bit = static_cast<std::uint8_t>(1u << (found - kTcpFlags.begin()));
        if ((rule.tcp_flags_mask & bit) != 0) {
            return section.problem("tcp_flags", std::string(name) + " is given twice: keep one");
        }
        rule.tcp_flags_mask |= bit;
        if (sign == '+') rule.tcp_flags_value |= bit;
        rest = end == rest.npos ? std::string_view{} : rest.substr(end);
    }
}

void read_layer_four(Section& section, AclRule& rule) {
    read_ports(section, "source_ports", rule.source_port_low, rule.source_port_high);
    read_ports(section, "destination_ports", rule.destination_port_low, rule.destination_port_high);
    for (const std::string_view key : {"source_ports", "destination_ports"}) {
        if (section.has(key) && !ports_possible(rule.protocol)) {
            section.problem(key, "needs a protocol that has ports beside it: tcp, udp or sctp");
        }
    }
    read_tcp_flags(section, rule);
    if (section.has("tcp_flags") && rule.protocol != kTcp) {
        section.problem("tcp_flags", "needs protocol: tcp beside it");
    }
    const auto take = [&section](std::string_view key, std::optional<std::uint8_t>& out) {
        if (const auto value = section.number(key, 0, 255)) {
            out = static_cast<std::uint8_t>(*value);
        }
    };
    take("icmp_type", rule.icmp_type);
    take("icmp_code", rule.icmp_code);
    if (section.has("icmp_type") && rule.protocol != kIcmp && rule.protocol != kIcmpv6) {
        section.problem("icmp_type", "needs protocol: icmp or icmpv6 beside it");
    } else if (section.has("icmp_code") && !section.has("icmp_type")) {
        section.problem("icmp_code", "needs icmp_type beside it");
    }
}

void read_fragment(Section& section, AclRule& rule) {
    static constexpr std::array<std::string_view, 4> kWords{"any", "not_fragment", "fragment",
                                                            "later"};
    if (const auto match = section.choice("fragment", kWords)) {
        rule.fragment = static_cast<FragmentMatch>(*match);
    }
    if (rule.fragment != FragmentMatch::later) return;
    for (const std::string_view key :
         {"source_ports", "destination_ports", "tcp_flags", "icmp_type"}) {
        if (!section.has(key)) continue;
        section.problem(key,
                        "is in the first fragment only, so that the rule never matches beside "
                        "fragment: later: remove one of them");
    }
}

/// The family that the rule's parts agree on; none: it is for both.
std::optional<net::IpFamily> read_family(Section& section, const AclRule& rule,
                                         const std::optional<net::IpPrefix>& source,
                                         const std::optional<net::IpPrefix>& destination) {
    static constexpr std::array<std::string_view, 2> kFamilies{"ipv4", "ipv6"};
    struct Claim {
        std::string_view key;
        std::optional<net::IpFamily> family;
    };
    std::array<Claim, 4> claims{};
    if (const auto word = section.choice("family", kFamilies)) {
        claims[0] = {"family", *word == 0 ? net::IpFamily::ipv4 : net::IpFamily::ipv6};
    }
    if (source) claims[1] = {"source", source->address.family};
    if (destination) claims[2] = {"destination", destination->address.family};
    if (rule.protocol == kIcmp) claims[3] = {"protocol", net::IpFamily::ipv4};
    if (rule.protocol == kIcmpv6) claims[3] = {"protocol", net::IpFamily::ipv6};
    const Claim* first = nullptr;
    for (const Claim& claim : claims) {
        if (!claim.family) continue;
        if (first == nullptr) {
            first = &claim;
        } else if (claim.family != first->family) {
            const bool is_ipv4 = claim.family == net::IpFamily::ipv4;
            section.problem(claim.key, std::string("is IPv") + (is_ipv4 ? "4" : "6") + ", but " +
                                           std::string(first->key) + " is IPv" +
                                           (is_ipv4 ? "6" : "4") +
                                           ": a rule is for one family, make two");
        }
    }
    return first == nullptr ? std::nullopt : first->family;
}

net::IpPrefix any_of(net::IpFamily family) noexcept {
    net::IpPrefix any;
    any.address.family = family;
    return any;
}

}  // namespace

void read_acl_rule(const Node& node, std::string path, std::vector<AclRule>& rules,
                   Problems& problems) {
    static constexpr std::array<std::string_view, 3> kActions{"deny", "permit", "count"};
    Section section(node, std::move(path), problems);
    AclRule rule;
    section.require("action", "deny, permit or count");
    if (const auto action = section.choice("action", kActions)) {
        rule.action = static_cast<AclAction>(*action);
    }
    read_protocol(section, rule);
    const auto source = section.prefix("source");
    const auto destination = section.prefix("destination");
    const auto family = read_family(section, rule, source, destination);
    read_layer_four(section, rule);
    if (const auto dscp = section.number("dscp", 0, 63)) {
        rule.dscp = static_cast<std::uint8_t>(*dscp);
    }
    read_fragment(section, rule);
    section.finish();
    for (const auto one : {net::IpFamily::ipv4, net::IpFamily::ipv6}) {
        if (family && *family != one) continue;
        rule.family = one;
        rule.source = source.value_or(any_of(one));
        rule.destination = destination.value_or(any_of(one));
        rules.push_back(rule);
    }
}

Acl read_acl(const Node& node, std::string path, Problems& problems) {
    static constexpr std::array<std::string_view, 2> kDefaults{"deny", "permit"};
    Section section(node, std::move(path), problems);
    Acl acl;
    section.require("name", "what people call the ACL");
    acl.name = section.name("name").value_or("");
    section.require("default", "permit or deny: what happens when no rule matches");
    acl.default_permit = section.choice("default", kDefaults).value_or(0) == 1;
    section.each("rules", [&](const Node& item, std::string item_path) {
        read_acl_rule(item, std::move(item_path), acl.rules, problems);
    });
    section.finish();
    return acl;
}

}  // namespace wye::manifest
