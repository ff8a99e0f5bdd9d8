#include "dataplane/pipeline/match_acl.hh"

#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "dataplane/table/vport.hh"

namespace wye::pipeline {
namespace {

bool permits(Context& context, const Packet& packet, table::Ref<table::Acl> acl) noexcept {
    const table::AclVerdict verdict = table::match_acl(context.arena, acl, make_acl_key(packet));
    table::PacketsAndBytes* rules =
        context.counters.rules + table::acl_counter_base(context.arena, acl);
    for (std::uint8_t i = 0; i < verdict.counted; ++i) {
        rules[verdict.count_rules[i]].add(packet.length);
    }
    if (verdict.rule != table::kNoRule) rules[verdict.rule].add(packet.length);
    return verdict.permit;
}

}  // namespace

table::AclKey make_acl_key(const Packet& packet) noexcept {
    table::AclKey key;
    if (packet.family == net::IpFamily::ipv4) {
        const auto& ip = net::header<net::Ipv4Header>(packet.l3());
        key.source = ip.source;
        key.destination = ip.destination;
        key.dscp = static_cast<std::uint8_t>(ip.tos >> 2);
    } else {
        const auto& ip = net::header<net::Ipv6Header>(packet.l3());
        key.source = ip.source;
        key.destination = ip.destination;
        key.dscp = static_cast<std::uint8_t>(ip.traffic_class() >> 2);
    }
    key.source_port = packet.source_port;
    key.destination_port = packet.destination_port;
    key.protocol = packet.protocol;
    key.icmp_type = packet.icmp_type;
    key.icmp_code = packet.icmp_code;
    key.tcp_flags = packet.tcp_flags;
    key.has_ports = packet.l4_offset != kNoOffset;
    key.is_fragment = packet.is_fragment;
    key.is_later_fragment = packet.is_later_fragment;
    return key;
}

Verdict match_ingress_acl(Context& context, const Packet& packet) noexcept {
    const table::Ref<table::Acl> acl = packet.in_policy->ingress_acl;
    if (!acl || permits(context, packet, acl)) return Verdict::go_on();
    return Verdict::drop(table::Reason::acl_ingress_denied);
}

Verdict match_egress_acl(Context& context, const Packet& packet,
                         const table::VportPolicy& out) noexcept {
    if (!out.egress_acl || packet.origin == Origin::router ||
        permits(context, packet, out.egress_acl)) {
        return Verdict::go_on();
    }
    return Verdict::drop(table::Reason::acl_egress_denied);
}

}  // namespace wye::pipeline
