// Replays: everything of a stream becomes stale, what is declared again stands untouched if it is
// equal, and at the end what is still stale goes: routes before groups before next hops; vports
// before tunnels, ACLs, VRFs and tenants. What the other stream still refers to is kept (vports
// down) and looked at again later.
#include "dataplane/control/replay.hh"

#include <utility>
#include <vector>

#include "dataplane/control/acls.hh"
#include "dataplane/control/core.hh"
#include "dataplane/control/families.hh"
#include "dataplane/control/groups.hh"
#include "dataplane/control/neighbors.hh"
#include "dataplane/control/nexthops.hh"
#include "dataplane/control/removal.hh"
#include "dataplane/control/routes.hh"
#include "dataplane/control/vports.hh"

namespace wye::control {
namespace {

constexpr std::size_t kRoutesInOneTurn = 4096;

template <class T>
std::vector<T*> undeclared(const Core& core, const Registry<T>& registry) {
    std::vector<T*> objects;
    for (const auto& [name, object] : registry.all()) {
        if (!object->dying && object->declared != core.streams[0].round) {
            objects.push_back(object.get());
        }
    }
    return objects;
}

template <class T, class Remove>
bool sweep(Core& core, const Registry<T>& registry, Remove remove) {
    bool left = false;
    for (T* const object : undeclared(core, registry)) left |= !remove(core, *object);
    return !left;
}

RouteSweep collect_routes(const Core& core) {
    RouteSweep work;
    for (const auto& [name, vrf] : core.vrfs.all()) {
        vrf->routes.each([&, owner = vrf.get()](const Route& route) {
            if (route.declared != core.streams[1].round) {
                work.routes.emplace_back(owner, route.prefix);
            }
        });
    }
    return work;
}

/// Some of the undeclared routes; waits for another turn while there are more.
Answer sweep_routes(Core& core, RouteSweep& work) {
    for (std::size_t done = 0; work.next < work.routes.size(); ++work.next, ++done) {
        if (done == kRoutesInOneTurn) return wait_for(Wait::turn);
        const auto& [vrf, prefix] = work.routes[work.next];
        Route* const route = vrf->routes.find(prefix);
        if (route == nullptr) continue;
        if (!remove_route(core, *route)) return refuse(ring::Outcome::table_full);
    }
    return accept();
}

void sweep_neighbors(Core& core) {
    for (const auto& [name, vport] : core.vports.all()) {
        std::vector<net::IpAddress> gone;
        for (const auto& [address, neighbor] : vport->neighbors) {
            if (neighbor.declared != core.routes().round) gone.push_back(address);
        }
        for (const net::IpAddress& address : gone) remove_neighbor(core, *vport, address);
    }
}

void sweep_groups(Core& core) {
    std::vector<Group*> gone;
    for (const auto& [group, owned] : core.groups) {
        if (group->declared != core.routes().round && group->routes == 0) gone.push_back(group);
    }
    for (Group* const group : gone) remove_group(core, *group);
}

void sweep_nexthops(Core& core) {
    std::vector<NextHop*> gone;
    for (const auto& [content, nexthop] : core.nexthops) {
        if (nexthop->standing && nexthop->declared != core.routes().round && nexthop->groups == 0) {
            gone.push_back(nexthop.get());
        }
    }
    std::erase_if(core.nexthop_handles, [&](const auto& entry) {
        NextHop& nexthop = *entry.second;
        const bool goes = nexthop.declared != core.routes().round && nexthop.groups == 0;
        if (goes) --nexthop.handles;
        return goes;
    });
    for (NextHop* const nexthop : gone) {
        set_standing(*nexthop, false);
        release_nexthop(core, *nexthop);
    }
}

Answer end_policy(Core& core) {
    if (core.session.transaction) return refuse(ring::Outcome::out_of_order);
    abandon_assembly(core);
    core.policy().replaying = false;
    core.policy().replayed = true;
    sweep_policy(core);
    return accept();
}

Answer end_routes(Core& core) {
    auto& work = core.session.sweep;
    if (!work) work = collect_routes(core);
    const Answer swept = sweep_routes(core, *work);
    if (!swept.accepted()) {
        if (swept.wait == Wait::no) work.reset();
        return swept;
    }
    work.reset();
    core.session.group.reset();
    sweep_neighbors(core);
    sweep_groups(core);
    sweep_nexthops(core);
    core.routes().replaying = false;
    core.routes().replayed = true;
    return accept();
}

}  // namespace

void sweep_policy(Core& core) {
    bool whole = sweep_vports(core);
    whole &= sweep(core, core.tunnels, remove_tunnel);
    whole &= sweep(core, core.acls, remove_acl);
    whole &= sweep(core, core.vrfs, remove_vrf);
    whole &= sweep(core, core.tenants, remove_tenant);
    core.leftovers = !whole;
}

Answer begin_replay(Core& core, ring::Stream stream) {
    StreamState& state = core.streams[static_cast<std::size_t>(stream)];
    if (state.replaying) return refuse(ring::Outcome::out_of_order);
    if (stream == ring::Stream::policy && core.session.transaction) {
        return refuse(ring::Outcome::out_of_order);
    }
    ++state.round;
    state.begun = state.replaying = true;
    if (stream == ring::Stream::policy) return accept();
    for (const auto& [name, tenant] : core.tenants.all()) {
        tenant->usage = Usage{};
    }
    return accept();
}

Answer end_replay(Core& core, ring::Stream stream) {
    if (!core.streams[static_cast<std::size_t>(stream)].replaying) {
        return refuse(ring::Outcome::out_of_order);
    }
    return stream == ring::Stream::policy ? end_policy(core) : end_routes(core);
}

}  // namespace wye::control
