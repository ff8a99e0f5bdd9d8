// A control thread in the test's own thread: anonymous arena and counters, one reader of epochs
// that reports whenever the control thread has run (unless it is told to hang).
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "dataplane/control/control.hh"
#include "dataplane/control/twins.hh"
#include "dataplane/table/arena_writer.hh"
#include "dataplane/table/fib.hh"
#include "dataplane/table/tunnel.hh"
#include "dataplane/table/vport.hh"
#include "tests/programmer/programmer.hh"

namespace wye::control::test {

using ring::Opcode;
using ring::Outcome;
using wye::testing::Handle;
using wye::testing::make_command;
using wye::testing::Programmer;

constexpr const char* kMacA = "02:00:00:00:00:0a";
constexpr const char* kMacB = "02:00:00:00:00:0b";

table::ArenaLimits small_limits();
table::CounterLimits small_counters();
Options test_options();

class Rig {
  public:
    explicit Rig(Options options = test_options(), table::ArenaLimits limits = small_limits(),
                 table::CounterLimits counters = small_counters());
    ~Rig();

    /// A new session in place of the old one.
    Programmer connect();
    /// The session's peer is gone.
    void disconnect();
    void poll();
    /// Until nothing is pending.
    void rest();
    void hang(bool hung) { hung_ = hung; }

    /// Of everything behind the header that the arena uses: equal if nothing was written.
    [[nodiscard]] std::uint64_t digest() const;

    // What workers see.
    [[nodiscard]] table::ArenaView view() const { return published.view(); }
    [[nodiscard]] VrfId vrf(std::string_view name) const;
    [[nodiscard]] VportId vport(std::string_view name) const;
    [[nodiscard]] TenantId tenant(std::string_view name) const;
    [[nodiscard]] TunnelId tunnel(std::string_view name) const;
    [[nodiscard]] table::Leaf lookup(std::string_view vrf_name, std::string_view address) const;
    /// The next hop that a leaf which is no group leads to; fails the test otherwise.
    [[nodiscard]] const table::NextHop* nexthop(table::Leaf leaf) const;
    /// Null: the vport is not in its tenant's published policy.
    [[nodiscard]] const table::VportPolicy* policy(std::string_view vport_name) const;
    [[nodiscard]] std::vector<std::uint8_t> rewrite(const table::NextHop& nexthop) const;

    table::AllocationFaults faults;  // of the arena: none until a test sets some
    table::CounterFile counters;
    table::Published published;
    table::Epochs epochs{2};
    table::Liveness liveness;
    ring::Spsc<ring::ResolveRequest> resolve{64};
    // BFD sessions: nobody runs them, unless a test does.
    bfd::Orders bfd_orders{1024};
    bfd::Events bfd_events{64};
    table::BfdFile bfd_file = std::move(*table::BfdFile::create_anonymous());
    bfd::VrfSet bfd_vrfs{128};
    bfd::Desk bfd_desk{bfd_orders, bfd_events, bfd_file, bfd_vrfs};
    std::unique_ptr<Control> control;

  private:
    std::optional<ring::Channel> channel_;
    bool hung_ = false;
};

/// A tenant `t` with VRF `v`, port `p0` and untagged vport `a`, after an empty replay's begin.
struct Basics {
    Handle tenant, vrf, port, vport;
};
Basics make_basics(Programmer& p);

}  // namespace wye::control::test
