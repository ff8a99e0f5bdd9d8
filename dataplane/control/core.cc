#include "dataplane/control/core.hh"

#include <algorithm>
#include <utility>

namespace wye::control {
namespace {

/// Generations of this process's next hops begin where another's are unlikely to be.
std::uint32_t first_generation(std::uint64_t instance) {
    return static_cast<std::uint32_t>((instance * 0x9e3779b97f4a7c15u) >> 34) | 1u;
}

}  // namespace

Core::Core(table::ArenaWriter writer, Wiring wires, Options wishes,
           std::optional<Predecessor> before)
    : options(wishes),
      wiring(std::move(wires)),
      arena(std::move(writer)),
      vport_keys(arena),
      tunnel_keys(arena),
      predecessor(std::move(before)),
      nexthop_ids(std::min(arena.header().limits.nexthops, wiring.liveness.capacity()),
                  first_generation(arena.header().instance)),
      group_ids(arena.header().limits.groups, first_generation(arena.header().instance)),
      leases(wishes.leases),
      builder(wishes.builder_thread),
      twins(wiring.twins),
      resolver(wishes.resolves_per_second, wishes.resolve_again) {
    for (const ConfiguredPort& configured : wiring.ports) {
        Port& port = ports.add(configured.name);
        port.id = configured.id;
        port.link_up = configured.link_up;
    }
}

Core::~Core() = default;

}  // namespace wye::control
