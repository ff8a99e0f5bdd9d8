// A kernel and a data plane for tests of state/: strict about order and references, able to refuse,
// to run out of room, to complete late and to lose its session or its tables.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane-shim/state/state.hh"

namespace wye::state {

class FakeKernel final : public kernel::Kernel {
  public:
    kernel::KernelSink* sink = nullptr;
    std::map<kernel::InterfaceKey, kernel::TwinSpec> twins;
    std::set<std::string> missing_namespaces;
    std::string refused_twin;
    std::vector<std::pair<net::IpAddress, bool>> asked;
    std::vector<net::IpAddress> forgotten, checked;
    std::uint32_t next_index = 100;

    Status open_vrf(const manifest::KernelVrf& vrf) override {
        if (missing_namespaces.contains(vrf.name)) return fail("no namespace " + vrf.name);
        return {};
    }
    void keep_vrfs(const std::vector<manifest::KernelVrf>&) override {}
    Result<kernel::Twin> make_twin(const kernel::TwinSpec& spec) override {
        if (spec.object == refused_twin) return fail("twin " + spec.interface + ": taken");
        for (const auto& [held, other] : twins)
            if (held.netns == netns_of(spec.vrf) && other.interface == spec.interface)
                return fail("twin " + spec.interface + ": the name is taken");
        kernel::InterfaceKey key{netns_of(spec.vrf), next_index++};
        twins[key] = spec;
        set_addresses(key, {}, spec.addresses);
        return kernel::Twin{key, {}};
    }
    Result<kernel::Twin> adopt_twin(const kernel::TwinSpec& spec, Descriptor) override {
        for (const auto& [key, held] : twins)
            if (held.kind == spec.kind && held.object == spec.object) return kernel::Twin{key, {}};
        return fail("there is no such twin");
    }
    Status change_twin(const kernel::Twin& twin, const kernel::TwinSpec& from,
                       const kernel::TwinSpec& to) override {
        twins[twin.interface] = to;
        set_addresses(twin.interface, from.addresses, to.addresses);
        return {};
    }
    void remove_twins(std::vector<std::pair<kernel::TwinSpec, kernel::Twin>> leaving) override {
        for (auto& [spec, twin] : leaving) {
            twins.erase(twin.interface);
            set_addresses(twin.interface, spec.addresses, {});
        }
    }
    void ask_neighbor(const kernel::InterfaceKey&, const net::IpAddress& address,
                      bool keep) override {
        asked.emplace_back(address, keep);
    }
    void check_neighbor(const kernel::InterfaceKey&, const net::IpAddress& address) override {
        checked.push_back(address);
    }
    void forget_neighbor(const kernel::InterfaceKey&, const net::IpAddress& address) override {
        forgotten.push_back(address);
    }
    [[nodiscard]] kernel::InterfaceKey twin_of(const std::string& object) const {
        for (const auto& [key, spec] : twins)
            if (spec.kind == ring::TwinKind::vport_tap && spec.object == object) return key;
        return {};
    }

  private:
    void set_addresses(const kernel::InterfaceKey& key,
                       const std::vector<net::InterfaceAddress>& from,
                       const std::vector<net::InterfaceAddress>& to) {
        for (const auto& own : from)
            if (std::find(to.begin(), to.end(), own) == to.end())
                sink->address_changed(key, own, false);
        for (const auto& own : to)
            if (std::find(from.begin(), from.end(), own) == from.end())
                sink->address_changed(key, own, true);
    }
};

class FakeDataplane final : public CommandSink {
  public:
    // What it holds, by name: survives sessions.
    std::map<std::pair<std::string, net::IpPrefix>, std::string> routes;
    std::map<std::pair<std::string, net::IpAddress>, net::MacAddress> neighbors;
    std::map<std::string, std::string> vports;  // name → attachment
    std::map<std::string, std::size_t> acls;    // name → rules
    std::set<std::string> tenants, vrfs, tunnels;
    std::map<std::pair<ring::TwinKind, std::string>, bool> twins;

    std::set<std::string> known_ports{"p0", "p1"};
    std::string refused_vport;  // vlan_conflict
    std::size_t max_routes = 1u << 20;
    std::size_t room = 64;  // commands
    unsigned frees_pending_every = 0;
    bool hold_epochs = false;
    std::uint64_t executed = 0, route_writes = 0;
    std::vector<std::string> violations;

