// Control: the single writer of the tables. Executes the commands of one session and answers them.
//
// One thread calls everything here (the control thread); nothing blocks, and nothing waits for a
// grace period: a command that must wait is looked at again by a later poll(), while the other
// stream goes on. Without EAL, so that tests run it in their own thread.
//
// One poll(): take a bounded batch of both streams, execute, publish, advance the epoch once, then
// complete with that epoch. Commands are taken only when their completions have room, so a slow
// shim is held back and nothing is lost. Later polls see which epochs all workers have reached,
// send `epoch_reached` and give back the memory that became unreachable.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/ids.hh"
#include "dataplane/base/name.hh"
#include "dataplane/bfd/desk.hh"
#include "dataplane/control/lease_terms.hh"
#include "dataplane/control/twin_keeper.hh"
#include "dataplane/control/worker_keeper.hh"
#include "dataplane/ring/channel.hh"
#include "dataplane/ring/resolve_request.hh"
#include "dataplane/ring/spsc.hh"
#include "dataplane/table/arena_writer.hh"
#include "dataplane/table/counter_file.hh"
#include "dataplane/table/epoch.hh"
#include "dataplane/table/liveness.hh"
#include "dataplane/table/published.hh"

namespace wye::control {

/// A port that the data plane's configuration names. Ids are below 64 (table/vport_key.hh).
struct ConfiguredPort {
    ObjectName name;
    PortId id;
    bool link_up = true;
};

/// Of one tenant, where its own declaration says 0.
struct Quotas {
    std::uint32_t routes = 1u << 20;
    std::uint32_t vports = 4096;
    std::uint32_t acl_rules = 65536;
    std::uint32_t neighbors = 65536;
    std::uint32_t punt_packets_per_second = 2000;
    friend bool operator==(const Quotas&, const Quotas&) = default;
};

struct Options {
    Quotas quotas;
    /// Commands taken from each stream in one poll.
    std::uint32_t batch = 512;
    /// Retired and not yet free: above it changes wait, and after `hung_after` are refused.
    std::size_t retired_budget = std::size_t{256} << 20;
    /// How long a change waits for a grace period before it is refused as frees_pending.
    std::chrono::milliseconds hung_after{2000};
    LeaseLimits leases;
    /// Resolve events a second, and how long the same neighbour is not asked for again.
    std::uint32_t resolves_per_second = 5000;
    std::chrono::milliseconds resolve_again{500};
    /// False: ACLs are compiled within poll() (tests in one thread).
    bool builder_thread = true;
};

/// What a crashed predecessor left (dataplane/main/tables.hh): forwarded from until the replay
/// has filled our own arena.
struct Predecessor {
    table::ArenaMapping mapping;
    std::string path;
};

/// Everything outlives the Control.
struct Wiring {
    table::CounterFile& counters;
    table::Published& published;
    table::Epochs& epochs;
    table::Liveness& liveness;
    std::vector<ConfiguredPort> ports;
    std::vector<ring::Spsc<ring::ResolveRequest>*> resolves;  // one a worker
    TwinKeeper* twins = nullptr;                              // none: nobody serves twins
    WorkerKeeper* workers = nullptr;                          // none: they cannot be changed
    bfd::Desk* bfd = nullptr;                                 // none: no BFD sessions
};

struct Status {
    std::size_t tenants = 0, vrfs = 0, vports = 0, tunnels = 0, acls = 0;
    std::size_t nexthops = 0, groups = 0, routes = 0, neighbors = 0, host_routes = 0;
    std::uint64_t commands = 0, refusals = 0, events_lost = 0;
    std::uint64_t epoch = 0, reached = 0;
    std::size_t arena_used = 0, arena_retired = 0;
    std::size_t leases = 0;
    bool session = false;
    bool recovering = false;  // workers still forward from the predecessor's arena
    bool committed = false;   // a successor could forward from our arena
};

class TwinRegistry;
struct Core;

class Control {
  public:
    /// Takes the arena over. Publishes the predecessor's, or else this one, at once.
    Control(table::ArenaWriter arena, Wiring wiring, Options options = {},
            std::optional<Predecessor> predecessor = std::nullopt);
    ~Control();
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

    /// A shim is there: handles are forgotten, objects stand. The channel is borrowed until
    /// close_session().
    void open_session(ring::Channel& channel);
    /// The shim is gone: what it began and did not finish is undone, forwarding goes on.
    void close_session();

    /// True if there was something to do, so that the caller does not sleep.
    bool poll();
    /// True while something waits for workers or the builder: sleep only briefly.
    [[nodiscard]] bool pending() const;
    /// Readable when the builder has finished (-1 without its thread): for the caller's poll set.
    [[nodiscard]] int builder_wakeup() const;

    /// The link of a port went up or down: its next hops live or die, the shim is told.
    void set_port_link(PortId port, bool up);
    /// The outer tags of the vports on a port, ascending: what its device is to let through.
    [[nodiscard]] std::vector<std::uint16_t> vlans_of(PortId port) const;
    /// Grows when the answer may be another.
    [[nodiscard]] std::uint64_t vlan_changes() const;

    /// For a reader in another process, of the arena that workers forward from now; `wanted` is cut
    /// to the limit. Refused in words when there are too many, or memory is short.
    Result<LeaseTerms> grant_lease(std::chrono::milliseconds wanted);
    /// Between two polls, so that the epoch is that of all changes made. An unknown lease: `none`.
    LeaseEnd end_lease(std::uint64_t lease);

    [[nodiscard]] TwinRegistry& twins();
    [[nodiscard]] Status status() const;
    /// Of our own arena, which workers may not forward from yet.
    [[nodiscard]] table::ArenaView arena() const;

  private:
    std::unique_ptr<Core> core_;
};

}  // namespace wye::control
