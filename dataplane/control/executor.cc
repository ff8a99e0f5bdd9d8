#include "dataplane/control/executor.hh"

#include <algorithm>
#include <span>
#include <vector>

#include "dataplane/control/acls.hh"
#include "dataplane/control/core.hh"
#include "dataplane/control/drain.hh"
#include "dataplane/control/families.hh"
#include "dataplane/control/routes.hh"

namespace wye::control {
namespace {

using ring::Opcode;

Answer execute_policy(Core& core, const ring::Command& command) {
    const auto& body = command.body;
    switch (command.header.opcode) {
        case Opcode::transaction_begin:
            return begin_transaction(core, body.object.object);
        case Opcode::transaction_commit:
            return commit_transaction(core, body.object.object);
        case Opcode::transaction_abort:
            return abort_transaction(core, body.object.object);
        case Opcode::tenant_set:
            return set_tenant(core, body.tenant);
        case Opcode::tenant_delete:
            return delete_tenant(core, body.object.object);
        case Opcode::vrf_set:
            return set_vrf(core, body.vrf);
        case Opcode::vrf_delete:
            return delete_vrf(core, body.object.object);
        case Opcode::port_bind:
            return bind_port(core, body.port);
        case Opcode::tunnel_set:
            return set_tunnel(core, body.tunnel);
        case Opcode::tunnel_delete:
            return delete_tunnel(core, body.object.object);
        case Opcode::vport_set:
            return set_vport(core, body.vport);
        case Opcode::vport_delete:
            return delete_vport(core, body.object.object);
        case Opcode::acl_begin:
            return begin_acl(core, body.acl);
        case Opcode::acl_rule:
            return add_acl_rule(core, body.rule);
        case Opcode::acl_commit:
            return commit_acl(core, body.object.object);
        case Opcode::acl_delete:
            return delete_acl(core, body.object.object);
        case Opcode::worker_add:
        case Opcode::worker_move:
        case Opcode::worker_remove:
            return change_worker(core, command.header.opcode, body.worker);
        case Opcode::queue_place:
            return place_queue(core, body.queue);
        default:
            return refuse(ring::Outcome::unknown_opcode);
    }
}

Answer execute_routes(Core& core, const ring::Command& command) {
    const auto& body = command.body;
    switch (command.header.opcode) {
        case Opcode::nexthop_set:
            return set_nexthop(core, body.nexthop);
        case Opcode::nexthop_delete:
            return delete_nexthop(core, body.object.object);
        case Opcode::group_set:
            return set_group(core, body.group);
        case Opcode::group_delete:
            return delete_group(core, body.object.object);
        case Opcode::route_set:
            return set_route(core, body.route);
        case Opcode::route_delete:
            return delete_route(core, body.route_delete);
        case Opcode::neighbor_set:
            return set_neighbor(core, body.neighbor);
        case Opcode::neighbor_delete:
            return delete_neighbor(core, body.neighbor_delete);
        case Opcode::bfd_set:
            return set_bfd(core, body.bfd);
        case Opcode::bfd_delete:
            return delete_bfd(core, body.object.object);
        case Opcode::bfd_begin:
            return begin_bfd(core, body.object.object);
        case Opcode::bfd_end:
            return end_bfd(core, body.object.object);
        default:
            return refuse(ring::Outcome::unknown_opcode);
    }
}

/// A refusal for good: what the command had begun while it waited is taken back.
void give_up(Core& core, const ring::Command& command) {
    if (command.header.opcode == Opcode::transaction_commit && core.session.transaction) {
        roll_back(core, *core.session.transaction);
        core.session.transaction.reset();
    }
    if (command.header.opcode == Opcode::acl_commit) abandon_assembly(core);
    if (command.header.opcode == Opcode::replay_end) core.session.sweep.reset();
    abandon_vport_drains(core);
    abandon_tunnel_drains(core);
}

/// A worker that does not report holds memory and ids: after a while changes are refused.
Answer limit_wait(Core& core, StreamState& state, const ring::Command& command, Answer answer) {
    if (answer.wait != Wait::grace) {
        state.waiting_since.reset();
        return answer;
    }
    const auto now = std::chrono::steady_clock::now();
    if (!state.waiting_since) state.waiting_since = now;
    if (!core.hung && now - *state.waiting_since < core.options.hung_after) return answer;
    core.hung = true;
    state.waiting_since.reset();
    give_up(core, command);
    return refuse(ring::Outcome::frees_pending);
}

void take(Core& core, ring::Stream stream, StreamState& state) {
    if (state.has_taken() || !state.completions.empty()) return;
    ring::Channel& channel = *core.session.channel;
    const std::size_t room = channel.completion_room(stream);
    const std::size_t count = std::min<std::size_t>(room, core.options.batch);
    if (count == 0) return;
    state.taken.resize(count);
    state.taken.resize(channel.receive_commands(stream, state.taken));
    state.next = 0;
}

/// How many commands before its turn each stage of a route is asked for.
struct Lookahead {
    std::size_t distance;
    RouteStage stage;
};
constexpr Lookahead kLookaheads[] = {
    {12, RouteStage::slot}, {8, RouteStage::route}, {4, RouteStage::neighbors}};

void prefetch(const Core& core, const StreamState& state, std::size_t index, RouteStage stage) {
    if (index < state.taken.size()) prefetch_route(core, state.taken[index], stage);
}

/// At the beginning of a batch: what prefetch_after() would have asked for before.
void prefetch_first(const Core& core, const StreamState& state) {
    for (const Lookahead& ahead : kLookaheads) {
        for (std::size_t i = 0; i < ahead.distance; ++i) {
            prefetch(core, state, state.next + i, ahead.stage);
        }
    }
}
void prefetch_after(const Core& core, const StreamState& state) {
    for (const Lookahead& ahead : kLookaheads) {
        prefetch(core, state, state.next + ahead.distance, ahead.stage);
    }
}

}  // namespace

Answer execute(Core& core, ring::Stream stream, const ring::Command& command) {
    const StreamState& state = core.streams[static_cast<std::size_t>(stream)];
    if (command.header.opcode == Opcode::replay_begin) return begin_replay(core, stream);
    if (command.header.opcode == Opcode::barrier) return accept();
    if (!state.begun) return refuse(ring::Outcome::not_ready);
    if (core.arena.retired_bytes() > core.options.retired_budget) return wait_for(Wait::grace);
    if (command.header.opcode == Opcode::replay_end) return end_replay(core, stream);
    return stream == ring::Stream::policy ? execute_policy(core, command)
                                          : execute_routes(core, command);
}

bool run_stream(Core& core, ring::Stream stream) {
    StreamState& state = core.streams[static_cast<std::size_t>(stream)];
    if (core.session.channel == nullptr) return false;
    take(core, stream, state);
    bool any = false;
    if (stream == ring::Stream::routes) prefetch_first(core, state);
    while (state.has_taken()) {
        const ring::Command& command = state.taken[state.next];
        if (stream == ring::Stream::routes) prefetch_after(core, state);
        Answer answer = execute(core, stream, command);
        answer = limit_wait(core, state, command, answer);
        if (answer.wait != Wait::no) return any || answer.wait == Wait::turn;
        ring::Completion completion{};
        completion.sequence = command.header.sequence;
        completion.opcode = command.header.opcode;
        completion.outcome = answer.outcome;
        completion.detail = answer.detail;
        state.completions.push_back(completion);
        ++core.commands;
        if (!answer.accepted()) ++core.refusals;
        ++state.next;
        any = true;
    }
    return any;
}

void publish_epoch(Core& core) {
    if (!core.changed && !core.grace.has_unsealed() && !core.frees.has_unsealed()) return;
    core.epoch = core.wiring.epochs.advance();
    core.arena.header().epoch.store(core.epoch, std::memory_order_release);
    core.arena.seal(core.epoch);
    core.grace.seal(core.epoch);
    core.frees.seal(core.epoch);
    core.unreached.push_back(core.epoch);
    if (core.neighbors_changed) {
        core.wiring.published.neighbor_generation.fetch_add(1, std::memory_order_release);
    }
    core.changed = core.neighbors_changed = false;
}

void complete(Core& core, ring::Stream stream) {
    StreamState& state = core.streams[static_cast<std::size_t>(stream)];
    if (state.completions.empty() || core.session.channel == nullptr) return;
    for (ring::Completion& completion : state.completions) completion.epoch = core.epoch;
    if (!core.session.channel->complete(stream, state.completions)) return;
    state.completions.clear();
    core.session.completed_epoch = core.epoch;
}

namespace {

/// Memory and ids that neither a worker nor a lease can hold any more. True if there were some.
bool give_back(Core& core) {
    core.leases.enforce(core.arena);
    const std::uint64_t last = std::min(core.reached, core.leases.oldest_epoch());
    if (last <= core.freed) return false;
    core.freed = last;
    core.frees.run(last);
    core.arena.release_through(last);
    return true;
}

}  // namespace

bool advance_reached(Core& core) {
    bool any = false;
    while (!core.unreached.empty() && core.wiring.epochs.reached(core.unreached.front())) {
        core.reached = core.unreached.front();
        core.unreached.pop_front();
        any = true;
    }
    if (any) core.grace.run(core.reached);
    any |= give_back(core);
    if (!any) return false;
    const bool roomy = core.arena.retired_bytes() <= core.options.retired_budget;
    if (core.unreached.empty() && roomy) core.hung = false;
    return true;
}

void undo_unfinished(Core& core) {
    if (core.session.transaction) {
        roll_back(core, *core.session.transaction);
        core.session.transaction.reset();
    }
    abandon_assembly(core);
    abandon_vport_drains(core);
    abandon_tunnel_drains(core);
}

}  // namespace wye::control
