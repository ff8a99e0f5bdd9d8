#include "controlplane-shim/state/next_hops.hh"

#include <algorithm>
#include <utility>

#include "dataplane/ring/text.hh"

namespace wye::state {
namespace {

template <class Slot>
std::uint32_t take_slot(std::vector<Slot>& slots, std::vector<std::uint32_t>& free) {
    if (free.empty()) {
        slots.emplace_back();
        return static_cast<std::uint32_t>(slots.size() - 1);
    }
    const std::uint32_t index = free.back();
    free.pop_back();
    return index;
}

}  // namespace

ring::Handle NextHops::acquire_nexthop(const NextHopKey& key, const Topology& topology,
                                       StreamWriter& writer) {
    if (const auto found = nexthop_index_.find(key); found != nexthop_index_.end()) {
        NextHop& nexthop = nexthops_[found->second];
        if (nexthop.refused == ring::Outcome::accepted) {
            ++nexthop.references;
            return found->second;
        }
        nexthop_index_.erase(found);  // what was refused is tried anew, under a handle of its own
    }
    const ring::Handle handle = take_slot(nexthops_, free_nexthops_);
    nexthops_[handle] = NextHop{key, 1, true, ring::Outcome::accepted};
    nexthop_index_.emplace(key, handle);
    ring::Command command;
    command.header.opcode = ring::Opcode::nexthop_set;
    ring::NextHopSet& body = command.body.nexthop;
    body.nexthop = handle;
    body.vport = key.vport == kNoIndex ? ring::kNoHandle : topology.vports[key.vport].handle;
    body.gateway = key.gateway;
    body.kind = key.kind;
    writer.push(command);
    return handle;
}

void NextHops::release_nexthop(ring::Handle nexthop, StreamWriter& writer) {
    if (--nexthops_[nexthop].references != 0) return;
    if (const auto found = nexthop_index_.find(nexthops_[nexthop].key);
        found != nexthop_index_.end() && found->second == nexthop)
        nexthop_index_.erase(found);
    send_delete(ring::Opcode::nexthop_delete, nexthop, writer);
}

void NextHops::send_group(GroupIndex index, StreamWriter& writer) {
    const Group& group = groups_[index];
    const std::size_t total = group.key.size();
    for (std::size_t offset = 0; offset < total; offset += ring::kMembersInOneCommand) {
        const std::size_t count = std::min<std::size_t>(ring::kMembersInOneCommand, total - offset);
        ring::Command command;
        command.header.opcode = ring::Opcode::group_set;
        ring::GroupSet& body = command.body.group;
        body.group = index;
        body.total = static_cast<std::uint16_t>(total);
        body.offset = static_cast<std::uint16_t>(offset);
        body.count = static_cast<std::uint16_t>(count);
        for (std::size_t i = 0; i < count; ++i)
            body.members[i] = {group.nexthops[offset + i], group.key[offset + i].weight};
        writer.push(command);
    }
}

GroupIndex NextHops::acquire(const GroupKey& key, const Topology& topology, StreamWriter& writer) {
    if (const auto found = group_index_.find(key); found != group_index_.end()) {
        Group& group = groups_[found->second];
        ++group.references;
        // What was refused may be possible now: a route that comes again tries again.
        if (group.refused == ring::Outcome::accepted) return found->second;
        release(found->second, writer);
        group_index_.erase(key);
    }
    const GroupIndex index = take_slot(groups_, free_groups_);
    Group group;
    group.key = key;
    group.references = 1;
    group.generation = next_generation_++;
    group.used = true;
    for (const MemberKey& member : key)
        group.nexthops.push_back(acquire_nexthop(member.nexthop, topology, writer));
    groups_[index] = std::move(group);
    group_index_[key] = index;
    send_group(index, writer);
    return index;
}

void NextHops::release(GroupIndex index, StreamWriter& writer) {
    if (index == kNoGroup || --groups_[index].references != 0) return;
    Group& group = groups_[index];
    if (const auto found = group_index_.find(group.key);
        found != group_index_.end() && found->second == index)
        group_index_.erase(found);
    group.generation = 0;  // whoever remembers it must not find it again
    send_delete(ring::Opcode::group_delete, index, writer);
    for (const ring::Handle nexthop : group.nexthops) release_nexthop(nexthop, writer);
    group.nexthops.clear();
}

void NextHops::send_delete(ring::Opcode opcode, ring::Handle object, StreamWriter& writer) {
    ring::Command command;
    command.header.opcode = opcode;
    command.body.object.object = object;
    writer.push(command);
}

void NextHops::completed(ring::Opcode opcode, ring::Handle object,
                         const ring::Completion& completion) {
    const ring::Outcome outcome = completion.outcome;
    const bool is_group = opcode == ring::Opcode::group_set || opcode == ring::Opcode::group_delete;
    if (opcode == ring::Opcode::nexthop_set || opcode == ring::Opcode::group_set) {
        if (outcome == ring::Outcome::accepted) return;
        (is_group ? groups_[object].refused : nexthops_[object].refused) = outcome;
        return;
    }
    // In use: the deletion of what uses it waits for another try.
    if (outcome == ring::Outcome::frees_pending || outcome == ring::Outcome::in_use) {
        retry_.push_back({opcode, object});
    } else if (is_group) {
        groups_[object] = Group{};
        free_groups_.push_back(object);
    } else {
        nexthops_[object] = NextHop{};
        free_nexthops_.push_back(object);
    }
}

void NextHops::retry_deletions(StreamWriter& writer) {
    for (const Deletion& deletion : std::exchange(retry_, {}))
        send_delete(deletion.opcode, deletion.object, writer);
}

void NextHops::session_closed() {
    const std::uint32_t generation = next_generation_;
    *this = NextHops{};
    next_generation_ = generation;
}

bool NextHops::refused_for_now(GroupIndex index) const {
    const Group& group = groups_[index];
    const auto& handles = group.nexthops;
    return group.refused == ring::Outcome::frees_pending ||
           std::any_of(handles.begin(), handles.end(), [&](ring::Handle handle) {
               return nexthops_[handle].refused == ring::Outcome::frees_pending;
           });
}

std::string NextHops::refusal(GroupIndex index) const {
    const Group& group = groups_[index];
    for (const ring::Handle nexthop : group.nexthops) {
        if (nexthops_[nexthop].refused != ring::Outcome::accepted)
            return "next hop: " + std::string(ring::outcome_words(nexthops_[nexthop].refused));
    }
    if (group.refused == ring::Outcome::accepted) return {};
    return "next-hop group: " + std::string(ring::outcome_words(group.refused));
}

std::vector<NextHops::GroupView> NextHops::groups() const {
    std::vector<GroupView> views;
    for (GroupIndex i = 1; i < groups_.size(); ++i) {
        const Group& group = groups_[i];
        if (!group.used || group.references == 0) continue;
        views.push_back({i, group.references, &group.key, group.nexthops, refusal(i)});
    }
    return views;
}

}  // namespace wye::state
