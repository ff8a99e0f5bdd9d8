// Everything that one process can say to the other over the rings, listed once.
//
// Writer of commands: the shim's programmer. Reader: the data plane's control thread.
// Writer of completions and events: the control thread (only it). Reader: the shim.
// Plain fixed-size structs of handles and values, never pointers; every byte is defined, reserved
// bytes are zero. Integers are in host order (one machine), addresses in network order.
//
// Identity. A Handle is what one session calls an object; it means nothing in the next session.
// What makes two objects the same across sessions is their name (tenant, VRF, port, vport, tunnel,
// ACL) or their content (next hop, group) or their key (route: VRF + prefix; neighbour: vport +
// address). So a new session may declare everything again with `replay_begin … replay_end`: what
// is declared equal to what stands is left untouched (no table write), what differs is changed,
// and what was not declared again is removed at `replay_end` (mark and sweep).
//
// Order. There are two streams, each with its own command and completion ring: `policy` (tenants,
// VRFs, ports, vports, tunnels, ACLs) and `routes` (next hops, groups, routes, neighbours).
// Within a stream commands are executed and completed in order. Between streams there is no order:
// whoever refers to an object of the other stream waits for its completion first.
//
// Versions. kVocabularyVersion is raised when an operation is added or a field gets a meaning.
// A reader of version n also executes version n-1; the handshake picks the lower of both sides and
// refuses a distance of two in words (dataplane/ring/handshake.hh).
// 3: the data plane tells its admission's variant, in the handshake; workers are added, moved and
// removed, and queues placed. 4: it tells how its ports run, in the handshake; vports without a twin;
// BFD sessions.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "dataplane/base/model.hh"
#include "dataplane/base/name.hh"
#include "dataplane/net/address.hh"

