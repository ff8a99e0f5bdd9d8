#include "dataplane/control/groups.hh"

#include <algorithm>
#include <utility>

#include "dataplane/control/core.hh"
#include "dataplane/control/families.hh"
#include "dataplane/control/fields.hh"
#include "dataplane/control/neighbors.hh"
#include "dataplane/control/nexthops.hh"
#include "dataplane/control/routes.hh"
#include "dataplane/table/group_builder.hh"

namespace wye::control {
namespace {

constexpr std::uint32_t kMaxWeight = 255;

Answer check(const ring::GroupSet& command) {
    if (command.group == ring::kNoHandle) return malformed(WYE_FIELD(GroupSet, group));
    if (command.total == 0 || command.total > ring::kMaxGroupMembers) {
        return malformed(WYE_FIELD(GroupSet, total));
    }
    if (command.count == 0 || command.count > ring::kMembersInOneCommand) {
        return malformed(WYE_FIELD(GroupSet, count));
    }
    if (command.offset + command.count > command.total) {
        return malformed(WYE_FIELD(GroupSet, offset));
    }
    if (command.reserved != 0) return malformed(WYE_FIELD(GroupSet, reserved));
    for (std::size_t i = 0; i < command.count; ++i) {
        const std::uint32_t weight = command.members[i].weight;
        if (weight == 0 || weight > kMaxWeight) {
            return malformed(WYE_FIELD(GroupSet, members) + i * sizeof(ring::GroupMember) +
                             offsetof(ring::GroupMember, weight));
        }
    }
    return accept();
}

struct Content {
    std::vector<Member> members;
    Tenant* tenant = nullptr;
};

void add_member(Content& content, NextHop& nexthop, std::uint32_t weight) {
    const auto same = std::find_if(content.members.begin(), content.members.end(),
                                   [&](const Member& m) { return m.nexthop == &nexthop; });
    if (same == content.members.end()) {
        content.members.push_back({&nexthop, weight});
    } else {
        same->weight = std::min(same->weight + weight, kMaxWeight);
    }
}

/// Members of two tenants in one group would be a way from one to the other.
Answer resolve(const Core& core, const std::vector<ring::GroupMember>& members, Content& out) {
    for (const ring::GroupMember& member : members) {
        const auto found = core.nexthop_handles.find(member.nexthop);
        if (found == core.nexthop_handles.end()) return unknown(member.nexthop);
        NextHop& nexthop = *found->second;
        if (const Vport* const vport = nexthop.content.vport) {
            if (out.tenant != nullptr && out.tenant != vport->tenant) {
                return malformed(WYE_FIELD(GroupSet, members));
            }
            out.tenant = vport->tenant;
        }
        add_member(out, nexthop, member.weight);
    }
    std::sort(out.members.begin(), out.members.end(),
              [](const Member& a, const Member& b) { return a.nexthop->id < b.nexthop->id; });
    return accept();
}

table::Group& record_of(Core& core, GroupId id) {
    return core.arena.record(core.arena.header().groups, id.value);
}

table::Ref<table::GroupTable> build_table(Core& core, const std::vector<Member>& members,
                                          table::Ref<table::GroupTable> old) {
    std::vector<table::GroupMemberSpec> specs;
    for (const Member& member : members) specs.push_back({member.nexthop->id, member.weight});
    return table::build_group_table(core.arena, specs, old);
}

void retire_table(Core& core, table::Ref<table::GroupTable> table) {
    core.arena.retire(table, table::group_table_bytes(*core.arena.writable(table)));
    core.changed = true;
}

/// An id and a published table for a group of several members. False: full.
bool make_table(Core& core, Group& group, const std::vector<Member>& members) {
    const auto taken = core.group_ids.take();
    if (!taken) return false;
    const auto made = core.arena.back(core.arena.header().groups, taken->id)
                          ? build_table(core, members, {})
                          : table::Ref<table::GroupTable>{};
    if (!made) {
        core.group_ids.give_back(taken->id);
        return false;
    }
    group.id = GroupId{taken->id};
    group.generation = taken->generation;
    group.table = made;
    auto& record = record_of(core, group.id);
    record.generation = group.generation;
    record.table.store(made);
    core.changed = true;
    return true;
}

bool swap_table(Core& core, Group& group, const std::vector<Member>& members) {
    const auto made = build_table(core, members, group.table);
    if (!made) return false;
    record_of(core, group.id).table.store(made);
    retire_table(core, group.table);
    group.table = made;
    return true;
}

void drop_table(Core& core, GroupId id, table::Ref<table::GroupTable> table) {
    if (!id.valid()) return;
    retire_table(core, table);
    core.frees.after([&core, id] {
        record_of(core, id).table.store({});
        core.group_ids.give_back(id.value);
    });
}
void drop_table(Core& core, Group& group) {
    drop_table(core, group.id, group.table);
    group.id = GroupId{};
    group.table = {};
}

enum class Pointed : std::uint8_t { all, none, some };

/// Memory that rewriting one leaf may take at most: a node of the trie.
constexpr std::size_t kBytesForLeaf = 1024;

/// Points every route of the group at `leaf`, or back at `old` if the arena turns out to be full.
/// `some`: not even the way back had room, and a few routes forward by `leaf` until there is.
Pointed point_routes(Core& core, const Group& group, table::Leaf leaf, table::Leaf old) {
    if (core.arena.free_bytes() / kBytesForLeaf < group.routes) return Pointed::none;
    for (const Route* route = group.first_route; route != nullptr; route = route->next) {
        if (write_leaf(core, *route->vrf, route->prefix, leaf)) continue;
        bool back = true;
        for (const Route* done = group.first_route; done != route; done = done->next) {
            if (write_leaf(core, *done->vrf, done->prefix, old)) continue;
            repair_later(core, *done->vrf, done->prefix);
            back = false;
        }
        return back ? Pointed::none : Pointed::some;
    }
    return Pointed::all;
}

void index(Core& core, Group& group) {
    core.groups_by_content.emplace(content_hash(group.members), &group);
}
void unindex(Core& core, const Group& group) {
    const auto [begin, end] = core.groups_by_content.equal_range(content_hash(group.members));
    const auto entry =
        std::find_if(begin, end, [&](const auto& candidate) { return candidate.second == &group; });
    if (entry != end) core.groups_by_content.erase(entry);
}

/// Members first in, then out, so that a next hop in both is never released in between.
void adopt_members(Core& core, Group& group, Content content) {
    for (const Member& member : content.members) change_groups(*member.nexthop, 1);
    for (const Member& member : group.members) change_groups(*member.nexthop, -1);
    for (const Member& member : group.members) release_nexthop(core, *member.nexthop);
    if (!group.members.empty()) unindex(core, group);
    group.members = std::move(content.members);
    group.tenant = content.tenant;
    index(core, group);
}

bool tenants_of_routes_allow(const Group& group, const Tenant* tenant) {
    if (tenant == nullptr || tenant == group.tenant) return true;
    for (const Route* route = group.first_route; route != nullptr; route = route->next) {
        if (route->vrf->tenant != tenant) return false;
    }
    return true;
}

/// Own addresses and host routes follow from such members.
bool is_on_link(const std::vector<Member>& members) {
    return std::any_of(members.begin(), members.end(), [](const Member& member) {
        const NextHopKind kind = member.nexthop->content.kind;
        return kind == NextHopKind::local || kind == NextHopKind::glean;
    });
}

/// What a few routes still point at must not be reused before they point back.
void keep_until_repaired(Core& core, Group& group, const std::vector<Member>& members) {
    for (const Member& member : members) ++member.nexthop->host_routes;
    core.repairs.afterwards.push_back([&core, id = group.id, table = group.table, members] {
        drop_table(core, id, table);
        for (const Member& member : members) {
            --member.nexthop->host_routes;
            release_nexthop(core, *member.nexthop);
        }
    });
    group.id = GroupId{};
    group.table = {};
}

Answer change(Core& core, Group& group, Content content) {
    if (group.members == content.members) return accept();
    if (!tenants_of_routes_allow(group, content.tenant)) {
        return malformed(WYE_FIELD(GroupSet, members));
    }
    if (group.id.valid()) {
        if (!swap_table(core, group, content.members)) return refuse(ring::Outcome::table_full);
    } else {
        const table::Leaf old = leaf_of(group);
        if (content.members.size() > 1 && !make_table(core, group, content.members)) {
            return refuse(ring::Outcome::table_full);
        }
        const table::Leaf leaf = group.id.valid()
                                     ? leaf_of(group)
                                     : table::Leaf::of(content.members.front().nexthop->id);
        const Pointed pointed = point_routes(core, group, leaf, old);
        if (pointed == Pointed::none) drop_table(core, group);
        if (pointed == Pointed::some) keep_until_repaired(core, group, content.members);
        if (pointed != Pointed::all) return refuse(ring::Outcome::table_full);
    }
    const bool touches_vports = is_on_link(group.members) || is_on_link(content.members);
    if (touches_vports) note_own_addresses(core, group, false);
    adopt_members(core, group, std::move(content));
    if (!touches_vports) return accept();
    note_own_addresses(core, group, true);
    for (const Route* route = group.first_route; route != nullptr; route = route->next) {
        refresh_host_routes(core, *route->vrf, route->prefix);
    }
    return accept();
}

/// Of an earlier session, with the same members, and not yet claimed by this one.
Group* find_unclaimed(const Core& core, const std::vector<Member>& members) {
    const auto [begin, end] = core.groups_by_content.equal_range(content_hash(members));
    for (auto entry = begin; entry != end; ++entry) {
        Group* const group = entry->second;
        if (group->handle == ring::kNoHandle && group->members == members) return group;
    }
    return nullptr;
}

Group* make_group(Core& core, Content content) {
    auto owned = std::make_unique<Group>();
    Group& group = *owned;
    if (content.members.size() > 1 && !make_table(core, group, content.members)) return nullptr;
    core.groups.emplace(&group, std::move(owned));
    adopt_members(core, group, std::move(content));
    return &group;
}

Answer set_whole_group(Core& core, const GroupAssembly& assembly) {
    Content content;
    const Answer resolved = resolve(core, assembly.members, content);
    if (!resolved.accepted()) return resolved;
    const auto held = core.group_handles.find(assembly.handle);
    if (held != core.group_handles.end()) {
        held->second->declared = core.routes().round;
        return change(core, *held->second, std::move(content));
    }
    Group* group = find_unclaimed(core, content.members);
    if (group == nullptr) group = make_group(core, std::move(content));
    if (group == nullptr) return refuse(ring::Outcome::table_full);
    group->handle = assembly.handle;
    group->declared = core.routes().round;
    core.group_handles.emplace(assembly.handle, group);
    return accept();
}

}  // namespace

table::Leaf leaf_of(const Group& group) {
    if (group.id.valid()) return table::Leaf::of(group.id);
    return table::Leaf::of(group.members.front().nexthop->id);
}

std::size_t content_hash(const std::vector<Member>& members) {
    std::size_t hash = members.size();
    for (const Member& member : members) {
        hash = hash * 0x9e3779b97f4a7c15u + (member.nexthop->id.value * 256u + member.weight);
        hash ^= hash >> 32;
    }
    return hash;
}

Answer set_group(Core& core, const ring::GroupSet& command) {
    if (const Answer checked = check(command); !checked.accepted()) return checked;
    auto& assembly = core.session.group;
    if (command.offset == 0) {
        assembly = GroupAssembly{command.group, command.total, {}};
    } else if (!assembly || assembly->handle != command.group || assembly->total != command.total ||
               assembly->members.size() != command.offset) {
        assembly.reset();
        return refuse(ring::Outcome::out_of_order, command.offset);
    }
    assembly->members.insert(assembly->members.end(), command.members.begin(),
                             command.members.begin() + command.count);
    if (assembly->members.size() < assembly->total) return accept();
    const GroupAssembly whole = std::move(*assembly);
    assembly.reset();
    return set_whole_group(core, whole);
}

Answer delete_group(Core& core, ring::Handle handle) {
    const auto held = core.group_handles.find(handle);
    if (held == core.group_handles.end()) return unknown(handle);
    if (!remove_group(core, *held->second)) return refuse(ring::Outcome::in_use, handle);
    return accept();
}

bool remove_group(Core& core, Group& group) {
    if (group.routes != 0) return false;
    if (group.handle != ring::kNoHandle) core.group_handles.erase(group.handle);
    drop_table(core, group);
    unindex(core, group);
    for (const Member& member : group.members) change_groups(*member.nexthop, -1);
    for (const Member& member : group.members) release_nexthop(core, *member.nexthop);
    core.groups.erase(&group);
    return true;
}

}  // namespace wye::control
