// PlainRuns: the vports of a burst's plain packets, each found once for a row of frames with the same
// tags. What the steps need of a vport is gathered in a run, and what they count is added up there.
//
// A run is found in stages over all runs of the burst (resolve): each stage reads what the one before
// it prefetched, so that a burst of many tenants waits for each kind of record once.
// Owner: the worker's PlainLane; begun anew with each burst.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/ids.hh"
#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/frame.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/table/fib.hh"
#include "dataplane/table/vport.hh"

namespace wye::pipeline {

struct PlainRun {
    /// How its frames are told: these bits of the eight bytes behind the Ethernet addresses.
    std::uint64_t tag_mask, tags;
    /// Of the vport, in the upper 48 bits as it lies in a frame. Unusable: not zero below.
    std::uint64_t mac;
    std::uint32_t tag_key;
    std::uint16_t l3_offset;
    std::uint8_t recirculations;
    bool is_underlay;  // tunnels may end in the VRF
    VportId vport;
    TenantId tenant;
    LedgerRows rows;
    TunnelId tunnel;                // out of which its frames came; invalid: from a port
    std::uint32_t from_tenant_row;  // whose the tunnel's packets were
    VrfId vrf;
    table::Ref<table::Fib4Root> fib4;
    table::Ref<table::Fib6Root> fib6;
    table::Ref<table::Acl> acl;
    const table::Vport* record;
    const table::VportPolicy* policy;
    // Counted at the end of the burst.
    std::uint32_t ipv4, ipv6;              // packets that entered
    std::uint32_t not_asked4, not_asked6;  // of them, those that are not looked up here
    std::uint64_t bytes, tunnel_bytes;
};

class PlainRuns {
  public:
    /// A burst's frames can begin a run each, and what comes out of their tunnels another.
    static constexpr std::size_t kCapacity = 2 * kMaxBurst;

    void begin_burst() noexcept { count_ = resolved_ = 0; }
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    PlainRun& operator[](std::size_t i) noexcept { return runs_[i]; }

    /// A run for the frames that are tagged as this one; null: it is no IP packet.
    PlainRun* begin_run(const Context& context, PortId port, const Frame& frame) noexcept;
    /// A run for what comes out of this tunnel.
    PlainRun* begin_run(const Context& context, TunnelId tunnel, const PlainRun& outer) noexcept;
    /// Finds the vports of all runs that were begun since the last call.
    void resolve(Context& context) noexcept;
    /// Books what the runs have counted.
    void count(Context& context) const noexcept;

  private:
    PlainRun& append(std::uint32_t port_row) noexcept;
    std::array<PlainRun, kCapacity> runs_;
    std::size_t count_ = 0, resolved_ = 0;
};

}  // namespace wye::pipeline