namespace wye::ring {

constexpr std::uint16_t kVocabularyVersion = 4;
constexpr std::uint16_t kOldestVocabularyVersion = 3;

/// Session-scoped name of an object; 0 names nothing. One number space for each ObjectKind.
using Handle = std::uint32_t;
constexpr Handle kNoHandle = 0;

enum class ObjectKind : std::uint8_t {
    tenant,
    vrf,
    port,
    vport,
    tunnel,
    acl,
    nexthop,
    group,
    worker,
    bfd_session
};

enum class Stream : std::uint8_t { policy = 0, routes = 1 };

enum class Opcode : std::uint16_t {
    none = 0,
    // Both streams.
    replay_begin = 1,  // everything of this stream becomes stale until it is declared again
    replay_end = 2,    // what is stale is removed
    barrier = 3,       // completes when all before it is executed; its epoch acknowledges them
    // Stream policy.
    transaction_begin = 10,   // of one tenant: until the end nothing of it is published
    transaction_commit = 11,  // published at once, by one swap of the tenant's root
    transaction_abort = 12,
    tenant_set = 13,
    tenant_delete = 14,
    vrf_set = 15,
    vrf_delete = 16,
    port_bind = 17,  // gives a handle to a port that the data plane's configuration names
    tunnel_set = 18,
    tunnel_delete = 19,
    vport_set = 20,
    vport_delete = 21,
    acl_begin = 22,   // names the ACL and announces how many rules follow
    acl_rule = 23,    // in order, first match wins
    acl_commit = 24,  // handed to the builder; completes when compiled, published with its users
    acl_delete = 25,
    // Of the process, not of what is declared: no replay touches them, a restart forgets them.
    worker_add = 30,
    worker_move = 31,    // to another core
    worker_remove = 32,  // accepted when it begins to leave; it ends when it has nothing any more
    queue_place = 33,    // a receive queue, or a share of a spread port, gets another worker
    // Stream routes.
    nexthop_set = 40,
    nexthop_delete = 41,
    group_set = 42,
    group_delete = 43,
    route_set = 44,
    route_delete = 45,
    neighbor_set = 46,
    neighbor_delete = 47,
    // BFD sessions: no replay touches them. They run on until bfd_end, or their VRF or vport goes.
    bfd_set = 50,
    bfd_delete = 51,
    bfd_begin = 52,  // those of a VRF become stale until they are declared again
    bfd_end = 53,    // what is stale of the VRF is removed
};

struct Header {
    Opcode opcode = Opcode::none;
    std::uint16_t reserved = 0;
    /// Counts commands of this stream in this session from 1; its completion carries it back.
    std::uint32_t sequence = 0;
};

/// A limit of 0 means "the data plane's own limit for one tenant".
struct TenantSet {
    Handle tenant;
    ObjectName name;
    std::uint32_t max_routes;
    std::uint32_t max_vports;
    std::uint32_t max_acl_rules;
    std::uint32_t max_neighbors;
    std::uint32_t punt_packets_per_second;
};

struct VrfSet {
    Handle vrf;
    Handle tenant;
    ObjectName name;
    std::uint32_t vni;      // 0 to 2^24-1, only meaningful with has_vni
    std::uint8_t has_vni;   // 0 or 1
    std::uint8_t underlay;  // 1: tunnels may have their outer addresses here
    std::uint8_t reserved[2];
};

struct PortBind {
    Handle port;
    ObjectName name;
};

/// A point-to-point tunnel that carries Ethernet. Identity: its name; the key
/// (kind, underlay, local, remote, vni) is unique among tunnels.
struct TunnelSet {
    Handle tunnel;
    Handle underlay_vrf;
    ObjectName name;
    net::IpAddress local;
    net::IpAddress remote;
    std::uint32_t vni;
    std::uint16_t destination_port;  // 0: 4789 or 6081
    TunnelKind kind;
    std::uint8_t ttl;           // of the outer header, 0: 64
    std::uint8_t dscp;          // of the outer header, when copy_dscp is 0
    std::uint8_t copy_dscp;     // 1: the inner DSCP is copied (uniform model, RFC 2983)
    std::uint8_t udp_checksum;  // 1: outer UDP checksum is filled in (IPv6: always, unless 2)
    std::uint8_t reserved;
};

struct VportSet {
    Handle vport;
    Handle tenant;
    Handle vrf;
    Handle port;    // kind port
    Handle tunnel;  // kind tunnel
    ObjectName name;
    net::MacAddress mac;
    std::uint16_t mtu;         // of the IP packet, bytes
    std::uint16_t vlan;        // 1..4094 or kNoVlan; kind port
    std::uint16_t inner_vlan;  // 1..4094 or kNoVlan; kind port
    Handle ingress_acl;        // kNoHandle: all is permitted
    Handle egress_acl;
    VportKind kind;
    std::uint8_t admin_up;
    /// 1: no kernel interface stands for it, and what is for the router goes to the twin of the vport that
    /// has the address. Since version 4.
    std::uint8_t without_twin;
    std::uint8_t reserved;
};

/// worker_add, worker_move, worker_remove. Workers are numbered from 0.
struct WorkerChange {
    std::uint32_t worker;
    std::uint32_t core;        // as Linux numbers it; not of worker_remove
    std::uint8_t shares_core;  // 1: also if another worker is there
    std::uint8_t reserved[3];
};

struct QueuePlace {
    std::uint32_t queue;  // its place among the counters of queues (table/queue_counters.hh)
    std::uint32_t worker;
};

struct AclBegin {
    Handle acl;
    Handle tenant;
    ObjectName name;
    std::uint32_t rules;
    std::uint8_t default_permit;  // what happens to a packet that no rule matches
    std::uint8_t reserved[3];
};

/// A rule of an ACL. Everything that is set must match. Ports match only packets whose ports are
/// present (never a later fragment, RFC 7112/1858); see docs for the fragment semantics.
struct AclRule {
    Handle acl;
    std::uint32_t index;  // 0.., in order
    net::IpPrefix source;
    net::IpPrefix destination;
    std::uint16_t source_port_low, source_port_high;            // 0..65535: any
    std::uint16_t destination_port_low, destination_port_high;  // 0..65535: any
    net::IpFamily family;
    std::uint8_t any_protocol;
    std::uint8_t protocol;
    std::uint8_t any_icmp;  // 1: type and code are not looked at
    std::uint8_t icmp_type;
    std::uint8_t any_icmp_code;
    std::uint8_t icmp_code;
    std::uint8_t tcp_flags_mask;  // 0: not looked at; matches when (flags & mask) == value
    std::uint8_t tcp_flags_value;
    std::uint8_t any_dscp;
    std::uint8_t dscp;
    FragmentMatch fragment;
    AclAction action;
    std::uint8_t reserved[3];
};

struct NextHopSet {
    Handle nexthop;
    Handle vport;  // adjacency, glean, local
    net::IpAddress gateway;
    NextHopKind kind;
    std::uint8_t reserved[3];
};

struct GroupMember {
    Handle nexthop;
    std::uint32_t weight;  // 1..255
};

constexpr std::uint32_t kMembersInOneCommand = 12;
constexpr std::uint32_t kMaxGroupMembers = 64;

/// A group of more than kMembersInOneCommand members takes several commands in a row, `offset`
/// growing; the group is made or changed when the last one (offset + count == total) is executed.
struct GroupSet {
    Handle group;
    std::uint16_t total;
    std::uint16_t offset;
    std::uint16_t count;
    std::uint16_t reserved;
    std::array<GroupMember, kMembersInOneCommand> members;
};

struct RouteSet {
    Handle vrf;
    Handle group;
    net::IpPrefix prefix;
    std::uint8_t protocol;  // RouteProtocol, for people only
    std::uint8_t reserved[3];
};

enum class RouteProtocol : std::uint8_t {
    other = 0,
    local,
    connected,
    statically,
    bgp,
    ospf,
    isis,
    rip,
    eigrp,
    babel,
    kernel
};

struct RouteDelete {
    Handle vrf;
    net::IpPrefix prefix;
};

struct NeighborSet {
    Handle vport;
    net::IpAddress address;
    net::MacAddress mac;
    std::uint8_t reserved[2];
};

struct NeighborDelete {
    Handle vport;
    net::IpAddress address;
};

/// A BFD session (RFC 5880). Identity: (VRF, vport, local, remote); so it runs on, under the discriminator
/// that it has, when it is declared anew. `detail` of its completion: which record of the file of sessions
/// (table/bfd_file.hh) is its. A single-hop session decides about the liveness of the next hop
/// (vport, remote).
struct BfdSet {
    Handle session;
    Handle vrf;
    Handle vport;                                   // kNoHandle: multihop (RFC 5883)
    std::uint32_t discriminator;                    // of a new session, unique; not 0
    std::uint32_t desired_min_tx, required_min_rx;  // microseconds; tx: not 0
    net::IpAddress local, remote;
    std::uint8_t detect_multiplier;  // not 0
    std::uint8_t least_hop_limit;    // of received packets; multihop
    std::uint8_t passive, admin_down, control_plane_independent;
    std::uint8_t reserved;
};

/// *_delete, transaction_*, acl_commit, bfd_begin, bfd_end (a VRF): the object alone.
struct ObjectOnly {
    Handle object;
};

struct alignas(64) Command {
    Header header;
    union Body {
        std::array<std::uint8_t, 120> bytes;
        ObjectOnly object;
        TenantSet tenant;
        VrfSet vrf;
        PortBind port;
        WorkerChange worker;
        QueuePlace queue;
        TunnelSet tunnel;
        VportSet vport;
        AclBegin acl;
        AclRule rule;
        NextHopSet nexthop;
        GroupSet group;
        RouteSet route;
        RouteDelete route_delete;
        NeighborSet neighbor;
        NeighborDelete neighbor_delete;
        BfdSet bfd;
        constexpr Body() noexcept : bytes{} {}
    } body;
};
static_assert(sizeof(Command) == 128 && std::is_trivially_copyable_v<Command>);

enum class Outcome : std::uint16_t {
    accepted = 0,
    unknown_opcode,
    malformed,       // a field holds an impossible value; `detail` is the byte offset in the body
    unknown_handle,  // `detail` is the handle
    duplicate,       // the key is taken by another object; `detail` is that object's handle or 0
    in_use,          // still referred to
    table_full,      // arena or table at its limit
    quota_exceeded,  // the tenant's
    no_such_port,    // port_bind: the data plane's configuration has no port of that name
    vlan_conflict,   // vport_set: (port, VLAN, inner VLAN) is taken
    out_of_order,    // rule without begin, commit without transaction, …
    frees_pending,   // a worker hangs: memory cannot be freed, changes are refused for now
    not_underlay,    // tunnel in a VRF that is not marked as underlay
    not_ready,       // before the first replay_begin
    no_such_worker,  // it does not run, or is leaving
    no_such_core,    // absent, or this process may not use it
    core_taken,      // by another worker, and the command does not say that they share
    workers_full,    // the configuration has no room for a worker of this number, or it runs
    last_worker,     // somebody has to forward
    no_such_queue,   // or it stays where it is
};

struct alignas(32) Completion {
    std::uint32_t sequence;  // of the command
    Outcome outcome;
    Opcode opcode;
    /// In which epoch the change was published (accepted) or will count as installed.
    std::uint64_t epoch;
    std::uint32_t detail;
    std::uint32_t reserved[3];
};
static_assert(sizeof(Completion) == 32);

enum class EventKind : std::uint16_t {
    none = 0,
    epoch_reached = 1,  // all running workers have passed a quiescent state in `epoch`
    resolve = 2,        // a packet waits for (vport, address): ask the kernel
    port_link = 3,      // `object` is the port's handle, `value` 0 down, 1 up
    twin_lost = 4,      // the descriptor of the twin of vport `object` failed
    events_lost = 5,    // the ring was full: `value` events are missing
    bfd_changed = 6,    // session `object`: its record, number `value`, says what it is now
};

struct alignas(64) Event {
    EventKind kind = EventKind::none;
    std::uint16_t reserved = 0;
    Handle object = kNoHandle;
    std::uint64_t epoch = 0;
    std::uint64_t value = 0;
    net::IpAddress address;
    std::array<std::uint8_t, 16> padding{};
};
static_assert(sizeof(Event) == 64 && std::is_trivially_copyable_v<Event>);

}  // namespace wye::ring
