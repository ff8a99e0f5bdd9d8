// DPDK's own tables as peers of ours, in the same program on the same routes and addresses: rte_fib
// (DIR24_8, 4-byte next hops) and rte_fib6 (TRIE, 4-byte next hops), with their AVX-512 lookups where
// the CPU has them. They hold pointers, so they cannot lie in the arena; here they say what a lookup
// may cost.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "dataplane/net/address.hh"
#include "tests/unit/table/real_table.hh"

namespace wye::table {

/// EAL without hugepages and devices; once. False: it does not start, and there are no peers.
bool start_peers();

class PeerFib {
  public:
    /// Null: it does not hold all of the routes.
    static std::unique_ptr<PeerFib> make(net::IpFamily family,
                                         const std::vector<RealRoute>& routes);
    ~PeerFib();
    /// Which of its lookup functions answers.
    [[nodiscard]] std::string_view variant() const noexcept;
    /// Addresses in the form that look_up wants.
    void set_addresses(const std::vector<net::IpAddress>& addresses);
    /// `count` of them from number `at` on; the answers of the last burst lie in `leaves`.
    void look_up(std::size_t at, std::size_t count);
    std::vector<std::uint64_t> leaves;

  private:
    struct Impl;
    explicit PeerFib(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace wye::table
