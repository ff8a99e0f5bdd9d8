// What wyectl may ask of the shim, over its Unix socket: one JSON object a line each way.
//
//   → {"call": "apply", "file": "lab.yaml", "text": "…"}      (the manifest's text)
//   → {"call": "show", "what": "routes", "filter": {"tenant": "red", "match": "10.1.2.3"}}
//   → {"call": "worker", "do": "add", "core": 3, "share": false}   (see WorkerRequest)
//   ← {"ok": true, "result": …}  or  {"ok": false, "errors": ["file:line: path: text", …]}
//
// The socket is mode 0600 in the run directory; the peer's user id is checked. Implemented by
// controlplane-shim/state (State implements Service); transported by controlplane-shim/api.
//
// Results. `show` answers an array of flat objects (rows): values are strings, numbers, booleans or
// null. A key that does not apply or is not known is left out or null, never made up. Counts are
// since the counter file was made; sizes, rates and times carry their unit in the key. The keys of
// each `what` are those of columns.hh (columns_of), which is the list to implement; check_rows()
// there says whether an answer keeps to it. What needs a word beyond its name:
//
//   ports       one row a port of the data plane that the manifest uses. link: up, down; absent
//               before the data plane said. state: bound, pending, refused. queues (to receive
//               from), driver, mode, buffers, takes, offloads: how it runs (ring::PortMessage), as
//               its driver and the kernel said when the session began; absent where there is nothing
//               of the kind, without a session, and from a data plane that is too old to tell.
//   vports      kind: port, tunnel. state: up, down (administratively), pending (not yet
//               acknowledged), refused. twin_index: of the interface in the kernel.
//   tenants     counts of what is there; max_…: the quota, absent without one.
//   vrfs        kernel: "this namespace", "netns red" or "device vrf-red". zebra_vrf: zebra's id,
//               absent until zebra named the VRF.
//   routes      one row for each member of the group. nexthop: the gateway, or one of direct,
//               local, blackhole, unreachable, prohibit. protocol: as RouteProtocol in words.
//               state: installed, pending, refused, unresolved (its interface is no vport's twin).
//   nexthops    kind: as NextHopKind in words. nexthop: this session's handle. mac: absent while
//               unresolved. groups: how many groups use it. state: as for routes.
//   tunnels     kind: vxlan, geneve. vport: the one inside. state: as for vports.
//   neighbours  source: kernel, manifest. state: usable (the kernel has it as reachable, stale, delay,
//               probe or permanent), permanent (the manifest's), or refused.
//   acls        one row a rule, in order, then one with rule "default". rule: 0.. or "default".
//               Prefixes, ports ("80-443"), protocol, tcp_flags ("+syn-ack"), icmp ("8/0"), dscp,
//               fragment: absent when not looked at.
//   counters    scope: worker, port, tenant, vport, tunnel, vrf, acl; name: the object's, or the
//               worker's number, or "host" for the host thread. Cells by scope: see
//               columns_of_scope(). balance: the left side of the ledger
//               (dataplane/table/counters.hh) minus the right side, 0 when it balances.
//   drops       a drop is booked twice, on a port's row and on a tenant's: rows have either `port`
//               or `tenant`. port "host": frames from the host stack. reason and words: as in
//               dataplane/table/reason.hh.
//   workers     burst_packets: in the mean; full_bursts_percent: of 32 packets. busy_percent: of all
//               cycles since the data plane started. admission, ipv4_lookup, ipv6_lookup,
//               acl_lookup: which variant of the code the CPU gets ("AVX2", "x86-64-v2"); absent
//               without a session. state: running, stalled (has not finished a turn for too long),
//               absent. stall_ms: of the stall that lasts, or else of the last one; it, the longest
//               and the stack (functions, the innermost first, joined by " < ") are absent without
//               one.
//   queues      one row for each receive queue of a port, share of a spread port, and hand-over of
//               shares to a worker. queue: its number for `worker place`. kind: queue, share,
//               hand-over. cycles: that its packets took; absent of a share, which is not timed.
//   bfd         one row for each session that runs, then those that are refused (state refused, the reason
//               in diagnostic), then what belongs to no session: packets that none could be found for, and
//               how often the worker with the sessions was not run (stalls, stalled_ms). state,
//               remote_state: admin-down, down, init, up. path: failed after an Up session went down, until
//               it is Up again. drop_reasons: "name count, …", as in dataplane/table/bfd_file.hh. absent:
//               vport of a multihop session.
//   rings       one row for each of "policy commands", "routes commands", "policy completions",
//               "routes completions", "events". passed: through the ring in this session.
//               waiting: sent but not completed. refused: completions other than accepted.
//               lost: events. room: absent where only the other side knows it.
//   status      item: "data plane", "zebra", "manifest", "policy replay", "routes replay", then one
//               row for each object that is refused ("vport red-site"). state: one word (connected,
//               waiting, applied, none, running, done, refused). detail: a sentence for people.
//
// Filters, all optional: tenant, vrf, port (names); prefix (exactly that route); match (an address:
// the route of the longest match, in each VRF that the other filters leave); nonzero (true: only
// rows with a count that is not zero); failed (true: only routes that are refused or unresolved, or
// of which a next hop is, with the reason). filters_of(what) says which apply; others are refused.
//
// `apply` and `worker` answer an array of rows {change: added, changed, removed; kind: tenant, vrf,
// tunnel, vport, acl, worker, queue; name}. An unchanged manifest answers an empty array.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace wye::api {

struct Reply {
    bool ok = true;
    nlohmann::json result;
    std::vector<std::string> errors;
};

/// Of the process that runs, not of the manifest: a restart of the data plane forgets it.
struct WorkerRequest {
    enum class What : std::uint8_t {
        add,     // without a number: the lowest that is free
        move,    // to a core
        remove,  // answered when it begins to leave
        place,   // a queue gets this worker
    } what = What::add;
    std::optional<std::uint32_t> worker;
    std::uint32_t core = 0;
    bool share = false;  // the core, with other workers
    std::uint32_t queue = 0;
};

class Service {
  public:
    virtual ~Service() = default;
    virtual Reply apply(const std::string& file_name, const std::string& text) = 0;
    virtual Reply worker(const WorkerRequest& request) = 0;
    /// `what`: ports, vports, tenants, vrfs, routes, nexthops, tunnels, neighbours, acls, counters,
    /// drops, workers, queues, bfd, rings, status. The transport has checked `what` and the filter's keys.
    virtual Reply show(const std::string& what, const nlohmann::json& filter) = 0;
};

}  // namespace wye::api
