// hash_flow: the number that keeps a flow on one path and in one tunnel source port.
// Over addresses, protocol and ports; over addresses and protocol alone for fragments, so that all
// of a datagram take one path (// standards 17). CRC-32C with a finisher, as the CPU has it.
#pragma once

#include "dataplane/pipeline/packet.hh"

namespace wye::pipeline {

/// Of the IP packet that apply_layout() described.
void hash_flow(Packet& packet) noexcept;
/// Of an Ethernet frame that is no IP packet: over its addresses.
void hash_link(Packet& packet) noexcept;

}  // namespace wye::pipeline
