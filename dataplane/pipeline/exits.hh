// Exits: where a next hop leads, resolved once a burst for all packets that leave by it: the vport and
// its policy, the port's queue, and the headers to write, ready in one piece. Only the usual ways out
// are resolved; for all others the general steps find out what is to be done with a packet.
//
// A table of the exits that the burst has needed so far, by leaf. An exit that another takes the place
// of is counted first.
// Owner: the worker's PlainLane. What it points to is valid until the burst ends.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/ids.hh"
#include "dataplane/pipeline/context.hh"
#include "dataplane/table/nexthop.hh"
#include "dataplane/table/tunnel.hh"

namespace wye::pipeline {

enum class ExitKind : std::uint8_t {
    general,  // the general steps know
    port,     // a complete neighbour behind a port
    tunnel,   // into a tunnel over IPv4, whose packets go by `underlay`
    local,    // an address of the router: in an underlay, perhaps the end of a tunnel
};

struct Exit {
    /// The header of a frame, right-aligned so that it ends where the IP packet begins, with IPv4's
    /// EtherType. Before it, for a tunnel, the outer headers from the IP header on.
    static constexpr std::size_t kHeader = 64;
    alignas(64) std::array<std::byte, kHeader> header;

    std::uint64_t key;  // burst and leaf
    ExitKind kind;
    std::uint8_t header_length;
    std::uint16_t mtu;  // of an IP packet
    VportId vport;
    PortOutput* output;  // kind port

    // Kind tunnel.
    const table::Tunnel* tunnel;
    table::Leaf underlay;
    VrfId underlay_vrf;
    TunnelId tunnel_id;
    std::uint32_t checksum;  // sum of the outer IPv4 header without its first word and its length
    /// Counted when the exit is done with.
    std::uint32_t packets;
    std::uint64_t inner_bytes, outer_bytes;
};

class Exits {
  public:
    /// Forgets all exits: their keys are of another burst. Once in 2^32 bursts that is not enough.
    void begin_burst() noexcept {
        if (++burst_ == 0) [[unlikely]] {
            for (Exit& exit : exits_) exit.key = 0;
            burst_ = 1;
        }
    }

    /// The exit of a next hop's leaf (not a group's).
    Exit& find(Context& context, table::Leaf leaf) noexcept {
        const std::uint64_t key = std::uint64_t{burst_} << 32 | leaf.value;
        Exit& exit = exits_[leaf.value % kExits];
        if (exit.key != key) [[unlikely]] {
            replace(context, exit, leaf, key);
        }
        return exit;
    }
    /// Books what went into tunnels.
    void count(Context& context) noexcept;

  private:
    static constexpr std::size_t kExits = 128;
    static_assert(kExits <= 256);
    void replace(Context& context, Exit& exit, table::Leaf leaf, std::uint64_t key) noexcept;

    std::uint32_t burst_ = 0;
    std::array<Exit, kExits> exits_{};
    /// Tunnels among them, to be counted.
    std::array<std::uint8_t, kExits> tunnels_;
    std::size_t tunnel_count_ = 0;
};

}  // namespace wye::pipeline
