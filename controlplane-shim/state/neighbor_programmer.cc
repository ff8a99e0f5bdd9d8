#include "controlplane-shim/state/neighbor_programmer.hh"

#include <utility>

#include "dataplane/ring/text.hh"

namespace wye::state {

void NeighborProgrammer::kernel_changed(const kernel::InterfaceKey& interface,
                                        const net::IpAddress& address,
                                        const std::optional<net::MacAddress>& mac) {
    if (mac) {
        kernel_[interface][address] = *mac;
    } else if (const auto found = kernel_.find(interface); found != kernel_.end()) {
        found->second.erase(address);
        if (found->second.empty()) kernel_.erase(found);
    }
    const VportIndex vport = topology_.vport_at(interface);
    if (vport != kNoIndex) refresh({vport, address});
}

std::optional<net::MacAddress> NeighborProgrammer::kernel_mac(const kernel::InterfaceKey& interface,
                                                              const net::IpAddress& address) const {
    const auto known = kernel_.find(interface);
    if (known == kernel_.end()) return std::nullopt;
    const auto found = known->second.find(address);
    if (found == known->second.end()) return std::nullopt;
    return found->second;
}

void NeighborProgrammer::set_static(VportIndex vport,
                                    const std::vector<manifest::StaticNeighbor>& neighbors) {
    Neighbors before = std::exchange(static_[vport], {});
    for (const manifest::StaticNeighbor& neighbor : neighbors) {
        static_[vport][neighbor.address] = neighbor.mac;
        before.erase(neighbor.address);
        refresh({vport, neighbor.address});
    }
    for (const auto& [address, mac] : before) refresh({vport, address});
}

void NeighborProgrammer::vport_changed(VportIndex vport) {
    for (auto it = entries_.lower_bound({vport, {}}); it != entries_.end(); ++it) {
        if (it->first.first != vport) break;
        refresh(it->first);
    }
    for (const auto& [address, mac] : static_[vport]) refresh({vport, address});
    const auto& twin = topology_.vports[vport].twin;
    if (!twin) return;
    if (const auto found = kernel_.find(*twin); found != kernel_.end())
        for (const auto& [address, mac] : found->second) refresh({vport, address});
}

std::optional<net::MacAddress> NeighborProgrammer::wanted(const Key& key, bool& is_static) const {
    is_static = false;
    const VportView& vport = topology_.vports[key.first];
    if (!vport.usable()) return std::nullopt;
    if (const auto own = static_.find(key.first); own != static_.end()) {
        if (const auto found = own->second.find(key.second); found != own->second.end()) {
            is_static = true;
            return found->second;
        }
    }
    if (!vport.twin) return std::nullopt;
    const auto twin = kernel_.find(*vport.twin);
    if (twin == kernel_.end()) return std::nullopt;
    const auto found = twin->second.find(key.second);
    if (found == twin->second.end()) return std::nullopt;
    return found->second;
}

void NeighborProgrammer::refresh(const Key& key) {
    Entry& entry = entries_[key];
    entry.wanted = wanted(key, entry.is_static);
    queue_.push_back(key);
}

void NeighborProgrammer::session_opened() {
    for (VportIndex i = 0; i < topology_.vports.size(); ++i) vport_changed(i);
}

void NeighborProgrammer::session_closed() {
    entries_.clear();
    queue_.clear();
    in_flight_.clear();
    retry_.clear();
}

void NeighborProgrammer::run(StreamWriter& writer) {
    while (!queue_.empty() && !writer.full()) {
        const Key key = queue_.front();
        queue_.pop_front();
        work_on(key, writer);
    }
}

void NeighborProgrammer::work_on(const Key& key, StreamWriter& writer) {
    const auto found = entries_.find(key);
    if (found == entries_.end() || found->second.in_flight) return;
    Entry& entry = found->second;
    entry.refused.clear();
    if (entry.wanted == entry.programmed) {
        if (!entry.wanted) entries_.erase(found);
        return;
    }
    ring::Command command;
    const ring::Handle vport = topology_.vports[key.first].handle;
    if (entry.wanted) {
        command.header.opcode = ring::Opcode::neighbor_set;
        command.body.neighbor.vport = vport;
        command.body.neighbor.address = key.second;
        command.body.neighbor.mac = *entry.wanted;
    } else {
        command.header.opcode = ring::Opcode::neighbor_delete;
        command.body.neighbor_delete.vport = vport;
        command.body.neighbor_delete.address = key.second;
    }
    writer.push(command);
    entry.in_flight = true;
    in_flight_.push_back({key, entry.wanted});
}

void NeighborProgrammer::completed(const ring::Completion& completion) {
    const InFlight record = in_flight_.front();
    in_flight_.pop_front();
    Entry& entry = entries_[record.key];
    entry.in_flight = false;
    if (completion.outcome == ring::Outcome::accepted) {
        entry.programmed = record.mac;
        if (entry.wanted != entry.programmed || !entry.wanted) queue_.push_back(record.key);
    } else if (completion.outcome == ring::Outcome::frees_pending) {
        retry_.push_back(record.key);
    } else {
        entry.refused = ring::outcome_words(completion.outcome);
        // Something else is wanted by now: worth another command.
        if (entry.wanted != record.mac) queue_.push_back(record.key);
    }
}

std::size_t NeighborProgrammer::count(VportIndex vport) const {
    std::size_t count = 0;
    for (auto it = entries_.lower_bound({vport, {}}); it != entries_.end(); ++it) {
        if (it->first.first != vport) break;
        ++count;
    }
    return count;
}

void NeighborProgrammer::retry_pending() {
    for (const Key& key : std::exchange(retry_, {})) queue_.push_back(key);
}

// ResolveQuota.

void ResolveQuota::forget_old(Nanoseconds now) {
    while (!by_age_.empty() && now - by_age_.front().first > kPatience) {
        const auto [since, key] = by_age_.front();
        by_age_.pop_front();
        const auto found = pending_.find(key);
        if (found != pending_.end() && found->second == since) answered(key.first, key.second);
    }
}

bool ResolveQuota::may_ask(VportIndex vport, const net::IpAddress& address, Nanoseconds now) {
    forget_old(now);
    if (pending_.contains({vport, address})) return false;
    std::size_t& mine = of_vport_[vport];
    const bool over =
        mine >= kPendingOfVport || (pending_.size() >= kPendingOfAll && mine >= kAlways);
    if (over) {
        ++refused_;
        return false;
    }
    ++mine;
    pending_[{vport, address}] = now;
    by_age_.push_back({now, {vport, address}});
    return true;
}

void ResolveQuota::answered(VportIndex vport, const net::IpAddress& address) {
    if (pending_.erase({vport, address}) == 0) return;
    if (const auto found = of_vport_.find(vport); found != of_vport_.end() && --found->second == 0)
        of_vport_.erase(found);
}

}  // namespace wye::state
