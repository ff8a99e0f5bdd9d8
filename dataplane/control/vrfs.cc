#include <algorithm>

#include "dataplane/control/bfd.hh"
#include "dataplane/control/core.hh"
#include "dataplane/control/families.hh"
#include "dataplane/control/fields.hh"
#include "dataplane/control/removal.hh"

namespace wye::control {
namespace {

table::Vrf& record_of(Core& core, const Vrf& vrf) {
    return core.arena.record(core.arena.header().vrfs, vrf.id.value);
}

bool has_vport(const Core& core, const Vrf& vrf) {
    if (vrf.tenant == nullptr) return false;
    const auto in_it = [&](const std::optional<VportSettings>& settings) {
        return settings && settings->vrf == &vrf;
    };
    if (core.session.transaction) {
        for (const auto& [vport, settings] : core.session.transaction->vports) {
            if (in_it(settings)) return true;
        }
    }
    const auto& slots = vrf.tenant->slots;
    return std::any_of(slots.begin(), slots.end(),
                       [&](const Vport* vport) { return vport != nullptr && in_it(vport->now); });
}

bool in_use(const Core& core, const Vrf& vrf) {
    return vrf.tunnels != 0 || !vrf.routes.empty() || !vrf.neighbors.empty() ||
           !vrf.host_routes.empty() || has_vport(core, vrf);
}

Answer check(const ring::VrfSet& command) {
    if (command.vrf == ring::kNoHandle) return malformed(WYE_FIELD(VrfSet, vrf));
    if (!valid_name(command.name)) return malformed(WYE_FIELD(VrfSet, name));
    if (!is_flag(command.has_vni)) return malformed(WYE_FIELD(VrfSet, has_vni));
    if (command.has_vni == 1 && command.vni > kMaxVni) return malformed(WYE_FIELD(VrfSet, vni));
    if (!is_flag(command.underlay)) return malformed(WYE_FIELD(VrfSet, underlay));
    if (!all_zero(command.reserved)) return malformed(WYE_FIELD(VrfSet, reserved));
    return accept();
}

/// A VNI names one VRF. A VRF that this replay has not declared yet gives its VNI up.
Answer check_vni(const Core& core, const ring::VrfSet& command, const Vrf* self) {
    if (command.has_vni == 0) return accept();
    const auto holder = core.vnis.find(command.vni);
    if (holder == core.vnis.end() || holder->second == self) return accept();
    if (core.is_stale(*holder->second)) return accept();
    return refuse(ring::Outcome::duplicate, holder->second->handle);
}

Vrf* make_vrf(Core& core, const ObjectName& name) {
    const auto slot = core.wiring.counters.claim(table::SlotKind::vrf, name);
    if (!slot) return nullptr;
    const auto& header = core.arena.header();
    if (*slot >= header.limits.vrfs || !core.arena.back(header.vrfs, *slot)) {
        core.wiring.counters.release(table::SlotKind::vrf, *slot);
        return nullptr;
    }
    Vrf& vrf = core.vrfs.add(name, core.route_pool);
    vrf.id = VrfId{*slot};
    ++record_of(core, vrf).generation;
    core.twins.object_stands(ring::TwinKind::vrf_inject, name, *slot);
    return &vrf;
}

void release_vni(Core& core, Vrf& vrf) {
    if (!vrf.vni) return;
    const auto holder = core.vnis.find(*vrf.vni);
    if (holder != core.vnis.end() && holder->second == &vrf) core.vnis.erase(holder);
    vrf.vni.reset();
}

void write_record(Core& core, const Vrf& vrf) {
    auto& record = record_of(core, vrf);
    const std::uint32_t vni = vrf.vni.value_or(0);
    const std::uint8_t has_vni = vrf.vni.has_value() ? 1 : 0;
    const std::uint8_t underlay = vrf.underlay ? 1 : 0;
    if (record.tenant == vrf.tenant->id && record.vni == vni && record.has_vni == has_vni &&
        record.underlay == underlay) {
        return;
    }
    record.vni = vni;
    record.has_vni = has_vni;
    record.underlay = underlay;
    record.tenant = vrf.tenant->id;
    core.changed = true;
}

}  // namespace

Answer set_vrf(Core& core, const ring::VrfSet& command) {
    if (const Answer checked = check(command); !checked.accepted()) return checked;
    const auto match = core.vrfs.match(command.vrf, *valid_name(command.name));
    if (!match.problem.accepted()) return match.problem;
    Tenant* const tenant = core.tenants.find(command.tenant);
    if (tenant == nullptr) return unknown(command.tenant);
    Vrf* vrf = match.object;
    if (const Answer checked = check_vni(core, command, vrf); !checked.accepted()) return checked;
    if (vrf != nullptr) {
        const bool moves = vrf->tenant != tenant;
        if (moves && in_use(core, *vrf)) return refuse(ring::Outcome::in_use, command.vrf);
        const bool closes = vrf->underlay && command.underlay == 0;
        if (closes && vrf->tunnels != 0) return refuse(ring::Outcome::in_use, command.vrf);
    } else {
        vrf = make_vrf(core, *valid_name(command.name));
        if (vrf == nullptr) return refuse(ring::Outcome::table_full);
    }
    core.vrfs.bind(*vrf, command.vrf);
    core.declare(*vrf);
    if (vrf->tenant != tenant) {
        if (vrf->tenant != nullptr) --vrf->tenant->vrfs;
        ++tenant->vrfs;
        vrf->tenant = tenant;
    }
    release_vni(core, *vrf);
    if (command.has_vni == 1) {
        if (const auto holder = core.vnis.find(command.vni); holder != core.vnis.end()) {
            Vrf& stale = *holder->second;
            release_vni(core, stale);
            write_record(core, stale);
        }
        vrf->vni = command.vni;
        core.vnis[command.vni] = vrf;
    }
    vrf->underlay = command.underlay == 1;
    write_record(core, *vrf);
    return accept();
}

Answer delete_vrf(Core& core, ring::Handle handle) {
    Vrf* const vrf = core.vrfs.find(handle);
    if (vrf == nullptr) return unknown(handle);
    if (!remove_vrf(core, *vrf)) return refuse(ring::Outcome::in_use, handle);
    return accept();
}

bool remove_vrf(Core& core, Vrf& vrf) {
    if (in_use(core, vrf)) return false;
    remove_bfd_of(core, vrf);
    core.vrfs.unbind(vrf);
    release_vni(core, vrf);
    --vrf.tenant->vrfs;
    vrf.dying = true;
    forget_repairs(core, vrf);
    record_of(core, vrf).tenant = TenantId{};
    core.twins.object_gone(ring::TwinKind::vrf_inject, vrf.name);
    core.changed = true;
    core.frees.after([&core, &vrf] {
        auto& record = record_of(core, vrf);
        record.vni = 0;
        record.has_vni = record.underlay = 0;
        core.wiring.counters.release(table::SlotKind::vrf, vrf.id.value);
        core.vrfs.remove(vrf);
    });
    return true;
}

}  // namespace wye::control
