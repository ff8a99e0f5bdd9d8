// Tunnels in an arena, and frames with room around them: for the tests of the tunnel steps and for
// the tool by which tshark and scapy judge them.
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/net/parse.hh"
#include "dataplane/pipeline/tunnel_steps.hh"
#include "dataplane/table/arena_writer.hh"
#include "dataplane/table/tunnel_header.hh"
#include "dataplane/table/tunnel_key_writer.hh"
#include "dataplane/table/vrf.hh"

namespace wye::pipeline {

constexpr VrfId kUnderlay{0};
constexpr VrfId kTenantVrf{1};  // not an underlay

/// Everything of a tunnel that a test may want to choose.
struct TunnelChoice {
    table::OuterHeaderFields outer;
    std::uint8_t copy_dscp = 0;
    std::uint8_t udp_checksum = 0;  // as in TunnelSet
    bool with_vport = true;
};

class TunnelTables {
  public:
    static constexpr std::uint32_t kLimit = 1024;

    TunnelTables() {
        auto& header = arena_.header();
        for (const VrfId vrf : {kUnderlay, kTenantVrf}) {
            if (!arena_.back(header.vrfs, vrf.value)) std::abort();
        }
        arena_.record(header.vrfs, kUnderlay.value).underlay = 1;
    }

    TunnelId add(const TunnelChoice& choice) {
        const TunnelId id{count_++};
        auto& header = arena_.header();
        if (id.value >= kLimit || !arena_.back(header.tunnels, id.value)) std::abort();
        auto& tunnel = arena_.record(header.tunnels, id.value);
        const auto built = table::build_outer_header(choice.outer);
        tunnel.key = {choice.outer.local, choice.outer.remote,
                      choice.outer.kind,  0,
                      choice.outer.vni,   kUnderlay};
        tunnel.vport = choice.with_vport ? VportId{id.value} : VportId{};
        tunnel.destination_port = choice.outer.destination_port == 0
                                      ? table::default_tunnel_port(choice.outer.kind)
                                      : choice.outer.destination_port;
        tunnel.copy_dscp = choice.copy_dscp;
        tunnel.udp_checksum =
            table::fills_udp_checksum(choice.outer.local.family, choice.udp_checksum);
        tunnel.header_length = built.length;
        tunnel.header = built.bytes;
        tunnel.in_use = 1;
        if (!keys_.insert(id)) std::abort();
        return id;
    }

    [[nodiscard]] const table::Tunnel& tunnel(TunnelId id) const {
        return arena_.view().record(arena_.view().header().tunnels, id.value);
    }
    [[nodiscard]] table::ArenaView view() const { return arena_.view(); }
    [[nodiscard]] table::TunnelCounters* counters() { return counters_.get(); }

  private:
    static table::ArenaWriter make() {
        table::ArenaLimits limits;
        limits.tenants = limits.vrfs = limits.vports = limits.tunnels = kLimit;
        limits.nexthops = limits.groups = kLimit;
        limits.heap_bytes = 1 << 20;
        auto arena = table::ArenaWriter::create_anonymous(limits);
        if (!arena) std::abort();
        return std::move(*arena);
    }
    table::ArenaWriter arena_ = make();
    table::TunnelKeyWriter keys_{arena_};
    std::unique_ptr<table::TunnelCounters[]> counters_ =
        std::make_unique<table::TunnelCounters[]>(kLimit);
    std::uint32_t count_ = 0;
};

using Bytes = std::vector<std::uint8_t>;

/// A packet in a buffer of exactly headroom + bytes, so that a sanitizer sees a byte too far.
class OwnedPacket {
  public:
    explicit OwnedPacket(const Bytes& bytes, std::uint16_t headroom = kMinHeadroom)
        : buffer_(std::make_unique<std::byte[]>(headroom + bytes.size())) {
        std::memset(buffer_.get(), 0xa5, headroom);
        if (!bytes.empty()) std::memcpy(buffer_.get() + headroom, bytes.data(), bytes.size());
        packet.frame.data = buffer_.get() + headroom;
        packet.frame.length = static_cast<std::uint32_t>(bytes.size());
        packet.frame.headroom = headroom;
        packet.vrf = kUnderlay;
    }
    /// As the validating steps leave it: false if they would refuse it.
    bool parse() {
        const auto bytes = packet.frame.bytes();
        if (bytes.empty()) return false;
        net::IpLayout layout;
        const bool ipv4 = (std::to_integer<unsigned>(bytes[0]) >> 4) == 4;
        const auto fault = ipv4 ? net::parse_ipv4(bytes, layout) : net::parse_ipv6(bytes, layout);
        if (fault != net::IpFault::none) return false;
        apply_layout(packet, layout);
        return true;
    }
    [[nodiscard]] Bytes bytes() const {
        Bytes result(packet.frame.length);
        if (!result.empty()) std::memcpy(result.data(), packet.frame.data, result.size());
        return result;
    }

    Packet packet;

  private:
    std::unique_ptr<std::byte[]> buffer_;
};

}  // namespace wye::pipeline