    [[nodiscard]] std::size_t command_room(ring::Stream stream) const override {
        return room - std::min(room, in_[index(stream)].size());
    }
    bool send(ring::Stream stream, std::span<const ring::Command> commands) override {
        if (!alive || commands.size() > command_room(stream)) return false;
        auto& in = in_[index(stream)];
        in.insert(in.end(), commands.begin(), commands.end());
        return true;
    }
    std::size_t receive_completions(ring::Stream stream, std::span<ring::Completion> out) override {
        auto& ready = out_[index(stream)];
        const std::size_t count = std::min(out.size(), ready.size());
        std::copy_n(ready.begin(), count, out.begin());
        ready.erase(ready.begin(), ready.begin() + static_cast<std::ptrdiff_t>(count));
        return count;
    }
    std::size_t receive_events(std::span<ring::Event> out) override {
        const std::size_t count = std::min(out.size(), events.size());
        std::copy_n(events.begin(), count, out.begin());
        events.erase(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(count));
        return count;
    }
    bool wait(std::chrono::milliseconds) override {
        step(1000);
        return alive;
    }
    Status send_twin(const ring::TwinMessage& message, int) override {
        const std::pair key{message.kind, std::string(message.object.view())};
        if (message.attach != 0) {
            twins[key] = true;
        } else {
            twins.erase(key);
        }
        return {};
    }
    void abandon() override { alive = false; }

    /// Executes some commands of each stream, completes them, and tells the epoch.
    void step(std::size_t count) {
        for (const ring::Stream stream : {ring::Stream::policy, ring::Stream::routes}) {
            auto& in = in_[index(stream)];
            if (!in.empty()) ++epoch;
            for (std::size_t i = 0; i < count && !in.empty(); ++i) {
                const ring::Command command = in.front();
                in.pop_front();
                ++executed;
                out_[index(stream)].push_back({command.header.sequence,
                                               execute(stream, command),
                                               command.header.opcode,
                                               epoch,
                                               0,
                                               {}});
            }
        }
        if (!hold_epochs) tell_epoch();
    }
    void tell_epoch() {
        ring::Event event;
        event.kind = ring::EventKind::epoch_reached;
        event.epoch = epoch;
        events.push_back(event);
    }
    [[nodiscard]] bool idle() const { return in_[0].empty() && in_[1].empty(); }
    /// A new session: handles mean nothing any more, names do.
    void new_session() {
        alive = true;
        for (auto& in : in_) in.clear();
        for (auto& ready : out_) ready.clear();
        events.clear();
        names_.clear();
        nexthops_.clear();
        groups_.clear();
        route_groups_.clear();
        in_transaction_ = false;
        places_.clear();
    }
    void lose_tables() {
        routes.clear();
        neighbors.clear();
        vports.clear();
        acls.clear();
        tenants.clear();
        vrfs.clear();
        tunnels.clear();
        twins.clear();
    }
    [[nodiscard]] std::vector<ReturnedTwin> returned() const {
        std::vector<ReturnedTwin> list;
        for (const auto& [key, held] : twins) {
            ReturnedTwin twin;
            twin.message.kind = key.first;
            twin.message.object = *ObjectName::from(key.second);
            list.push_back(std::move(twin));
        }
        return list;
    }
    ring::Handle handle_of(ring::ObjectKind kind, const std::string& name) const {
        for (const auto& [key, held] : names_)
            if (key.first == kind && held == name) return key.second;
        return 0;
    }

    bool alive = true;
    std::uint64_t epoch = 1;
    std::deque<ring::Event> events;

  private:
    using O = ring::Outcome;
    using K = ring::ObjectKind;
    static std::size_t index(ring::Stream stream) { return static_cast<std::size_t>(stream); }
    const std::string* name(K kind, ring::Handle handle) const {
        const auto found = names_.find({kind, handle});
        return found == names_.end() ? nullptr : &found->second;
    }
    void violate(const std::string& what) { violations.push_back(what); }
    template <class Body>
    std::string bind(K kind, ring::Handle handle, const Body& body) {
        return names_[{kind, handle}] = std::string(body.name.view());
    }

