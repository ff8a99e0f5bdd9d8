// classify_vport: which vport a received frame belongs to.
// Passes: by (port, VLAN, inner VLAN) for a port's frames; directly for the inside of a tunnel.
#pragma once

#include "dataplane/net/parse.hh"
#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/pipeline/verdict.hh"

namespace wye::pipeline {

/// What the frames of one burst from one port are found to be. Neighbours in a burst mostly have the
/// same tags, so the last answer is kept, and what it receives is counted once for a row of them.
class Classifier {
  public:
    Classifier(Context& context, PortId port) noexcept : context_(context), port_(port) {}
    Classifier(const Classifier&) = delete;
    ~Classifier() { count_run(); }

    /// The frame as the port received it. Sets l3_offset, in_vport, in_policy (prefetched, not
    /// read), tenant and tenant_row, and books it as received. Drops: no_tables,
    /// ethernet_truncated, vlan_unknown.
    Verdict classify(Packet& packet) noexcept;

  private:
    /// Looks the tags up, and begins a new run if there is a vport.
    Verdict look_up(std::uint32_t key, const net::LinkLayout& link) noexcept;
    void count_run() noexcept;

    Context& context_;
    PortId port_;
    std::uint32_t key_ = 0;
    VportId vport_;  // of the run; invalid: there is none
    TenantId tenant_;
    const table::VportPolicy* policy_ = nullptr;
    std::uint64_t packets_ = 0, bytes_ = 0;  // of the run, not yet counted
};

/// The frame as it came out of `tunnel`: a packet of the tunnel's vport from now on.
/// Drops: tunnel_without_vport, ethernet_truncated, vlan_unknown (a tag that no vport stands for).
Verdict classify_inner(Context& context, TunnelId tunnel, Packet& packet) noexcept;

}  // namespace wye::pipeline
