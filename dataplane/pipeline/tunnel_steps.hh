// Into a tunnel and out of it: two steps, pure functions of packet and tables.
//
// The caller bounds how deep tunnels nest (Packet::recirculations), looks up where the outer packet
// goes, and counts what was encapsulated. What comes in is judged here alone.
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/base/ids.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/table/arena.hh"
#include "dataplane/table/counters.hh"
#include "dataplane/table/reason.hh"
#include "dataplane/table/tunnel.hh"

namespace wye::pipeline {

struct Context;

/// Puts the tunnel's outer header before `packet.frame`, which begins with the inner frame's
/// Ethernet header. Afterwards the frame begins with the outer IP header (l3_offset 0) and the
/// packet's fields describe that; flow_hash stays the inner flow's. A reason: nothing was changed,
/// and the packet must be dropped, never be sent bare.
std::optional<table::Reason> encap_tunnel(Packet& packet, const table::Tunnel& tunnel) noexcept;

struct DecapResult {
    enum class Outcome : std::uint8_t {
        decapsulated,  // the frame is the inner Ethernet frame, for `tunnel`'s vport
        dropped,       // for `reason`
        not_tunnel,    // no tunnel's packet: the host stack's
    };
    Outcome outcome;
    table::Reason reason;  // only when dropped
    TunnelId tunnel;       // only when decapsulated
};

/// A validated IP packet to an address of the router in packet.vrf. Decapsulated: the frame begins
/// with the inner Ethernet header and ends with the inner frame; what the packet's fields say is
/// outdated. Otherwise nothing was changed. Counts what was decapsulated: packets, and bytes of the
/// outer IP packet.
///
/// A later fragment has no port, so it goes to the host stack, which will never complete it.
DecapResult decap_tunnel(table::ArenaView arena, table::TunnelCounters* counters,
                         Packet& packet) noexcept;
DecapResult decap_tunnel(const Context& context, Packet& packet) noexcept;

}  // namespace wye::pipeline
