#include "dataplane/control/routes.hh"

#include <algorithm>
#include <utility>

#include "dataplane/control/core.hh"
#include "dataplane/control/families.hh"
#include "dataplane/control/fields.hh"
#include "dataplane/control/groups.hh"
#include "dataplane/control/neighbors.hh"
#include "dataplane/control/vports.hh"

namespace wye::control {
namespace {

std::optional<table::FibWriter>& fib_of(Vrf& vrf, net::IpFamily family) {
    return family == net::IpFamily::ipv4 ? vrf.fib4 : vrf.fib6;
}

std::atomic<std::uint32_t>& root_of(Core& core, const Vrf& vrf, net::IpFamily family) {
    auto& record = core.arena.record(core.arena.header().vrfs, vrf.id.value);
    return family == net::IpFamily::ipv4 ? record.fib4.unit : record.fib6.unit;
}

void chain(Group& group, Route& route) {
    route.group = &group;
    route.previous = nullptr;
    route.next = group.first_route;
    if (route.next != nullptr) route.next->previous = &route;
    group.first_route = &route;
    ++group.routes;
}

void unchain(Route& route) {
    Group& group = *route.group;
    (route.previous != nullptr ? route.previous->next : group.first_route) = route.next;
    if (route.next != nullptr) route.next->previous = route.previous;
    --group.routes;
    route.group = nullptr;
}

bool is_host(const net::IpPrefix& prefix) {
    return prefix.length == net::address_bits(prefix.address.family);
}

/// A host route to the router itself names an address of that vport.
void note_own_address(Core& core, const net::IpPrefix& prefix, const Group& group, bool own) {
    if (!is_host(prefix)) return;
    for (const Member& member : group.members) {
        const NextHopContent& content = member.nexthop->content;
        if (content.kind != NextHopKind::local) continue;
        change_own_address(core, *content.vport, prefix.address, own);
    }
}

void count_length(Vrf& vrf, const net::IpPrefix& prefix, int by) {
    auto& count =
        prefix.address.is_ipv4() ? vrf.lengths4[prefix.length] : vrf.lengths6[prefix.length];
    count += static_cast<std::uint32_t>(by);
}

/// In the present round of declaration for the first time: it counts against the quota.
Answer count_route(Tenant& tenant, bool counted) {
    if (counted) return accept();
    if (tenant.usage.routes >= tenant.quotas.routes) {
        return refuse(ring::Outcome::quota_exceeded);
    }
    ++tenant.usage.routes;
    return accept();
}

Answer change_route(Core& core, Vrf& vrf, Route& route, Group& group) {
    if (route.group == &group) return accept();
    if (leaf_of(*route.group) != leaf_of(group) &&
        !write_leaf(core, vrf, route.prefix, leaf_of(group))) {
        return refuse(ring::Outcome::table_full);
    }
    note_own_address(core, route.prefix, *route.group, false);
    unchain(route);
    chain(group, route);
    note_own_address(core, route.prefix, group, true);
    refresh_host_routes(core, vrf, route.prefix);
    return accept();
}

Answer add_route(Core& core, Vrf& vrf, const net::IpPrefix& prefix, Group& group, Route*& made) {
    if (!write_leaf(core, vrf, prefix, leaf_of(group))) return refuse(ring::Outcome::table_full);
    made = &vrf.routes.insert(prefix);
    made->vrf = &vrf;
    chain(group, *made);
    count_length(vrf, prefix, 1);
    ++core.route_count;
    note_own_address(core, prefix, group, true);
    refresh_host_routes(core, vrf, prefix);
    return accept();
}

}  // namespace

bool write_leaf(Core& core, Vrf& vrf, const net::IpPrefix& prefix, table::Leaf leaf) {
    const net::IpFamily family = prefix.address.family;
    auto& fib = fib_of(vrf, family);
    if (!fib) fib.emplace(core.arena, family, root_of(core, vrf, family));
    const bool written = fib->insert(prefix, leaf);
    if (fib->size() == 0) {
        fib->clear();
        fib.reset();
    }
    core.changed |= written;
    return written;
}

bool erase_leaf(Core& core, Vrf& vrf, const net::IpPrefix& prefix) {
    auto& fib = fib_of(vrf, prefix.address.family);
    if (!fib || !fib->erase(prefix)) return false;
    core.changed = true;
    if (fib->size() == 0) {
        fib->clear();
        fib.reset();
    }
    return true;
}

void note_own_addresses(Core& core, const Group& group, bool own) {
    for (const Route* route = group.first_route; route != nullptr; route = route->next) {
        note_own_address(core, route->prefix, group, own);
    }
}

const Route* longest_cover(const Vrf& vrf, const net::IpAddress& address) {
    const bool v4 = address.is_ipv4();
    for (int length = net::address_bits(address.family) - 1; length >= 0; --length) {
        const auto index = static_cast<std::size_t>(length);
        if ((v4 ? vrf.lengths4[index] : vrf.lengths6[index]) == 0) continue;
        const auto bits = static_cast<std::uint8_t>(length);
        const Route* const found = vrf.routes.find({net::mask(address, bits), bits});
        if (found != nullptr) return found;
    }
    return nullptr;
}

bool remove_route(Core& core, Route& route) {
    Vrf& vrf = *route.vrf;
    Group& group = *route.group;
    const bool counted = route.declared == core.routes().round;
    // Out of the picture first, so that a host route for this very prefix may take its place.
    const net::IpPrefix key = route.prefix;
    count_length(vrf, key, -1);
    unchain(route);
    const std::uint32_t record = vrf.routes.take_out(key);
    const bool replaced = is_host(key) && refresh_host_route(core, vrf, key.address) &&
                          vrf.host_routes.contains(key.address);
    if (!replaced && !erase_leaf(core, vrf, key)) {
        vrf.routes.put_back(record);
        chain(group, route);
        count_length(vrf, key, 1);
        return false;
    }
    vrf.routes.free(record);
    --core.route_count;
    if (counted) --vrf.tenant->usage.routes;
    note_own_address(core, key, group, false);
    refresh_host_routes(core, vrf, key);
    return true;
}

namespace {

constexpr table::FibStage fib_stage_of(RouteStage stage) noexcept {
    if (stage == RouteStage::slot) return table::FibStage::node;
    return stage == RouteStage::route ? table::FibStage::routes : table::FibStage::leaves;
}

}  // namespace

void prefetch_route(const Core& core, const ring::Command& command, RouteStage stage) {
    const bool sets = command.header.opcode == ring::Opcode::route_set;
    if (!sets && command.header.opcode != ring::Opcode::route_delete) return;
    const auto& body = command.body;
    const Vrf* const vrf = core.vrfs.find(sets ? body.route.vrf : body.route_delete.vrf);
    if (vrf == nullptr) return;
    const net::IpPrefix& prefix = sets ? body.route.prefix : body.route_delete.prefix;
    const auto& fib = prefix.address.family == net::IpFamily::ipv4 ? vrf->fib4 : vrf->fib6;
    if (fib) fib->prefetch(prefix, fib_stage_of(stage));
    if (stage == RouteStage::slot) return vrf->routes.prefetch_slot(prefix);
    if (stage == RouteStage::route) return vrf->routes.prefetch_route(prefix);
    const Route* const route = vrf->routes.find(prefix);
    if (route != nullptr) {
        __builtin_prefetch(route->previous, 1);
        __builtin_prefetch(route->next, 1);
    }
    if (!sets) return;
    const auto group = core.group_handles.find(body.route.group);
    if (group != core.group_handles.end()) __builtin_prefetch(group->second->first_route, 1);
}

Answer set_route(Core& core, const ring::RouteSet& command) {
    if (!is_valid(command.prefix)) return malformed(WYE_FIELD(RouteSet, prefix));
    if (!all_zero(command.reserved)) return malformed(WYE_FIELD(RouteSet, reserved));
    Vrf* const vrf = core.vrfs.find(command.vrf);
    if (vrf == nullptr) return unknown(command.vrf);
    const auto held = core.group_handles.find(command.group);
    if (held == core.group_handles.end()) return unknown(command.group);
    Group& group = *held->second;
    // Another tenant's vport is no next hop: only a share leads from one VRF to another.
    if (group.tenant != nullptr && group.tenant != vrf->tenant) {
        return malformed(WYE_FIELD(RouteSet, group));
    }
    Route* route = vrf->routes.find(command.prefix);
    const bool counted = route != nullptr && route->declared == core.routes().round;
    const Answer quota = count_route(*vrf->tenant, counted);
    if (!quota.accepted()) return quota;
    const Answer written = route != nullptr ? change_route(core, *vrf, *route, group)
                                            : add_route(core, *vrf, command.prefix, group, route);
    if (!written.accepted()) {
        if (!counted) --vrf->tenant->usage.routes;
        return written;
    }
    route->declared = core.routes().round;
    route->protocol = command.protocol;
    return accept();
}

Answer delete_route(Core& core, const ring::RouteDelete& command) {
    if (!is_valid(command.prefix)) return malformed(WYE_FIELD(RouteDelete, prefix));
    Vrf* const vrf = core.vrfs.find(command.vrf);
    if (vrf == nullptr) return unknown(command.vrf);
    Route* const route = vrf->routes.find(command.prefix);
    if (route == nullptr) return accept();  // gone already: nothing to do
    if (!remove_route(core, *route)) return refuse(ring::Outcome::table_full);
    return accept();
}

}  // namespace wye::control
