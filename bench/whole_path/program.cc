// Programs wye-dataplane for the whole-path measurement, over the session socket as the shim would,
// and leaves: forwarding goes on. The frames that then arrive are those of bench/harness/frames.py.
//
//   port "source", untagged   tenant red: ACL of 100 rules, the last one permits
//   red's table               1000 prefixes 10.x.y.0/24 by the GENEVE tunnel
//   port "source", VLAN 100   the underlay, by which the tunnel packets leave
//
// usage: program SESSION_SOCKET
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/ring/handshake.hh"
#include "dataplane/ring/text.hh"

namespace wye {
namespace {

using ring::Command;
using ring::Opcode;
using ring::Stream;

constexpr unsigned kRoutes = 1000;
constexpr unsigned kRules = 100;
constexpr std::uint32_t kVni = 5001;
constexpr std::uint16_t kUnderlayVlan = 100;
constexpr std::chrono::seconds kPatience{30};

enum : ring::Handle { kUnderlay = 1, kRed = 2 };               // tenants, VRFs, next hops, groups
enum : ring::Handle { kCarrier = 1, kSite = 2, kInside = 3 };  // vports
constexpr ring::Handle kPort = 1, kTunnel = 1, kAcl = 1;

ObjectName name(std::string_view text) {
    return ObjectName::from(text).value();
}
net::IpAddress ip(std::string_view text) {
    return net::parse_ip(text).value();
}
net::MacAddress mac(std::string_view text) {
    return net::parse_mac(text).value();
}

/// What one stream is to execute, in order.
class Batch {
  public:
    ring::Command::Body& add(Opcode opcode) {
        Command& command = commands_.emplace_back();
        command.header.opcode = opcode;
        command.header.sequence = static_cast<std::uint32_t>(commands_.size());
        return command.body;
    }
    void add(Opcode opcode, ring::Handle object) { add(opcode).object = {object}; }
    [[nodiscard]] std::span<const Command> commands() const { return commands_; }

