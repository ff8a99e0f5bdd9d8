// Contents: what routes say, each different saying kept once. A full BGP table has a million routes
// and a few hundred contents, so a route costs an index.
//
// Resolution turns interface indexes into vports: the result is the list of next hops that the data
// plane shall have for the content, and why some or all of it could not be resolved.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane-shim/state/topology.hh"
#include "dataplane/base/model.hh"
#include "dataplane/net/address.hh"

namespace wye::state {

using ContentIndex = std::uint32_t;  // 0: none
constexpr ContentIndex kNoContent = 0;

/// A next hop as the route source or the kernel has it.
struct Hop {
    NextHopKind kind = NextHopKind::none;
    std::uint8_t weight = 1;
    TableIndex table = kNoIndex;        // VRF of the interface
    std::uint32_t interface_index = 0;  // 0: whichever has the gateway on its link
    net::IpAddress gateway;             // adjacency
    std::uint32_t vni = 0;              // not 0: of EVPN; the gateway is the far tunnel end
    friend auto operator<=>(const Hop&, const Hop&) = default;
};

struct ContentKey {
    TableIndex table = kNoIndex;  // VRF of the route
    std::vector<Hop> hops;
    friend bool operator==(const ContentKey&, const ContentKey&) = default;
};

/// A next hop as the data plane has it; two equal ones are one.
struct NextHopKey {
    NextHopKind kind = NextHopKind::none;
    VportIndex vport = kNoIndex;
    net::IpAddress gateway;
    friend auto operator<=>(const NextHopKey&, const NextHopKey&) = default;
};
struct MemberKey {
    NextHopKey nexthop;
    std::uint32_t weight = 1;
    friend auto operator<=>(const MemberKey&, const MemberKey&) = default;
};
using GroupKey = std::vector<MemberKey>;  // sorted, each next hop once

struct Resolved {
    GroupKey group;        // empty: cannot be programmed
    std::string reason;    // why not all of it (or nothing) was resolved
    bool pending = false;  // a tunnel of EVPN was not planned yet: to be known in a moment
    friend bool operator==(const Resolved&, const Resolved&) = default;
};

/// The next hops for one content now.
Resolved resolve(const Topology& topology, const ContentKey& key);

struct Content {
    ContentKey key;
    std::uint32_t references = 0;  // 0: the slot is free
    Resolved resolved;
    /// The session's group for it, if it was used already (route_programmer).
    std::uint32_t group = 0;
    std::uint32_t group_generation = 0;
};

using TunnelEnds = std::map<TunnelEnd, std::uint32_t>;  // how many contents name each

class Contents {
  public:
    Contents() : slots_(1) {}
    /// One reference more; resolves what is new.
    ContentIndex acquire(const Topology& topology, ContentKey key);
    void release(ContentIndex index);
    [[nodiscard]] Content& operator[](ContentIndex index) { return slots_[index]; }
    [[nodiscard]] const Content& operator[](ContentIndex index) const { return slots_[index]; }
    /// Resolves everything anew; true for the indexes whose result changed.
    std::vector<bool> resolve_all(const Topology& topology);
    [[nodiscard]] std::size_t size() const { return slots_.size(); }
    [[nodiscard]] const TunnelEnds& tunnel_ends() const { return tunnel_ends_; }
    /// One came or went since the last call.
    bool take_tunnel_ends_changed() { return std::exchange(tunnel_ends_changed_, false); }

  private:
    struct Hash {
        std::size_t operator()(const ContentKey& key) const noexcept;
    };
    void count_tunnel_ends(const ContentKey& key, bool more);

    std::vector<Content> slots_;
    std::vector<ContentIndex> free_;
    std::unordered_map<ContentKey, ContentIndex, Hash> index_;
    TunnelEnds tunnel_ends_;
    bool tunnel_ends_changed_ = false;
};

}  // namespace wye::state
