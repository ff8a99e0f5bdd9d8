#include "dataplane/control/events.hh"

#include <array>
#include <span>

#include "dataplane/control/core.hh"

namespace wye::control {
namespace {

constexpr std::size_t kRequestsInOneTurn = 64;

Vport* published_vport(const Core& core, VportId id) {
    const auto name = ObjectName::from(core.wiring.counters.name(table::SlotKind::vport, id.value));
    Vport* const vport = name ? core.vports.find(*name) : nullptr;
    return vport != nullptr && vport->now ? vport : nullptr;
}

void pass_on(Core& core, const ring::ResolveRequest& request) {
    const Vport* const vport = published_vport(core, request.vport);
    if (vport == nullptr || vport->handle == ring::kNoHandle) return;
    if (vport->neighbors.contains(request.address)) return;  // answered meanwhile
    if (!core.resolver.admit(request, Resolver::Clock::now())) return;
    ring::Event event;
    event.kind = ring::EventKind::resolve;
    event.object = vport->handle;
    event.epoch = core.epoch;
    event.address = request.address;
    if (core.session.channel->publish({&event, 1})) return;
    ++core.session.lost;
    ++core.events_lost;
}

}  // namespace

void tell_port_link(Core& core, const Port& port) {
    if (core.session.channel == nullptr || port.handle == ring::kNoHandle) return;
    ring::Event event;
    event.kind = ring::EventKind::port_link;
    event.object = port.handle;
    event.epoch = core.epoch;
    event.value = port.link_up ? 1 : 0;
    core.session.events.push_back(event);
}

void tell_reached(Core& core) {
    SessionState& session = core.session;
    if (session.channel == nullptr || session.told_epoch >= session.completed_epoch) return;
    if (core.reached <= session.told_epoch) return;
    ring::Event event;
    event.kind = ring::EventKind::epoch_reached;
    event.epoch = core.reached;
    if (session.channel->publish({&event, 1})) session.told_epoch = core.reached;
}

bool pass_on_resolves(Core& core) {
    std::array<ring::ResolveRequest, kRequestsInOneTurn> requests;
    bool any = false;
    for (auto* const ring : core.wiring.resolves) {
        const std::size_t count = ring->pop(requests);
        any |= count != 0;
        if (core.session.channel == nullptr) continue;
        for (std::size_t i = 0; i < count; ++i) pass_on(core, requests[i]);
    }
    return any;
}

bool pass_on_lost_twins(Core& core) {
    bool any = false;
    while (const auto lost = core.twins.take_lost()) {
        any = true;
        const Vport* const vport = core.vports.find(lost->object);
        if (lost->kind != ring::TwinKind::vport_tap || vport == nullptr) continue;
        if (core.session.channel == nullptr || vport->handle == ring::kNoHandle) continue;
        ring::Event event;
        event.kind = ring::EventKind::twin_lost;
        event.object = vport->handle;
        event.epoch = core.epoch;
        core.session.events.push_back(event);
    }
    return any;
}

void flush_events(Core& core) {
    SessionState& session = core.session;
    if (session.channel == nullptr) return;
    if (session.lost != 0) {
        ring::Event event;
        event.kind = ring::EventKind::events_lost;
        event.epoch = core.epoch;
        event.value = session.lost;
        if (!session.channel->publish({&event, 1})) return;
        session.lost = 0;
    }
    std::size_t sent = 0;
    while (sent < session.events.size() && session.channel->publish({&session.events[sent], 1})) {
        ++sent;
    }
    session.events.erase(session.events.begin(),
                         session.events.begin() + static_cast<std::ptrdiff_t>(sent));
}

}  // namespace wye::control
