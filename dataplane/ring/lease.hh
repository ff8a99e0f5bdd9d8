// Leases: how another process reads the tables of a running data plane. SOCK_SEQPACKET, one message
// a packet, at `lease.sock` in the instance's run directory (mode 0600).
//
//   reader → data plane   LeaseRequest
//   data plane → reader   LeaseGrant + descriptors {arena, page}, both read-only
//                         or Refusal, in words, and the data plane closes
//   reader → data plane   LeaseRelease (or it closes: the same without an answer)
//   data plane → reader   LeaseReleased, and closes
//
// While a lease is valid, no memory and no id that was reachable when it was granted, or became so
// since, is used for anything else. It ends by release, by its time, by its byte budget (too much
// memory waits to be freed), or because workers were switched to another arena. The control thread
// writes the end into the lease's page *before* it reuses anything: what a reader took from the
// arena is right if the page says `valid` after it was taken.
//
// A valid lease is no snapshot: the tables go on changing, and the reader sees each route before or
// after. LeaseReleased tells the epoch between two turns of the control thread; if it is that of
// the grant, nothing has changed meanwhile.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "dataplane/base/clock.hh"
#include "dataplane/base/descriptor.hh"
#include "dataplane/base/result.hh"
#include "dataplane/ring/handshake.hh"

namespace wye::ring {

constexpr std::uint32_t kLeaseVersion = 1;

enum class LeaseState : std::uint32_t {
    none = 0,
    valid = 1,
    expired = 2,      // its time is over
    over_budget = 3,  // too much memory waited for it
    superseded = 4,   // workers forward from another arena now
    ended = 5,        // the data plane has ended
};
/// Why a lease is no longer valid, in words.
std::string_view to_string(LeaseState state) noexcept;

/// What the page descriptor maps. Writer: control thread; reader: whoever has the lease.
struct alignas(64) LeasePage {
    std::atomic<LeaseState> state;
};

struct LeaseRequest {
    MessageHeader header;
    std::uint32_t version;       // kLeaseVersion
    std::uint32_t milliseconds;  // wanted; at most kLongestLease are granted
};

constexpr std::chrono::milliseconds kLongestLease{1000};

struct LeaseGrant {
    MessageHeader header;
    std::uint32_t version;
    std::uint32_t milliseconds;  // granted
    std::uint64_t lease;
    std::uint64_t arena_instance;  // ArenaHeader::instance
    std::uint64_t epoch;           // last published in it
    std::int64_t deadline;         // CLOCK_MONOTONIC, nanoseconds
    std::uint8_t is_predecessors;  // 1: the arena of a crashed data plane, until the replay is done
    std::uint8_t reserved[7];
};

struct LeaseRelease {
    MessageHeader header;
    std::uint64_t lease;
};

struct LeaseReleased {
    MessageHeader header;
    LeaseState state;  // as it was when the release came
    std::uint32_t reserved;
    std::uint64_t epoch;  // of the leased arena, now
};

template <>
inline constexpr MessageKind kKindOf<LeaseRequest> = MessageKind::lease_request;
template <>
inline constexpr MessageKind kKindOf<LeaseGrant> = MessageKind::lease_grant;
template <>
inline constexpr MessageKind kKindOf<LeaseRelease> = MessageKind::lease_release;
template <>
inline constexpr MessageKind kKindOf<LeaseReleased> = MessageKind::lease_released;

/// The reader's end of a lease. Its destructor closes, which gives the lease back.
class Lease {
  public:
    /// Asks the data plane that listens at `path`.
    static Result<Lease> take(const std::string& path, std::chrono::milliseconds wanted);
    Lease(Lease&&) noexcept;
    Lease& operator=(Lease&&) noexcept;
    ~Lease();

    [[nodiscard]] const LeaseGrant& grant() const noexcept { return grant_; }
    [[nodiscard]] int arena() const noexcept { return arena_.get(); }
    /// An error, in words, unless all that was read until now is right.
    [[nodiscard]] Status check() const;
    /// Gives the lease back. The epoch of the arena when the control thread heard of it; an error
    /// if the lease was no longer valid then.
    Result<std::uint64_t> release();

  private:
    Lease() = default;
    Descriptor socket_, arena_;
    LeaseGrant grant_{};
    const LeasePage* page_ = nullptr;
};

}  // namespace wye::ring
