#include "tests/programmer/programmer.hh"

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "dataplane/ring/text.hh"

namespace wye::testing {
namespace {

constexpr std::chrono::seconds kPatience{20};

template <class T>
T must_have(std::optional<T> value, std::string_view text) {
    if (!value) throw std::invalid_argument("not understood: " + std::string(text));
    return *value;
}

[[noreturn]] void refused(const ring::Completion& completion) {
    throw std::runtime_error(std::string(ring::to_string(completion.opcode)) +
                             " refused: " + std::string(ring::to_string(completion.outcome)) +
                             " (" + std::to_string(completion.detail) + ")");
}

std::size_t index_of(ring::Stream stream) {
    return static_cast<std::size_t>(stream);
}

}  // namespace

net::IpAddress ip(std::string_view text) {
    return must_have(net::parse_ip(text), text);
}
net::IpPrefix prefix(std::string_view text) {
    return must_have(net::parse_prefix(text), text);
}
net::MacAddress mac(std::string_view text) {
    return must_have(net::parse_mac(text), text);
}
ObjectName object_name(std::string_view text) {
    return must_have(ObjectName::from(text), text);
}

ring::Command make_command(ring::Opcode opcode) {
    ring::Command command;
    command.header.opcode = opcode;
    return command;
}

ring::Stream stream_of(ring::Opcode opcode) {
    return opcode >= ring::Opcode::nexthop_set ? ring::Stream::routes : ring::Stream::policy;
}

ring::AclRule any_rule(AclAction action, net::IpFamily family) {
    ring::AclRule rule{};
    rule.source.address.family = family;
    rule.destination.address.family = family;
    rule.source_port_high = rule.destination_port_high = 0xffff;
    rule.family = family;
    rule.any_protocol = rule.any_icmp = rule.any_icmp_code = rule.any_dscp = 1;
    rule.action = action;
    return rule;
}

Programmer::Programmer(ring::Channel channel, Pump pump)
    : channel_(std::move(channel)), pump_(std::move(pump)) {}

Programmer Programmer::connect(const std::string& socket_path) {
    auto session = ring::connect_session(socket_path);
    if (!session) throw std::runtime_error(session.error().text);
    Programmer programmer(std::move(session->channel));
    programmer.socket_ = std::move(session->socket);
    programmer.welcome_ = session->welcome;
    for (;;) {
        pollfd ready{programmer.socket_.get(), POLLIN, 0};
        if (::poll(&ready, 1, 5000) != 1) throw std::runtime_error("no twins_end");
        auto received = ring::receive_message(programmer.socket_.get());
        if (!received) throw std::runtime_error(received.error().text);
        if (received->state == ring::Received::State::nothing) continue;
        const auto kind = ring::kind_of(received->bytes);
        if (kind && *kind == ring::MessageKind::twins_end) return programmer;
        if (kind && ring::read_announcement(*kind, received->bytes, programmer.announced_))
            continue;
        auto twin = ring::decode<ring::TwinMessage>(received->bytes);
        if (!twin) throw std::runtime_error(twin.error().text);
        Descriptor descriptor;
        if (!received->descriptors.empty()) descriptor = std::move(received->descriptors[0]);
        programmer.twins.push_back({*twin, std::move(descriptor)});
    }
}

void Programmer::collect() {
    std::array<ring::Completion, 256> completions;
    for (const ring::Stream stream : {ring::Stream::policy, ring::Stream::routes}) {
        std::size_t count = 0;
        while ((count = channel_.receive_completions(stream, completions)) != 0) {
            for (std::size_t i = 0; i < count; ++i) {
                const ring::Completion& completion = completions[i];
                if (completion.sequence != completed_[index_of(stream)] + 1) {
                    throw std::runtime_error("completion out of order");
                }
                completed_[index_of(stream)] = completion.sequence;
                last_[index_of(stream)] = completion;
                last_epoch_ = std::max(last_epoch_, completion.epoch);
                if (completion.outcome != ring::Outcome::accepted) refusals_.push_back(completion);
            }
        }
    }
    std::array<ring::Event, 64> events;
    std::size_t count = 0;
    while ((count = channel_.receive_events(events)) != 0) {
        for (std::size_t i = 0; i < count; ++i) {
            if (events[i].kind == ring::EventKind::epoch_reached) {
                reached_ = std::max(reached_, events[i].epoch);
            } else {
                events_.push_back(events[i]);
            }
        }
    }
}

void Programmer::wait() {
    if (pump_) {
        pump_();
        return;
    }
    channel_.shim_prepare_sleep();
    pollfd ready{channel_.shim_wakeup(), POLLIN, 0};
    ::poll(&ready, 1, 1);
    channel_.shim_finish_sleep();
}

void Programmer::post(ring::Stream stream, ring::Command command) {
    command.header.sequence = ++sent_[index_of(stream)];
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!channel_.send(stream, {&command, 1})) {
        collect();
        wait();
        if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("no room");
    }
}
void Programmer::post(ring::Stream stream, std::span<ring::Command> commands) {
    for (ring::Command& command : commands) command.header.sequence = ++sent_[index_of(stream)];
    if (!channel_.send(stream, commands)) throw std::runtime_error("no room");
}
void Programmer::post(ring::Command command) {
    post(stream_of(command.header.opcode), command);
}

