// PlainRuns: the vports of a burst's plain packets, each found once for all frames with the same tags.
// What the steps need of a vport is gathered in a run, and what they count is added up there.
//
// Runs of ports' frames stay from burst to burst, found by their tags, for as long as
// TenantRoots::state() is the same. Those that are not there are found in stages over all of them
// (resolve): each stage reads what the one before it prefetched, so that a burst of many tenants waits
// for each kind of record once.
// Owner: the worker's PlainLane.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "dataplane/base/ids.hh"
#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/frame.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/table/fib.hh"
#include "dataplane/table/vport.hh"

namespace wye::pipeline {

struct alignas(64) PlainRun {
    // First line: for each packet.
    /// Of the vport, in the upper 48 bits as it lies in a frame. Unusable: not zero below.
    std::uint64_t mac;
    LedgerRows rows;
    const table::VportPolicy* policy;
    const void* table4;  // of the IPv4 FIB, to be fetched from; null: it has none
    VportId vport;
    TenantId tenant;
    VrfId vrf;
    table::Ref<table::Fib4Root> fib4;
    table::Ref<table::Fib6Root> fib6;
    table::Ref<table::Acl> acl;
    std::uint16_t l3_offset;
    std::uint8_t recirculations;
    bool is_underlay;  // tunnels may end in the VRF
    std::uint32_t tag_key;
    // Second line.
    std::uint64_t state;  // of the tables, in which it was resolved
    /// How its frames are told: these bits of the eight bytes behind the Ethernet addresses.
    std::uint64_t tag_mask, tags;
    TunnelId tunnel;                // out of which its frames came; invalid: from a port
    std::uint32_t from_tenant_row;  // whose the tunnel's packets were
    // Booked at the end of the burst.
    std::uint32_t ipv4, ipv6;              // packets that entered
    std::uint32_t not_asked4, not_asked6;  // of them, those that are not looked up here
    std::uint64_t bytes;                   // of their frames
    bool is_taken;                         // in this burst

    /// No MAC address: the vport cannot be used, and the general steps find out why.
    static constexpr std::uint64_t kNoMac = 1;
    [[nodiscard]] bool is_usable() const noexcept { return mac != kNoMac; }
    /// Never 0. Of a port's frames, runs with the same mark are of the same vport in the same state.
    [[nodiscard]] std::uint64_t mark() const noexcept { return state << 32 | tag_key; }
};
static_assert(sizeof(PlainRun) == 128);

class PlainRuns {
  public:
    /// What tells a run from others.
    struct Wanted {
        std::uint64_t tag_mask, tags;
        std::uint32_t tag_key;
        std::uint16_t l3_offset;
        std::uint16_t port_row;
        std::uint32_t place;
    };

    void begin_burst(const Context& context) noexcept;
    /// How many are in use in this burst.
    [[nodiscard]] std::size_t size() const noexcept { return used_count_; }

    /// How the frame is tagged; false: it is no IP packet. Fetches where find_place() will look.
    bool identify(PortId port, const Frame& frame, Wanted& wanted) const noexcept;
    /// Where the run is, if it is there; fetches it.
    void find_place(Wanted& wanted) const noexcept;
    /// Resolved already, or by the next resolve(). find_place() comes before it.
    PlainRun* take(const Wanted& wanted) noexcept;
    /// Begins a run for what comes out of this tunnel, in `place` if that is free, else in a spare one.
    PlainRun& begin(const Context& context, TunnelId tunnel, const PlainRun& outer,
                    PlainRun& place) noexcept;
    /// A run that begin() made in its place in an earlier burst: false if it holds no more.
    bool take_again(PlainRun& run) noexcept;
    /// Finds the vports of all runs that were taken and not resolved.
    void resolve(Context& context) noexcept;
    /// Fetches what a run's packets need next, and what they count into.
    static void prefetch(const Context& context, const PlainRun& run) noexcept;
    /// Books what the runs have counted.
    void count(Context& context) noexcept;

  private:
    /// The vports of thousands of tenants, in sets: a run is in any place of the set that its tags
    /// choose. A set's tags lie in one cache line, apart from the runs, so that finding one touches that
    /// and the run's two.
    static constexpr std::uint32_t kPlaces = 8192, kWays = 16, kNowhere = kPlaces;
    struct alignas(64) Set {
        std::array<std::uint32_t, kWays> tag_keys;
    };
    /// A burst's frames can have a run each, and what comes out of their tunnels another.
    static constexpr std::size_t kMost = 2 * kMaxBurst;
    static std::uint32_t set_of(std::uint32_t tag_key) noexcept;
    /// The place of another run, which gives way; nothing: this burst needs them all.
    [[nodiscard]] std::optional<std::uint32_t> find_victim(std::uint32_t set) const noexcept;
    [[nodiscard]] bool is_of(const PlainRun& run, const Wanted& wanted) const noexcept;
    /// This burst has packets of it.
    void use(PlainRun& run) noexcept;
    PlainRun& begin(PlainRun& run, std::uint32_t port_row) noexcept;
    PlainRun& begin_spare(std::uint32_t port_row) noexcept;
    PlainRun& begin(Wanted wanted) noexcept;

    std::uint64_t state_ = 0;
    std::array<Set, kPlaces / kWays> sets_{};
    std::array<PlainRun, kPlaces> runs_{};
    /// Of tunnels' frames, and of frames whose set is full of this burst's runs.
    std::array<PlainRun, kMost> spare_;
    std::size_t spare_count_ = 0;
    std::array<PlainRun*, kMost> used_, unresolved_;
    std::size_t used_count_ = 0, unresolved_count_ = 0;
};

}  // namespace wye::pipeline