    O execute(ring::Stream stream, const ring::Command& command) {
        const auto opcode = command.header.opcode;
        if (opcode == ring::Opcode::replay_begin) return begin(stream), O::accepted;
        if (opcode == ring::Opcode::replay_end) return sweep(stream), O::accepted;
        if (opcode == ring::Opcode::barrier) return O::accepted;
        if (!begun_[index(stream)]) violate("command before replay_begin");
        return stream == ring::Stream::policy ? policy(command) : route(command);
    }
    void begin(ring::Stream stream) {
        begun_[index(stream)] = true;
        declared_[index(stream)].clear();
    }
    template <class Map, class Name>
    void sweep_map(Map& map, const std::set<std::string>& declared, const Name& name) {
        std::erase_if(map, [&](const auto& item) { return !declared.contains(name(item)); });
    }
    void sweep(ring::Stream stream) {
        auto& declared = declared_[index(stream)];
        if (stream == ring::Stream::policy) {
            sweep_map(vports, declared, [](const auto& i) { return "vport " + i.first; });
            sweep_map(acls, declared, [](const auto& i) { return "acl " + i.first; });
            sweep_map(tenants, declared, [](const auto& i) { return "tenant " + i; });
            sweep_map(vrfs, declared, [](const auto& i) { return "vrf " + i; });
            sweep_map(tunnels, declared, [](const auto& i) { return "tunnel " + i; });
        } else {
            sweep_map(routes, declared, [](const auto& i) { return route_name(i.first); });
            sweep_map(neighbors, declared, [](const auto& i) { return neighbor_name(i.first); });
        }
    }
    static std::string route_name(const std::pair<std::string, net::IpPrefix>& key) {
        return "route " + key.first + net::to_string(key.second);
    }
    static std::string neighbor_name(const std::pair<std::string, net::IpAddress>& key) {
        return "neighbor " + key.first + net::to_string(key.second);
    }
    void declare(ring::Stream stream, const std::string& what) {
        declared_[index(stream)].insert(what);
    }

