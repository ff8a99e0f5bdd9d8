#include "dataplane/control/bfd.hh"

#include <algorithm>
#include <array>

#include "dataplane/base/clock.hh"
#include "dataplane/control/core.hh"
#include "dataplane/control/families.hh"
#include "dataplane/control/fields.hh"
#include "dataplane/control/nexthops.hh"

namespace wye::control {
namespace {

bfd::Parameters parameters_of(const ring::BfdSet& command) {
    bfd::Parameters parameters;
    parameters.desired_min_tx = command.desired_min_tx;
    parameters.required_min_rx = command.required_min_rx;
    parameters.detect_multiplier = command.detect_multiplier;
    parameters.passive = command.passive == 1;
    parameters.admin_down = command.admin_down == 1;
    parameters.control_plane_independent = command.control_plane_independent == 1;
    return parameters;
}

Answer check(const ring::BfdSet& command) {
    if (command.session == ring::kNoHandle) return malformed(WYE_FIELD(BfdSet, session));
    if (command.discriminator == 0) return malformed(WYE_FIELD(BfdSet, discriminator));
    if (command.desired_min_tx == 0) return malformed(WYE_FIELD(BfdSet, desired_min_tx));
    if (!is_unicast_host(command.local)) return malformed(WYE_FIELD(BfdSet, local));
    if (!is_unicast_host(command.remote) || command.remote.family != command.local.family) {
        return malformed(WYE_FIELD(BfdSet, remote));
    }
    if (command.detect_multiplier == 0) return malformed(WYE_FIELD(BfdSet, detect_multiplier));
    if (!is_flag(command.passive)) return malformed(WYE_FIELD(BfdSet, passive));
    if (!is_flag(command.admin_down)) return malformed(WYE_FIELD(BfdSet, admin_down));
    if (!is_flag(command.control_plane_independent)) {
        return malformed(WYE_FIELD(BfdSet, control_plane_independent));
    }
    if (command.reserved != 0) return malformed(WYE_FIELD(BfdSet, reserved));
    return accept();
}

BfdSession* find(const Core& core, const BfdSession& like) {
    for (const auto& session : core.bfd.by_slot) {
        if (session != nullptr && session->vrf == like.vrf && session->vport == like.vport &&
            session->local == like.local && session->remote == like.remote) {
            return session.get();
        }
    }
    return nullptr;
}

bool is_taken(const Core& core, std::uint32_t discriminator) {
    return std::any_of(core.bfd.by_slot.begin(), core.bfd.by_slot.end(), [&](const auto& session) {
        return session != nullptr && session->discriminator == discriminator;
    });
}

std::uint32_t free_slot(Core& core) {
    auto& slots = core.bfd.by_slot;
    const auto found = std::find(slots.begin(), slots.end(), nullptr);
    if (found != slots.end()) return static_cast<std::uint32_t>(found - slots.begin());
    if (slots.size() < table::kMaxBfdSessions) slots.emplace_back();
    return static_cast<std::uint32_t>(slots.size()) - (slots.back() == nullptr ? 1 : 0);
}

void bind(Core& core, BfdSession& session, ring::Handle handle) {
    if (session.handle != ring::kNoHandle) core.bfd.handles.erase(session.handle);
    session.handle = handle;
    if (handle != ring::kNoHandle) core.bfd.handles[handle] = &session;
}

/// Before the order, so that whoever reads the record in use reads of this session.
void write_identity(const BfdSession& session, std::uint16_t source_port,
                    table::BfdRecord& record) {
    record.source_port = source_port;
    record.multihop = session.vport == nullptr ? 1 : 0;
    record.vrf = session.vrf->name;
    record.vport = session.vport != nullptr ? session.vport->name : ObjectName{};
    record.local = session.local;
    record.remote = session.remote;
    record.changed_at.store(0, std::memory_order_relaxed);
    record.last_down_at.store(0, std::memory_order_relaxed);
    record.discriminator.store(session.discriminator, std::memory_order_release);
}

void send_orders(Core& core) {
    auto& waiting = core.bfd.orders;
    while (!waiting.empty() && core.wiring.bfd->orders.push(waiting.front())) waiting.pop_front();
}

void order(Core& core, const BfdSession& session, bfd::Order::Kind kind) {
    bfd::Order made;
    made.kind = kind;
    made.slot = session.slot;
    made.discriminator = session.discriminator;
    made.end.vrf = session.vrf->id;
    made.end.local = session.local;
    made.end.remote = session.remote;
    // Unique for each session, and its own for as long as it lasts (RFC 5881 4).
    made.end.source_port = static_cast<std::uint16_t>(net::kBfdFirstSourcePort + session.slot);
    made.end.least_hop_limit = session.least_hop_limit;
    if (session.nexthop != nullptr) {
        made.end.vport = session.vport->id;
        made.end.nexthop = session.nexthop->id;
        made.end.nexthop_generation = session.nexthop->generation;
    }
    made.parameters = session.parameters;
    if (kind == bfd::Order::Kind::add) {
        write_identity(session, made.end.source_port, core.wiring.bfd->file.record(session.slot));
    }
    core.bfd.orders.push_back(made);
    send_orders(core);
}

Answer add(Core& core, BfdSession made, const ring::BfdSet& command) {
    if (is_taken(core, command.discriminator)) return refuse(ring::Outcome::duplicate);
    made.slot = free_slot(core);
    if (made.slot >= table::kMaxBfdSessions) return refuse(ring::Outcome::table_full);
    if (made.vport != nullptr) {
        made.nexthop = intern_nexthop(core, {NextHopKind::adjacency, made.vport, made.remote});
        if (made.nexthop == nullptr) return refuse(ring::Outcome::table_full);
        if (made.nexthop->bfd_sessions != 0) {  // from another address of ours
            return refuse(ring::Outcome::duplicate);
        }
        ++made.nexthop->bfd_sessions;
    }
    made.discriminator = command.discriminator;
    made.least_hop_limit = command.least_hop_limit;
    made.parameters = parameters_of(command);
    core.wiring.bfd->vrfs.add(made.vrf->id);
    BfdSession& session =
        *(core.bfd.by_slot[made.slot] = std::make_unique<BfdSession>(std::move(made)));
    bind(core, session, command.session);
    order(core, session, bfd::Order::Kind::add);
    Answer answer = accept();
    answer.detail = session.slot;
    return answer;
}

void remove(Core& core, BfdSession& session) {
    order(core, session, bfd::Order::Kind::remove);
    core.wiring.bfd->file.record(session.slot).discriminator.store(0, std::memory_order_release);
    core.wiring.bfd->vrfs.remove(session.vrf->id);
    bind(core, session, ring::kNoHandle);
    if (session.nexthop != nullptr) {
        --session.nexthop->bfd_sessions;
        release_nexthop(core, *session.nexthop);
    }
    core.bfd.by_slot[session.slot].reset();
}

template <class Leaves>
void remove_if(Core& core, Leaves leaves) {
    for (std::size_t slot = 0; slot < core.bfd.by_slot.size(); ++slot) {
        const auto& session = core.bfd.by_slot[slot];
        if (session != nullptr && leaves(*session)) remove(core, *session);
    }
}

void write_times(const Core& core, BfdSession& session) {
    table::BfdRecord& record = core.wiring.bfd->file.record(session.slot);
    const auto state = static_cast<net::BfdState>(record.state.load(std::memory_order_acquire));
    if (state == session.seen) return;
    const auto now = static_cast<std::uint64_t>(monotonic_now().count());
    record.changed_at.store(now, std::memory_order_relaxed);
    if (session.seen == net::BfdState::up) {
        record.last_down_at.store(now, std::memory_order_relaxed);
    }
    session.seen = state;
}

}  // namespace

Answer set_bfd(Core& core, const ring::BfdSet& command) {
    if (core.wiring.bfd == nullptr) return refuse(ring::Outcome::unknown_opcode);
    if (const Answer checked = check(command); !checked.accepted()) return checked;
    BfdSession wanted;
    wanted.vrf = core.vrfs.find(command.vrf);
    if (wanted.vrf == nullptr) return unknown(command.vrf);
    wanted.local = command.local;
    wanted.remote = command.remote;
    if (command.vport != ring::kNoHandle) {
        wanted.vport = core.vports.find(command.vport);
        if (wanted.vport == nullptr || !wanted.vport->now || wanted.vport->now->vrf != wanted.vrf) {
            return unknown(command.vport);
        }
    }
    BfdSession* const session = find(core, wanted);
    const auto held = core.bfd.handles.find(command.session);
    if (held != core.bfd.handles.end() && held->second != session) {
        return refuse(ring::Outcome::duplicate, command.session);
    }
    if (session == nullptr) return add(core, std::move(wanted), command);
    bind(core, *session, command.session);
    session->stale = false;
    const bfd::Parameters parameters = parameters_of(command);
    if (session->parameters != parameters) {
        session->parameters = parameters;
        order(core, *session, bfd::Order::Kind::change);
    }
    Answer answer = accept();
    answer.detail = session->slot;
    return answer;
}

Answer delete_bfd(Core& core, ring::Handle handle) {
    const auto held = core.bfd.handles.find(handle);
    if (held == core.bfd.handles.end()) return unknown(handle);
    remove(core, *held->second);
    return accept();
}

Answer begin_bfd(Core& core, ring::Handle handle) {
    const Vrf* const vrf = core.vrfs.find(handle);
    if (vrf == nullptr) return unknown(handle);
    for (const auto& session : core.bfd.by_slot) {
        if (session != nullptr && session->vrf == vrf) session->stale = true;
    }
    return accept();
}

Answer end_bfd(Core& core, ring::Handle handle) {
    const Vrf* const vrf = core.vrfs.find(handle);
    if (vrf == nullptr) return unknown(handle);
    remove_if(core, [&](const BfdSession& session) { return session.vrf == vrf && session.stale; });
    return accept();
}

void remove_bfd_of(Core& core, const Vport& vport) {
    remove_if(core, [&](const BfdSession& session) { return session.vport == &vport; });
}

void remove_bfd_of(Core& core, const Vrf& vrf) {
    remove_if(core, [&](const BfdSession& session) { return session.vrf == &vrf; });
}

void forget_bfd_handles(Core& core) {
    for (const auto& [handle, session] : core.bfd.handles) session->handle = ring::kNoHandle;
    core.bfd.handles.clear();
}

bool pass_on_bfd(Core& core) {
    if (core.wiring.bfd == nullptr) return false;
    send_orders(core);
    std::array<std::uint32_t, 64> slots;
    const std::size_t count = core.wiring.bfd->events.pop(slots);
    for (std::size_t i = 0; i < count; ++i) {
        if (slots[i] >= core.bfd.by_slot.size() || core.bfd.by_slot[slots[i]] == nullptr) continue;
        BfdSession& session = *core.bfd.by_slot[slots[i]];
        write_times(core, session);
        if (core.session.channel == nullptr || session.handle == ring::kNoHandle) continue;
        ring::Event event;
        event.kind = ring::EventKind::bfd_changed;
        event.object = session.handle;
        event.epoch = core.epoch;
        event.value = session.slot;
        core.session.events.push_back(event);
    }
    return count != 0;
}

}  // namespace wye::control
