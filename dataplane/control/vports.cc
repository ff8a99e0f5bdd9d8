#include "dataplane/control/vports.hh"

#include <algorithm>
#include <utility>

#include "dataplane/base/check.hh"
#include "dataplane/control/bfd.hh"
#include "dataplane/control/core.hh"
#include "dataplane/control/drain.hh"
#include "dataplane/control/families.hh"
#include "dataplane/control/fields.hh"
#include "dataplane/control/neighbors.hh"
#include "dataplane/control/nexthops.hh"

namespace wye::control {
namespace {

table::Vport& record_of(Core& core, const Vport& vport) {
    return core.arena.record(core.arena.header().vports, vport.id.value);
}

bool is_vlan(std::uint16_t vlan) {
    return vlan >= 1 && vlan <= 4094;
}

Answer check_attachment(const ring::VportSet& command) {
    if (command.kind == VportKind::tunnel) return accept();
    if (command.kind != VportKind::port) return malformed(WYE_FIELD(VportSet, kind));
    const bool tagged = is_vlan(command.vlan);
    if (!tagged && command.vlan != kNoVlan) return malformed(WYE_FIELD(VportSet, vlan));
    const bool inner = command.inner_vlan != kNoVlan;
    if (inner && (!tagged || !is_vlan(command.inner_vlan))) {
        return malformed(WYE_FIELD(VportSet, inner_vlan));
    }
    return accept();
}

Answer check(const ring::VportSet& command) {
    if (command.vport == ring::kNoHandle) return malformed(WYE_FIELD(VportSet, vport));
    if (!valid_name(command.name)) return malformed(WYE_FIELD(VportSet, name));
    if (!is_station(command.mac)) return malformed(WYE_FIELD(VportSet, mac));
    if (command.mtu < kMinMtu) return malformed(WYE_FIELD(VportSet, mtu));
    if (!is_flag(command.admin_up)) return malformed(WYE_FIELD(VportSet, admin_up));
    if (!is_flag(command.without_twin)) return malformed(WYE_FIELD(VportSet, without_twin));
    if (command.reserved != 0) return malformed(WYE_FIELD(VportSet, reserved));
    return check_attachment(command);
}

/// An ACL of the vport's own tenant; kNoHandle is none.
Answer find_acl(const Core& core, const Tenant& tenant, ring::Handle handle, std::size_t offset,
                AccessList*& acl) {
    acl = nullptr;
    if (handle == ring::kNoHandle) return accept();
    acl = core.acls.find(handle);
    if (acl == nullptr) return unknown(handle);
    return acl->tenant == &tenant ? accept() : malformed(offset);
}

Answer resolve_attachment(const Core& core, const ring::VportSet& command, Attachment& out) {
    out.kind = command.kind;
    if (command.kind == VportKind::tunnel) {
        out.tunnel = core.tunnels.find(command.tunnel);
        return out.tunnel == nullptr ? unknown(command.tunnel) : accept();
    }
    const Port* const port = core.ports.find(command.port);
    if (port == nullptr) return unknown(command.port);
    out.port = static_cast<std::uint16_t>(port->id.value);
    out.vlan = command.vlan;
    out.inner_vlan = command.inner_vlan;
    return accept();
}

/// Handles to objects. What it refers to belongs to the vport's tenant: isolation begins here.
Answer resolve(const Core& core, const ring::VportSet& command, const Tenant& tenant,
               VportSettings& out) {
    out.vrf = core.vrfs.find(command.vrf);
    if (out.vrf == nullptr) return unknown(command.vrf);
    if (out.vrf->tenant != &tenant) return malformed(WYE_FIELD(VportSet, vrf));
    const Answer attached = resolve_attachment(core, command, out.attachment);
    if (!attached.accepted()) return attached;
    const Answer ingress =
        find_acl(core, tenant, command.ingress_acl, WYE_FIELD(VportSet, ingress_acl), out.ingress);
    if (!ingress.accepted()) return ingress;
    const Answer egress =
        find_acl(core, tenant, command.egress_acl, WYE_FIELD(VportSet, egress_acl), out.egress);
    if (!egress.accepted()) return egress;
    out.mac = command.mac;
    out.mtu = command.mtu;
    out.admin_up = command.admin_up == 1;
    out.without_twin = command.without_twin == 1;
    return accept();
}

/// The vport that has this attachment and does not give it up: not by the open transaction, and
/// not because this replay did not declare it.
const Vport* attachment_holder(const Core& core, const Transaction* open,
                               const Attachment& attachment, const Vport* self) {
    if (open != nullptr) {
        for (const auto& [vport, staged] : open->vports) {
            if (vport != self && staged && staged->attachment == attachment) return vport;
        }
    }
    const auto found = core.attachments.find(attachment);
    if (found == core.attachments.end() || found->second == self) return nullptr;
    const Vport* const holder = found->second;
    if (open != nullptr && open->vports.contains(found->second)) return nullptr;
    return core.is_stale(*holder) ? nullptr : holder;
}

bool has_attachment(const Core& core, const Vport& vport) {
    const auto found = core.attachments.find(vport.now->attachment);
    return found != core.attachments.end() && found->second == &vport;
}

bool quota_spent(const Core& core, const Tenant& tenant) {
    const auto counts = [&](const Vport* vport) {
        return vport != nullptr && !vport->dying && !core.is_stale(*vport);
    };
    return std::count_if(tenant.slots.begin(), tenant.slots.end(), counts) >=
           static_cast<std::ptrdiff_t>(tenant.quotas.vports);
}

Vport* make_vport(Core& core, Tenant& tenant, const ObjectName& name) {
    const auto slot = core.wiring.counters.claim(table::SlotKind::vport, name);
    if (!slot) return nullptr;
    const auto& header = core.arena.header();
    if (*slot >= header.limits.vports || !core.arena.back(header.vports, *slot)) {
        core.wiring.counters.release(table::SlotKind::vport, *slot);
        return nullptr;
    }
    Vport& vport = core.vports.add(name);
    vport.id = VportId{*slot};
    vport.tenant = &tenant;
    const auto free = std::find(tenant.slots.begin(), tenant.slots.end(), nullptr);
    vport.slot = static_cast<std::uint32_t>(free - tenant.slots.begin());
    if (free == tenant.slots.end()) {
        tenant.slots.push_back(&vport);
    } else {
        *free = &vport;
    }
    return &vport;
}

void publish_attachment(Core& core, const Vport& vport, const Attachment& attachment) {
    if (attachment.kind == VportKind::tunnel) {
        core.arena.record(core.arena.header().tunnels, attachment.tunnel->id.value).vport =
            vport.id;
    } else {
        // Never full: limits.vports slots are at most half of the table.
        const bool inserted = core.vport_keys.insert(attachment.port, attachment.vlan,
                                                     attachment.inner_vlan, vport.id);
        WYE_CHECK(inserted, "the vport hash has room for every vport");
    }
    core.changed = true;
}

void unpublish_attachment(Core& core, const Attachment& attachment) {
    if (attachment.kind == VportKind::tunnel) {
        core.arena.record(core.arena.header().tunnels, attachment.tunnel->id.value).vport =
            VportId{};
    } else {
        core.vport_keys.remove(attachment.port, attachment.vlan, attachment.inner_vlan);
    }
    core.changed = true;
}

void give_up_attachment(Core& core, Vport& vport) {
    if (has_attachment(core, vport)) {
        if (vport.drain == Drain::no) unpublish_attachment(core, vport.now->attachment);
        core.attachments.erase(vport.now->attachment);
        ++core.attachment_changes;
    }
    if (Tunnel* const tunnel = vport.now->attachment.tunnel) --tunnel->vports;
}

void free_vport(Core& core, Vport& vport) {
    Tenant& tenant = *vport.tenant;
    tenant.slots[vport.slot] = nullptr;
    while (!tenant.slots.empty() && tenant.slots.back() == nullptr) tenant.slots.pop_back();
    core.wiring.counters.release(table::SlotKind::vport, vport.id.value);
    core.vports.remove(vport);
}

/// Into the open transaction of the tenant, or as one of its own.
Answer stage(Core& core, Vport& vport, const std::optional<VportSettings>& settings) {
    if (Transaction* const open = open_transaction(core, *vport.tenant)) {
        open->vports[&vport] = settings;
        return accept();
    }
    Transaction own{.tenant = vport.tenant, .vports = {{&vport, settings}}, .acls = {}};
    const Answer published = publish(core, own);
    if (!published.accepted() && published.wait == Wait::no) roll_back(core, own);
    return published;
}

}  // namespace

Answer set_vport(Core& core, const ring::VportSet& command) {
    if (const Answer checked = check(command); !checked.accepted()) return checked;
    const ObjectName name = *valid_name(command.name);
    const auto match = core.vports.match(command.vport, name);
    if (!match.problem.accepted()) return match.problem;
    Tenant* const tenant = core.tenants.find(command.tenant);
    if (tenant == nullptr) return unknown(command.tenant);
    VportSettings wanted;
    const Answer resolved = resolve(core, command, *tenant, wanted);
    if (!resolved.accepted()) return resolved;
    Transaction* const open = open_transaction(core, *tenant);
    Vport* vport = match.object;
    if (vport != nullptr && vport->tenant != tenant) {
        return refuse(ring::Outcome::in_use, command.vport);
    }
    const Vport* const holder = attachment_holder(core, open, wanted.attachment, vport);
    if (holder != nullptr) {
        return refuse(wanted.attachment.kind == VportKind::tunnel ? ring::Outcome::duplicate
                                                                  : ring::Outcome::vlan_conflict,
                      holder->handle);
    }
    if (vport != nullptr) {
        const bool stands = !vport->condemned && vport->drain == Drain::no &&
                            staged_settings(open, *vport) == wanted &&
                            (!vport->now || has_attachment(core, *vport));
        if (!stands) {
            const bool condemned = std::exchange(vport->condemned, false);
            const Answer staged = stage(core, *vport, wanted);
            if (!staged.accepted()) vport->condemned = condemned;
            if (!staged.accepted()) return staged;
        }
    } else {
        if (quota_spent(core, *tenant)) return refuse(ring::Outcome::quota_exceeded);
        vport = make_vport(core, *tenant, name);
        if (vport == nullptr) return refuse(ring::Outcome::table_full);
        const Answer staged = stage(core, *vport, wanted);
        if (!staged.accepted()) return staged;
    }
    core.vports.bind(*vport, command.vport);
    core.declare(*vport);
    return accept();
}

Answer delete_vport(Core& core, ring::Handle handle) {
    Vport* const vport = core.vports.find(handle);
    if (vport == nullptr) return unknown(handle);
    if (vport->declared_users != 0) return refuse(ring::Outcome::in_use, handle);
    return stage(core, *vport, std::nullopt);
}

void write_vport_record(Core& core, const Vport& vport, const VportSettings& settings) {
    auto& record = record_of(core, vport);
    const Attachment& at = settings.attachment;
    if (vport.now && vport.now->attachment == at) return;
    if (!vport.now) ++record.generation;
    record.tenant = vport.tenant->id;
    record.slot = vport.slot;
    record.kind = at.kind;
    record.port = at.port;
    record.vlan = at.vlan;
    record.inner_vlan = at.inner_vlan;
    record.tunnel = at.tunnel != nullptr ? at.tunnel->id : TunnelId{};
    core.changed = true;
}

void finish_vport_change(Core& core, Vport& vport, const VportSettings& settings) {
    const bool fresh = !vport.now.has_value();
    const bool moved = !fresh && vport.now->attachment != settings.attachment;
    const bool attach = fresh || moved || vport.drain != Drain::no || !has_attachment(core, vport);
    const bool readdressed = fresh || moved || vport.now->mac != settings.mac;
    Vrf* const old_vrf = fresh ? nullptr : vport.now->vrf;
    if (moved) give_up_attachment(core, vport);
    if ((fresh || moved) && settings.attachment.tunnel != nullptr) {
        ++settings.attachment.tunnel->vports;
    }
    vport.now = settings;
    vport.drain = Drain::no;
    ++vport.drain_round;
    if (attach) {
        core.attachments[settings.attachment] = &vport;
        ++core.attachment_changes;
        publish_attachment(core, vport, settings.attachment);
    }
    if (old_vrf != nullptr && old_vrf != settings.vrf) remove_bfd_of(core, vport);
    if (old_vrf != settings.vrf) move_neighbors(core, vport, old_vrf, settings.vrf);
    if (readdressed) refresh_rewrites(core, vport);
    if (moved) refresh_liveness(core, vport);
    if (fresh) core.twins.object_stands(ring::TwinKind::vport_tap, vport.name, vport.id.value);
}

namespace {

/// Later still if a host route that a full arena keeps (repairs.hh) leads to the vport.
void free_unless_led_to(Core& core, Vport& vport) {
    core.frees.after([&core, &vport] {
        const bool led_to = std::any_of(vport.nexthops.begin(), vport.nexthops.end(),
                                        [](const NextHop* hop) { return hop->host_routes != 0; });
        if (led_to) return free_unless_led_to(core, vport);
        record_of(core, vport).kind = VportKind::none;
        free_vport(core, vport);
    });
}

}  // namespace

void finish_vport_deletion(Core& core, Vport& vport) {
    core.vports.unbind(vport);
    if (!vport.now) {
        free_vport(core, vport);  // made and deleted in one transaction
        return;
    }
    give_up_attachment(core, vport);
    remove_bfd_of(core, vport);
    drop_neighbors(core, vport);
    vport.now.reset();
    vport.dying = true;
    core.twins.object_gone(ring::TwinKind::vport_tap, vport.name);
    core.changed = true;
    free_unless_led_to(core, vport);
}

void discard_vport(Core& core, Vport& vport) {
    free_vport(core, vport);
}

bool drain_vport(Core& core, Vport& vport) {
    vport.drain = Drain::waiting;
    if (!republish(core, *vport.tenant)) {
        vport.drain = Drain::no;
        return false;
    }
    if (has_attachment(core, vport)) unpublish_attachment(core, vport.now->attachment);
    refresh_rewrites(core, vport);
    core.grace.after([&vport, round = ++vport.drain_round] {
        if (vport.drain_round == round) vport.drain = Drain::done;
    });
    return true;
}

void restore_vport(Core& core, Vport& vport) {
    vport.drain = Drain::no;
    ++vport.drain_round;
    if (!vport.now) return;
    if (has_attachment(core, vport)) publish_attachment(core, vport, vport.now->attachment);
    vport.tenant->policy_dirty = core.policies_dirty = true;
    refresh_rewrites(core, vport);
}

void abandon_vport_drains(Core& core) {
    for (const auto& [name, vport] : core.vports.all()) {
        if (vport->drain != Drain::no) restore_vport(core, *vport);
    }
}

void write_own_addresses(table::VportPolicy& slot, const Vport& vport) {
    for (const net::IpAddress& address : vport.locals) {
        if (address.is_ipv4()) {
            if (slot.source4 == net::Ipv4Address{}) slot.source4 = address.ipv4();
        } else if (slot.source6.is_unspecified() && !is_link_local(address)) {
            slot.source6 = address.ipv6();
        }
    }
}

void change_own_address(Core& core, Vport& vport, const net::IpAddress& address, bool own) {
    const bool changed =
        own ? vport.locals.insert(address).second : vport.locals.erase(address) > 0;
    if (changed) vport.tenant->policy_dirty = core.policies_dirty = true;
}

bool sweep_vports(Core& core) {
    std::map<Tenant*, Transaction> by_tenant;
    bool left = false;
    for (const auto& [name, vport] : core.vports.all()) {
        if (vport->dying || vport->declared == core.policy().round) continue;
        if (vport->declared_users == 0) {
            Transaction& transaction = by_tenant[vport->tenant];
            transaction.tenant = vport->tenant;
            transaction.vports[vport.get()] = std::nullopt;
            continue;
        }
        left = true;
        if (std::exchange(vport->condemned, true)) continue;
        core.vports.unbind(*vport);
        vport->tenant->policy_dirty = core.policies_dirty = true;
    }
    for (auto& [tenant, transaction] : by_tenant) {
        if (!publish(core, transaction).accepted()) left = true;
    }
    return !left;
}

}  // namespace wye::control
