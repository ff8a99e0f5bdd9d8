// RouteProgrammer: which routes there shall be, which the data plane has, and the commands between.
//
// Desired: for each (VRF, prefix) what FRR says and what follows from the kernel's addresses; an
// address of the router itself wins over FRR, FRR over a connected prefix. Programmed: the group
// that the data plane acknowledged in this session. Each route has at most one command on its way;
// what changes meanwhile is looked at again when it completes, so a flapping prefix costs one
// command a round trip however fast it flaps.
//
// An operation of the route source is acknowledged when the epoch of the command that carried it
// out has been reached by all workers; refused with the reason kept for `show`. What was refused or
// could not be resolved is kept: once it is installed after all, its operation is acknowledged a
// second time, now as installed. Refused routes are tried again when the manifest changes, and, since
// a removal makes room, in rounds after removals (kRetriesAtOnce of them a tick).
//
// Routes of VRFs that no tenant has wait for one, up to kMaxWithoutTenant.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane-shim/frr/route_source.hh"
#include "controlplane-shim/state/contents.hh"
#include "controlplane-shim/state/next_hops.hh"
#include "controlplane-shim/state/stream_writer.hh"

namespace wye::state {

struct PrefixHash {
    std::size_t operator()(const net::IpPrefix& prefix) const noexcept;
};

/// What a route is in the kernel's terms and FRR's, as the programmer wants to hear it.
struct FrrRoute {
    ContentKey content;
    ring::RouteProtocol protocol = ring::RouteProtocol::other;
    std::uint8_t distance = 0;
    std::uint32_t metric = 0;
};

struct RouteEntry {
    ContentIndex frr = kNoContent;
    ContentIndex kernel = kNoContent;  // local or connected
    GroupIndex programmed = kNoGroup;  // what the data plane has (a reference is held)
    std::uint32_t metric = 0;
    std::uint16_t snapshot = 0;  // the last one that named it
    ring::RouteProtocol frr_protocol = ring::RouteProtocol::other;
    ring::RouteProtocol kernel_protocol = ring::RouteProtocol::other;
    ring::RouteProtocol programmed_protocol = ring::RouteProtocol::other;
    std::uint8_t distance = 0;
    bool in_flight = false;
    bool look_again = false;  // changed while its command was on its way

    [[nodiscard]] bool kernel_wins() const {
        return kernel != kNoContent &&
               (frr == kNoContent || kernel_protocol == ring::RouteProtocol::local);
    }
    [[nodiscard]] ContentIndex wanted() const { return kernel_wins() ? kernel : frr; }
    [[nodiscard]] ring::RouteProtocol protocol() const {
        return kernel_wins() ? kernel_protocol : frr_protocol;
    }
};

using RouteMap = std::unordered_map<net::IpPrefix, RouteEntry, PrefixHash>;

class RouteProgrammer {
  public:
    using Acknowledge = std::function<void(frr::Operation, bool)>;
    /// Routes in VRFs of no tenant, all VRFs together: some 180 bytes each, 48 MB.
    static constexpr std::size_t kMaxWithoutTenant = 1u << 18;
    static constexpr std::size_t kRetriesAtOnce = 4096;
    RouteProgrammer(const Topology& topology, Acknowledge acknowledge)
        : topology_(topology), acknowledge_(std::move(acknowledge)) {}

    // Desired state.
    void set_frr(TableIndex table, const net::IpPrefix& prefix, FrrRoute route,
                 frr::Operation operation);
    void remove_frr(TableIndex table, const net::IpPrefix& prefix, frr::Operation operation);
    /// The VRF is another one for FRR: all that it said about this one is gone.
    void remove_frr(TableIndex table);
    void snapshot_begin() { ++snapshot_; }
    /// FRR's routes that the snapshot did not name are gone.
    void snapshot_end();
    /// Operations of a lost connection cannot be answered any more.
    void forget_operations();
    void set_kernel(TableIndex table, const net::IpPrefix& prefix, ContentKey content,
                    ring::RouteProtocol protocol);
    void remove_kernel(TableIndex table, const net::IpPrefix& prefix);
    /// Vports or VRFs came or went: resolves everything and looks at what changed.
    void topology_changed();
    /// Looks again at all of a VRF, refused routes too.
    void look_at_table(TableIndex table);
    void retry_refused();

