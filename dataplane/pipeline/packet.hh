// A packet on its way through the pipeline: the frame and what the steps found out about it.
// Owner: the burst of one worker; nothing here outlives the burst but through the hold table, which
// keeps a Packet without its pointers.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/base/ids.hh"
#include "dataplane/net/address.hh"
#include "dataplane/net/parse.hh"
#include "dataplane/pipeline/frame.hh"
#include "dataplane/table/nexthop.hh"

namespace wye::table {
struct VportPolicy;
}

namespace wye::pipeline {

using net::kNoOffset;

/// Whose packet it is. Only transit packets have their TTL decremented and are answered with ICMP
/// errors; the router's own packets pass no ACL.
enum class Origin : std::uint8_t {
    transit,       // received by a vport, also the inside of a tunnel
    encapsulated,  // a tunnel packet that this router made of a transit packet
    router,        // from the host stack, or an ICMP error of ours
};

struct Packet {
    Frame frame;

    /// Offsets from frame.data. l3: the IP header (0: there is no link header before it).
    std::uint16_t l3_offset = 0;
    /// The layer-4 header; kNoOffset: not there (a later fragment), or not whole.
    std::uint16_t l4_offset = kNoOffset;
    /// Of the IP packet, header included; frame.length == l3_offset + length once it was validated.
    std::uint16_t length = 0;
    net::IpFamily family = net::IpFamily::ipv4;
    std::uint8_t protocol = 0;  // of layer 4, behind IPv6 extension headers

    // The layer-4 key, host order; zero where it does not apply.
    std::uint16_t source_port = 0, destination_port = 0;
    std::uint8_t tcp_flags = 0, icmp_type = 0, icmp_code = 0;

    bool is_fragment = false;        // MF set or offset not zero
    bool is_later_fragment = false;  // offset not zero
    bool has_options = false;        // IPv4 options or an IPv6 hop-by-hop header
    bool link_broadcast = false;     // received as link-layer broadcast or multicast
    Origin origin = Origin::transit;
    /// How often a tunnel was entered or left: bounded by kMaxRecirculations.
    std::uint8_t recirculations = 0;

    /// Of the flow, from the innermost packet that was seen; encapsulation keeps it.
    std::uint32_t flow_hash = 0;
    table::Leaf leaf;  // the answer of the last lookup

    VrfId vrf;                   // in which it is looked up
    VportId in_vport;            // by which it entered last; invalid: from inject, or ours
    TenantId tenant;             // of in_vport (of the VRF, where there is none)
    std::uint32_t port_row = 0;  // its ledger rows
    std::uint32_t tenant_row = 0;
    /// Of in_vport, as of this burst; null: from inject, or the vport has gone meanwhile.
    const table::VportPolicy* in_policy = nullptr;
    /// When waiting for a neighbour ends, cycles; 0: it has not waited yet.
    std::uint64_t hold_until = 0;
    /// Of `vrf` when it began to wait: the id may be another VRF's by the time it goes on.
    std::uint32_t vrf_generation = 0;

    [[nodiscard]] std::byte* l3() noexcept { return frame.data + l3_offset; }
    [[nodiscard]] const std::byte* l3() const noexcept { return frame.data + l3_offset; }
};

/// Limit of Packet::recirculations (RFC 2473 6.6 suggests 4 for nested tunnels).
constexpr std::uint8_t kMaxRecirculations = 4;

/// Takes over what the parser found at l3_offset. The frame is cut to the packet: link padding is
/// not forwarded (RFC 1812 5.2.2).
inline void apply_layout(Packet& packet, const net::IpLayout& layout) noexcept {
    packet.family = layout.family;
    packet.protocol = layout.protocol;
    packet.length = layout.length;
    packet.l4_offset = layout.l4_offset == kNoOffset
                           ? kNoOffset
                           : static_cast<std::uint16_t>(packet.l3_offset + layout.l4_offset);
    packet.is_fragment = layout.is_fragment;
    packet.is_later_fragment = layout.is_later_fragment;
    packet.has_options = layout.has_options;
    packet.source_port = layout.source_port;
    packet.destination_port = layout.destination_port;
    packet.tcp_flags = layout.tcp_flags;
    packet.icmp_type = layout.icmp_type;
    packet.icmp_code = layout.icmp_code;
    packet.frame.trim_to(std::uint32_t{packet.l3_offset} + layout.length);
}

}  // namespace wye::pipeline
