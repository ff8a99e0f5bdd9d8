// classify_vport: which vport a received frame belongs to.
// Passes: by (port, VLAN, inner VLAN) for a port's frames; directly for the inside of a tunnel.
#pragma once

#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/pipeline/verdict.hh"

namespace wye::pipeline {

/// The frame as its port received it. Sets l3_offset, in_vport, in_policy (prefetched, not read),
/// tenant and tenant_row. Drops: ethernet_truncated, vlan_unknown.
Verdict classify_vport(Context& context, PortId port, Packet& packet) noexcept;

/// The frame as it came out of `tunnel`: a packet of the tunnel's vport from now on.
/// Drops: tunnel_without_vport, ethernet_truncated, vlan_unknown (a tag that no vport stands for).
Verdict classify_inner(Context& context, TunnelId tunnel, Packet& packet) noexcept;

}  // namespace wye::pipeline