    O policy(const ring::Command& command) {
        const ring::Command::Body& body = command.body;
        const ring::Handle object = body.object.object;
        const auto declared = [&](const std::string& what) {
            declare(ring::Stream::policy, what);
            return O::accepted;
        };
        switch (command.header.opcode) {
            case ring::Opcode::transaction_begin:
                if (name(K::tenant, object) == nullptr) return O::unknown_handle;
                if (std::exchange(in_transaction_, true)) violate("nested transaction");
                staged_.clear();
                return O::accepted;
            case ring::Opcode::transaction_commit:
                return commit();
            case ring::Opcode::transaction_abort:
                in_transaction_ = false;
                staged_.clear();
                return O::accepted;
            case ring::Opcode::tenant_set: {
                const std::string own = bind(K::tenant, object, body.tenant);
                tenants.insert(own);
                return declared("tenant " + own);
            }
            case ring::Opcode::tenant_delete:
                return erase(tenants, K::tenant, object);
            case ring::Opcode::vrf_set: {
                if (name(K::tenant, body.vrf.tenant) == nullptr) return O::unknown_handle;
                const std::string own = bind(K::vrf, object, body.vrf);
                vrfs.insert(own);
                return declared("vrf " + own);
            }
            case ring::Opcode::vrf_delete: {
                const std::string* const own = name(K::vrf, object);
                for (const auto& [key, group] : routes)
                    if (own != nullptr && key.first == *own) return O::in_use;
                return erase(vrfs, K::vrf, object);
            }
            case ring::Opcode::port_bind:
                if (!known_ports.contains(std::string(body.port.name.view())))
                    return O::no_such_port;
                bind(K::port, object, body.port);
                return O::accepted;
            case ring::Opcode::tunnel_set: {
                if (name(K::vrf, body.tunnel.underlay_vrf) == nullptr) return O::unknown_handle;
                const std::string own = bind(K::tunnel, object, body.tunnel);
                tunnels.insert(own);
                return declared("tunnel " + own);
            }
            case ring::Opcode::tunnel_delete:
                return erase(tunnels, K::tunnel, object);
            case ring::Opcode::vport_set:
                return set_vport(body.vport);
            case ring::Opcode::vport_delete:
                if (name(K::vport, object) == nullptr) return O::unknown_handle;
                if (uses_vport(object)) return O::in_use;
                stage([this, object] {
                    places_.erase(*name(K::vport, object));
                    vports.erase(*name(K::vport, object));
                    names_.erase({K::vport, object});
                });
                return O::accepted;
            case ring::Opcode::acl_begin:
                bind(K::acl, object, body.acl);
                rules_ = 0;
                return O::accepted;
            case ring::Opcode::acl_rule:
                return body.rule.index == rules_++ ? O::accepted : O::out_of_order;
            case ring::Opcode::acl_commit:
                stage([this, object, rules = rules_] { acls[*name(K::acl, object)] = rules; });
                return declared("acl " + *name(K::acl, object));
            case ring::Opcode::acl_delete:
                if (name(K::acl, object) == nullptr) return O::unknown_handle;
                stage([this, object] { acls.erase(*name(K::acl, object)); });
                return O::accepted;
            default:
                return O::unknown_opcode;
        }
    }
    O set_vport(const ring::VportSet& body) {
        const std::string own(body.name.view());
        if (name(K::vrf, body.vrf) == nullptr || name(K::tenant, body.tenant) == nullptr)
            return O::unknown_handle;
        if (body.kind == VportKind::port && name(K::port, body.port) == nullptr)
            return O::unknown_handle;
        if (body.ingress_acl != 0 && name(K::acl, body.ingress_acl) == nullptr)
            return O::unknown_handle;
        if (own == refused_vport) return O::vlan_conflict;
        const std::pair place{body.port, body.vlan};
        for (const auto& [holder, held] : places_)
            if (body.kind == VportKind::port && holder != own && held == place)
                return O::vlan_conflict;
        bind(K::vport, body.vport, body);
        const std::string attachment = *name(K::vrf, body.vrf) + " " + std::to_string(body.vlan) +
                                       " " + std::to_string(body.mtu);
        stage([this, own, attachment, place, kind = body.kind] {
            vports[own] = attachment;
            if (kind == VportKind::port) places_[own] = place;
        });
        declare(ring::Stream::policy, "vport " + own);
        return O::accepted;
    }
    void stage(std::function<void()> change) {
        if (!in_transaction_) violate("vport or ACL outside of a transaction");
        staged_.push_back(std::move(change));
    }
    O commit() {
        if (!std::exchange(in_transaction_, false)) return O::out_of_order;
        for (const auto& change : staged_) change();
        staged_.clear();
        return O::accepted;
    }
    O erase(std::set<std::string>& set, K kind, ring::Handle object) {
        const std::string* const own = name(kind, object);
        if (own == nullptr) return O::unknown_handle;
        set.erase(*own);
        names_.erase({kind, object});
        return O::accepted;
    }
    bool uses_vport(ring::Handle vport) const {
        return std::any_of(nexthops_.begin(), nexthops_.end(),
                           [&](const auto& item) { return item.second.vport == vport; });
    }

