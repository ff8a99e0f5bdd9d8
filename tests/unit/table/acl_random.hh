// Random ACL rules and keys that crowd together, for the ACL tests, the fuzz target and benchmarks.
// `Source` gives 32-bit numbers: source(n) is one below n.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "dataplane/net/ip_protocol.hh"
#include "dataplane/table/acl.hh"

namespace wye::table {

template <class Source>
class AclCrowd {
  public:
    explicit AclCrowd(Source& source) : source_(source) {}

    net::IpAddress address(net::IpFamily family) {
        net::IpAddress a;
        a.family = family;
        static constexpr std::uint8_t kValues[] = {0, 255, 10, 128, 1};
        const std::uint32_t spread = 2 + source_(4);
        for (unsigned i = 0; i < net::address_bits(family) / 8u; ++i) {
            a.bytes[i] = kValues[source_(spread) % 5];
        }
        return a;
    }
    net::IpPrefix prefix(net::IpFamily family) {
        if (source_(4) == 0) return {};
        const auto length = static_cast<std::uint8_t>(source_(net::address_bits(family) + 1u));
        return {net::mask(address(family), length), length};
    }
    std::uint16_t port() {
        static constexpr std::uint16_t kValues[] = {0, 1, 22, 80, 1023, 1024, 65534, 65535};
        return source_(8) == 0 ? static_cast<std::uint16_t>(source_(65536)) : kValues[source_(8)];
    }
    std::uint8_t protocol() {
        static constexpr std::uint8_t kValues[] = {net::protocol::tcp,  net::protocol::udp,
                                                   net::protocol::icmp, net::protocol::icmpv6,
                                                   net::protocol::sctp, 47};
        return kValues[source_(6)];
    }
    void port_range(std::uint16_t& low, std::uint16_t& high) {
        if (source_(2) == 0) return;
        low = port();
        high = source_(2) == 0 ? low : port();
        if (low > high) std::swap(low, high);
    }
    AclRuleSpec rule(net::IpFamily family) {
        AclRuleSpec rule;
        rule.family = family;
        rule.source = prefix(family);
        rule.destination = prefix(family);
        rule.any_protocol = source_(4) == 0;
        if (!rule.any_protocol) layer4(rule);
        if (source_(5) == 0) {
            rule.any_dscp = false;
            rule.dscp = static_cast<std::uint8_t>(source_(3) * 23);
        }
        if (source_(4) == 0) rule.fragment = static_cast<FragmentMatch>(source_(4));
        rule.action = static_cast<AclAction>(source_(3));
        return rule;
    }
    AclKey key(net::IpFamily family) {
        AclKey key;
        key.source = address(family);
        key.destination = address(family);
        key.protocol = protocol();
        key.has_ports = source_(6) != 0;
        key.is_later_fragment = source_(8) == 0;
        key.is_fragment = key.is_later_fragment || source_(6) == 0;
        if (key.is_later_fragment) key.has_ports = false;
        key.dscp = static_cast<std::uint8_t>(source_(2) == 0 ? source_(64) : source_(3) * 23);
        if (!key.has_ports) return key;
        key.source_port = port();
        key.destination_port = port();
        key.icmp_type = static_cast<std::uint8_t>(source_(4) * 3);
        key.icmp_code = static_cast<std::uint8_t>(source_(3));
        key.tcp_flags = static_cast<std::uint8_t>(source_(256));
        return key;
    }

  private:
    void layer4(AclRuleSpec& rule) {
        rule.protocol = protocol();
        if (net::has_port_numbers(rule.protocol)) {
            port_range(rule.source_port_low, rule.source_port_high);
            port_range(rule.destination_port_low, rule.destination_port_high);
        }
        if (rule.protocol == net::protocol::tcp && source_(3) == 0) {
            rule.tcp_flags_mask = static_cast<std::uint8_t>(source_(256));
            rule.tcp_flags_value = static_cast<std::uint8_t>(rule.tcp_flags_mask & source_(256));
        }
        const bool is_icmp =
            rule.protocol == net::protocol::icmp || rule.protocol == net::protocol::icmpv6;
        if (is_icmp && source_(2) == 0) {
            rule.any_icmp = false;
            rule.icmp_type = static_cast<std::uint8_t>(source_(4) * 3);
            rule.any_icmp_code = source_(2) == 0;
            rule.icmp_code = static_cast<std::uint8_t>(rule.any_icmp_code ? 0 : source_(3));
        }
    }
    Source& source_;
};

}  // namespace wye::table
