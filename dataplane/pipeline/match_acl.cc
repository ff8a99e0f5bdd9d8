#include "dataplane/pipeline/match_acl.hh"

#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "dataplane/table/acl.hh"
#include "dataplane/table/acl_key.hh"
#include "dataplane/table/vport.hh"

namespace wye::pipeline {
namespace {

std::uint64_t layer4_word(const Packet& packet, std::uint8_t traffic_class) noexcept {
    const bool icmp = table::is_icmp(packet.protocol);
    return table::acl_layer4_word(icmp ? packet.icmp_type : packet.source_port,
                                  icmp ? packet.icmp_code : packet.destination_port,
                                  packet.protocol, packet.tcp_flags, traffic_class >> 2,
                                  table::acl_state(packet.l4_offset != kNoOffset,
                                                   packet.is_fragment, packet.is_later_fragment));
}

void fill(table::Acl4Query& query, table::Ref<table::Acl> acl, const Packet& packet) noexcept {
    const auto& ip = net::header<net::Ipv4Header>(packet.l3());
    query.acl = acl;
    table::pack_acl_addresses(ip.source, ip.destination, query);
    query.words[1] = layer4_word(packet, ip.tos);
    query.words[2] = 0;
}

void fill(table::Acl6Query& query, table::Ref<table::Acl> acl, const Packet& packet) noexcept {
    const auto& ip = net::header<net::Ipv6Header>(packet.l3());
    query.acl = acl;
    table::pack_acl_addresses(ip.source, ip.destination, query);
    query.words[4] = layer4_word(packet, ip.traffic_class());
    query.words[5] = 0;
}

bool account(Context& context, const Packet& packet, table::Ref<table::Acl> acl,
             const table::AclVerdict& verdict) noexcept {
    return account_acl(context.counters.rules + table::acl_counter_base(context.arena, acl),
                       verdict, packet.length);
}

template <class Query>
bool permits(Context& context, const Packet& packet, table::Ref<table::Acl> acl) noexcept {
    Query query;
    fill(query, acl, packet);
    table::match_acls(context.arena, std::span(&query, 1));
    return account(context, packet, acl, query.verdict);
}

/// The queries of one family, and whose they are.
template <class Query>
struct Asked {
    std::array<Query, kMaxBurst>& queries;
    std::array<std::uint8_t, kMaxBurst> of;
    std::size_t count = 0;

    void add(std::size_t i, table::Ref<table::Acl> acl, const Packet& packet) noexcept {
        fill(queries[count], acl, packet);
        of[count++] = static_cast<std::uint8_t>(i);
    }
    void match(Context& context, Denied& denied) noexcept {
        if (count == 0) return;
        table::match_acls(context.arena, std::span(queries).first(count));
        for (std::size_t k = 0; k < count; ++k) {
            const Packet& packet = context.burst->packets[of[k]];
            const Query& query = queries[k];
            denied[of[k]] = !account(context, packet, query.acl, query.verdict);
        }
    }
};

}  // namespace

Denied match_ingress_acls(Context& context, const Live& live) noexcept {
    Burst& burst = *context.burst;
    Asked<table::Acl4Query> asked4{burst.acls4, {}};
    Asked<table::Acl6Query> asked6{burst.acls6, {}};
    for (const std::size_t i : live) {
        const Packet& packet = burst.packets[i];
        if (packet.origin == Origin::router) continue;  // an ICMP error about what was not admitted
        const table::Ref<table::Acl> acl = packet.in_policy->ingress_acl;
        if (!acl) continue;
        if (packet.family == net::IpFamily::ipv4) {
            asked4.add(i, acl, packet);
        } else {
            asked6.add(i, acl, packet);
        }
    }
    Denied denied;
    asked4.match(context, denied);
    asked6.match(context, denied);
    return denied;
}

Verdict match_egress_acl(Context& context, const Packet& packet,
                         const table::VportPolicy& out) noexcept {
    const table::Ref<table::Acl> acl = out.egress_acl;
    if (!acl || packet.origin == Origin::router) return Verdict::go_on();
    const bool passes = packet.family == net::IpFamily::ipv4
                            ? permits<table::Acl4Query>(context, packet, acl)
                            : permits<table::Acl6Query>(context, packet, acl);
    return passes ? Verdict::go_on() : Verdict::drop(table::Reason::acl_egress_denied);
}

}  // namespace wye::pipeline