std::size_t Programmer::settle() {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    collect();
    while (completed_[0] != sent_[0] || completed_[1] != sent_[1]) {
        wait();
        collect();
        if (std::chrono::steady_clock::now() > deadline) {
            throw std::runtime_error("no completion");
        }
    }
    return refusals_.size();
}

ring::Completion Programmer::call(ring::Stream stream, ring::Command command) {
    settle();
    refusals_.clear();
    post(stream, command);
    settle();
    return last_[index_of(stream)];
}
ring::Completion Programmer::call(ring::Command command) {
    return call(stream_of(command.header.opcode), command);
}

void Programmer::reach(std::uint64_t epoch) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    collect();
    while (reached_ < epoch) {
        wait();
        collect();
        if (std::chrono::steady_clock::now() > deadline)
            throw std::runtime_error("epoch not reached");
    }
}
void Programmer::reach() {
    settle();
    reach(last_epoch_);
}

std::vector<ring::Event> Programmer::take_events() {
    collect();
    return std::exchange(events_, {});
}

void Programmer::must(const ring::Command& command) {
    const ring::Completion completion = call(command);
    if (completion.outcome != ring::Outcome::accepted) refused(completion);
}

void Programmer::begin_replay(ring::Stream stream) {
    const auto completion = call(stream, make_command(ring::Opcode::replay_begin));
    if (completion.outcome != ring::Outcome::accepted) refused(completion);
}
void Programmer::end_replay(ring::Stream stream) {
    const auto completion = call(stream, make_command(ring::Opcode::replay_end));
    if (completion.outcome != ring::Outcome::accepted) refused(completion);
}
void Programmer::begin_replay() {
    begin_replay(ring::Stream::policy);
    begin_replay(ring::Stream::routes);
}
void Programmer::end_replay() {
    end_replay(ring::Stream::policy);
    end_replay(ring::Stream::routes);
}

Handle Programmer::tenant(std::string_view name) {
    auto command = make_command(ring::Opcode::tenant_set);
    command.body.tenant.tenant = new_handle();
    command.body.tenant.name = object_name(name);
    must(command);
    return command.body.tenant.tenant;
}

Handle Programmer::vrf(Handle tenant, std::string_view name, bool underlay) {
    auto command = make_command(ring::Opcode::vrf_set);
    command.body.vrf.vrf = new_handle();
    command.body.vrf.tenant = tenant;
    command.body.vrf.name = object_name(name);
    command.body.vrf.underlay = underlay ? 1 : 0;
    must(command);
    return command.body.vrf.vrf;
}

