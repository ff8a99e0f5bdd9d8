#include "dataplane/control/control.hh"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "dataplane/control/acls.hh"
#include "dataplane/control/bfd.hh"
#include "dataplane/control/core.hh"
#include "dataplane/control/events.hh"
#include "dataplane/control/executor.hh"
#include "dataplane/control/families.hh"
#include "dataplane/control/replay.hh"
#include "dataplane/control/transactions.hh"

namespace wye::control {
namespace {

/// A read-only descriptor of an arena's file, whatever ours may do.
Result<Descriptor> reopen(const std::string& path) {
    Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid()) return fail("the arena cannot be opened for a reader: " + path);
    return file;
}

/// Own addresses and admin states that changed apart from a transaction.
void publish_dirty_policies(Core& core) {
    if (!core.policies_dirty) return;
    core.policies_dirty = false;
    for (const auto& [name, tenant] : core.tenants.all()) {
        if (!tenant->policy_dirty || tenant->dying) continue;
        if (!republish(core, *tenant)) core.policies_dirty = true;  // again when there is room
    }
}

/// Names in the counters' directory that nobody declared: of objects that are no more.
void release_undeclared_names(Core& core) {
    table::CounterFile& counters = core.wiring.counters;
    const auto release = [&](table::SlotKind kind, std::uint32_t limit, const auto& registry) {
        for (std::uint32_t slot = 0; slot < limit; ++slot) {
            const auto name = ObjectName::from(counters.name(kind, slot));
            if (name && registry.find(*name) == nullptr) counters.release(kind, slot);
        }
    };
    const table::CounterLimits& limits = counters.limits();
    release(table::SlotKind::tenant, limits.tenants, core.tenants);
    release(table::SlotKind::vport, limits.vports, core.vports);
    release(table::SlotKind::tunnel, limits.tunnels, core.tunnels);
    release(table::SlotKind::vrf, limits.vrfs, core.vrfs);
}

/// Both streams were replayed once: our arena is complete. A successor may forward from it, and
/// workers leave what a crashed predecessor left.
void commit_arena(Core& core) {
    if (core.committed || !core.policy().replayed || !core.routes().replayed) return;
    core.committed = true;
    core.arena.header().state.store(table::ArenaState::committed, std::memory_order_release);
    if (core.predecessor) {
        core.wiring.published.arena.store(core.arena.view().base(), std::memory_order_release);
        core.leases.revoke_all(ring::LeaseState::superseded);
        core.neighbors_changed = core.changed = true;
    }
    core.grace.after([&core] {
        if (core.predecessor) {
            if (!core.predecessor->path.empty()) table::remove_arena(core.predecessor->path);
            core.predecessor.reset();
        }
        release_undeclared_names(core);
    });
}

/// What a replay left behind goes when the routes that held it are gone.
void sweep_leftovers(Core& core) {
    if (!core.leftovers || !core.changed) return;
    if (core.policy().replaying || core.routes().replaying) return;
    if (core.session.transaction) return;
    sweep_policy(core);
}

}  // namespace

Control::Control(table::ArenaWriter arena, Wiring wiring, Options options,
                 std::optional<Predecessor> predecessor)
    : core_(std::make_unique<Core>(std::move(arena), std::move(wiring), options,
                                   std::move(predecessor))) {
    const table::ArenaView first =
        core_->predecessor ? core_->predecessor->mapping.view() : core_->arena.view();
    core_->wiring.published.arena.store(first.base(), std::memory_order_release);
    core_->changed = true;
    publish_epoch(*core_);
}

Control::~Control() {
    core_->leases.revoke_all(ring::LeaseState::ended);
    core_->wiring.published.arena.store(nullptr, std::memory_order_release);
}

void Control::open_session(ring::Channel& channel) {
    close_session();
    core_->session.channel = &channel;
}

void Control::close_session() {
    Core& core = *core_;
    undo_unfinished(core);
    core.tenants.forget_handles();
    core.vrfs.forget_handles();
    core.ports.forget_handles();
    core.tunnels.forget_handles();
    core.vports.forget_handles();
    core.acls.forget_handles();
    for (const auto& [handle, nexthop] : core.nexthop_handles) nexthop->handles = 0;
    for (const auto& [handle, group] : core.group_handles) group->handle = ring::kNoHandle;
    forget_bfd_handles(core);
    core.nexthop_handles.clear();
    core.group_handles.clear();
    for (StreamState& stream : core.streams) {
        stream.begun = stream.replaying = false;
        stream.taken.clear();
        stream.next = 0;
        stream.completions.clear();
        stream.waiting_since.reset();
    }
    core.session = SessionState{};
}

