// Core: everything that the command families work on. Private to dataplane/control/.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dataplane/control/answer.hh"
#include "dataplane/control/bfd.hh"
#include "dataplane/control/builder.hh"
#include "dataplane/control/control.hh"
#include "dataplane/control/grace.hh"
#include "dataplane/control/id_pool.hh"
#include "dataplane/control/leases.hh"
#include "dataplane/control/objects.hh"
#include "dataplane/control/repairs.hh"
#include "dataplane/control/resolver.hh"
#include "dataplane/control/transactions.hh"
#include "dataplane/control/twins.hh"
#include "dataplane/table/tunnel_key_writer.hh"
#include "dataplane/table/vport_key_writer.hh"

namespace wye::control {

/// An ACL whose rules are coming in.
struct AclAssembly {
    ring::AclBegin begin{};
    std::vector<table::AclRuleSpec> rules;
    bool broken = false;  // a rule was refused
    std::shared_ptr<AclBuild> build;
};

/// A group whose members come in several commands.
struct GroupAssembly {
    ring::Handle handle = ring::kNoHandle;
    std::uint32_t total = 0;
    std::vector<ring::GroupMember> members;
};

/// What is not declared any more, removed over several polls.
struct RouteSweep {
    std::vector<std::pair<Vrf*, net::IpPrefix>> routes;
    std::size_t next = 0;
};

struct StreamState {
    std::uint32_t round = 0;  // of declaration: grows with each replay_begin
    bool begun = false;       // a replay_begin came in this session
    bool replaying = false;
    bool replayed = false;             // a replay_end was executed in the life of this process
    std::vector<ring::Command> taken;  // out of the ring
    std::size_t next = 0;              // of them: the first that is not yet executed
    std::vector<ring::Completion> completions;
    std::optional<std::chrono::steady_clock::time_point> waiting_since;

    [[nodiscard]] bool has_taken() const noexcept { return next != taken.size(); }
};

/// What lives as long as a session.
struct SessionState {
    ring::Channel* channel = nullptr;
    std::uint64_t told_epoch = 0;       // the last epoch_reached sent
    std::uint64_t completed_epoch = 0;  // the highest in a completion
    std::optional<Transaction> transaction;
    std::optional<AclAssembly> acl;
    std::optional<GroupAssembly> group;
    std::optional<RouteSweep> sweep;
    std::vector<ring::Event> events;  // that must not be lost, waiting for room
    std::uint64_t lost = 0;           // events that found no room, not yet told
};

struct Core {
    Core(table::ArenaWriter writer, Wiring wires, Options wishes,
         std::optional<Predecessor> before);
    ~Core();

    Options options;
    Wiring wiring;
    table::ArenaWriter arena;
    table::VportKeyWriter vport_keys;
    table::TunnelKeyWriter tunnel_keys;
    std::optional<Predecessor> predecessor;

    // Before the objects, whose deferred ends refer to them: destroyed after them.
    RoutePool route_pool;
    Registry<Tenant> tenants;
    Registry<Vrf> vrfs;
    Registry<Port> ports;
    Registry<Tunnel> tunnels;
    Registry<Vport> vports;
    Registry<AccessList> acls;
    std::unordered_map<NextHopContent, std::unique_ptr<NextHop>, NextHopContentHash> nexthops;
    std::unordered_map<ring::Handle, NextHop*> nexthop_handles;
    std::unordered_map<Group*, std::unique_ptr<Group>> groups;
    std::unordered_multimap<std::size_t, Group*> groups_by_content;
    std::unordered_map<ring::Handle, Group*> group_handles;
    std::unordered_map<std::uint32_t, Tunnel*> tunnels_by_id;
    std::map<Attachment, Vport*> attachments;  // of published vports
    std::uint64_t attachment_changes = 0;
    std::unordered_map<std::uint32_t, Vrf*> vnis;  // of VRFs
    BfdSessions bfd;
    IdPool nexthop_ids;
    IdPool group_ids;
    std::size_t route_count = 0, neighbor_count = 0, host_route_count = 0;

    Repairs repairs;

    Grace grace;
    Grace frees;  // ids and names given back: when no lease holds them either
    Leases leases;
    Builder builder;
    std::vector<std::shared_ptr<AclBuild>> abandoned_builds;
    TwinRegistry twins;
    Resolver resolver;
    StreamState streams[2];
    SessionState session;

    std::uint64_t epoch = 0;    // last published
    std::uint64_t reached = 0;  // highest that all workers have passed
    std::uint64_t freed = 0;    // highest whose memory and ids were given back
    std::deque<std::uint64_t> unreached;
    bool changed = false;            // since the last epoch
    bool neighbors_changed = false;  // since the last epoch
    bool hung = false;               // a change waited too long for a worker
    bool policies_dirty = false;
    bool leftovers = false;  // undeclared objects that are still referred to
    bool committed = false;
    std::uint64_t commands = 0, refusals = 0, events_lost = 0;

    [[nodiscard]] StreamState& policy() { return streams[0]; }
    [[nodiscard]] StreamState& routes() { return streams[1]; }
    /// An object that this replay has not declared (yet) gives way to one that it does.
    [[nodiscard]] bool is_stale(const Named& object) const {
        return streams[0].replaying && object.declared != streams[0].round;
    }
    void declare(Named& object) { object.declared = streams[0].round; }
};

}  // namespace wye::control
