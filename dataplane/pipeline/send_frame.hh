// send_frame: puts a finished frame into the output queue of a vport's port.
#pragma once

#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/pipeline/verdict.hh"
#include "dataplane/table/vport.hh"

namespace wye::pipeline {

/// The vport is of kind port. Drops: port_absent, port_transmit_full.
Verdict send_frame(Context& context, const Packet& packet, VportId vport,
                   std::uint16_t port) noexcept;

/// From the host stack: puts the vport's VLAN tags, if it has any, behind the addresses of the
/// Ethernet frame. With two tags the outer one is a service tag (802.1ad). Drops: headroom.
Verdict push_tags(Packet& packet, const table::Vport& vport) noexcept;

}  // namespace wye::pipeline
