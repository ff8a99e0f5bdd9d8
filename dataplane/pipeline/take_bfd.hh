// BFD packets of sessions that the data plane runs: received ones go to the engine (dataplane/bfd), its own
// leave by the vport of the session or, multihop, by the VRF's routes.
#pragma once

#include "dataplane/bfd/datagram.hh"
#include "dataplane/net/ip_protocol.hh"
#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/pipeline/verdict.hh"

namespace wye::pipeline {

/// By its port; never a fragment, whose layer 4 is not looked at.
inline bool is_bfd(const Packet& packet) noexcept {
    return packet.protocol == net::protocol::udp && packet.l4_offset != kNoOffset &&
           !packet.is_fragment &&
           (packet.destination_port == net::kBfdSingleHopPort ||
            packet.destination_port == net::kBfdMultihopPort);
}

/// Of a packet to the router for which is_bfd(). Verdict: consume; or a drop; or go on, where no session
/// of this VRF runs here, so that it is the host stack's.
Verdict take_bfd(Context& context, const Packet& packet) noexcept;

/// What the engine sends. The packet's frame holds it from the IP header on.
Verdict send_bfd(Context& context, const bfd::Endpoint& end, Packet& packet) noexcept;

}  // namespace wye::pipeline
