// Longest-prefix match, IPv4 and IPv6: the interface behind which the structure can be replaced.
//
// Reader side: pure functions on the arena, called by workers, in bursts. Writer side: FibWriter,
// one for each (VRF, family), owned by the control thread, with the RIB in its private memory. Any
// state between two stores of the writer is a valid table for a concurrent reader, and a route is
// atomic for its prefix.
//
// Structure: see dataplane/table/fib_trie.hh, fib_table.hh (IPv4) and fib6_page.hh (IPv6).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "dataplane/net/address.hh"
#include "dataplane/table/arena.hh"
#include "dataplane/table/arena_writer.hh"
#include "dataplane/table/nexthop.hh"
#include "dataplane/table/vrf.hh"

namespace wye::table {

/// Looks up addresses[i] in the FIB with roots[i], for all i: leaves[i] is the answer. A null root
/// has no routes. The spans are of one size, at most 64; roots may differ. Interleaves the lookups'
/// memory accesses. No lookup waits for the writer.
void lookup_fib4(ArenaView arena, std::span<const Ref<Fib4Root>> roots,
                 std::span<const net::Ipv4Address> addresses, std::span<Leaf> leaves) noexcept;
void lookup_fib6(ArenaView arena, std::span<const Ref<Fib6Root>> roots,
                 std::span<const net::Ipv6Address> addresses, std::span<Leaf> leaves) noexcept;
constexpr std::size_t kFibBurst = 64;

/// For a burst that is still being put together: fetches what looking `address` up begins with. `table`
/// is table_of() the FIB's root, which is null for small FIBs and stays the same for as long as the
/// root does.
const void* table_of(ArenaView arena, Ref<Fib4Root> root) noexcept;
inline void prefetch_in_table(const void* table, net::Ipv4Address address) noexcept {
    constexpr unsigned kShift = 32 - 18;  // kFibTableBits
    if (table == nullptr) return;
    __builtin_prefetch(static_cast<const std::uint32_t*>(table) + (address.host() >> kShift));
}

/// Which variant of the lookups in large VRFs this CPU gets: "AVX-512" or "x86-64-v2", say.
std::string_view fib_variant() noexcept;
std::string_view fib6_variant() noexcept;

/// One lookup: for the slow path and for tests.
Leaf lookup_fib4(ArenaView arena, Ref<Fib4Root> root, net::Ipv4Address address) noexcept;
Leaf lookup_fib6(ArenaView arena, Ref<Fib6Root> root, const net::Ipv6Address& address) noexcept;

/// What a change in a large FIB waits for, in the order in which one leads to the next.
enum class FibStage : std::uint8_t { node, routes, leaves };

/// The FIB of one family of one VRF. `root` is where the root is published (Vrf::fib4/fib6, handed
/// over as its unit word). Prefixes are of the writer's family.
class FibWriter {
  public:
    FibWriter(ArenaWriter& arena, net::IpFamily family, std::atomic<std::uint32_t>& root);
    FibWriter(FibWriter&&) noexcept;
    ~FibWriter();  // does not touch the arena: clear() first if the VRF goes away

    /// Inserts or replaces. False: the arena is full; nothing has changed.
    [[nodiscard]] bool insert(const net::IpPrefix& prefix, Leaf leaf);
    /// False: there was none, or the arena is full and the route still stands.
    [[nodiscard]] bool erase(const net::IpPrefix& prefix);
    /// Soon one of these will be called with `prefix`, which may be any: asks for one stage of what it
    /// will look at. All stages in turn, some changes apart, and it hardly waits for memory.
    void prefetch(const net::IpPrefix& prefix, FibStage stage) const noexcept;
    /// Exact match in the RIB.
    [[nodiscard]] std::optional<Leaf> find(const net::IpPrefix& prefix) const;
    [[nodiscard]] std::size_t size() const noexcept;  // routes
    /// Unpublishes and retires everything.
    void clear();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace wye::table
