// What crosses between the pipeline and the engine: received BFD datagrams and those to be sent, as
// values. The frames stay with the worker that received them, or that sends them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/base/ids.hh"
#include "dataplane/net/address.hh"
#include "dataplane/net/bfd.hh"
#include "dataplane/ring/spsc.hh"

namespace wye::bfd {

/// The BFD header, and as much more as tells whether an authentication section has a length.
constexpr std::size_t kKeptPayload = 26;

/// Received, addressed to the router. Its UDP checksum was good.
struct Datagram {
    VrfId vrf;
    VportId vport;
    net::IpAddress source, destination;
    std::uint8_t hop_limit = 0;
    bool multihop = false;     // by its destination port
    std::uint16_t length = 0;  // of the UDP payload
    std::array<std::byte, kKeptPayload> payload{};
};

/// From one worker to the engine.
using Inbox = ring::Spsc<Datagram>;

/// Where a session's packets go, and where they must come from.
struct Endpoint {
    VrfId vrf;
    VportId vport;  // invalid: multihop
    net::IpAddress local, remote;
    std::uint16_t source_port = 0;
    /// The least hop limit of a received packet; single-hop ones must have 255, which the pipeline sees
    /// to.
    std::uint8_t least_hop_limit = 0;
    // Single hop: the next hop to the neighbour, which is sent by and whose liveness the session has.
    NextHopId nexthop;
    std::uint32_t nexthop_generation = 0;

    [[nodiscard]] bool multihop() const noexcept { return !vport.valid(); }
};

/// To be sent.
struct Departure {
    Endpoint end;
    net::BfdHeader header;
};

/// IP and UDP around a BFD header: TTL 255 (RFC 5881 5), DSCP CS6, UDP checksum. Returns how many bytes
/// of `out`, which has room for kLongestDatagram.
constexpr std::size_t kLongestDatagram = 40 + 8 + sizeof(net::BfdHeader);
[[nodiscard]] constexpr std::uint16_t datagram_length(const Departure& departure) noexcept {
    return departure.end.local.family == net::IpFamily::ipv4 ? kLongestDatagram - 20
                                                             : kLongestDatagram;
}
std::size_t write_datagram(const Departure& departure, std::byte* out) noexcept;

}  // namespace wye::bfd
