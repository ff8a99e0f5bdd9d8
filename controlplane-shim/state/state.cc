#include "controlplane-shim/state/state.hh"

#include <algorithm>
#include <array>
#include <utility>

#include "dataplane/ring/text.hh"

namespace wye::state {
namespace {

constexpr std::size_t kNeighborsOfVport = 512;  // where the tenant's quota says nothing
constexpr unsigned kCheckEveryTicks = 4;        // the kernel takes three seconds to give up
constexpr unsigned kRetryPolicyEveryTicks = 3;
constexpr std::uint32_t kLoopback = 1;  // index of `lo` in every network namespace

bool is_link_local(const net::IpAddress& address) {
    return !address.is_ipv4() && address.ipv6().is_link_local();
}

/// zebra's origins as the plugin numbers them (frr/zebra-plugin/protocol.h).
ring::RouteProtocol protocol_of(std::uint8_t origin) {
    using P = ring::RouteProtocol;
    switch (origin) {
        case 1:
            return P::kernel;
        case 2:
            return P::connected;
        case 3:
            return P::statically;
        case 4:
            return P::rip;
        case 6:
            return P::ospf;
        case 8:
            return P::isis;
        case 9:
            return P::bgp;
        case 100:
            return P::local;
        default:
            return P::other;
    }
}

NextHopKind kind_of(frr::RouteKind kind) {
    switch (kind) {
        case frr::RouteKind::blackhole:
            return NextHopKind::blackhole;
        case frr::RouteKind::unreachable:
            return NextHopKind::unreachable;
        default:
            return NextHopKind::prohibit;
    }
}

}  // namespace

State::State(StateOptions options)
    : options_(std::move(options)),
      routes_(topology_,
              [this](frr::Operation operation, bool installed) {
                  if (route_source_ != nullptr) route_source_->acknowledge(operation, installed);
              }),
      neighbors_(topology_),
      bfd_(topology_, [this](const std::string& text) { options_.log(text); }) {}

void State::wire(kernel::Kernel& kernel, frr::RouteSource* routes) {
    kernel_ = &kernel;
    route_source_ = routes;
    twins_ = std::make_unique<TwinSet>(kernel);
    recall_evpn();
}

void State::log_errors(const std::vector<std::string>& errors) {
    for (const std::string& error : errors) options_.log(error);
}

// The session.

void State::session_opened(CommandSink& sink, const ring::Welcome& welcome,
                           const ring::Announced& announced, std::vector<ReturnedTwin> returned) {
    sink_ = &sink;
    welcome_ = welcome;
    announced_ = announced;
    ++sessions_;
    policy_.objects().session_opened(welcome.version);
    std::vector<std::string> errors;
    twins_->session_opened(TwinSet::specs_of(manifest_), std::move(returned), sink, errors);
    log_errors(errors);
    twins_known_ = true;
    update_twin_views();
    start_replay();
    pump();
}

void State::start_replay() {
    const manifest::Manifest nothing;
    const auto mark = [](ring::Opcode opcode) {
        PolicyCommand command;
        command.command.header.opcode = opcode;
        return command;
    };
    policy_.enqueue({mark(ring::Opcode::replay_begin)});
    const PolicyPlan plan = plan_policy(nothing, manifest_, policy_.objects());
    for (const PolicyBatch& batch : plan.tenants) policy_.enqueue(batch.commands);
    policy_.enqueue({mark(ring::Opcode::replay_end)});
    ring::Command begin;
    begin.header.opcode = ring::Opcode::replay_begin;
    route_writer_.push(begin);
    routes_replay_open_ = true;
    routes_.session_opened();
}

void State::session_closed() {
    if (sink_ == nullptr) return;
    sink_ = nullptr;
    announced_ = {};
    policy_writer_.reset();
    route_writer_.reset();
    policy_.session_closed();
    policy_replayed_ = routes_replay_open_ = routes_replay_done_ = false;
    received_ = {};
    refresh_topology();
    routes_.session_closed();
    neighbors_.session_closed();
    bfd_.session_closed();
    port_up_.clear();
}

bool State::settled() const {
    return sink_ != nullptr && policy_replayed_ && routes_replay_done_ && policy_.settled() &&
           routes_.settled() && neighbors_.settled() && route_writer_.open() == 0 &&
           stale_tables_.empty() && routes_.declared() && !evpn_stale_;
}

void State::pump() {
    if (sink_ != nullptr) receive(ring::Stream::policy, policy_writer_);
    if (sink_ != nullptr) receive(ring::Stream::routes, route_writer_);
    if (sink_ != nullptr) receive_events();
    if (policy_.take_changed()) refresh_topology();
    if (!stale_tables_.empty()) bfd_.topology_changed();
    for (const TableIndex table : std::exchange(stale_tables_, {})) rebuild_kernel_routes(table);
    if (sink_ != nullptr) send();
    if (route_source_ != nullptr) route_source_->flush();
}

void State::receive(ring::Stream stream, StreamWriter& writer) {
    std::array<ring::Completion, 256> batch;
    while (sink_ != nullptr) {
        const std::size_t count = sink_->receive_completions(stream, batch);
        for (std::size_t i = 0; i < count && sink_ != nullptr; ++i)
            completed(stream, writer, batch[i]);
        if (count < batch.size()) return;
    }
}

void State::completed(ring::Stream stream, StreamWriter& writer,
                      const ring::Completion& completion) {
    const auto sent = writer.match(completion);
    if (!sent) {
        options_.log("the data plane answered command " + std::to_string(completion.sequence) +
                     ", which is not the next one; the session is begun anew");
        sink_->abandon();
        session_closed();
        return;
    }
    Received& received = received_[static_cast<std::size_t>(stream)];
    ++received.completions;
    if (completion.outcome != ring::Outcome::accepted) ++received.refused;
    switch (sent->opcode) {
        case ring::Opcode::replay_begin:
        case ring::Opcode::replay_end:
            replay_completed(stream, sent->opcode, completion);
            break;
        default:
            break;
    }
    if (stream == ring::Stream::policy) {
        policy_.completed(completion);
        if (!policy_replayed_ && policy_.settled()) {
            policy_replayed_ = true;
            log_errors(policy_.take_refusals());
            refresh_topology();
            neighbors_.session_opened();
            bfd_.session_opened(options_.run_dir + "/bfd", welcome_.version);
        }
    } else if (sent->opcode == ring::Opcode::neighbor_set ||
               sent->opcode == ring::Opcode::neighbor_delete) {
        neighbors_.completed(completion);
    } else if (sent->opcode >= ring::Opcode::bfd_set) {
        bfd_.completed(*sent, completion);
    } else if (sent->opcode >= ring::Opcode::nexthop_set) {
        routes_.completed(*sent, completion, writer);
    }
}

void State::replay_completed(ring::Stream stream, ring::Opcode opcode,
                             const ring::Completion& completion) {
    if (stream == ring::Stream::routes && opcode == ring::Opcode::replay_end)
        routes_replay_done_ = true;
    if (completion.outcome == ring::Outcome::accepted) return;
    options_.log("stream " + std::string(ring::to_string(stream)) + ": " +
                 std::string(ring::to_string(opcode)) +
                 " was refused: " + std::string(ring::outcome_words(completion.outcome)));
}

void State::send() {
    policy_.run(policy_writer_);
    policy_writer_.flush(*sink_);
    if (policy_replayed_) {
        do {
            neighbors_.run(route_writer_);
            bfd_.run(route_writer_);
            routes_.run(route_writer_);
            end_replays();
        } while (route_writer_.flush(*sink_) && routes_.queued() != 0);
    } else {
        route_writer_.flush(*sink_);
    }
}

void State::end_replays() {
    const bool snapshot_wanted = options_.zebra_expected && !snapshot_complete_;
    if (!routes_replay_open_ || snapshot_wanted || !neighbors_.declared() || !routes_.declared())
        return;
    ring::Command end;
    end.header.opcode = ring::Opcode::replay_end;
    route_writer_.push(end);
    routes_replay_open_ = false;
}

// Events.

void State::receive_events() {
    std::array<ring::Event, 128> batch;
    while (sink_ != nullptr) {
        const std::size_t count = sink_->receive_events(batch);
        events_ += count;
        for (std::size_t i = 0; i < count; ++i) handle(batch[i]);
        if (count < batch.size()) return;
    }
}

void State::handle(const ring::Event& event) {
    switch (event.kind) {
        case ring::EventKind::epoch_reached:
            routes_.epoch_reached(event.epoch);
            break;
        case ring::EventKind::resolve:
            resolve(event);
            break;
        case ring::EventKind::port_link:
            port_up_[event.object] = event.value != 0;
            break;
        case ring::EventKind::twin_lost: {
            const auto found = vport_by_handle_.find(event.object);
            if (found == vport_by_handle_.end() || !topology_.vports[found->second].twin) break;
            link_removed(*topology_.vports[found->second].twin);
            break;
        }
        case ring::EventKind::events_lost: {
            // An epoch may be among what is missing: another command brings another one.
            events_lost_ += event.value;
            bfd_.changed(ring::kNoHandle);
            ring::Command barrier;
            barrier.header.opcode = ring::Opcode::barrier;
            route_writer_.push(barrier);
            break;
        }
        case ring::EventKind::bfd_changed:
            bfd_.changed(event.object);
            break;
        default:
            break;
    }
}

std::size_t State::neighbor_limit(VportIndex vport) const {
    for (const manifest::Tenant& tenant : manifest_.tenants) {
        if (tenant.name == topology_.vports[vport].tenant && tenant.quotas.neighbors != 0)
            return tenant.quotas.neighbors;
    }
    return kNeighborsOfVport;
}

void State::resolve(const ring::Event& event) {
    const auto found = vport_by_handle_.find(event.object);
    if (found == vport_by_handle_.end()) return;
    const VportIndex vport = found->second;
    const VportView& view = topology_.vports[vport];
    if (!view.twin || !view.usable()) return;
    const NeighborProgrammer::Key key{vport, event.address};
    if (neighbors_.find(key) == nullptr && neighbors_.count(vport) >= neighbor_limit(vport)) return;
    if (!quota_.may_ask(vport, event.address, monotonic_now())) return;
    asked_.insert(key);
    kernel_->ask_neighbor(*view.twin, event.address, false);
}

// The route source.

void State::vrf_named(std::uint32_t vrf_id, const std::string& name) {
    const TableIndex table = topology_.table(name);
    const auto [known, is_new] = zebra_vrfs_.try_emplace(vrf_id, table);
    const TableIndex before = std::exchange(known->second, table);
    if (before == table) return;
    const bool has_another_id = std::any_of(zebra_vrfs_.begin(), zebra_vrfs_.end(),
                                            [&](const auto& vrf) { return vrf.second == before; });
    if (!has_another_id) routes_.remove_frr(before);
}

void State::route_installed(frr::Operation operation, const frr::RouteKey& key,
                            frr::Route&& route) {
    const auto table = zebra_vrfs_.find(key.vrf_id);
    // fe80::/10 is every link's own: the fast path hands it to the twin without a route.
    if (table == zebra_vrfs_.end() || is_link_local(key.prefix.address)) {
        if (operation.id != 0 && route_source_ != nullptr)
            route_source_->acknowledge(operation, table != zebra_vrfs_.end());
        return;
    }
    FrrRoute wanted;
    wanted.content.table = table->second;
    wanted.protocol = protocol_of(route.zebra_type);
    wanted.distance = route.distance;
    wanted.metric = route.metric;
    if (route.kind != frr::RouteKind::unicast)
        wanted.content.hops.push_back({kind_of(route.kind), 1, kNoIndex, 0, {}, 0});
    for (const frr::RouteNextHop& nexthop : route.nexthops) {
        const bool has_gateway = nexthop.kind != frr::RouteNextHop::Kind::interface_only;
        const auto of = zebra_vrfs_.find(nexthop.vrf_id);
        wanted.content.hops.push_back(
            {has_gateway ? NextHopKind::adjacency : NextHopKind::glean, nexthop.weight,
             of == zebra_vrfs_.end() ? table->second : of->second, nexthop.interface_index,
             has_gateway ? nexthop.gateway : net::IpAddress{}, nexthop.vni});
    }
    routes_.set_frr(table->second, key.prefix, std::move(wanted), operation);
}

void State::route_removed(frr::Operation operation, const frr::RouteKey& key) {
    const auto table = zebra_vrfs_.find(key.vrf_id);
    if (table == zebra_vrfs_.end() || is_link_local(key.prefix.address)) {
        if (operation.id != 0 && route_source_ != nullptr)
            route_source_->acknowledge(operation, true);
        return;
    }
    routes_.remove_frr(table->second, key.prefix, operation);
}

void State::snapshot_begin() {
    zebra_connected_ = true;
    routes_.snapshot_begin();
}

void State::snapshot_end() {
    routes_.snapshot_end();
    snapshot_complete_ = true;
    evpn_stale_ = evpn_stale_ || !evpn_.empty();
}

void State::disconnected() {
    zebra_connected_ = false;
    routes_.forget_operations();
}

// The kernel.

void State::address_changed(const kernel::InterfaceKey& interface,
                            const net::InterfaceAddress& address, bool present) {
    if (present) {
        addresses_[interface].insert(address);
    } else {
        addresses_[interface].erase(address);
    }
    const VportIndex vport = topology_.vport_at(interface);
    if (vport != kNoIndex) {
        topology_.vports[vport].addresses = addresses_[interface];
        stale_tables_.insert(topology_.vports[vport].table);
    } else if (interface.index == kLoopback) {
        for (TableIndex i = 0; i < topology_.tables.size(); ++i)
            if (topology_.tables[i].netns == interface.netns) stale_tables_.insert(i);
    }
}

void State::neighbor_changed(const kernel::InterfaceKey& interface, const net::IpAddress& address,
                             const std::optional<net::MacAddress>& mac) {
    neighbors_.kernel_changed(interface, address, mac);
    if (evpn_watched_.contains(interface)) evpn_stale_ = true;
    const VportIndex vport = topology_.vport_at(interface);
    if (vport == kNoIndex) return;
    const NeighborProgrammer::Key key{vport, address};
    quota_.answered(vport, address);
    if (mac) {
        // Whom the fast path forwards to is kept: Linux does not see that traffic.
        if (asked_.erase(key) != 0 && kept_.insert(key).second)
            kernel_->ask_neighbor(interface, address, true);
    } else {
        asked_.erase(key);
        if (kept_.erase(key) != 0) kernel_->forget_neighbor(interface, address);
    }
}

void State::link_changed(const kernel::InterfaceKey& interface, const kernel::Link& link) {
    links_[interface] = link;
    if (link.vxlan || evpn_watched_.contains(interface)) evpn_stale_ = true;
}

void State::link_removed(const kernel::InterfaceKey& interface) {
    const auto link = links_.find(interface);
    if (link != links_.end() && (link->second.vxlan || evpn_watched_.contains(interface)))
        evpn_stale_ = true;
    if (link != links_.end()) links_.erase(link);
    addresses_.erase(interface);
    if (!twins_->lost(interface)) return;
    options_.log("the twin with index " + std::to_string(interface.index) +
                 " has gone; it is made anew");
    twins_to_repair_ = true;
    update_twin_views();
}

void State::add_kernel_routes(VportIndex index, KernelRoutes& routes) const {
    const VportView& vport = topology_.vports[index];
    const auto add = [&](const net::IpPrefix& prefix, NextHopKind kind, ring::RouteProtocol by) {
        auto& [content, protocol] = routes[prefix];
        // The router's own address wins over a connected prefix of the same length.
        if (content.hops.empty() || (by == ring::RouteProtocol::local && protocol != by))
            content.hops.clear();
        else if (protocol != by)
            return;
        content.table = vport.table;
        content.hops.push_back({kind, 1, vport.table, vport.twin->index, {}, 0});
        protocol = by;
    };
    for (const net::InterfaceAddress& own : addresses_.at(*vport.twin)) {
        if (is_link_local(own.address)) continue;
        const std::uint8_t bits = net::address_bits(own.address.family);
        add({own.address, bits}, NextHopKind::local, ring::RouteProtocol::local);
        if (own.length < bits)
            add({net::mask(own.address, own.length), own.length}, NextHopKind::glean,
                ring::RouteProtocol::connected);
    }
}

/// Addresses of `lo` are the router's on whatever vport a packet for them comes in: they are handed
/// to the kernel by the twin of the VRF's first vport.
void State::add_loopback_routes(TableIndex table, KernelRoutes& routes) const {
    const auto loopback = addresses_.find({topology_.tables[table].netns, kLoopback});
    if (loopback == addresses_.end()) return;
    const auto vport =
        std::find_if(topology_.vports.begin(), topology_.vports.end(),
                     [&](const VportView& v) { return v.table == table && v.twin && v.usable(); });
    if (vport == topology_.vports.end()) return;
    for (const net::InterfaceAddress& own : loopback->second) {
        const bool never = own.address.is_ipv4()
                               ? own.address.bytes[0] == 127
                               : own.address.ipv6().is_loopback() || is_link_local(own.address);
        const net::IpPrefix prefix{own.address, net::address_bits(own.address.family)};
        if (never || routes.contains(prefix)) continue;
        routes[prefix] = {
            ContentKey{table, {{NextHopKind::local, 1, table, vport->twin->index, {}, 0}}},
            ring::RouteProtocol::local};
    }
}

void State::rebuild_kernel_routes(TableIndex table) {
    if (table == kNoIndex) return;
    KernelRoutes now;
    for (VportIndex i = 0; i < topology_.vports.size(); ++i) {
        const VportView& vport = topology_.vports[i];
        if (vport.table == table && vport.twin && addresses_.contains(*vport.twin))
            add_kernel_routes(i, now);
    }
    const bool in_device = topology_.tables[table].in_device;
    if (!in_device) add_loopback_routes(table, now);
    KernelRoutes& before = kernel_routes_[table];
    for (const auto& [prefix, content] : before)
        if (!now.contains(prefix)) routes_.remove_kernel(table, prefix);
    for (const auto& [prefix, content] : now) {
        const auto was = before.find(prefix);
        if (was == before.end() || was->second != content)
            routes_.set_kernel(table, prefix, content.first, content.second);
    }
    before = std::move(now);
}

// Time.

void State::tick() {
    ++ticks_;
    if (sink_ != nullptr) {
        routes_.retry_pending(route_writer_);
        neighbors_.retry_pending();
    }
    if (std::exchange(twins_to_repair_, false)) {
        std::vector<std::string> errors;
        twins_->repair(TwinSet::specs_of(manifest_), sink_, errors);
        log_errors(errors);
        update_twin_views();
    }
    if (ticks_ % kRetryPolicyEveryTicks == 0) {
        retry_policy();
        evpn_stale_ = evpn_stale_ || evpn_refused_;
    }
    keep_gateways();
    keep_bfd_neighbors();
    bfd_.topology_changed();
    pump();
}

/// Gateways of routes are resolved before the first packet needs them, and kept. Those of a group
/// with another member are asked again and again whether they are still there, since their share of
/// the flows can go by the others.
void State::keep_gateways() {
    const bool check = ticks_ % kCheckEveryTicks == 0;
    for (const NextHops::GroupView& group : routes_.nexthops().groups()) {
        for (const MemberKey& member : *group.members) {
            if (member.nexthop.kind == NextHopKind::adjacency)
                keep_gateway({member.nexthop.vport, member.nexthop.gateway},
                             check && group.members->size() > 1);
        }
    }
    checked_.clear();
}

/// A session's own packets need its neighbour, whether routes lead there or not.
void State::keep_bfd_neighbors() {
    for (const auto& [key, entry] : bfd_.entries()) {
        if (entry.present && entry.place && entry.place->vport != kNoIndex)
            keep_gateway({entry.place->vport, entry.request.remote}, false);
    }
}

void State::keep_gateway(const NeighborProgrammer::Key& key, bool check) {
    const VportView& vport = topology_.vports[key.first];
    if (!vport.twin) return;
    const NeighborProgrammer::Entry* const known = neighbors_.find(key);
    if (known != nullptr && known->wanted) {
        if (known->is_static) return;
        if (kept_.insert(key).second) kernel_->ask_neighbor(*vport.twin, key.second, true);
        if (check && checked_.insert(key).second) kernel_->check_neighbor(*vport.twin, key.second);
    } else if (quota_.may_ask(key.first, key.second, monotonic_now())) {
        asked_.insert(key);
        kernel_->ask_neighbor(*vport.twin, key.second, false);
    }
}

}  // namespace wye::state
