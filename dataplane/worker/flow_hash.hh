// flow_hash: which packets of a port belong together, from the bytes of a frame as it came.
//
// Over addresses, protocol and ports of the IP packet (TCP, UDP, SCTP); of fragments and of IPv6 with
// extension headers over addresses and protocol alone, so that a datagram stays together. Of VXLAN and
// GENEVE over the VNI and the inner packet, since not every sender puts the inner flow into the outer
// source port. Of anything else over the MAC addresses. Not the pipeline's flow hash: what a packet is
// cannot be known before its vport is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace wye::worker {

/// Reads within the frame only, whatever is in it.
std::uint32_t flow_hash(std::span<const std::byte> frame) noexcept;

}  // namespace wye::worker
