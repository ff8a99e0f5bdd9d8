// The messages between FRR's bfdd and a BFD data plane, as bytes: version 1 of FRR's "distributed BFD"
// protocol. FRR's own description is bfdd/bfddp_packet.h, which is under the MIT licence; this is written
// anew from its layouts. All integers are in network order, structs have C's natural alignment.
//
// bfdd listens (`bfdd --dplaneaddr unix:/PATH`) and tells every session when we connect.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "dataplane/net/address.hh"
#include "dataplane/net/bfd.hh"

namespace wye::bfdd {

/// A session as bfdd wants it.
struct Request {
    std::uint32_t id = 0;                 // bfdd's own; also the discriminator
    std::optional<net::IpAddress> local;  // none: not configured
    net::IpAddress remote;
    bool multihop = false, demand = false, control_plane_independent = false, echo = false,
         passive = false, shutdown = false;
    std::uint32_t desired_min_tx = 0, required_min_rx = 0;  // microseconds
    std::uint8_t least_hop_limit = 0;
    std::uint8_t detect_multiplier = 0;
    std::uint32_t interface_index = 0;  // 0: none
    std::string interface_name;
    friend bool operator==(const Request&, const Request&) = default;
};

struct Add {
    Request request;
};
struct Delete {
    std::uint32_t id;
};
struct CountersWanted {
    std::uint32_t id;
    std::uint16_t message;  // to be repeated in the answer
};
struct Echo {
    std::uint16_t message;
    std::array<std::uint8_t, 16> times;
};
using Message = std::variant<Add, Delete, CountersWanted, Echo>;

/// Puts messages together from a stream of bytes.
class Decoder {
  public:
    /// False: what comes is not this protocol; the reason is in error().
    bool feed(std::span<const std::uint8_t> bytes, std::vector<Message>& out);
    [[nodiscard]] const std::string& error() const { return error_; }

  private:
    bool decode(std::span<const std::uint8_t> message, std::vector<Message>& out);
    std::vector<std::uint8_t> pending_;
    std::string error_;
};

struct StateChange {
    std::uint32_t id = 0, remote_discriminator = 0;
    net::BfdState state = net::BfdState::down;
    net::BfdDiagnostic diagnostic = net::BfdDiagnostic::none;
    std::uint8_t remote_detect_multiplier = 0;
    bool remote_demand = false, remote_independent = false;
    std::uint32_t remote_desired_min_tx = 0, remote_required_min_rx = 0;  // microseconds
    friend bool operator==(const StateChange&, const StateChange&) = default;
};
struct Counters {
    std::uint32_t id = 0;
    std::uint64_t packets_in = 0, packets_out = 0;
};

std::vector<std::uint8_t> encode(const StateChange& change);
std::vector<std::uint8_t> encode(const Counters& counters, std::uint16_t message);
std::vector<std::uint8_t> encode_reply(const Echo& echo);

}  // namespace wye::bfdd
