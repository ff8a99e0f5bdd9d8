// The file of BFD sessions (`run_dir/bfd`): what runs, in which state, and what was counted, for the
// shim, which tells FRR's bfdd and people. It does not steer anything: a damaged file changes nothing
// about a session.
//
// A record a session. Who a session is (names, addresses) is written by the control thread before its
// discriminator, which says that the record is in use; the rest by the one worker that has the
// sessions. Readers look at the discriminator before and after; each cell for itself is whole, several
// of them are not consistent while the session moves.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "dataplane/base/name.hh"
#include "dataplane/base/result.hh"
#include "dataplane/net/address.hh"
#include "dataplane/net/bfd.hh"
#include "dataplane/table/counters.hh"

namespace wye::table {

// Why a packet that was taken for BFD is not believed. Those before `unknown_session` belong to no
// session that could be named.
// clang-format off
#define WYE_BFD_DROPS(X)                                                                                    \
    X(version,             "version is not 1 (RFC 5880 6.8.6)")                                             \
    X(length,              "length below 24, or beyond the UDP payload (RFC 5880 6.8.6)")                   \
    X(multiplier,          "Detect Mult is zero (RFC 5880 6.8.6)")                                          \
    X(multipoint,          "M bit is set (RFC 5880 6.8.6)")                                                 \
    X(my_discriminator,    "My Discriminator is zero (RFC 5880 6.8.6)")                                     \
    X(your_discriminator,  "Your Discriminator is zero in state Init or Up (RFC 5880 6.8.6)")               \
    X(unknown_session,     "no session has that discriminator, or those addresses (RFC 5880 6.8.6)")        \
    X(other_place,         "another VRF, vport, port or pair of addresses than the session's (RFC 5881 3)") \
    X(hop_limit,           "more hops than the session allows (RFC 5883 5)")                                \
    X(authentication,      "authentication, which is not supported (RFC 5880 6.7)")
// clang-format on

enum class BfdDrop : std::uint8_t {
#define WYE_BFD_DROP_ENUM(name, words) name,
    WYE_BFD_DROPS(WYE_BFD_DROP_ENUM)
#undef WYE_BFD_DROP_ENUM
};
constexpr std::size_t kBfdDrops = 0
#define WYE_BFD_DROP_COUNT(name, words) +1  // NOLINT(bugprone-macro-parentheses): a term of a sum
    WYE_BFD_DROPS(WYE_BFD_DROP_COUNT)
#undef WYE_BFD_DROP_COUNT
    ;

std::string_view bfd_drop_name(BfdDrop drop) noexcept;
std::string_view bfd_drop_words(BfdDrop drop) noexcept;

constexpr std::uint32_t kMaxBfdSessions = 1024;

template <class T>
using BfdCell = std::atomic<T>;

struct alignas(64) BfdRecord {
    // control: rw, while the discriminator is 0.
    BfdCell<std::uint32_t> discriminator;  // 0: free
    std::uint16_t source_port;
    std::uint8_t multihop, reserved;
    ObjectName vrf, vport;  // no vport: multihop
    net::IpAddress local, remote;
    // control: rw, when it hears of a change. CLOCK_MONOTONIC, nanoseconds; 0: never.
    BfdCell<std::uint64_t> changed_at, last_down_at;
    // The worker that has the sessions: rw.
    BfdCell<std::uint8_t> state, diagnostic, remote_state, remote_diagnostic;
    BfdCell<std::uint8_t> detect_multiplier, remote_detect_multiplier;
    BfdCell<std::uint8_t> polling, path_failed, remote_demand, remote_independent;
    BfdCell<std::uint32_t> remote_discriminator;
    BfdCell<std::uint32_t> desired_min_tx, required_min_rx;                // microseconds
    BfdCell<std::uint32_t> remote_desired_min_tx, remote_required_min_rx;  // microseconds
    BfdCell<std::uint32_t> transmit_interval, detection_time;  // microseconds; 0: none now
    BfdCell<std::uint8_t> last_down_diagnostic;                // meaningful with downs > 0
    Counter ups, downs, packets_in, packets_out;
    std::array<Counter, kBfdDrops> drops;
};

struct alignas(64) BfdTotals {
    std::array<Counter, kBfdDrops> drops;  // of no session that could be named
    /// How often, and how long in all, the worker did not run for longer than kStall (bfd/engine.hh).
    Counter stalls, stalled_nanoseconds;
};

class BfdFile {
  public:
    /// Makes it anew: sessions begin with the process.
    static Result<BfdFile> create(const std::string& path);
    /// Without a name (tests).
    static Result<BfdFile> create_anonymous();
    /// Refused where it is of another layout.
    static Result<BfdFile> open_read_only(const std::string& path);
    ~BfdFile();
    BfdFile(BfdFile&& other) noexcept;
    BfdFile& operator=(BfdFile&& other) noexcept;

    [[nodiscard]] BfdRecord& record(std::uint32_t slot) const noexcept;
    [[nodiscard]] BfdTotals& totals() const noexcept;

  private:
    explicit BfdFile(std::byte* base) : base_(base) {}
    static Result<BfdFile> fill(int file, const std::string& path);
    std::byte* base_ = nullptr;
};

}  // namespace wye::table
