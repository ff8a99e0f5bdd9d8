#include "controlplane-shim/state/contents.hh"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace wye::state {
namespace {

bool needs_no_interface(NextHopKind kind) {
    return kind == NextHopKind::blackhole || kind == NextHopKind::unreachable ||
           kind == NextHopKind::prohibit;
}

/// The vport of the VRF on whose link the gateway is, for a gateway without an interface.
VportIndex vport_with_link_to(const Topology& topology, TableIndex table,
                              const net::IpAddress& gateway) {
    VportIndex best = kNoIndex;
    int best_length = -1;
    for (VportIndex i = 0; i < topology.vports.size(); ++i) {
        const VportView& vport = topology.vports[i];
        if (vport.table != table || !vport.twin) continue;
        for (const net::InterfaceAddress& own : vport.addresses) {
            const net::IpPrefix link{net::mask(own.address, own.length), own.length};
            if (own.length > best_length && link.contains(gateway)) {
                best = i;
                best_length = own.length;
            }
        }
    }
    return best;
}

TunnelEnd end_of(const Hop& hop) {
    return {hop.table, hop.vni, hop.interface_index, hop.gateway};
}

VportIndex vport_to(const Topology& topology, const TunnelEnd& end, Resolved& result) {
    const auto found = topology.evpn.find(end);
    if (found == topology.evpn.end()) {
        result.pending = true;
        result.reason = "the tunnel to " + net::to_string(end.address) + " is not made yet";
        return kNoIndex;
    }
    if (found->second.vport == kNoIndex)
        result.reason =
            "no tunnel to " + net::to_string(end.address) + ": " + found->second.missing;
    return found->second.vport;
}

/// The vport, or kNoIndex and the reason.
VportIndex vport_of(const Topology& topology, const ContentKey& key, const Hop& hop,
                    Resolved& result) {
    std::string& reason = result.reason;
    if (hop.vni != 0 && hop.table != key.table) {
        reason = "a tunnel of VRF " + topology.tables[hop.table].kernel_name +
                 " is in another VRF than the route";
        return kNoIndex;
    }
    if (hop.vni != 0) return vport_to(topology, end_of(hop), result);
    const TableView& table = topology.tables[hop.table];
    if (hop.interface_index == 0) {
        const VportIndex found = vport_with_link_to(topology, hop.table, hop.gateway);
        if (found == kNoIndex)
            reason = "gateway " + net::to_string(hop.gateway) + " is on the link of no vport";
        return found;
    }
    const VportIndex vport = topology.vport_at({table.netns, hop.interface_index});
    if (vport == kNoIndex) {
        reason = "interface " + std::to_string(hop.interface_index) + " of VRF " +
                 table.kernel_name + " is not the twin of a vport";
    } else if (topology.vports[vport].table != key.table) {
        reason = "vport " + topology.vports[vport].name + " is in another VRF than the route";
        return kNoIndex;
    }
    return vport;
}

void merge(GroupKey& group) {
    std::sort(group.begin(), group.end());
    GroupKey merged;
    for (const MemberKey& member : group) {
        if (!merged.empty() && merged.back().nexthop == member.nexthop) {
            merged.back().weight = std::min(merged.back().weight + member.weight, 255u);
        } else {
            merged.push_back(member);
        }
    }
    if (merged.size() > ring::kMaxGroupMembers) merged.resize(ring::kMaxGroupMembers);
    group = std::move(merged);
}

}  // namespace

Resolved resolve(const Topology& topology, const ContentKey& key) {
    Resolved result;
    const TableView& table = topology.tables[key.table];
    if (table.vrf.empty()) {
        result.reason = "no tenant has VRF " + table.kernel_name;
        return result;
    }
    for (const Hop& hop : key.hops) {
        const std::uint32_t weight = std::max<std::uint32_t>(hop.weight, 1);
        if (needs_no_interface(hop.kind)) {
            result.group.push_back({{hop.kind, kNoIndex, {}}, weight});
            continue;
        }
        const VportIndex vport = vport_of(topology, key, hop, result);
        if (vport == kNoIndex) continue;
        if (!topology.vports[vport].usable()) {
            result.reason = "the data plane does not have vport " + topology.vports[vport].name;
            continue;
        }
        const bool has_gateway = hop.kind == NextHopKind::adjacency;
        result.group.push_back(
            {{hop.kind, vport, has_gateway ? hop.gateway : net::IpAddress{}}, weight});
    }
    merge(result.group);
    return result;
}

std::size_t Contents::Hash::operator()(const ContentKey& key) const noexcept {
    std::uint64_t hash = key.table + 0x9e3779b97f4a7c15u;
    const auto mix = [&](std::uint64_t value) {
        hash = (hash ^ value) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    };
    for (const Hop& hop : key.hops) {
        mix(static_cast<std::uint64_t>(hop.kind) << 40 | std::uint64_t{hop.weight} << 32 |
            hop.interface_index);
        mix(std::uint64_t{hop.vni} << 32 | hop.table);
        mix(std::hash<std::string_view>{}(
            {reinterpret_cast<const char*>(hop.gateway.bytes.data()), hop.gateway.bytes.size()}));
    }
    return hash;
}

void Contents::count_tunnel_ends(const ContentKey& key, bool more) {
    for (const Hop& hop : key.hops) {
        if (hop.vni == 0) continue;
        const auto [end, is_new] = tunnel_ends_.try_emplace(end_of(hop), 0);
        end->second += more ? 1 : -1u;
        tunnel_ends_changed_ |= is_new || end->second == 0;
        if (end->second == 0) tunnel_ends_.erase(end);
    }
}

ContentIndex Contents::acquire(const Topology& topology, ContentKey key) {
    std::sort(key.hops.begin(), key.hops.end());
    if (const auto found = index_.find(key); found != index_.end()) {
        ++slots_[found->second].references;
        return found->second;
    }
    ContentIndex index = static_cast<ContentIndex>(slots_.size());
    if (free_.empty()) {
        slots_.emplace_back();
    } else {
        index = free_.back();
        free_.pop_back();
    }
    Content& content = slots_[index];
    content = Content{};
    content.references = 1;
    content.resolved = resolve(topology, key);
    content.key = key;
    count_tunnel_ends(key, true);
    index_.emplace(std::move(key), index);
    return index;
}

void Contents::release(ContentIndex index) {
    if (index == kNoContent || --slots_[index].references != 0) return;
    index_.erase(slots_[index].key);
    count_tunnel_ends(slots_[index].key, false);
    slots_[index] = Content{};
    free_.push_back(index);
}

std::vector<bool> Contents::resolve_all(const Topology& topology) {
    std::vector<bool> changed(slots_.size());
    for (ContentIndex i = 1; i < slots_.size(); ++i) {
        Content& content = slots_[i];
        if (content.references == 0) continue;
        Resolved now = resolve(topology, content.key);
        if (now == content.resolved) continue;
        changed[i] = changed[i] || now.group != content.resolved.group;
        content.resolved = std::move(now);
        content.group = 0;
    }
    return changed;
}

}  // namespace wye::state
