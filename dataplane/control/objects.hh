// The control thread's own picture of what stands in the tables: objects, who refers to whom, and
// what this session calls them. Private memory, rebuilt by the shim's replay after a crash.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "dataplane/base/ids.hh"
#include "dataplane/base/model.hh"
#include "dataplane/control/control.hh"
#include "dataplane/control/registry.hh"
#include "dataplane/control/route_table.hh"
#include "dataplane/net/address.hh"
#include "dataplane/table/acl.hh"
#include "dataplane/table/fib.hh"
#include "dataplane/table/nexthop.hh"
#include "dataplane/table/tunnel.hh"
#include "dataplane/table/vport.hh"

namespace wye::control {

struct Tenant;
struct Vrf;
struct Vport;
struct AccessList;
struct NextHop;
struct Group;

struct AddressHash {
    std::size_t operator()(const net::IpAddress& address) const noexcept {
        std::uint64_t words[2];
        std::memcpy(words, address.bytes.data(), sizeof words);
        std::uint64_t h =
            (words[0] ^ static_cast<std::uint64_t>(address.family)) * 0x9e3779b97f4a7c15u;
        h = (h ^ (h >> 32) ^ words[1]) * 0xff51afd7ed558ccdu;
        return static_cast<std::size_t>(h ^ (h >> 29));
    }
};

/// What counts against a tenant's quotas: what was declared in the present round, so that a replay
/// is not refused because of what it is about to replace.
struct Usage {
    std::uint32_t routes = 0, neighbors = 0, acl_rules = 0;
};

struct Tenant : Named {
    TenantId id;
    Quotas quotas;
    Usage usage;
    std::vector<Vport*> slots;  // index in TenantPolicy::vports; null: free
    std::size_t vrfs = 0, acls = 0;
    table::Ref<table::TenantPolicy> policy;
    std::size_t policy_bytes = 0;
    std::uint32_t policy_generation = 0;
    bool policy_dirty = false;  // to be published anew at the end of the batch
};

struct Port : Named {
    PortId id;
    bool link_up = true;
};

struct Vrf : Named {
    explicit Vrf(RoutePool& pool) : routes(pool) {}
    VrfId id;
    Tenant* tenant = nullptr;
    std::optional<std::uint32_t> vni;
    bool underlay = false;
    std::size_t tunnels = 0;                     // that have their outer addresses here
    std::optional<table::FibWriter> fib4, fib6;  // made with the first route
    RouteTable routes;
    std::array<std::uint32_t, 33> lengths4{};  // explicit routes of each prefix length
    std::array<std::uint32_t, 129> lengths6{};
    struct ByAddress {
        bool operator()(const std::pair<net::IpAddress, Vport*>& a,
                        const std::pair<net::IpAddress, Vport*>& b) const noexcept;
    };
    std::set<std::pair<net::IpAddress, Vport*>, ByAddress> neighbors;       // of the vports in it
    std::unordered_map<net::IpAddress, NextHop*, AddressHash> host_routes;  // that we installed
};

/// Taken out of the tables for a grace period, because the record is to be rewritten.
enum class Drain : std::uint8_t { no, waiting, done };

struct TunnelSettings {
    Vrf* underlay = nullptr;
    table::TunnelKey key{};
    std::uint16_t destination_port = 0;
    std::uint8_t ttl = 0, dscp = 0, copy_dscp = 0, udp_checksum = 0;
    friend bool operator==(const TunnelSettings&, const TunnelSettings&) = default;
};

struct Tunnel : Named {
    TunnelId id;
    TunnelSettings settings;
    bool published = false;  // received packets find it
    std::size_t vports =
        0;  // published ones that attach here: at most one that is not on its way out
    Drain drain = Drain::no;  // unpublished until its record may be rewritten
    std::uint32_t drain_round = 0;
};

/// Where a vport attaches. Unique among vports.
struct Attachment {
    VportKind kind = VportKind::none;
    std::uint16_t port = 0, vlan = kNoVlan, inner_vlan = kNoVlan;
    Tunnel* tunnel = nullptr;
    friend auto operator<=>(const Attachment&, const Attachment&) = default;
};

struct VportSettings {
    Attachment attachment;
    Vrf* vrf = nullptr;
    AccessList* ingress = nullptr;
    AccessList* egress = nullptr;
    net::MacAddress mac;
    std::uint16_t mtu = 0;
    bool admin_up = false;
    bool without_twin = false;
    friend bool operator==(const VportSettings&, const VportSettings&) = default;
};

struct Neighbor {
    net::MacAddress mac;
    std::uint32_t declared = 0;
};

struct Vport : Named {
    VportId id;
    Tenant* tenant = nullptr;
    std::uint32_t slot = 0;
    std::optional<VportSettings> now;  // published; none: made by a transaction that is still open
    Drain drain = Drain::no;
    std::uint32_t drain_round = 0;
    bool condemned = false;  // not declared any more, but next hops still refer to it: kept down
    std::unordered_set<NextHop*> nexthops;
    std::unordered_map<net::IpAddress, Neighbor, AddressHash> neighbors;
    std::set<net::IpAddress> locals;  // its own addresses: routes of kind local
    std::size_t declared_users = 0;   // next hops that have a handle or a group
};

struct AccessList : Named {
    Tenant* tenant = nullptr;
    std::vector<table::AclRuleSpec> rules;
    bool default_permit = false;
    table::Ref<table::Acl> compiled;  // null: none published yet
    std::size_t bytes = 0;
    std::shared_ptr<const table::AclPlan> plan;  // what the next change starts from; may be null
};

struct NextHopContent {
    NextHopKind kind = NextHopKind::none;
    Vport* vport = nullptr;
    net::IpAddress gateway;
    friend bool operator==(const NextHopContent&, const NextHopContent&) = default;
};
struct NextHopContentHash {
    std::size_t operator()(const NextHopContent& content) const noexcept {
        return AddressHash{}(content.gateway) ^
               (std::hash<const void*>{}(content.vport) * 0x9e3779b97f4a7c15u) ^
               static_cast<std::size_t>(content.kind);
    }
};

/// Interned: one for each content, however many handles call it so.
struct NextHop {
    NextHopContent content;
    NextHopId id;
    std::uint32_t generation = 0;
    std::uint32_t declared = 0;
    std::uint32_t handles = 0;       // of this session
    bool standing = false;           // declared once and not deleted since, in whatever session
    std::uint32_t groups = 0;        // memberships
    std::uint32_t host_routes = 0;   // for gleaned neighbours
    std::uint32_t bfd_sessions = 0;  // with the neighbour: 0 or 1
    // The double-buffered link header (table/nexthop.hh).
    std::vector<std::uint8_t> rewrite;  // that counts; empty: incomplete
    std::uint8_t copy = 0;              // 0 or 1: which one was written last
    bool flipped = false;               // within the last grace period: do not write yet
    bool again = false;                 // look again after it
};

struct Member {
    NextHop* nexthop = nullptr;
    std::uint32_t weight = 0;
    friend bool operator==(const Member&, const Member&) = default;
};

struct Group {
    std::vector<Member> members;  // sorted by next-hop id, each once
    Tenant* tenant = nullptr;     // none: no member has a vport
    GroupId id;                   // invalid: a single member, routes point at it directly
    std::uint32_t generation = 0;
    table::Ref<table::GroupTable> table;
    ring::Handle handle = ring::kNoHandle;
    std::uint32_t declared = 0;
    Route* first_route = nullptr;
    std::size_t routes = 0;
};

}  // namespace wye::control
