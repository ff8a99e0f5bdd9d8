#include "dataplane/ring/text.hh"

namespace wye::ring {

std::string_view to_string(Opcode opcode) noexcept {
    switch (opcode) {
        case Opcode::none:
            return "none";
        case Opcode::replay_begin:
            return "replay_begin";
        case Opcode::replay_end:
            return "replay_end";
        case Opcode::barrier:
            return "barrier";
        case Opcode::transaction_begin:
            return "transaction_begin";
        case Opcode::transaction_commit:
            return "transaction_commit";
        case Opcode::transaction_abort:
            return "transaction_abort";
        case Opcode::tenant_set:
            return "tenant_set";
        case Opcode::tenant_delete:
            return "tenant_delete";
        case Opcode::vrf_set:
            return "vrf_set";
        case Opcode::vrf_delete:
            return "vrf_delete";
        case Opcode::port_bind:
            return "port_bind";
        case Opcode::tunnel_set:
            return "tunnel_set";
        case Opcode::tunnel_delete:
            return "tunnel_delete";
        case Opcode::vport_set:
            return "vport_set";
        case Opcode::vport_delete:
            return "vport_delete";
        case Opcode::acl_begin:
            return "acl_begin";
        case Opcode::acl_rule:
            return "acl_rule";
        case Opcode::acl_commit:
            return "acl_commit";
        case Opcode::acl_delete:
            return "acl_delete";
        case Opcode::worker_add:
            return "worker_add";
        case Opcode::worker_move:
            return "worker_move";
        case Opcode::worker_remove:
            return "worker_remove";
        case Opcode::queue_place:
            return "queue_place";
        case Opcode::nexthop_set:
            return "nexthop_set";
        case Opcode::nexthop_delete:
            return "nexthop_delete";
        case Opcode::group_set:
            return "group_set";
        case Opcode::group_delete:
            return "group_delete";
        case Opcode::route_set:
            return "route_set";
        case Opcode::route_delete:
            return "route_delete";
        case Opcode::neighbor_set:
            return "neighbor_set";
        case Opcode::neighbor_delete:
            return "neighbor_delete";
        case Opcode::bfd_set:
            return "bfd_set";
        case Opcode::bfd_delete:
            return "bfd_delete";
        case Opcode::bfd_begin:
            return "bfd_begin";
        case Opcode::bfd_end:
            return "bfd_end";
    }
    return "unknown";
}

std::string_view to_string(Outcome outcome) noexcept {
    switch (outcome) {
        case Outcome::accepted:
            return "accepted";
        case Outcome::unknown_opcode:
            return "unknown_opcode";
        case Outcome::malformed:
            return "malformed";
        case Outcome::unknown_handle:
            return "unknown_handle";
        case Outcome::duplicate:
            return "duplicate";
        case Outcome::in_use:
            return "in_use";
        case Outcome::table_full:
            return "table_full";
        case Outcome::quota_exceeded:
            return "quota_exceeded";
        case Outcome::no_such_port:
            return "no_such_port";
        case Outcome::vlan_conflict:
            return "vlan_conflict";
        case Outcome::out_of_order:
            return "out_of_order";
        case Outcome::frees_pending:
            return "frees_pending";
        case Outcome::not_underlay:
            return "not_underlay";
        case Outcome::not_ready:
            return "not_ready";
        case Outcome::no_such_worker:
            return "no_such_worker";
        case Outcome::no_such_core:
            return "no_such_core";
        case Outcome::core_taken:
            return "core_taken";
        case Outcome::workers_full:
            return "workers_full";
        case Outcome::last_worker:
            return "last_worker";
        case Outcome::no_such_queue:
            return "no_such_queue";
    }
    return "unknown";
}

std::string_view outcome_words(Outcome outcome) noexcept {
    switch (outcome) {
        case Outcome::accepted:
            return "accepted";
        case Outcome::unknown_opcode:
            return "the data plane does not know this operation: upgrade it to the shim's version";
        case Outcome::malformed:
            return "a field holds an impossible value: the shim has a fault, please report it";
        case Outcome::unknown_handle:
            return "refers to an object that the data plane does not have: declare that one first";
        case Outcome::duplicate:
            return "its name or key belongs to another object: remove that one or choose another";
        case Outcome::in_use:
            return "other objects still refer to it: remove those first";
        case Outcome::table_full:
            return "the data plane's table is full: raise its limit in the data plane's "
                   "configuration and restart it, or remove something";
        case Outcome::quota_exceeded:
            return "the tenant's quota is used up: raise it in the manifest or remove something";
        case Outcome::no_such_port:
            return "the data plane's configuration has no port of this name: add it there and "
                   "restart the data plane, or correct the name in the manifest";
        case Outcome::vlan_conflict:
            return "its port, VLAN and inner VLAN are taken by another vport: choose another VLAN";
        case Outcome::out_of_order:
            return "came out of order: the shim has a fault, please report it";
        case Outcome::frees_pending:
            return "a worker does not answer, so that no memory can be freed: changes are refused "
                   "until it does (see wyectl show workers)";
        case Outcome::not_underlay:
            return "its outer addresses are in a VRF that is no underlay: name an underlay VRF";
        case Outcome::not_ready:
            return "the data plane waits for the beginning of a replay: the shim has a fault, "
                   "please report it";
        case Outcome::no_such_worker:
            return "there is no such worker, or it is leaving (see wyectl show workers)";
        case Outcome::no_such_core:
            return "this machine has no such core, or the data plane may not use it";
        case Outcome::core_taken:
            return "another worker has this core: choose another, or say --share";
        case Outcome::workers_full:
            return "it runs already, or there is no room for it: raise max_workers in the data "
                   "plane's configuration and restart it";
        case Outcome::last_worker:
            return "it is the last worker: add another one before";
        case Outcome::no_such_queue:
            return "there is no such queue, or it cannot have another worker";
    }
    return "the data plane answered with an outcome that this shim does not know: upgrade the shim";
}

std::string_view to_string(EventKind kind) noexcept {
    switch (kind) {
        case EventKind::none:
            return "none";
        case EventKind::epoch_reached:
            return "epoch_reached";
        case EventKind::resolve:
            return "resolve";
        case EventKind::port_link:
            return "port_link";
        case EventKind::twin_lost:
            return "twin_lost";
        case EventKind::events_lost:
            return "events_lost";
        case EventKind::bfd_changed:
            return "bfd_changed";
    }
    return "unknown";
}

std::string_view to_string(RouteProtocol protocol) noexcept {
    switch (protocol) {
        case RouteProtocol::other:
            return "other";
        case RouteProtocol::local:
            return "local";
        case RouteProtocol::connected:
            return "connected";
        case RouteProtocol::statically:
            return "static";
        case RouteProtocol::bgp:
            return "bgp";
        case RouteProtocol::ospf:
            return "ospf";
        case RouteProtocol::isis:
            return "isis";
        case RouteProtocol::rip:
            return "rip";
        case RouteProtocol::eigrp:
            return "eigrp";
        case RouteProtocol::babel:
            return "babel";
        case RouteProtocol::kernel:
            return "kernel";
    }
    return "unknown";
}

std::string_view to_string(Stream stream) noexcept {
    return stream == Stream::policy ? "policy" : "routes";
}

}  // namespace wye::ring
