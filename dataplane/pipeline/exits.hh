// Exits: where a next hop leads, resolved once for all packets that leave by it: the port's queue, the
// MTU, and the headers to write, ready in one piece. Only the usual ways out are resolved; for all
// others the general steps find out what is to be done with a packet.
//
// An exit stays from burst to burst for as long as nothing of what it was made of can have changed:
// TenantRoots::state() is the same, and no next hop's liveness was set. Slots are by leaf, and another
// leaf takes the place of the one before.
// Owner: the worker's PlainLane.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/ids.hh"
#include "dataplane/pipeline/context.hh"
#include "dataplane/table/nexthop.hh"
#include "dataplane/table/tunnel.hh"
#include "dataplane/table/vport.hh"

namespace wye::pipeline {

enum class ExitKind : std::uint8_t {
    general,  // the general steps know
    port,     // a complete neighbour behind a port
    tunnel,   // into a tunnel over IPv4, whose packets go on by `underlay`
    local,    // an address of the router: in an underlay, perhaps the end of a tunnel
};

struct TunnelExit;

struct alignas(64) Exit {
    /// The link header, right-aligned so that it ends where the IP packet begins, with IPv4's
    /// EtherType.
    static constexpr std::size_t kHeader = 24;
    std::array<std::byte, kHeader> header;
    std::uint64_t key;   // its leaf, and the state of the tables in which it was resolved
    PortOutput* output;  // kind port
    TunnelExit* tunnel;  // kind tunnel
    VportId vport;
    std::uint16_t mtu;  // of an IP packet
    std::uint8_t header_length;
    ExitKind kind;
};
static_assert(sizeof(Exit) == 64);

struct alignas(64) TunnelExit {
    /// Outer headers from the IP header on, then the inner link header; right-aligned, too.
    static constexpr std::size_t kHeader = 64;
    std::array<std::byte, kHeader> header;
    const table::Tunnel* record;
    TunnelId tunnel;
    VportId vport;
    VrfId underlay;
    table::Leaf leaf;        // of the remote address in the underlay
    std::uint32_t checksum;  // sum of the outer IPv4 header without its first word and its length
    std::uint32_t header_length;
    // Of this burst, not yet booked.
    std::uint32_t packets;
    std::uint64_t inner_bytes, outer_bytes;
};

/// Headers are written in pieces that may reach so far before the packet.
constexpr std::uint16_t kLeastHeadroom = TunnelExit::kHeader + Exit::kHeader;

class Exits {
  public:
    /// Forgets all exits if anything of what they were made of can have changed.
    void begin_burst(const Context& context) noexcept;

    /// The exit of a next hop's leaf (not a group's).
    Exit& find(Context& context, table::Leaf leaf) noexcept {
        Exit& exit = exits_[leaf.value % kExits];
        const std::uint64_t key = state_ | leaf.value;
        if (exit.key != key) [[unlikely]] {
            replace(context, exit, leaf);
        }
        return exit;
    }
    /// A guess: it did so, and may not do so any more.
    [[nodiscard]] bool seems_tunnel(table::Leaf leaf) const noexcept {
        return exits_[leaf.value % kExits].kind == ExitKind::tunnel;
    }
    void prefetch(table::Leaf leaf) const noexcept {
        __builtin_prefetch(&exits_[leaf.value % kExits]);
    }
    /// A packet has gone into the tunnel.
    void add(TunnelExit& exit, std::uint32_t inner_bytes, std::uint32_t outer_bytes) noexcept {
        if (exit.packets++ == 0) used_[used_count_++] = &exit;
        exit.inner_bytes += inner_bytes;
        exit.outer_bytes += outer_bytes;
    }
    /// Books what went into tunnels.
    void count(Context& context) noexcept;

  private:
    static constexpr std::size_t kExits = 8192;  // the vports of thousands of tenants
    void replace(Context& context, Exit& exit, table::Leaf leaf) noexcept;
    void resolve(Context& context, table::Leaf leaf, Exit& exit) noexcept;

    std::uint64_t state_ = 0;                 // of the tables, in the upper half: none yet
    std::uint64_t roots_ = 0, liveness_ = 0;  // by what it is told that they have changed
    std::array<Exit, kExits> exits_{};
    std::array<TunnelExit, kExits> tunnels_{};
    /// With packets to be booked; a tunnel that gave its place to another is there once more.
    std::array<TunnelExit*, 2 * kMaxBurst> used_;
    std::size_t used_count_ = 0;
};

}  // namespace wye::pipeline
