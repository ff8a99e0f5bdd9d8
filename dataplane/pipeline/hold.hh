// HoldTable: packets that wait for a neighbour, bounded in all, by tenant and by neighbour
// (RFC 1122 2.3.2.2, RFC 4861 7.2.2: at least one packet a neighbour, the newest are kept).
//
// Worker-local. Packets are kept in the order in which they came, so the oldest is always due
// first. A neighbour's entry outlives its packets for a while, so that its resolution is not asked
// for again at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "dataplane/base/ids.hh"
#include "dataplane/net/address.hh"
#include "dataplane/pipeline/limits.hh"
#include "dataplane/pipeline/packet.hh"

namespace wye::pipeline {

struct NeighborKey {
    VportId vport;
    net::IpAddress address;
    friend bool operator==(const NeighborKey&, const NeighborKey&) noexcept = default;
};

class HoldTable {
  public:
    explicit HoldTable(const Limits& limits);

    enum class Outcome : std::uint8_t {
        taken,
        taken_instead,  // of the neighbour's oldest packet, which is now `evicted`
        refused,        // no room in all, or for this tenant
    };
    Outcome put(const Packet& packet, const NeighborKey& key, std::uint64_t now_cycles,
                Packet& evicted) noexcept;

    /// After put(): the neighbour shall be asked for now. `interval` cycles pass before it is true
    /// again, unless resolve_failed() takes it back.
    bool resolve_due(const NeighborKey& key, std::uint64_t now_cycles,
                     std::uint64_t interval) noexcept;
    void resolve_failed(const NeighborKey& key) noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    [[nodiscard]] bool oldest_is_due(std::uint64_t now_cycles) const noexcept;
    /// The caller knows that size() is not 0.
    Packet pop_oldest() noexcept;

  private:
    static constexpr std::uint32_t kNone = 0xffffffff;
    static constexpr std::uint32_t kProbes = 8;
    static constexpr std::uint32_t kTenantCounts = 4096;

    struct Slot {
        Packet packet;
        std::uint32_t older = kNone, newer = kNone;  // of all; newer: also of the free ones
        std::uint32_t newer_of_neighbor = kNone;
        std::uint32_t neighbor = kNone;
    };
    struct Neighbor {
        NeighborKey key;
        std::uint64_t asked = 0;  // when, cycles; 0: not yet
        std::uint64_t used = 0;   // last put, cycles
        std::uint32_t oldest = kNone, newest = kNone;
        std::uint32_t count = 0;
    };

    [[nodiscard]] std::uint32_t find(const NeighborKey& key) const noexcept;
    std::uint32_t find_or_make(const NeighborKey& key) noexcept;
    Packet take_out(std::uint32_t slot) noexcept;
    std::uint16_t& tenant_count(const Packet& packet) noexcept {
        return tenant_counts_[packet.tenant_row % kTenantCounts];
    }

    std::uint32_t capacity_, of_tenant_, of_neighbor_, neighbor_mask_;
    std::unique_ptr<Slot[]> slots_;
    std::unique_ptr<Neighbor[]> neighbors_;
    std::array<std::uint16_t, kTenantCounts> tenant_counts_{};
    std::uint32_t oldest_ = kNone, newest_ = kNone, free_ = 0;
    std::size_t count_ = 0;
};

}  // namespace wye::pipeline