Handle Programmer::port(std::string_view name) {
    auto command = make_command(ring::Opcode::port_bind);
    command.body.port.port = new_handle();
    command.body.port.name = object_name(name);
    must(command);
    return command.body.port.port;
}

namespace {

ring::Command vport_command(Handle handle, Handle tenant, Handle vrf, std::string_view name,
                            std::string_view mac_address, const VportOptions& options) {
    auto command = make_command(ring::Opcode::vport_set);
    ring::VportSet& vport = command.body.vport;
    vport.vport = handle;
    vport.tenant = tenant;
    vport.vrf = vrf;
    vport.name = object_name(name);
    vport.mac = mac(mac_address);
    vport.mtu = options.mtu;
    vport.vlan = options.vlan;
    vport.inner_vlan = options.inner_vlan;
    vport.ingress_acl = options.ingress_acl;
    vport.egress_acl = options.egress_acl;
    vport.admin_up = options.admin_up ? 1 : 0;
    return command;
}

}  // namespace

Handle Programmer::vport(Handle tenant, Handle vrf, Handle port, std::string_view name,
                         std::string_view mac_address, VportOptions options) {
    auto command = vport_command(new_handle(), tenant, vrf, name, mac_address, options);
    command.body.vport.kind = VportKind::port;
    command.body.vport.port = port;
    must(command);
    return command.body.vport.vport;
}

Handle Programmer::tunnel_vport(Handle tenant, Handle vrf, Handle tunnel, std::string_view name,
                                std::string_view mac_address, VportOptions options) {
    auto command = vport_command(new_handle(), tenant, vrf, name, mac_address, options);
    command.body.vport.kind = VportKind::tunnel;
    command.body.vport.tunnel = tunnel;
    must(command);
    return command.body.vport.vport;
}

Handle Programmer::tunnel(Handle underlay, std::string_view name, TunnelKind kind,
                          std::string_view local, std::string_view remote, std::uint32_t vni) {
    auto command = make_command(ring::Opcode::tunnel_set);
    ring::TunnelSet& tunnel = command.body.tunnel;
    tunnel.tunnel = new_handle();
    tunnel.underlay_vrf = underlay;
    tunnel.name = object_name(name);
    tunnel.kind = kind;
    tunnel.local = ip(local);
    tunnel.remote = ip(remote);
    tunnel.vni = vni;
    must(command);
    return tunnel.tunnel;
}

Handle Programmer::acl(Handle tenant, std::string_view name,
                       const std::vector<ring::AclRule>& rules, bool default_permit) {
    const Handle handle = new_handle();
    auto begin = make_command(ring::Opcode::acl_begin);
    begin.body.acl.acl = handle;
    begin.body.acl.tenant = tenant;
    begin.body.acl.name = object_name(name);
    begin.body.acl.rules = static_cast<std::uint32_t>(rules.size());
    begin.body.acl.default_permit = default_permit ? 1 : 0;
    must(begin);
    for (std::size_t i = 0; i < rules.size(); ++i) {
        auto command = make_command(ring::Opcode::acl_rule);
        command.body.rule = rules[i];
        command.body.rule.acl = handle;
        command.body.rule.index = static_cast<std::uint32_t>(i);
        post(command);
    }
    if (settle() != 0) refused(refusals_.front());
    remove(ring::Opcode::acl_commit, handle);
    return handle;
}

Handle Programmer::nexthop(NextHopKind kind, Handle vport, const net::IpAddress& gateway) {
    auto command = make_command(ring::Opcode::nexthop_set);
    command.body.nexthop.nexthop = new_handle();
    command.body.nexthop.kind = kind;
    command.body.nexthop.vport = vport;
    command.body.nexthop.gateway = gateway;
    must(command);
    return command.body.nexthop.nexthop;
}
Handle Programmer::adjacency(Handle vport, std::string_view gateway) {
    return nexthop(NextHopKind::adjacency, vport, ip(gateway));
}
Handle Programmer::glean(Handle vport) {
    return nexthop(NextHopKind::glean, vport, {});
}
Handle Programmer::local(Handle vport) {
    return nexthop(NextHopKind::local, vport, {});
}
Handle Programmer::special(NextHopKind kind) {
    return nexthop(kind, ring::kNoHandle, {});
}