  private:
    std::vector<Command> commands_;
};

void add_tenant(Batch& batch, ring::Handle handle, std::string_view text, bool underlay) {
    ring::TenantSet tenant{};
    tenant.tenant = handle;
    tenant.name = name(text);
    batch.add(Opcode::tenant_set).tenant = tenant;
    ring::VrfSet vrf{};
    vrf.vrf = vrf.tenant = handle;
    vrf.name = name(text);
    vrf.underlay = underlay ? 1 : 0;
    batch.add(Opcode::vrf_set).vrf = vrf;
}

ring::VportSet vport(ring::Handle handle, std::string_view text, ring::Handle tenant) {
    ring::VportSet vport{};
    vport.vport = handle;
    vport.tenant = vport.vrf = tenant;
    vport.name = name(text);
    vport.mac = mac("02:00:00:00:00:01");
    vport.mtu = 1500;
    vport.vlan = vport.inner_vlan = kNoVlan;
    vport.kind = VportKind::port;
    vport.port = kPort;
    vport.admin_up = 1;
    return vport;
}

void add_acl(Batch& batch) {
    ring::AclBegin begin{};
    begin.acl = kAcl;
    begin.tenant = kRed;
    begin.name = name("site-in");
    begin.rules = kRules;
    batch.add(Opcode::acl_begin).acl = begin;
    for (unsigned i = 0; i < kRules; ++i) {
        const bool last = i + 1 == kRules;
        ring::AclRule rule{};
        rule.acl = kAcl;
        rule.index = i;
        rule.source = rule.destination = {ip("0.0.0.0"), 0};
        // 192.168.x.0/24, TCP: like the packets in nothing, but all must be ruled out.
        const std::uint32_t prefix = 0xc0a80000u | i << 8;
        if (!last) rule.destination = {net::Ipv4Address::from_host(prefix), 24};
        rule.source_port_high = rule.destination_port_high = 0xffff;
        rule.family = net::IpFamily::ipv4;
        rule.any_protocol = last ? 1 : 0;
        rule.protocol = last ? 0 : 6;
        rule.any_icmp = rule.any_icmp_code = rule.any_dscp = 1;
        rule.action = last ? AclAction::permit : AclAction::deny;
        batch.add(Opcode::acl_rule).rule = rule;
    }
    batch.add(Opcode::acl_commit, kAcl);
}

Batch policy() {
    Batch batch;
    batch.add(Opcode::replay_begin);
    add_tenant(batch, kUnderlay, "underlay", true);
    add_tenant(batch, kRed, "red", false);
    ring::PortBind port{};
    port.port = kPort;
    port.name = name("source");
    batch.add(Opcode::port_bind).port = port;
    ring::TunnelSet tunnel{};
    tunnel.tunnel = kTunnel;
    tunnel.underlay_vrf = kUnderlay;
    tunnel.name = name("red-far");
    tunnel.local = ip("192.0.2.1");
    tunnel.remote = ip("192.0.2.2");
    tunnel.vni = kVni;
    tunnel.kind = TunnelKind::geneve;
    batch.add(Opcode::tunnel_set).tunnel = tunnel;

    batch.add(Opcode::transaction_begin, kUnderlay);
    ring::VportSet carrier = vport(kCarrier, "carrier", kUnderlay);
    carrier.vlan = kUnderlayVlan;
    batch.add(Opcode::vport_set).vport = carrier;
    batch.add(Opcode::transaction_commit, kUnderlay);

    batch.add(Opcode::transaction_begin, kRed);
    add_acl(batch);
    ring::VportSet site = vport(kSite, "red-site", kRed);
    site.ingress_acl = kAcl;
    batch.add(Opcode::vport_set).vport = site;
    ring::VportSet inside = vport(kInside, "red-inside", kRed);
    inside.kind = VportKind::tunnel;
    inside.port = ring::kNoHandle;
    inside.tunnel = kTunnel;
    batch.add(Opcode::vport_set).vport = inside;
    batch.add(Opcode::transaction_commit, kRed);
    batch.add(Opcode::replay_end);
    return batch;
}

/// A resolved gateway on a vport, and a group of it alone.
void add_gateway(Batch& batch, ring::Handle handle, ring::Handle on, std::string_view address) {
    ring::NextHopSet nexthop{};
    nexthop.nexthop = handle;
    nexthop.vport = on;
    nexthop.gateway = ip(address);
    nexthop.kind = NextHopKind::adjacency;
    batch.add(Opcode::nexthop_set).nexthop = nexthop;
    ring::GroupSet group{};
    group.group = handle;
    group.total = group.count = 1;
    group.members[0] = {handle, 1};
    batch.add(Opcode::group_set).group = group;
    ring::NeighborSet neighbor{};
    neighbor.vport = on;
    neighbor.address = ip(address);
    neighbor.mac = mac("02:00:00:00:00:03");
    batch.add(Opcode::neighbor_set).neighbor = neighbor;
}

void add_route(Batch& batch, ring::Handle handle, const net::IpPrefix& prefix) {
    ring::RouteSet route{};
    route.vrf = route.group = handle;
    route.prefix = prefix;
    route.protocol = static_cast<std::uint8_t>(ring::RouteProtocol::statically);
    batch.add(Opcode::route_set).route = route;
}

Batch routes() {
    Batch batch;
    batch.add(Opcode::replay_begin);
    add_gateway(batch, kUnderlay, kCarrier, "192.0.2.2");
    add_route(batch, kUnderlay, {ip("192.0.2.2"), 32});
    add_gateway(batch, kRed, kInside, "169.254.0.2");
    for (std::uint32_t i = 0; i < kRoutes; ++i) {
        add_route(batch, kRed, {net::Ipv4Address::from_host(0x0a000000u | i << 8), 24});
    }
    batch.add(Opcode::replay_end);
    return batch;
}

/// Sends all and waits for all completions; the epoch in which the last one was published.
Result<std::uint64_t> execute(ring::Channel& channel, Stream stream, const Batch& batch) {
    constexpr std::size_t kAtOnce = 256;
    const auto until = std::chrono::steady_clock::now() + kPatience;
    const auto commands = batch.commands();
    std::size_t sent = 0, done = 0;
    std::uint64_t epoch = 0;
    while (done < commands.size()) {
        const auto next = commands.subspan(sent, std::min(kAtOnce, commands.size() - sent));
        if (!next.empty() && channel.send(stream, next)) sent += next.size();
        ring::Completion completions[64];
        const std::size_t got = channel.receive_completions(stream, completions);
        for (const auto& completion : std::span(completions).first(got)) {
            if (completion.outcome != ring::Outcome::accepted) {
                return fail("command " + std::to_string(completion.sequence) + " (" +
                            std::string(ring::to_string(completion.opcode)) +
                            "): " + std::string(ring::outcome_words(completion.outcome)));
            }
            epoch = completion.epoch;
        }
        done += got;
        if (got != 0) continue;
        if (std::chrono::steady_clock::now() > until) return fail("no completion in time");
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return epoch;
}

Status wait_until_installed(ring::Channel& channel, std::uint64_t epoch) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < until) {
        ring::Event events[64];
        const std::size_t got = channel.receive_events(events);
        for (const auto& event : std::span(events).first(got)) {
            if (event.kind == ring::EventKind::epoch_reached && event.epoch >= epoch) return {};
        }
        if (got == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return fail("the workers did not reach epoch " + std::to_string(epoch) + " in time");
}

Status program(const std::string& socket) {
    auto session = ring::connect_session(socket);
    if (!session) return tl::unexpected(session.error());
    if (auto done = execute(session->channel, Stream::policy, policy()); !done) {
        return tl::unexpected(done.error());
    }
    const auto epoch = execute(session->channel, Stream::routes, routes());
    if (!epoch) return tl::unexpected(epoch.error());
    return wait_until_installed(session->channel, *epoch);
}

}  // namespace
}  // namespace wye

int main(int count, char** arguments) {
    if (count != 2) {
        std::fprintf(stderr, "usage: program SESSION_SOCKET\n");
        return 2;
    }
    if (const auto done = wye::program(arguments[1]); !done) {
        std::fprintf(stderr, "program: %s\n", done.error().text.c_str());
        return 1;
    }
    return 0;
}
