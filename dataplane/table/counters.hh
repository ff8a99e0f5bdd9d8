// Counters: what workers write. Apart from the tables, in a file of their own, which survives a
// restart; a block for each worker, so that no cache line has two writers.
//
// The ledger, for each worker, port and tenant (row):
//   rx + from_host + generated + moved_in = tx + drops + punted + consumed + moved_out + held
// where `held` is a level (packets waiting for a neighbour), everything else only grows.
// A packet is booked on the row of the port by which it entered, and of the tenant of the vport that
// it entered by last: decapsulation moves it from the underlay's tenant to the inner one
// (moved_out / moved_in), so that both rows balance.
//
// Names. A counter slot belongs to a name (vport "red-site-a"), kept in the file's directory; the
// slot's index is the object's id in every arena. So ids, and with them counters, survive.
// Owner: the control thread assigns slots; workers write cells; anyone reads (relaxed, one cell at a
// time: a snapshot of several cells is not consistent while traffic flows).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/ids.hh"
#include "dataplane/base/name.hh"
#include "dataplane/table/reason.hh"

namespace wye::table {

/// A cell has one writer, so an increment is a load and a store, not a locked instruction.
class Counter {
  public:
    void add(std::uint64_t n) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void subtract(std::uint64_t n) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
    }
    void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t get() const noexcept {
        return value_.load(std::memory_order_relaxed);
    }

  private:
    std::atomic<std::uint64_t> value_{0};
};

struct alignas(64) LedgerRow {
    Counter rx, from_host, generated, moved_in;
    Counter tx, punted, consumed, moved_out;
    Counter held;
    std::array<Counter, kReasons> drops;
};

struct PacketsAndBytes {
    Counter packets, bytes;
    void add(std::uint64_t length) noexcept {
        packets.add(1);
        bytes.add(length);
    }
};

struct alignas(64) VportCounters {
    PacketsAndBytes rx, tx;
    Counter drops, punted;
};
struct alignas(32) TunnelCounters {
    PacketsAndBytes encapsulated, decapsulated;
};
struct alignas(32) VrfCounters {
    Counter lookups_ipv4, lookups_ipv6, no_route, icmp_errors;
};

/// Of the poll loop itself: for `show workers`.
struct alignas(64) WorkerCounters {
    Counter polls, polls_with_packets, sleeps, sleep_nanoseconds, busy_cycles, total_cycles;
    Counter bursts, burst_packets, full_bursts;  // of ports: how full they were
};

struct CounterLimits {
    std::uint32_t workers = 1;  // blocks: one for each worker, and the last for the host thread
    std::uint32_t ports = 32;
    std::uint32_t tenants = 4096;
    std::uint32_t vports = 16384;
    std::uint32_t tunnels = 16384;
    std::uint32_t vrfs = 8192;
    std::uint32_t rules = 1u << 20;
    friend bool operator==(const CounterLimits&, const CounterLimits&) = default;
};

/// Whether a block is the host thread's: it is the last, where there are others.
constexpr bool is_host_block(const CounterLimits& limits, std::uint32_t block) noexcept {
    return limits.workers > 1 && block + 1 == limits.workers;
}

/// Row of what has no tenant yet (before a vport is found).
constexpr std::uint32_t kNoTenantRow = 0;
/// A tenant's row is its id + 1.
constexpr std::uint32_t tenant_row(TenantId tenant) noexcept {
    return tenant.valid() ? tenant.value + 1 : kNoTenantRow;
}
/// Row for frames that come from the host stack, in `ports`; a port's row is its id + 1.
constexpr std::uint32_t kHostPortRow = 0;
constexpr std::uint32_t port_row(PortId port) noexcept {
    return port.valid() ? port.value + 1 : kHostPortRow;
}

/// One worker's block, as pointers into the mapping. The worker total is the sum over `ports`.
struct CounterBlock {
    LedgerRow* ports = nullptr;    // [limits.ports + 1]
    LedgerRow* tenants = nullptr;  // [limits.tenants + 1]
    VportCounters* vports = nullptr;
    TunnelCounters* tunnels = nullptr;
    VrfCounters* vrfs = nullptr;
    PacketsAndBytes* rules = nullptr;  // [limits.rules]: an ACL's rules lie in a row from its base
    WorkerCounters* worker = nullptr;
};

}  // namespace wye::table
