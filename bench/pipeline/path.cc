#include "bench/pipeline/path.hh"

namespace wye::pipeline::test {
namespace {

std::vector<table::AclRuleSpec> rules(unsigned count) {
    std::vector<table::AclRuleSpec> rules;
    for (std::uint32_t i = 0; i + 1 < count; ++i) {
        table::AclRuleSpec rule;
        rule.destination = {net::Ipv4Address::from_host(0xc0a80000u | i << 8), 24};
        rule.any_protocol = false;
        rule.protocol = 6;
        rules.push_back(rule);
    }
    rules.emplace_back().action = AclAction::permit;
    return rules;
}

/// Address `host` in prefix number `route`: a /24 of 10.0.0.0/8, or a /48 of 2001:db8::/32.
std::string address(net::IpFamily family, std::uint32_t route, std::uint32_t host) {
    if (family == net::IpFamily::ipv4) {
        return net::to_string(net::Ipv4Address::from_host(0x0a000000u | route << 8 | host));
    }
    net::IpAddress made = *net::parse_ip("2001:db8::");
    made.bytes[4] = static_cast<std::uint8_t>(route >> 8);
    made.bytes[5] = static_cast<std::uint8_t>(route);
    made.bytes[15] = static_cast<std::uint8_t>(host);
    return net::to_string(made);
}

}  // namespace

// std::mt19937 gives the same numbers everywhere; distributions do not.
Path::Path(net::IpFamily family, const VportOptions& site)
    : family_(family), site_(router_.add_vport(red_, site)) {
    const bool six = family == net::IpFamily::ipv6;
    const std::size_t headers = 14 + (six ? 40 : 20) + 8;
    std::mt19937 random(1);
    for (std::size_t i = 0; i < kFlows; ++i) {
        const std::string destination =
            address(family, static_cast<std::uint32_t>(random() % kRoutes), 1);
        const auto port = static_cast<std::uint16_t>(1024 + random() % 60000);
        templates_.push_back(ethernet(
            {}, ip_packet(
                    {.source = six ? "2001:db8:ffff::1" : "172.16.0.1", .destination = destination},
                    udp(port, 443, Bytes(kFrameLength - headers)))));
    }
}

void Path::run_burst() {
    std::array<Frame, kMaxBurst> frames;
    for (std::size_t i = 0; i < kMaxBurst; ++i) {
        const Bytes& bytes = templates_[next_];
        Frame& frame = frames[i];
        frame = {};
        frame.headroom = kMinHeadroom;
        frame.data = memory_.get() + i * kBufferBytes + kMinHeadroom;
        frame.length = static_cast<std::uint32_t>(bytes.size());
        frame.tailroom = static_cast<std::uint16_t>(kBufferBytes - kMinHeadroom - bytes.size());
        std::memcpy(frame.data, bytes.data(), bytes.size());
        next_ = (next_ + 1) % kFlows;
    }
    run_from_port(router_.context, kPort, frames);
    const PortOutput& output = (*router_.context.outputs)[kPort.value];
    if (output.count != kMaxBurst) std::abort();
    book_transmitted(router_.context, kPort, output.count);
}

void Path::add_routes(NextHopId nexthop) {
    for (std::uint32_t i = 0; i < kRoutes; ++i) {
        const char* length = family_ == net::IpFamily::ipv4 ? "/24" : "/48";
        router_.add_route(red_, address(family_, i, 0) + length, nexthop);
    }
}

void Path::add_acl(VportId vport) {
    const auto acl = router_.add_acl(rules(kRules), false, 0);
    router_.change_vport(vport, [acl](table::VportPolicy& policy) { policy.ingress_acl = acl; });
}

NextHopId Path::plain_nexthop() {
    const VportId other = router_.add_vport(red_, {.vlan = 100});
    return router_.add_nexthop(NextHopKind::adjacency, other,
                               family_ == net::IpFamily::ipv4 ? "169.254.0.2" : "fe80::2",
                               "02:00:00:00:00:03");
}

NextHopId Path::tunnel_nexthop(TunnelKind kind, std::uint16_t carrier_vlan) {
    const TunnelId tunnel = router_.add_tunnel({.kind = kind,
                                                .local = "192.0.2.1",
                                                .remote = "192.0.2.2",
                                                .vni = 5001,
                                                .underlay = underlay_});
    carrier_ = router_.add_vport(underlay_, {.vlan = carrier_vlan});
    router_.add_route(
        underlay_, "192.0.2.0/24",
        router_.add_nexthop(NextHopKind::adjacency, carrier_, "192.0.2.2", "02:00:00:00:00:03"));
    inside_ = router_.add_vport(red_, {.tunnel = tunnel});
    return router_.add_nexthop(NextHopKind::adjacency, inside_, "169.254.0.2", "02:00:00:00:00:03");
}

void Path::wrap(TunnelKind kind) {
    const bool geneve = kind == TunnelKind::geneve;
    const Bytes header = from_hex(geneve ? "00006558 00138900" : "08000000 00138900");
    for (std::size_t i = 0; i < kFlows; ++i) {
        Bytes payload = header;
        payload.insert(payload.end(), templates_[i].begin(), templates_[i].end());
        const auto port = static_cast<std::uint16_t>(49152 + i % 16384);
        templates_[i] = ethernet({}, ip_packet({.source = "192.0.2.2", .destination = "192.0.2.1"},
                                               udp(port, geneve ? 6081 : 4789, payload)));
    }
}

}  // namespace wye::pipeline::test
