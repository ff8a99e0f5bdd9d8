// What a worker lends the pipeline: the tables as of this burst, its own counters, and the queues
// that lead out of the fast path. One Context a worker, for its whole life; `arena`,
// `tables_epoch` and `now_cycles` are set anew before each burst.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "dataplane/base/ids.hh"
#include "dataplane/bfd/datagram.hh"
#include "dataplane/bfd/vrf_set.hh"
#include "dataplane/pipeline/frame.hh"
#include "dataplane/pipeline/limits.hh"
#include "dataplane/pipeline/port_output.hh"
#include "dataplane/ring/resolve_request.hh"
#include "dataplane/ring/spsc.hh"
#include "dataplane/table/arena.hh"
#include "dataplane/table/counters.hh"
#include "dataplane/table/liveness.hh"

namespace wye::pipeline {

constexpr std::size_t kMaxPorts = 32;

/// A frame for the host stack: the twin of `vport` gets it as the Ethernet frame of the vport
/// (tags stripped). The host thread owns `frame` from here on and releases it.
struct PuntedFrame {
    Frame frame;
    VportId vport;
};

/// A frame from the host stack. From the TAP of `vport`: an untagged Ethernet frame that leaves by
/// that vport. From the `inject` TUN of `vrf` (vport invalid): a bare IP packet, routed in it.
struct HostFrame {
    Frame frame;
    VportId vport;
    VrfId vrf;
};

class HoldTable;    // pipeline/hold.hh
class PlainLane;    // pipeline/plain_lane.hh
class IcmpLimiter;  // pipeline/icmp_limiter.hh
class PuntPolicer;  // pipeline/punt.hh
class TenantRoots;  // pipeline/tenant_roots.hh
struct Burst;       // pipeline/burst.hh

struct Context {
    table::ArenaView arena;  // none: every packet is dropped as no_tables
    /// Epochs::current() when the arena was taken: another one, another state of the tables.
    std::uint64_t tables_epoch = 0;
    std::uint64_t now_cycles = 0;
    std::uint64_t cycles_per_second = 0;
    table::CounterBlock counters;
    const table::Liveness* liveness = nullptr;
    FramePool* pool = nullptr;
    ring::Spsc<PuntedFrame>* punt = nullptr;
    ring::Spsc<ring::ResolveRequest>* resolve = nullptr;
    std::array<PortOutput, kMaxPorts>* outputs = nullptr;
    bfd::Inbox* bfd = nullptr;  // none: BFD packets are punted, like any others
    const bfd::VrfSet* bfd_vrfs = nullptr;

    Context();  // makes what follows, within the default limits
    explicit Context(const Limits& limits);
    ~Context();
    Limits limits;
    std::unique_ptr<HoldTable> hold;
    std::unique_ptr<PuntPolicer> policer;
    std::unique_ptr<IcmpLimiter> icmp;
    std::unique_ptr<TenantRoots> roots;
    std::unique_ptr<Burst> burst;
    std::unique_ptr<PlainLane> lane;
    /// False: every packet goes the general way, to compare with (tests).
    bool uses_lane = true;
};

}  // namespace wye::pipeline
