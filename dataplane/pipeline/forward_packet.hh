// forward_packet: what a next hop asks for, step by step, until the packet lies in an output queue,
// waits, is punted, or has become another packet (encapsulated or decapsulated).
//
// Order (RFC 1812 5.2.1.2): TTL before anything that depends on the packet's size; the packet is
// changed only when nothing can fail any more but for headroom.
#pragma once

#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/pipeline/verdict.hh"
#include "dataplane/table/nexthop.hh"

namespace wye::pipeline {

/// `nexthop` null: no route, or none that is alive; packet.leaf tells which.
Verdict forward_packet(Context& context, Packet& packet, const table::NextHop* nexthop) noexcept;

/// Leaves by `vport`, as an Ethernet frame that is finished but for tags: into the output queue, or
/// into the tunnel (then the packet is to be looked up again, in the underlay).
Verdict leave_by_tunnel(Context& context, Packet& packet, VportId id,
                        const table::Vport& vport) noexcept;

}  // namespace wye::pipeline
