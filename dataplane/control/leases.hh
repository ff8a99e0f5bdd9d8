// Leases: which readers in other processes hold back frees, and until when.
//
// Each lease has a page in shared memory of its own, which the reader can only read; its end is
// written there before anything that it held is used again. Control thread only.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "dataplane/base/result.hh"
#include "dataplane/control/lease_terms.hh"
#include "dataplane/table/arena_writer.hh"

namespace wye::control {

/// The epoch of a lease that keeps nothing of our own arena (it reads a predecessor's).
constexpr std::uint64_t kHoldsNothing = std::numeric_limits<std::uint64_t>::max();

class Leases {
  public:
    explicit Leases(const LeaseLimits& limits) : limits_(limits) {}

    /// What was still reachable in `epoch` is held. Fills lease, deadline, granted and page.
    Result<LeaseTerms> grant(const table::ArenaWriter& arena, std::chrono::milliseconds wanted,
                             std::uint64_t epoch);
    /// What it was until now.
    ring::LeaseState end(std::uint64_t lease);
    /// Ends those whose time is over, and all that hold something if too much waits to be freed.
    void enforce(const table::ArenaWriter& arena);
    void revoke_all(ring::LeaseState why);
    /// What became unreachable after this epoch is not to be freed.
    [[nodiscard]] std::uint64_t oldest_epoch() const noexcept { return oldest_; }
    [[nodiscard]] std::size_t size() const noexcept { return held_.size(); }

  private:
    struct Unmap {
        void operator()(ring::LeasePage* page) const noexcept;
    };
    using Page = std::unique_ptr<ring::LeasePage, Unmap>;
    struct Held {
        std::uint64_t lease;
        std::uint64_t epoch;
        Nanoseconds deadline;
        Page page;
    };
    struct Ended {
        std::uint64_t lease;
        ring::LeaseState why;
    };

    static Result<Page> make_page(Descriptor& for_reader);
    [[nodiscard]] bool is_short(const table::ArenaWriter& arena) const noexcept;
    void revoke(Held& held, ring::LeaseState why);
    void forget_revoked();

    LeaseLimits limits_;
    std::vector<Held> held_;
    std::vector<Ended> ended_;  // the last few, for end()
    std::uint64_t last_ = 0;
    std::uint64_t oldest_ = kHoldsNothing;
};

}  // namespace wye::control
