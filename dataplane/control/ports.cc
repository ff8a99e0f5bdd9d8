#include "dataplane/control/core.hh"
#include "dataplane/control/events.hh"
#include "dataplane/control/families.hh"
#include "dataplane/control/fields.hh"
#include "dataplane/control/nexthops.hh"

namespace wye::control {

Answer bind_port(Core& core, const ring::PortBind& command) {
    if (command.port == ring::kNoHandle) return malformed(WYE_FIELD(PortBind, port));
    const auto name = valid_name(command.name);
    if (!name) return malformed(WYE_FIELD(PortBind, name));
    if (core.ports.find(*name) == nullptr) return refuse(ring::Outcome::no_such_port);
    const auto match = core.ports.match(command.port, *name);
    if (!match.problem.accepted()) return match.problem;
    core.ports.bind(*match.object, command.port);
    tell_port_link(core, *match.object);
    return accept();
}

void change_port_link(Core& core, PortId id, bool up) {
    for (const auto& [name, port] : core.ports.all()) {
        if (port->id != id || port->link_up == up) continue;
        port->link_up = up;
        for (const auto& [vport_name, vport] : core.vports.all()) {
            if (vport->now && vport->now->attachment.kind == VportKind::port &&
                vport->now->attachment.port == id.value) {
                refresh_liveness(core, *vport);
            }
        }
        tell_port_link(core, *port);
    }
}

}  // namespace wye::control