    // The session.
    void session_opened();
    void session_closed();
    /// Makes commands until nothing is left to do or the writer is full.
    void run(StreamWriter& writer);
    /// Of a command nexthop_*, group_* or route_*.
    void completed(const StreamWriter::Sent& sent, const ring::Completion& completion,
                   StreamWriter& writer);
    void epoch_reached(std::uint64_t epoch);
    /// Nothing to send, nothing on its way.
    [[nodiscard]] bool settled() const {
        return queue_.empty() && in_flight_.empty() && retry_.empty() && nexthops_.to_retry() == 0;
    }
    /// Everything known was said (not all of it was answered).
    [[nodiscard]] bool declared() const {
        return queue_.empty() && retry_.empty() && awaiting_.empty();
    }
    /// Far tunnel ends that routes name, and whether one came or went since the last call.
    [[nodiscard]] const TunnelEnds& tunnel_ends() const { return contents_.tunnel_ends(); }
    bool take_tunnel_ends_changed() { return contents_.take_tunnel_ends_changed(); }
    /// Each tick. Tries again what was refused because memory could not be freed just then, and some
    /// of the other refused routes if routes were removed since.
    void retry_pending(StreamWriter& writer);

    // For show.
    /// Routes refused because of kMaxWithoutTenant, since the start.
    [[nodiscard]] std::uint64_t refused_without_tenant() const { return refused_without_tenant_; }
    [[nodiscard]] const RouteMap* routes(TableIndex table) const {
        return table < tables_.size() ? &tables_[table] : nullptr;
    }
    [[nodiscard]] const Content& content(ContentIndex index) const { return contents_[index]; }
    [[nodiscard]] const NextHops& nexthops() const { return nexthops_; }
    using Key = std::pair<TableIndex, net::IpPrefix>;
    struct KeyHash {
        std::size_t operator()(const Key& key) const noexcept {
            return PrefixHash{}(key.second) * 31 + key.first;
        }
    };
    /// Why the data plane refused it; empty: it did not.
    [[nodiscard]] std::string refusal(TableIndex table, const net::IpPrefix& prefix) const {
        const auto found = refused_.find({table, prefix});
        return found == refused_.end() ? std::string{} : found->second;
    }
    [[nodiscard]] const std::unordered_map<Key, std::string, KeyHash>& refusals() const {
        return refused_;
    }
    /// Routes without any usable next hop, by VRF and reason.
    void each_unresolved(
        const std::function<void(TableIndex, std::size_t, const std::string&)>& visit) const;
    [[nodiscard]] std::size_t queued() const { return queue_.size(); }

  private:
    struct Work {
        TableIndex table;
        net::IpPrefix prefix;
        frr::Operation operation{};
        bool removal = false;
    };
    struct InFlight {
        std::uint32_t sequence;
        GroupIndex group;  // that the command sets; 0: a deletion
        ring::RouteProtocol protocol;
        Work work;
    };
    struct Waiting {
        std::uint64_t epoch;
        Work work;
    };
    RouteEntry& entry(TableIndex table, const net::IpPrefix& prefix);
    [[nodiscard]] bool has_tenant(TableIndex table) const {
        return !topology_.tables[table].vrf.empty();
    }
    [[nodiscard]] bool may_wait_for_tenant(TableIndex table, const net::IpPrefix& prefix) const;
    void refuse_without_tenant(const FrrRoute& route, frr::Operation operation);
    void count_without_tenant();
    void answer_late(const Key& key, std::uint64_t epoch);
    void look_at(TableIndex table, const net::IpPrefix& prefix, frr::Operation operation = {},
                 bool removal = false);
    void work_on(const Work& work, StreamWriter& writer);
    GroupIndex group_of(Content& content, StreamWriter& writer);
    void send_set(RouteEntry& entry, const Work& work, GroupIndex group, StreamWriter& writer);
    void send_delete(RouteEntry& entry, const Work& work, StreamWriter& writer);
    void settle(const InFlight& record, const ring::Completion& completion, StreamWriter& writer);
    void answer_when_reached(const Work& work, std::uint64_t epoch);
    void answer_unprogrammed(const RouteEntry& entry, const Work& work);
    void answer(const Work& work, bool installed);
    void retry_where_room_was_made();
    void erase_if_done(TableIndex table, const net::IpPrefix& prefix);

    const Topology& topology_;
    Acknowledge acknowledge_;
    std::vector<RouteMap> tables_;
    Contents contents_;
    NextHops nexthops_;
    std::deque<Work> queue_;
    std::deque<InFlight> in_flight_;
    std::deque<Waiting> waiting_;  // by epoch
    std::vector<Work> awaiting_;   // a tunnel that is about to be planned
    std::unordered_map<Key, std::vector<Work>, KeyHash> deferred_;
    std::unordered_map<Key, std::string, KeyHash> refused_;
    std::vector<Key> retry_;        // refused because frees are pending
    std::vector<Key> retry_round_;  // refused ones that are still to be tried in this round
    unsigned rounds_to_retry_ = 0;
    std::unordered_map<Key, frr::Operation, KeyHash> failed_;  // answered so, and nothing newer
    std::size_t without_tenant_ = 0;
    std::uint64_t refused_without_tenant_ = 0;
    std::uint64_t last_epoch_ = 0, reached_epoch_ = 0;
    std::uint16_t snapshot_ = 0;
};

}  // namespace wye::state