bool Control::poll() {
    Core& core = *core_;
    core.builder.drain_wakeup();
    bool any = advance_reached(core);
    any |= pass_on_lost_twins(core);
    any |= run_stream(core, ring::Stream::routes);
    any |= run_stream(core, ring::Stream::policy);
    sweep_leftovers(core);
    repair(core);
    publish_dirty_policies(core);
    commit_arena(core);
    free_abandoned_builds(core);
    publish_epoch(core);
    complete(core, ring::Stream::policy);
    complete(core, ring::Stream::routes);
    any |= advance_reached(core);
    any |= pass_on_resolves(core);
    any |= pass_on_bfd(core);
    tell_reached(core);
    flush_events(core);
    return any;
}

bool Control::pending() const {
    const Core& core = *core_;
    const bool withheld = core.leases.oldest_epoch() < core.reached;  // by time, not by workers
    return !core.unreached.empty() || !core.grace.empty() || (!core.frees.empty() && !withheld) ||
           core.changed || core.policies_dirty || !core.repairs.leaves.empty() ||
           !core.abandoned_builds.empty() || core.streams[0].has_taken() ||
           core.streams[1].has_taken() || !core.session.events.empty();
}

int Control::builder_wakeup() const {
    return core_->builder.wakeup();
}

void Control::set_port_link(PortId port, bool up) {
    change_port_link(*core_, port, up);
}

std::vector<std::uint16_t> Control::vlans_of(PortId port) const {
    std::vector<std::uint16_t> vlans;
    for (const auto& [attachment, vport] : core_->attachments) {
        if (attachment.kind != VportKind::port || attachment.port != port.value) continue;
        if (attachment.vlan == kNoVlan) continue;
        // Attachments of a port are in the order of their tags.
        if (vlans.empty() || vlans.back() != attachment.vlan) vlans.push_back(attachment.vlan);
    }
    return vlans;
}

std::uint64_t Control::vlan_changes() const {
    return core_->attachment_changes;
}

Result<LeaseTerms> Control::grant_lease(std::chrono::milliseconds wanted) {
    Core& core = *core_;
    const bool old = core.predecessor && !core.committed;
    const table::ArenaView view = core.wiring.published.view();
    auto file = old ? reopen(core.predecessor->path)
                    : reopen("/proc/self/fd/" + std::to_string(core.arena.descriptor()));
    if (!file) return tl::unexpected(file.error());
    auto granted = core.leases.grant(core.arena, wanted, old ? kHoldsNothing : core.epoch);
    if (!granted) return tl::unexpected(granted.error());
    granted->arena = std::move(*file);
    granted->arena_instance = view.header().instance;
    granted->epoch = view.header().epoch.load(std::memory_order_acquire);
    granted->is_predecessors = old;
    return granted;
}

LeaseEnd Control::end_lease(std::uint64_t lease) {
    return {core_->leases.end(lease),
            core_->wiring.published.view().header().epoch.load(std::memory_order_acquire)};
}

TwinRegistry& Control::twins() {
    return core_->twins;
}

table::ArenaView Control::arena() const {
    return core_->arena.view();
}

Status Control::status() const {
    const Core& core = *core_;
    Status status;
    status.tenants = core.tenants.size();
    status.vrfs = core.vrfs.size();
    status.vports = core.vports.size();
    status.tunnels = core.tunnels.size();
    status.acls = core.acls.size();
    status.nexthops = core.nexthops.size();
    status.groups = core.groups.size();
    status.routes = core.route_count;
    status.neighbors = core.neighbor_count;
    status.host_routes = core.host_route_count;
    status.commands = core.commands;
    status.refusals = core.refusals;
    status.events_lost = core.events_lost;
    status.epoch = core.epoch;
    status.reached = core.reached;
    status.arena_used = core.arena.used_bytes();
    status.arena_retired = core.arena.retired_bytes();
    status.leases = core.leases.size();
    status.session = core.session.channel != nullptr;
    status.recovering = core.predecessor.has_value();
    status.committed = core.committed;
    return status;
}

}  // namespace wye::control