void Programmer::send_group(Handle group, const std::vector<ring::GroupMember>& members) {
    for (std::size_t offset = 0; offset < members.size();) {
        auto command = make_command(ring::Opcode::group_set);
        ring::GroupSet& set = command.body.group;
        const std::size_t count =
            std::min<std::size_t>(members.size() - offset, ring::kMembersInOneCommand);
        set.group = group;
        set.total = static_cast<std::uint16_t>(members.size());
        set.offset = static_cast<std::uint16_t>(offset);
        set.count = static_cast<std::uint16_t>(count);
        std::copy_n(members.begin() + static_cast<std::ptrdiff_t>(offset), count,
                    set.members.begin());
        must(command);
        offset += count;
    }
}
Handle Programmer::group(const std::vector<ring::GroupMember>& members) {
    const Handle handle = new_handle();
    send_group(handle, members);
    return handle;
}
Handle Programmer::group(Handle nexthop) {
    return group({{nexthop, 1}});
}
void Programmer::change_group(Handle group, const std::vector<ring::GroupMember>& members) {
    send_group(group, members);
}

void Programmer::route(Handle vrf, std::string_view text, Handle group) {
    auto command = make_command(ring::Opcode::route_set);
    command.body.route.vrf = vrf;
    command.body.route.group = group;
    command.body.route.prefix = prefix(text);
    must(command);
}
void Programmer::delete_route(Handle vrf, std::string_view text) {
    auto command = make_command(ring::Opcode::route_delete);
    command.body.route_delete.vrf = vrf;
    command.body.route_delete.prefix = prefix(text);
    must(command);
}
void Programmer::neighbor(Handle vport, std::string_view address, std::string_view mac_address) {
    auto command = make_command(ring::Opcode::neighbor_set);
    command.body.neighbor.vport = vport;
    command.body.neighbor.address = ip(address);
    command.body.neighbor.mac = mac(mac_address);
    must(command);
}
void Programmer::delete_neighbor(Handle vport, std::string_view address) {
    auto command = make_command(ring::Opcode::neighbor_delete);
    command.body.neighbor_delete.vport = vport;
    command.body.neighbor_delete.address = ip(address);
    must(command);
}

void Programmer::remove(ring::Opcode opcode, Handle object) {
    auto command = make_command(opcode);
    command.body.object.object = object;
    must(command);
}
void Programmer::begin_transaction(Handle tenant) {
    remove(ring::Opcode::transaction_begin, tenant);
}
void Programmer::commit_transaction(Handle tenant) {
    remove(ring::Opcode::transaction_commit, tenant);
}
void Programmer::abort_transaction(Handle tenant) {
    remove(ring::Opcode::transaction_abort, tenant);
}

void Programmer::attach_twin(ring::TwinKind kind, std::string_view object, int descriptor,
                             std::uint32_t interface_index) {
    auto message = ring::make_message<ring::TwinMessage>();
    message.kind = kind;
    message.attach = 1;
    message.interface_index = interface_index;
    message.object = object_name(object);
    const auto sent = ring::send_message(socket_.get(), ring::bytes_of(message), {{descriptor}});
    if (!sent) throw std::runtime_error(sent.error().text);
}
void Programmer::detach_twin(ring::TwinKind kind, std::string_view object) {
    auto message = ring::make_message<ring::TwinMessage>();
    message.kind = kind;
    message.object = object_name(object);
    const auto sent = ring::send_message(socket_.get(), ring::bytes_of(message));
    if (!sent) throw std::runtime_error(sent.error().text);
}

}  // namespace wye::testing
