// NextHops: the next hops and groups that one session with the data plane has. Made when the first
// route needs them, deleted after the last one has gone (make before break).
//
// Stream `routes` is executed in order, so a group may be named in the command after the one that
// makes it. Handles are slot numbers; a slot is used again only when its deletion has completed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controlplane-shim/state/contents.hh"
#include "controlplane-shim/state/stream_writer.hh"

namespace wye::state {

using GroupIndex = std::uint32_t;  // 0: none
constexpr GroupIndex kNoGroup = 0;

class NextHops {
  public:
    NextHops() : nexthops_(1), groups_(1) {}

    /// One route more for the group; sends the commands that make it if it is not there.
    GroupIndex acquire(const GroupKey& key, const Topology& topology, StreamWriter& writer);
    void retain(GroupIndex group) { ++groups_[group].references; }
    /// One route less; sends the deletions behind what was sent before.
    void release(GroupIndex group, StreamWriter& writer);

    /// Of nexthop_* and group_*; `object` is the handle that the command named.
    void completed(ring::Opcode opcode, ring::Handle object, const ring::Completion& completion);
    /// Deletions that were refused for now.
    void retry_deletions(StreamWriter& writer);
    void session_closed();

    [[nodiscard]] std::uint32_t generation(GroupIndex group) const {
        return groups_[group].generation;
    }
    /// Why the data plane refused to make the group or one of its next hops; empty if it did not.
    [[nodiscard]] std::string refusal(GroupIndex group) const;
    /// It was refused, but only because memory could not be freed just then.
    [[nodiscard]] bool refused_for_now(GroupIndex group) const;
    /// Deletions that wait for another try.
    [[nodiscard]] std::size_t to_retry() const { return retry_.size(); }

    /// For `show nexthops`: each group with its members.
    struct GroupView {
        ring::Handle handle;
        std::uint32_t routes;
        const GroupKey* members;
        std::vector<ring::Handle> nexthops;  // as members
        std::string refusal;
    };
    [[nodiscard]] std::vector<GroupView> groups() const;

  private:
    struct NextHop {
        NextHopKey key;
        std::uint32_t references = 0;
        bool used = false;  // the slot
        ring::Outcome refused = ring::Outcome::accepted;
    };
    struct Group {
        GroupKey key;
        std::vector<ring::Handle> nexthops;
        std::uint32_t references = 0;
        std::uint32_t generation = 0;
        bool used = false;
        ring::Outcome refused = ring::Outcome::accepted;
    };
    ring::Handle acquire_nexthop(const NextHopKey& key, const Topology& topology,
                                 StreamWriter& writer);
    void release_nexthop(ring::Handle nexthop, StreamWriter& writer);
    void send_group(GroupIndex index, StreamWriter& writer);
    void send_delete(ring::Opcode opcode, ring::Handle object, StreamWriter& writer);

    std::vector<NextHop> nexthops_;
    std::vector<Group> groups_;
    std::vector<ring::Handle> free_nexthops_;
    std::vector<GroupIndex> free_groups_;
    std::map<NextHopKey, ring::Handle> nexthop_index_;
    std::map<GroupKey, GroupIndex> group_index_;
    struct Deletion {
        ring::Opcode opcode;
        ring::Handle object;
    };
    std::vector<Deletion> retry_;
    std::uint32_t next_generation_ = 1;
};

}  // namespace wye::state
