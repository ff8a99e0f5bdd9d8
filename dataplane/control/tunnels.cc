#include "dataplane/control/core.hh"
#include "dataplane/control/drain.hh"
#include "dataplane/control/families.hh"
#include "dataplane/control/fields.hh"
#include "dataplane/control/removal.hh"
#include "dataplane/table/tunnel_header.hh"

namespace wye::control {
namespace {

table::Tunnel& record_of(Core& core, const Tunnel& tunnel) {
    return core.arena.record(core.arena.header().tunnels, tunnel.id.value);
}

Answer check(const ring::TunnelSet& command) {
    if (command.tunnel == ring::kNoHandle) return malformed(WYE_FIELD(TunnelSet, tunnel));
    if (!valid_name(command.name)) return malformed(WYE_FIELD(TunnelSet, name));
    if (!is_unicast_host(command.local)) return malformed(WYE_FIELD(TunnelSet, local));
    if (!is_unicast_host(command.remote) || command.remote.family != command.local.family ||
        command.remote == command.local) {
        return malformed(WYE_FIELD(TunnelSet, remote));
    }
    if (command.vni > kMaxVni) return malformed(WYE_FIELD(TunnelSet, vni));
    if (command.kind != TunnelKind::vxlan && command.kind != TunnelKind::geneve) {
        return malformed(WYE_FIELD(TunnelSet, kind));
    }
    if (command.dscp > 63) return malformed(WYE_FIELD(TunnelSet, dscp));
    if (!is_flag(command.copy_dscp)) return malformed(WYE_FIELD(TunnelSet, copy_dscp));
    if (command.udp_checksum > 2) return malformed(WYE_FIELD(TunnelSet, udp_checksum));
    if (command.reserved != 0) return malformed(WYE_FIELD(TunnelSet, reserved));
    return accept();
}

TunnelSettings settings_of(const ring::TunnelSet& command, Vrf& underlay) {
    TunnelSettings settings;
    settings.key.local = command.local;
    settings.key.remote = command.remote;
    settings.key.kind = command.kind;
    settings.key.vni = command.vni;
    settings.key.underlay = underlay.id;
    settings.underlay = &underlay;
    settings.destination_port = command.destination_port != 0
                                    ? command.destination_port
                                    : table::default_tunnel_port(command.kind);
    settings.ttl = command.ttl != 0 ? command.ttl : std::uint8_t{64};
    settings.dscp = command.dscp;
    settings.copy_dscp = command.copy_dscp;
    settings.udp_checksum = table::fills_udp_checksum(command.local.family, command.udp_checksum);
    return settings;
}

Tunnel* make_tunnel(Core& core, const ObjectName& name) {
    const auto slot = core.wiring.counters.claim(table::SlotKind::tunnel, name);
    if (!slot) return nullptr;
    const auto& header = core.arena.header();
    if (*slot >= header.limits.tunnels || !core.arena.back(header.tunnels, *slot)) {
        core.wiring.counters.release(table::SlotKind::tunnel, *slot);
        return nullptr;
    }
    Tunnel& tunnel = core.tunnels.add(name);
    tunnel.id = TunnelId{*slot};
    core.tunnels_by_id[*slot] = &tunnel;
    auto& record = record_of(core, tunnel);
    ++record.generation;
    record.vport = VportId{};
    return &tunnel;
}

/// Only while no reader can see the record.
void write_record(Core& core, const Tunnel& tunnel) {
    const TunnelSettings& settings = tunnel.settings;
    const table::OuterHeader outer = table::build_outer_header(
        {settings.key.local, settings.key.remote, settings.key.vni, settings.key.kind,
         settings.destination_port, settings.ttl, settings.dscp});
    auto& record = record_of(core, tunnel);
    record.key = settings.key;
    record.destination_port = settings.destination_port;
    record.copy_dscp = settings.copy_dscp;
    record.udp_checksum = settings.udp_checksum;
    record.header_length = outer.length;
    record.header = outer.bytes;
    record.in_use = 1;
    core.changed = true;
}

void unpublish(Core& core, Tunnel& tunnel) {
    if (!tunnel.published) return;
    core.tunnel_keys.remove(tunnel.id);
    tunnel.published = false;
    core.changed = true;
}

/// Takes the tunnel and the vport inside it out until its record may be rewritten.
Answer drain(Core& core, Tunnel& tunnel) {
    if (tunnel.drain == Drain::waiting) return wait_for(Wait::grace);
    if (tunnel.drain == Drain::done) return accept();
    const auto inside =
        core.attachments.find(Attachment{.kind = VportKind::tunnel, .tunnel = &tunnel});
    if (inside != core.attachments.end() && !drain_vport(core, *inside->second)) {
        return refuse(ring::Outcome::table_full);
    }
    unpublish(core, tunnel);
    tunnel.drain = Drain::waiting;
    core.changed = true;
    core.grace.after([&tunnel, round = ++tunnel.drain_round] {
        if (tunnel.drain_round == round) tunnel.drain = Drain::done;
    });
    return wait_for(Wait::grace);
}

/// The other tunnel that has this key.
Tunnel* holder_of(Core& core, const table::TunnelKey& key, const Tunnel* self) {
    const TunnelId holder = table::find_tunnel(core.arena.view(), key);
    if (!holder.valid()) return nullptr;
    Tunnel* const tunnel = core.tunnels_by_id.at(holder.value);
    return tunnel == self ? nullptr : tunnel;
}

/// The key is unique. A tunnel that this replay has not declared yet gives way.
bool publish_key(Core& core, Tunnel& tunnel) {
    if (Tunnel* const holder = holder_of(core, tunnel.settings.key, &tunnel)) {
        unpublish(core, *holder);
    }
    tunnel.published = core.tunnel_keys.insert(tunnel.id);
    core.changed = true;
    return tunnel.published;
}

/// Publishes the record as it stands, and brings the vport inside back.
void restore(Core& core, Tunnel& tunnel) {
    publish_key(core, tunnel);
    tunnel.drain = Drain::no;
    ++tunnel.drain_round;
    const auto inside =
        core.attachments.find(Attachment{.kind = VportKind::tunnel, .tunnel = &tunnel});
    if (inside != core.attachments.end()) restore_vport(core, *inside->second);
}

void adopt(Core& core, Tunnel& tunnel, const TunnelSettings& settings) {
    if (tunnel.settings.underlay != nullptr) --tunnel.settings.underlay->tunnels;
    ++settings.underlay->tunnels;
    tunnel.settings = settings;
    write_record(core, tunnel);
}

void discard(Core& core, Tunnel& tunnel) {
    core.wiring.counters.release(table::SlotKind::tunnel, tunnel.id.value);
    core.tunnels_by_id.erase(tunnel.id.value);
    core.tunnels.remove(tunnel);
}

}  // namespace

Answer set_tunnel(Core& core, const ring::TunnelSet& command) {
    if (const Answer checked = check(command); !checked.accepted()) return checked;
    const ObjectName name = *valid_name(command.name);
    const auto match = core.tunnels.match(command.tunnel, name);
    if (!match.problem.accepted()) return match.problem;
    Vrf* const underlay = core.vrfs.find(command.underlay_vrf);
    if (underlay == nullptr) return unknown(command.underlay_vrf);
    if (!underlay->underlay) return refuse(ring::Outcome::not_underlay, command.underlay_vrf);
    const TunnelSettings settings = settings_of(command, *underlay);
    Tunnel* tunnel = match.object;
    if (tunnel != nullptr && tunnel->settings == settings && tunnel->published) {
        core.tunnels.bind(*tunnel, command.tunnel);
        core.declare(*tunnel);
        return accept();
    }
    const Tunnel* const holder = holder_of(core, settings.key, tunnel);
    if (holder != nullptr && !core.is_stale(*holder)) {
        return refuse(ring::Outcome::duplicate, holder->handle);
    }
    if (tunnel != nullptr) {
        if (const Answer drained = drain(core, *tunnel); !drained.accepted()) return drained;
        adopt(core, *tunnel, settings);
        restore(core, *tunnel);
    } else {
        tunnel = make_tunnel(core, name);
        if (tunnel == nullptr) return refuse(ring::Outcome::table_full);
        adopt(core, *tunnel, settings);
        if (!publish_key(core, *tunnel)) {
            --underlay->tunnels;
            discard(core, *tunnel);
            return refuse(ring::Outcome::table_full);
        }
    }
    core.tunnels.bind(*tunnel, command.tunnel);
    core.declare(*tunnel);
    return accept();
}

Answer delete_tunnel(Core& core, ring::Handle handle) {
    Tunnel* const tunnel = core.tunnels.find(handle);
    if (tunnel == nullptr) return unknown(handle);
    if (!remove_tunnel(core, *tunnel)) return refuse(ring::Outcome::in_use, handle);
    return accept();
}

bool remove_tunnel(Core& core, Tunnel& tunnel) {
    if (tunnel.vports != 0) return false;
    if (core.session.transaction) {
        for (const auto& [vport, settings] : core.session.transaction->vports) {
            if (settings && settings->attachment.tunnel == &tunnel) return false;
        }
    }
    unpublish(core, tunnel);
    core.tunnels.unbind(tunnel);
    --tunnel.settings.underlay->tunnels;
    tunnel.dying = true;
    core.changed = true;
    core.frees.after([&core, &tunnel] {
        record_of(core, tunnel).in_use = 0;
        discard(core, tunnel);
    });
    return true;
}

void abandon_tunnel_drains(Core& core) {
    for (const auto& [name, tunnel] : core.tunnels.all()) {
        if (tunnel->drain != Drain::no) restore(core, *tunnel);
    }
}

}  // namespace wye::control
