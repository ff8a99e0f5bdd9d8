// receive_host: the host stack's own frames and packets.
//
// From a twin: an Ethernet frame that leaves by its vport as it is, with the vport's tags or inside
// its tunnel. From inject: a bare IP packet, routed in its VRF. Neither has its TTL decremented nor
// passes an ACL: it is the router's own.
#pragma once

#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/pipeline/verdict.hh"

namespace wye::pipeline {

/// Sets the packet's tenant rows. Verdict: sent, look_up_again, or a drop (host_frame_invalid,
/// vport_down, mtu_exceeded, headroom, port_…, tunnel_nesting).
Verdict receive_host(Context& context, const HostFrame& frame, Packet& packet) noexcept;

}  // namespace wye::pipeline
