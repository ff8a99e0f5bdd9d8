#include "controlplane-shim/state/route_programmer.hh"

#include <algorithm>
#include <cstring>
#include <utility>

#include "dataplane/ring/text.hh"

namespace wye::state {
namespace {

/// What a removal frees is there a moment later, when no worker reads it any more: once is too few.
constexpr unsigned kRoundsAfterRemoval = 2;

bool is_connected(ring::RouteProtocol protocol) {
    return protocol == ring::RouteProtocol::connected || protocol == ring::RouteProtocol::local ||
           protocol == ring::RouteProtocol::kernel;
}

}  // namespace

std::size_t PrefixHash::operator()(const net::IpPrefix& prefix) const noexcept {
    std::uint64_t half[2];
    static_assert(sizeof half == sizeof prefix.address.bytes);
    std::memcpy(half, prefix.address.bytes.data(), sizeof half);
    std::uint64_t hash = (half[0] ^ prefix.length) * 0xff51afd7ed558ccdu;
    hash = (hash ^ hash >> 32 ^ half[1]) * 0xc4ceb9fe1a85ec53u;
    return hash ^ hash >> 29;
}

// Desired state.

RouteEntry& RouteProgrammer::entry(TableIndex table, const net::IpPrefix& prefix) {
    if (table >= tables_.size()) tables_.resize(table + 1);
    const auto [found, is_new] = tables_[table].try_emplace(prefix);
    if (is_new && !has_tenant(table)) ++without_tenant_;
    return found->second;
}

bool RouteProgrammer::may_wait_for_tenant(TableIndex table, const net::IpPrefix& prefix) const {
    return has_tenant(table) || without_tenant_ < kMaxWithoutTenant ||
           (table < tables_.size() && tables_[table].contains(prefix));
}

/// A connected route is never failed (see answer_unprogrammed), and the kernel's addresses bring it.
void RouteProgrammer::refuse_without_tenant(const FrrRoute& route, frr::Operation operation) {
    ++refused_without_tenant_;
    if (operation.id != 0) acknowledge_(operation, is_connected(route.protocol));
}

void RouteProgrammer::count_without_tenant() {
    without_tenant_ = 0;
    for (TableIndex table = 0; table < tables_.size(); ++table)
        if (!has_tenant(table)) without_tenant_ += tables_[table].size();
}

void RouteProgrammer::look_at(TableIndex table, const net::IpPrefix& prefix,
                              frr::Operation operation, bool removal) {
    queue_.push_back({table, prefix, operation, removal});
}

void RouteProgrammer::set_frr(TableIndex table, const net::IpPrefix& prefix, FrrRoute route,
                              frr::Operation operation) {
    if (!may_wait_for_tenant(table, prefix)) return refuse_without_tenant(route, operation);
    failed_.erase({table, prefix});
    const ContentIndex content = contents_.acquire(topology_, std::move(route.content));
    RouteEntry& route_entry = entry(table, prefix);
    contents_.release(route_entry.frr);
    route_entry.frr = content;
    route_entry.frr_protocol = route.protocol;
    route_entry.distance = route.distance;
    route_entry.metric = route.metric;
    route_entry.snapshot = snapshot_;
    look_at(table, prefix, operation);
}

void RouteProgrammer::remove_frr(TableIndex table, const net::IpPrefix& prefix,
                                 frr::Operation operation) {
    failed_.erase({table, prefix});
    RouteEntry& route_entry = entry(table, prefix);
    contents_.release(std::exchange(route_entry.frr, kNoContent));
    look_at(table, prefix, operation, true);
}

void RouteProgrammer::remove_frr(TableIndex table) {
    if (table >= tables_.size()) return;
    std::erase_if(failed_, [&](const auto& item) { return item.first.first == table; });
    for (auto& [prefix, route_entry] : tables_[table]) {
        if (route_entry.frr == kNoContent) continue;
        contents_.release(std::exchange(route_entry.frr, kNoContent));
        look_at(table, prefix);
    }
}

void RouteProgrammer::snapshot_end() {
    for (TableIndex table = 0; table < tables_.size(); ++table) {
        for (auto& [prefix, route_entry] : tables_[table]) {
            if (route_entry.frr == kNoContent || route_entry.snapshot == snapshot_) continue;
            contents_.release(std::exchange(route_entry.frr, kNoContent));
            look_at(table, prefix);
        }
    }
}

void RouteProgrammer::forget_operations() {
    for (Work& work : queue_) work.operation = {};
    for (InFlight& record : in_flight_) record.work.operation = {};
    for (Work& work : awaiting_) work.operation = {};
    for (auto& [key, works] : deferred_) works.clear();
    waiting_.clear();
    failed_.clear();
}

void RouteProgrammer::set_kernel(TableIndex table, const net::IpPrefix& prefix, ContentKey content,
                                 ring::RouteProtocol protocol) {
    const ContentIndex index = contents_.acquire(topology_, std::move(content));
    RouteEntry& route_entry = entry(table, prefix);
    contents_.release(route_entry.kernel);
    if (route_entry.kernel == index && route_entry.kernel_protocol == protocol) return;
    route_entry.kernel = index;
    route_entry.kernel_protocol = protocol;
    look_at(table, prefix);
}

void RouteProgrammer::remove_kernel(TableIndex table, const net::IpPrefix& prefix) {
    RouteEntry& route_entry = entry(table, prefix);
    contents_.release(std::exchange(route_entry.kernel, kNoContent));
    look_at(table, prefix);
}

void RouteProgrammer::topology_changed() {
    for (const Work& work : std::exchange(awaiting_, {})) queue_.push_back(work);
    count_without_tenant();
    const std::vector<bool> changed = contents_.resolve_all(topology_);
    std::vector<bool> tables(tables_.size());
    for (ContentIndex i = 1; i < changed.size(); ++i) {
        if (changed[i] && contents_[i].key.table < tables.size())
            tables[contents_[i].key.table] = true;
    }
    for (TableIndex table = 0; table < tables_.size(); ++table) {
        if (!tables[table]) continue;
        for (const auto& [prefix, route_entry] : tables_[table]) {
            if (changed[route_entry.frr] || changed[route_entry.kernel]) look_at(table, prefix);
        }
    }
}

void RouteProgrammer::look_at_table(TableIndex table) {
    if (table >= tables_.size()) return;
    for (const auto& [prefix, route_entry] : tables_[table]) look_at(table, prefix);
}

void RouteProgrammer::retry_refused() {
    for (const auto& [key, reason] : refused_) look_at(key.first, key.second);
}

// The session.

void RouteProgrammer::session_opened() {
    for (TableIndex table = 0; table < tables_.size(); ++table) look_at_table(table);
}

void RouteProgrammer::session_closed() {
    nexthops_.session_closed();
    // What the lost session had not acknowledged is acknowledged after the replay.
    for (InFlight& record : in_flight_) queue_.push_back(record.work);
    for (auto& [key, works] : deferred_)
        for (Work& work : works) queue_.push_back(work);
    for (Waiting& waiting : waiting_) queue_.push_back(waiting.work);
    for (const Work& work : std::exchange(awaiting_, {})) queue_.push_back(work);
    std::erase_if(queue_, [](const Work& work) { return work.operation.id == 0; });
    in_flight_.clear();
    deferred_.clear();
    waiting_.clear();
    refused_.clear();
    retry_.clear();
    retry_round_.clear();
    rounds_to_retry_ = 0;
    last_epoch_ = reached_epoch_ = 0;
    for (RouteMap& table : tables_) {
        std::erase_if(table, [](const auto& item) { return item.second.wanted() == kNoContent; });
        for (auto& [prefix, route_entry] : table) {
            route_entry.programmed = kNoGroup;
            route_entry.in_flight = route_entry.look_again = false;
        }
    }
    count_without_tenant();
    for (ContentIndex i = 1; i < contents_.size(); ++i) contents_[i].group = kNoGroup;
}

void RouteProgrammer::run(StreamWriter& writer) {
    while (!queue_.empty() && !writer.full()) {
        const Work work = queue_.front();
        queue_.pop_front();
        work_on(work, writer);
    }
}

GroupIndex RouteProgrammer::group_of(Content& content, StreamWriter& writer) {
    if (content.group != kNoGroup &&
        nexthops_.generation(content.group) == content.group_generation &&
        nexthops_.refusal(content.group).empty()) {
        nexthops_.retain(content.group);
        return content.group;
    }
    content.group = nexthops_.acquire(content.resolved.group, topology_, writer);
    content.group_generation = nexthops_.generation(content.group);
    return content.group;
}

void RouteProgrammer::work_on(const Work& work, StreamWriter& writer) {
    RouteEntry& route_entry = entry(work.table, work.prefix);
    if (route_entry.in_flight) {
        route_entry.look_again = true;
        if (work.operation.id != 0) deferred_[{work.table, work.prefix}].push_back(work);
        return;
    }
    if (!refused_.empty()) refused_.erase({work.table, work.prefix});
    const ContentIndex wanted = route_entry.wanted();
    const bool possible = wanted != kNoContent && topology_.tables[work.table].usable() &&
                          !contents_[wanted].resolved.group.empty();
    if (!possible && wanted != kNoContent && contents_[wanted].resolved.pending) {
        awaiting_.push_back(work);
        return;
    }
    if (!possible && route_entry.programmed == kNoGroup) {
        answer_unprogrammed(route_entry, work);
        erase_if_done(work.table, work.prefix);
    } else if (!possible) {
        send_delete(route_entry, work, writer);
    } else {
        const GroupIndex group = group_of(contents_[wanted], writer);
        if (group == route_entry.programmed &&
            route_entry.protocol() == route_entry.programmed_protocol) {
            nexthops_.release(group, writer);
            answer_when_reached(work, last_epoch_);
            answer_late({work.table, work.prefix}, last_epoch_);
        } else {
            send_set(route_entry, work, group, writer);
        }
    }
}

void RouteProgrammer::send_set(RouteEntry& route_entry, const Work& work, GroupIndex group,
                               StreamWriter& writer) {
    ring::Command command;
    command.header.opcode = ring::Opcode::route_set;
    ring::RouteSet& body = command.body.route;
    body.vrf = topology_.tables[work.table].handle;
    body.group = group;
    body.prefix = work.prefix;
    body.protocol = static_cast<std::uint8_t>(route_entry.protocol());
    in_flight_.push_back({writer.push(command), group, route_entry.protocol(), work});
    route_entry.in_flight = true;
}

void RouteProgrammer::send_delete(RouteEntry& route_entry, const Work& work, StreamWriter& writer) {
    ring::Command command;
    command.header.opcode = ring::Opcode::route_delete;
    command.body.route_delete.vrf = topology_.tables[work.table].handle;
    command.body.route_delete.prefix = work.prefix;
    in_flight_.push_back({writer.push(command), kNoGroup, ring::RouteProtocol::other, work});
    route_entry.in_flight = true;
}

void RouteProgrammer::completed(const StreamWriter::Sent& sent, const ring::Completion& completion,
                                StreamWriter& writer) {
    last_epoch_ = std::max(last_epoch_, completion.epoch);
    if (sent.opcode != ring::Opcode::route_set && sent.opcode != ring::Opcode::route_delete) {
        nexthops_.completed(sent.opcode, sent.object, completion);
        return;
    }
    const InFlight record = in_flight_.front();
    in_flight_.pop_front();
    settle(record, completion, writer);
}

void RouteProgrammer::settle(const InFlight& record, const ring::Completion& completion,
                             StreamWriter& writer) {
    const Key key{record.work.table, record.work.prefix};
    RouteEntry& route_entry = entry(key.first, key.second);
    route_entry.in_flight = false;
    bool wait = false;
    if (completion.outcome == ring::Outcome::accepted) {
        nexthops_.release(std::exchange(route_entry.programmed, record.group), writer);
        route_entry.programmed_protocol = record.protocol;
        answer_when_reached(record.work, completion.epoch);
        if (record.group != kNoGroup) {
            answer_late(key, completion.epoch);
        } else if (!refused_.empty()) {
            rounds_to_retry_ = kRoundsAfterRemoval;
        }
    } else {
        std::string reason = record.group == kNoGroup ? "" : nexthops_.refusal(record.group);
        if (reason.empty()) reason = ring::outcome_words(completion.outcome);
        refused_[key] = std::move(reason);
        wait = completion.outcome == ring::Outcome::frees_pending ||
               nexthops_.refused_for_now(record.group);
        nexthops_.release(record.group, writer);
        if (wait) {
            retry_.push_back(key);
            if (record.work.operation.id != 0) deferred_[key].push_back(record.work);
        } else {
            answer(record.work, false);
        }
    }
    const auto deferred = deferred_.find(key);
    if (deferred != deferred_.end() && !wait) {
        for (const Work& work : deferred->second) queue_.push_back(work);
        deferred_.erase(deferred);
    }
    if (std::exchange(route_entry.look_again, false) && !wait) look_at(key.first, key.second);
    erase_if_done(key.first, key.second);
}

void RouteProgrammer::retry_where_room_was_made() {
    if (retry_round_.empty() && rounds_to_retry_ != 0) {
        --rounds_to_retry_;
        retry_round_.reserve(refused_.size());
        for (const auto& [key, reason] : refused_) retry_round_.push_back(key);
    }
    for (std::size_t i = 0; i < kRetriesAtOnce && !retry_round_.empty(); ++i) {
        const Key key = retry_round_.back();
        retry_round_.pop_back();
        if (refused_.contains(key)) look_at(key.first, key.second);
    }
}

void RouteProgrammer::retry_pending(StreamWriter& writer) {
    retry_where_room_was_made();
    nexthops_.retry_deletions(writer);
    for (const Key& key : std::exchange(retry_, {})) {
        look_at(key.first, key.second);
        const auto deferred = deferred_.find(key);
        if (deferred == deferred_.end()) continue;
        for (const Work& work : deferred->second) queue_.push_back(work);
        deferred_.erase(deferred);
    }
}

// Answers to the route source.

void RouteProgrammer::answer(const Work& work, bool installed) {
    if (work.operation.id == 0) return;
    if (!installed) failed_[{work.table, work.prefix}] = work.operation;
    acknowledge_(work.operation, installed);
}

/// What was answered as failed is in the tables after all.
void RouteProgrammer::answer_late(const Key& key, std::uint64_t epoch) {
    if (failed_.empty()) return;
    const auto failed = failed_.find(key);
    if (failed == failed_.end()) return;
    const Work work{key.first, key.second, failed->second, false};
    failed_.erase(failed);
    answer_when_reached(work, epoch);
}

void RouteProgrammer::answer_when_reached(const Work& work, std::uint64_t epoch) {
    if (work.operation.id == 0) return;
    if (epoch <= reached_epoch_) {
        answer(work, true);
    } else {
        waiting_.push_back({epoch, work});
    }
}

/// A removal is done when there is nothing. A connected route is never failed: zebra would hold all
/// that resolves through it for inaccessible, although the kernel has the interface.
void RouteProgrammer::answer_unprogrammed(const RouteEntry& route_entry, const Work& work) {
    if (route_entry.frr == kNoContent || work.removal || is_connected(route_entry.frr_protocol)) {
        answer_when_reached(work, last_epoch_);
    } else {
        answer(work, false);
    }
}

void RouteProgrammer::epoch_reached(std::uint64_t epoch) {
    reached_epoch_ = std::max(reached_epoch_, epoch);
    while (!waiting_.empty() && waiting_.front().epoch <= reached_epoch_) {
        answer(waiting_.front().work, true);
        waiting_.pop_front();
    }
}

void RouteProgrammer::erase_if_done(TableIndex table, const net::IpPrefix& prefix) {
    const auto found = tables_[table].find(prefix);
    if (found == tables_[table].end()) return;
    const RouteEntry& route_entry = found->second;
    if (route_entry.wanted() == kNoContent && route_entry.programmed == kNoGroup &&
        !route_entry.in_flight) {
        if (!has_tenant(table)) --without_tenant_;
        tables_[table].erase(found);
    }
}

void RouteProgrammer::each_unresolved(
    const std::function<void(TableIndex, std::size_t, const std::string&)>& visit) const {
    for (TableIndex table = 0; table < tables_.size(); ++table) {
        std::unordered_map<ContentIndex, std::size_t> counts;
        for (const auto& [prefix, route_entry] : tables_[table]) {
            const ContentIndex wanted = route_entry.wanted();
            if (wanted != kNoContent && contents_[wanted].resolved.group.empty()) ++counts[wanted];
        }
        std::unordered_map<std::string, std::size_t> by_reason;
        for (const auto& [content, count] : counts)
            by_reason[contents_[content].resolved.reason] += count;
        for (const auto& [reason, count] : by_reason) visit(table, count, reason);
    }
}

}  // namespace wye::state
