#include "dataplane/control/neighbors.hh"

#include <algorithm>
#include <vector>

#include "dataplane/control/core.hh"
#include "dataplane/control/families.hh"
#include "dataplane/control/fields.hh"
#include "dataplane/control/nexthops.hh"
#include "dataplane/control/routes.hh"

namespace wye::control {

bool Vrf::ByAddress::operator()(const std::pair<net::IpAddress, Vport*>& a,
                                const std::pair<net::IpAddress, Vport*>& b) const noexcept {
    if (a.first != b.first) return a.first < b.first;
    if (a.second == nullptr || b.second == nullptr)
        return a.second == nullptr && b.second != nullptr;
    return a.second->id < b.second->id;
}

namespace {

net::IpPrefix host_prefix(const net::IpAddress& address) {
    return {address, net::address_bits(address.family)};
}

bool gleans_on(const Route& route, const Vport& vport) {
    const auto& members = route.group->members;
    return std::any_of(members.begin(), members.end(), [&](const Member& member) {
        const NextHopContent& content = member.nexthop->content;
        return content.kind == NextHopKind::glean && content.vport == &vport;
    });
}

/// The vport by whose connected route this address is reached directly.
Vport* gleaning_vport(const Vrf& vrf, const net::IpAddress& address) {
    if (is_link_local(address) || vrf.routes.contains(host_prefix(address))) return nullptr;
    const Route* const cover = longest_cover(vrf, address);
    if (cover == nullptr) return nullptr;
    for (auto entry = vrf.neighbors.lower_bound({address, nullptr});
         entry != vrf.neighbors.end() && entry->first == address; ++entry) {
        if (gleans_on(*cover, *entry->second)) return entry->second;
    }
    return nullptr;
}

void forget_host_route(Core& core, Vrf& vrf, const net::IpAddress& address) {
    const auto have = vrf.host_routes.find(address);
    if (have == vrf.host_routes.end()) return;
    NextHop& nexthop = *have->second;
    vrf.host_routes.erase(have);
    --core.host_route_count;
    --nexthop.host_routes;
    release_nexthop(core, nexthop);
}

bool drop_host_route(Core& core, Vrf& vrf, const net::IpAddress& address) {
    if (!vrf.host_routes.contains(address)) return true;
    // A route by command for this prefix has taken the place already.
    const bool taken = vrf.routes.contains(host_prefix(address));
    if (!taken && !erase_leaf(core, vrf, host_prefix(address))) return false;
    forget_host_route(core, vrf, address);
    return true;
}

void refresh_gateway(Core& core, Vport& vport, const net::IpAddress& address) {
    const auto nexthop = core.nexthops.find({NextHopKind::adjacency, &vport, address});
    if (nexthop != core.nexthops.end()) refresh_rewrite(core, *nexthop->second);
    core.neighbors_changed = core.changed = true;
}

Answer add_neighbor(Core& core, Vport& vport, const ring::NeighborSet& command) {
    Tenant& tenant = *vport.tenant;
    if (tenant.usage.neighbors >= tenant.quotas.neighbors) {
        return refuse(ring::Outcome::quota_exceeded);
    }
    Vrf& vrf = *vport.now->vrf;
    vport.neighbors[command.address] = {command.mac, core.routes().round};
    vrf.neighbors.emplace(command.address, &vport);
    if (!refresh_host_route(core, vrf, command.address)) {
        vport.neighbors.erase(command.address);
        vrf.neighbors.erase({command.address, &vport});
        return refuse(ring::Outcome::table_full);
    }
    ++tenant.usage.neighbors;
    ++core.neighbor_count;
    refresh_gateway(core, vport, command.address);
    return accept();
}

Answer change_neighbor(Core& core, Vport& vport, Neighbor& neighbor,
                       const ring::NeighborSet& command) {
    if (neighbor.declared != core.routes().round) {
        Tenant& tenant = *vport.tenant;
        if (tenant.usage.neighbors >= tenant.quotas.neighbors) {
            return refuse(ring::Outcome::quota_exceeded);
        }
        ++tenant.usage.neighbors;
        neighbor.declared = core.routes().round;
    }
    if (neighbor.mac == command.mac) return accept();
    neighbor.mac = command.mac;
    refresh_gateway(core, vport, command.address);
    return accept();
}

/// Where it is too late to refuse.
void refresh_or_repair(Core& core, Vrf& vrf, const net::IpAddress& address) {
    if (!refresh_host_route(core, vrf, address)) repair_later(core, vrf, host_prefix(address));
}

}  // namespace

bool refresh_host_route(Core& core, Vrf& vrf, const net::IpAddress& address) {
    Vport* const vport = gleaning_vport(vrf, address);
    if (vport == nullptr) return drop_host_route(core, vrf, address);
    NextHop* const nexthop = intern_nexthop(core, {NextHopKind::adjacency, vport, address});
    if (nexthop == nullptr) return false;
    const auto have = vrf.host_routes.find(address);
    if (have != vrf.host_routes.end() && have->second == nexthop) return true;
    if (!write_leaf(core, vrf, host_prefix(address), table::Leaf::of(nexthop->id))) {
        release_nexthop(core, *nexthop);
        return false;
    }
    ++nexthop->host_routes;
    forget_host_route(core, vrf, address);
    vrf.host_routes[address] = nexthop;
    ++core.host_route_count;
    return true;
}

void refresh_host_routes(Core& core, Vrf& vrf, const net::IpPrefix& prefix) {
    for (auto entry = vrf.neighbors.lower_bound({prefix.address, nullptr});
         entry != vrf.neighbors.end() && prefix.contains(entry->first); ++entry) {
        refresh_or_repair(core, vrf, entry->first);
    }
}

void move_neighbors(Core& core, Vport& vport, Vrf* from, Vrf* to) {
    for (const auto& [address, neighbor] : vport.neighbors) {
        if (from != nullptr) {
            from->neighbors.erase({address, &vport});
            refresh_or_repair(core, *from, address);
        }
        if (to == nullptr) continue;
        to->neighbors.emplace(address, &vport);
        refresh_or_repair(core, *to, address);
    }
}

void drop_neighbors(Core& core, Vport& vport) {
    std::vector<net::IpAddress> addresses;
    for (const auto& [address, neighbor] : vport.neighbors) addresses.push_back(address);
    for (const net::IpAddress& address : addresses) remove_neighbor(core, vport, address);
}

void remove_neighbor(Core& core, Vport& vport, const net::IpAddress& address) {
    const auto found = vport.neighbors.find(address);
    if (found == vport.neighbors.end()) return;
    if (found->second.declared == core.routes().round) --vport.tenant->usage.neighbors;
    vport.neighbors.erase(found);
    Vrf& vrf = *vport.now->vrf;
    vrf.neighbors.erase({address, &vport});
    --core.neighbor_count;
    refresh_or_repair(core, vrf, address);
    refresh_gateway(core, vport, address);
}

Answer set_neighbor(Core& core, const ring::NeighborSet& command) {
    if (!is_unicast_host(command.address)) return malformed(WYE_FIELD(NeighborSet, address));
    if (!is_station(command.mac)) return malformed(WYE_FIELD(NeighborSet, mac));
    if (!all_zero(command.reserved)) return malformed(WYE_FIELD(NeighborSet, reserved));
    Vport* const vport = core.vports.find(command.vport);
    if (vport == nullptr || !vport->now) return unknown(command.vport);
    const auto found = vport->neighbors.find(command.address);
    return found == vport->neighbors.end() ? add_neighbor(core, *vport, command)
                                           : change_neighbor(core, *vport, found->second, command);
}

Answer delete_neighbor(Core& core, const ring::NeighborDelete& command) {
    if (!is_unicast_host(command.address)) return malformed(WYE_FIELD(NeighborDelete, address));
    Vport* const vport = core.vports.find(command.vport);
    if (vport == nullptr || !vport->now) return unknown(command.vport);
    remove_neighbor(core, *vport, command.address);  // gone already: nothing to do
    return accept();
}

}  // namespace wye::control
