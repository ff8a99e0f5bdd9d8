#include "dataplane/control/nexthops.hh"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "dataplane/base/bytes.hh"
#include "dataplane/control/core.hh"
#include "dataplane/control/families.hh"
#include "dataplane/control/fields.hh"

namespace wye::control {
namespace {

table::NextHop& record_of(Core& core, const NextHop& nexthop) {
    return core.arena.record(core.arena.header().nexthops, nexthop.id.value);
}

bool has_vport(NextHopKind kind) {
    return kind == NextHopKind::adjacency || kind == NextHopKind::glean ||
           kind == NextHopKind::local;
}

Answer resolve(const Core& core, const ring::NextHopSet& command, NextHopContent& content) {
    if (command.nexthop == ring::kNoHandle) return malformed(WYE_FIELD(NextHopSet, nexthop));
    if (command.kind == NextHopKind::none || command.kind > NextHopKind::prohibit) {
        return malformed(WYE_FIELD(NextHopSet, kind));
    }
    if (!all_zero(command.reserved)) return malformed(WYE_FIELD(NextHopSet, reserved));
    content.kind = command.kind;
    if (!has_vport(command.kind)) return accept();
    content.vport = core.vports.find(command.vport);
    if (content.vport == nullptr || !content.vport->now) return unknown(command.vport);
    if (command.kind != NextHopKind::adjacency) return accept();
    if (!is_unicast_host(command.gateway)) return malformed(WYE_FIELD(NextHopSet, gateway));
    content.gateway = command.gateway;
    return accept();
}

void count_user(NextHop& nexthop, bool before, bool after) {
    Vport* const vport = nexthop.content.vport;
    if (vport == nullptr || before == after) return;
    if (after) {
        ++vport->declared_users;
    } else {
        --vport->declared_users;
    }
}

bool is_declared(const NextHop& nexthop) {
    return nexthop.standing || nexthop.groups != 0;
}

void put_tag(std::vector<std::uint8_t>& bytes, std::uint16_t protocol, std::uint16_t vlan) {
    bytes.insert(bytes.end(),
                 {static_cast<std::uint8_t>(protocol >> 8), static_cast<std::uint8_t>(protocol),
                  static_cast<std::uint8_t>(vlan >> 8), static_cast<std::uint8_t>(vlan)});
}

/// The link header towards the gateway; empty while its MAC is not known or the vport is out.
std::vector<std::uint8_t> wanted_rewrite(const NextHop& nexthop) {
    const Vport* const vport = nexthop.content.vport;
    if (nexthop.content.kind != NextHopKind::adjacency) return {};
    if (!vport->now || vport->drain != Drain::no) return {};
    const auto neighbor = vport->neighbors.find(nexthop.content.gateway);
    if (neighbor == vport->neighbors.end()) return {};
    const auto& destination = neighbor->second.mac.bytes;
    const auto& source = vport->now->mac.bytes;
    const Attachment& at = vport->now->attachment;
    std::vector<std::uint8_t> bytes(destination.begin(), destination.end());
    bytes.insert(bytes.end(), source.begin(), source.end());
    if (at.kind != VportKind::port || at.vlan == kNoVlan) return bytes;
    const bool stacked = at.inner_vlan != kNoVlan;  // IEEE 802.1ad: the outer one is a service tag
    put_tag(bytes, stacked ? 0x88a8 : 0x8100, at.vlan);
    if (stacked) put_tag(bytes, 0x8100, at.inner_vlan);
    return bytes;
}

NextHop* make_nexthop(Core& core, const NextHopContent& content) {
    const auto taken = core.nexthop_ids.take();
    if (!taken) return nullptr;
    const auto& header = core.arena.header();
    if (!core.arena.back(header.nexthops, taken->id)) {
        core.nexthop_ids.give_back(taken->id);
        return nullptr;
    }
    auto owned = std::make_unique<NextHop>();
    NextHop& nexthop = *owned;
    nexthop.content = content;
    nexthop.id = NextHopId{taken->id};
    nexthop.generation = taken->generation;
    core.nexthops.emplace(content, std::move(owned));
    if (content.vport != nullptr) content.vport->nexthops.insert(&nexthop);
    auto& record = record_of(core, nexthop);
    record.generation = nexthop.generation;
    record.kind = content.kind;
    record.active.store(table::Rewrite::incomplete, std::memory_order_relaxed);
    record.rewrite_length = 0;
    record.vport = content.vport != nullptr ? content.vport->id : VportId{};
    record.gateway = content.gateway;
    core.changed = true;
    return &nexthop;
}

bool has_link(const Core& core, const Vport& vport) {
    if (!vport.now || vport.now->attachment.kind != VportKind::port) return true;
    for (const auto& [name, port] : core.ports.all()) {
        if (port->id.value == vport.now->attachment.port) return port->link_up;
    }
    return true;
}

void set_liveness(Core& core, const NextHop& nexthop, bool alive) {
    core.wiring.liveness.set_link(nexthop.id, nexthop.generation, alive);
}

}  // namespace

NextHop* intern_nexthop(Core& core, const NextHopContent& content) {
    const auto found = core.nexthops.find(content);
    if (found != core.nexthops.end()) return found->second.get();
    NextHop* const nexthop = make_nexthop(core, content);
    if (nexthop == nullptr) return nullptr;
    refresh_rewrite(core, *nexthop);
    const bool alive = content.vport == nullptr || has_link(core, *content.vport);
    set_liveness(core, *nexthop, alive);
    return nexthop;
}

void release_nexthop(Core& core, NextHop& nexthop) {
    if (nexthop.handles != 0 || is_declared(nexthop) || nexthop.host_routes != 0 ||
        nexthop.bfd_sessions != 0) {
        return;
    }
    if (nexthop.content.vport != nullptr) nexthop.content.vport->nexthops.erase(&nexthop);
    auto node = core.nexthops.extract(nexthop.content);
    const std::shared_ptr<NextHop> last = std::move(node.mapped());
    last->again = false;
    core.changed = true;
    core.frees.after([&core, last] {
        record_of(core, *last).kind = NextHopKind::none;
        core.nexthop_ids.give_back(last->id.value);
    });
}

void change_groups(NextHop& nexthop, int by) {
    const bool before = is_declared(nexthop);
    nexthop.groups += static_cast<std::uint32_t>(by);
    count_user(nexthop, before, is_declared(nexthop));
}

void set_standing(NextHop& nexthop, bool standing) {
    const bool before = is_declared(nexthop);
    nexthop.standing = standing;
    count_user(nexthop, before, is_declared(nexthop));
}

void refresh_rewrite(Core& core, NextHop& nexthop) {
    std::vector<std::uint8_t> wanted = wanted_rewrite(nexthop);
    nexthop.again = false;
    if (wanted == nexthop.rewrite) return;
    auto& record = record_of(core, nexthop);
    core.neighbors_changed = core.changed = true;
    if (wanted.empty()) {
        record.active.store(table::Rewrite::incomplete, std::memory_order_release);
    } else {
        if (nexthop.flipped) {  // a reader may still be in the copy that we would write
            nexthop.again = true;
            return;
        }
        nexthop.copy ^= 1;
        record.rewrite_length = static_cast<std::uint8_t>(wanted.size());
        std::copy(wanted.begin(), wanted.end(), record.rewrite[nexthop.copy].begin());
        record.active.store(nexthop.copy == 0 ? table::Rewrite::first : table::Rewrite::second,
                            std::memory_order_release);
    }
    nexthop.rewrite = std::move(wanted);
    if (std::exchange(nexthop.flipped, true)) return;
    core.grace.after([&core, &nexthop] {
        nexthop.flipped = false;
        if (nexthop.again) refresh_rewrite(core, nexthop);
    });
}

void refresh_rewrites(Core& core, Vport& vport) {
    for (NextHop* const nexthop : vport.nexthops) refresh_rewrite(core, *nexthop);
}

void refresh_liveness(Core& core, Vport& vport) {
    const bool alive = has_link(core, vport);
    for (const NextHop* const nexthop : vport.nexthops) set_liveness(core, *nexthop, alive);
}

Answer set_nexthop(Core& core, const ring::NextHopSet& command) {
    NextHopContent content;
    const Answer resolved = resolve(core, command, content);
    if (!resolved.accepted()) return resolved;
    const auto held = core.nexthop_handles.find(command.nexthop);
    if (held != core.nexthop_handles.end()) {
        // Its content is what it is: another content is another next hop.
        if (held->second->content != content) {
            return refuse(ring::Outcome::duplicate, command.nexthop);
        }
        held->second->declared = core.routes().round;
        return accept();
    }
    NextHop* const nexthop = intern_nexthop(core, content);
    if (nexthop == nullptr) return refuse(ring::Outcome::table_full);
    core.nexthop_handles.emplace(command.nexthop, nexthop);
    ++nexthop->handles;
    nexthop->declared = core.routes().round;
    set_standing(*nexthop, true);
    return accept();
}

Answer delete_nexthop(Core& core, ring::Handle handle) {
    const auto held = core.nexthop_handles.find(handle);
    if (held == core.nexthop_handles.end()) return unknown(handle);
    NextHop& nexthop = *held->second;
    if (nexthop.handles == 1 && nexthop.groups != 0) return refuse(ring::Outcome::in_use, handle);
    core.nexthop_handles.erase(held);
    if (--nexthop.handles == 0) set_standing(nexthop, false);
    release_nexthop(core, nexthop);
    return accept();
}

}  // namespace wye::control
