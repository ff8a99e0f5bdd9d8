// hold_packet: puts a packet aside until its neighbour is known, and asks for the neighbour.
// Books `held`; the neighbour's oldest packet may have to make room (hold_full).
#pragma once

#include "dataplane/net/address.hh"
#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/pipeline/verdict.hh"

namespace wye::pipeline {

[[gnu::noinline]] Verdict hold_packet(Context& context, Packet& packet, VportId vport,
                                      const net::IpAddress& neighbor) noexcept;

}  // namespace wye::pipeline
