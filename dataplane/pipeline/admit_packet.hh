// admit_packet: whether a frame that belongs to a vport is taken, and by whom: the fast path, or
// the host stack at once (ARP, link-local and multicast control traffic, limited broadcast).
// Passes: unicast IP frames to the vport's own MAC address, validated, with flow hash and VRF.
#pragma once

#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/pipeline/verdict.hh"

namespace wye::pipeline {

Verdict admit_packet(const Context& context, Packet& packet) noexcept;

}  // namespace wye::pipeline
