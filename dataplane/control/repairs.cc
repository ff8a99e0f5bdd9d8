#include "dataplane/control/repairs.hh"

#include "dataplane/control/core.hh"
#include "dataplane/control/groups.hh"
#include "dataplane/control/neighbors.hh"
#include "dataplane/control/routes.hh"

namespace wye::control {
namespace {

/// False: there is still no room.
bool repair_leaf(Core& core, Vrf& vrf, const net::IpPrefix& prefix) {
    const Route* const route = vrf.routes.find(prefix);
    if (route != nullptr) return write_leaf(core, vrf, prefix, leaf_of(*route->group));
    const bool host = prefix.length == net::address_bits(prefix.address.family);
    return !host || refresh_host_route(core, vrf, prefix.address);
}

}  // namespace

void repair_later(Core& core, Vrf& vrf, const net::IpPrefix& prefix) {
    core.repairs.leaves.emplace_back(&vrf, prefix);
}

void repair(Core& core) {
    Repairs& repairs = core.repairs;
    while (!repairs.leaves.empty()) {
        const auto [vrf, prefix] = repairs.leaves.back();
        if (!repair_leaf(core, *vrf, prefix)) return;
        repairs.leaves.pop_back();
    }
    for (const auto& action : std::exchange(repairs.afterwards, {})) action();
}

void forget_repairs(Core& core, const Vrf& vrf) {
    std::erase_if(core.repairs.leaves, [&](const auto& entry) { return entry.first == &vrf; });
}

}  // namespace wye::control