    O route(const ring::Command& command) {
        const ring::Command::Body& body = command.body;
        if (frees_pending_every != 0 && ++count_ % frees_pending_every == 0)
            return O::frees_pending;
        switch (command.header.opcode) {
            case ring::Opcode::nexthop_set:
                return set_nexthop(body.nexthop);
            case ring::Opcode::nexthop_delete:
                for (const auto& [handle, members] : groups_)
                    for (const auto& member : members)
                        if (member.nexthop == body.object.object) {
                            if (frees_pending_every == 0)
                                violate("next hop deleted while a group has it");
                            return O::in_use;
                        }
                return nexthops_.erase(body.object.object) == 1 ? O::accepted : O::unknown_handle;
            case ring::Opcode::group_set:
                return set_group(body.group);
            case ring::Opcode::group_delete:
                for (const auto& [key, group] : route_groups_)
                    if (group == body.object.object) {
                        violate("group deleted while a route has it");
                        return O::in_use;
                    }
                return groups_.erase(body.object.object) == 1 ? O::accepted : O::unknown_handle;
            case ring::Opcode::route_set:
                return set_route(body.route);
            case ring::Opcode::route_delete: {
                const std::string* const vrf = name(K::vrf, body.route_delete.vrf);
                if (vrf == nullptr) return O::unknown_handle;
                routes.erase({*vrf, body.route_delete.prefix});
                route_groups_.erase({*vrf, body.route_delete.prefix});
                return O::accepted;
            }
            case ring::Opcode::neighbor_set: {
                const std::string* const vport = name(K::vport, body.neighbor.vport);
                if (vport == nullptr) return O::unknown_handle;
                neighbors[{*vport, body.neighbor.address}] = body.neighbor.mac;
                declare(ring::Stream::routes, neighbor_name({*vport, body.neighbor.address}));
                return O::accepted;
            }
            case ring::Opcode::neighbor_delete: {
                const std::string* const vport = name(K::vport, body.neighbor_delete.vport);
                if (vport == nullptr) return O::unknown_handle;
                neighbors.erase({*vport, body.neighbor_delete.address});
                return O::accepted;
            }
            default:
                return O::unknown_opcode;
        }
    }
    O set_nexthop(const ring::NextHopSet& body) {
        if (body.vport != 0 && name(K::vport, body.vport) == nullptr) {
            violate("next hop on a vport that is not there");
            return O::unknown_handle;
        }
        if (nexthops_.contains(body.nexthop)) violate("next-hop handle taken");
        nexthops_[body.nexthop] = body;
        return O::accepted;
    }
    O set_group(const ring::GroupSet& body) {
        if (body.offset == 0) assembling_.clear();
        for (std::uint16_t i = 0; i < body.count; ++i) {
            if (!nexthops_.contains(body.members[i].nexthop)) return O::unknown_handle;
            assembling_.push_back(body.members[i]);
        }
        if (body.offset + body.count == body.total) {
            if (groups_.contains(body.group)) violate("group handle taken");
            groups_[body.group] = assembling_;
        }
        return O::accepted;
    }
    O set_route(const ring::RouteSet& body) {
        const std::string* const vrf = name(K::vrf, body.vrf);
        if (vrf == nullptr || !groups_.contains(body.group)) return O::unknown_handle;
        const std::pair key{*vrf, body.prefix};
        if (routes.size() >= max_routes && !routes.contains(key)) return O::table_full;
        std::string text;
        for (const ring::GroupMember& member : groups_[body.group]) {
            const ring::NextHopSet& nexthop = nexthops_[member.nexthop];
            text +=
                std::to_string(static_cast<int>(nexthop.kind)) + "|" +
                (nexthop.vport == 0 ? "" : *name(K::vport, nexthop.vport)) + "|" +
                (nexthop.kind == NextHopKind::adjacency ? net::to_string(nexthop.gateway) : "") +
                "*" + std::to_string(member.weight) + " ";
        }
        if (!routes.contains(key) || routes[key] != text) ++route_writes;
        routes[key] = text;
        route_groups_[key] = body.group;
        declare(ring::Stream::routes, route_name(key));
        return O::accepted;
    }

    std::deque<ring::Command> in_[2];
    std::deque<ring::Completion> out_[2];
    bool begun_[2] = {false, false};
    std::set<std::string> declared_[2];
    std::map<std::pair<K, ring::Handle>, std::string> names_;
    std::map<ring::Handle, ring::NextHopSet> nexthops_;
    std::map<ring::Handle, std::vector<ring::GroupMember>> groups_;
    std::map<std::pair<std::string, net::IpPrefix>, ring::Handle> route_groups_;
    std::vector<ring::GroupMember> assembling_;
    std::map<std::string, std::pair<ring::Handle, std::uint16_t>> places_;  // of vports
    std::vector<std::function<void()>> staged_;
    bool in_transaction_ = false;
    std::uint32_t rules_ = 0;
    unsigned count_ = 0;
};

class FakeRouteSource final : public frr::RouteSource {
  public:
    std::map<std::uint64_t, bool> answers;
    [[nodiscard]] int descriptor() const override { return -1; }
    void run() override {}
    void acknowledge(frr::Operation operation, bool installed) override {
        // Refused, and installed after all: the only second answer there is.
        const auto before = answers.find(operation.id);
        if (before != answers.end() && (before->second || !installed)) ++twice;
        answers[operation.id] = installed;
    }
    void flush() override {}
    [[nodiscard]] bool connected() const override { return true; }
    int twice = 0;
};

}  // namespace wye::state
