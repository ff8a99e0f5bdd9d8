// ControlLoop: what the control thread does all day. It runs on the process's main thread, executes
// commands, serves the session socket, watches links, and ends at SIGTERM or SIGINT.
#pragma once

#include <poll.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "dataplane/base/clock.hh"
#include "dataplane/base/descriptor.hh"
#include "dataplane/control/control.hh"
#include "dataplane/main/lease_server.hh"
#include "dataplane/main/session_server.hh"
#include "dataplane/ring/wakeup.hh"

namespace wye::dataplane {

/// A port whose link is watched.
struct WatchedPort {
    PortId id;
    std::function<bool()> link_up;  // sees first to a device that was lost
    bool was_up = true;
    /// Tells the device which outer tags the vports on it have.
    std::function<void(const std::vector<std::uint16_t>&)> set_vlans;
};

/// Blocks SIGTERM and SIGINT for the calling thread and those that it starts; they come by the
/// descriptor. SIGHUP is ignored (there is nothing to reload), SIGPIPE too. Before any other
/// thread.
Descriptor catch_signals();

class ControlLoop {
  public:
    /// `wakeup`: notified by workers (a neighbour is wanted) and by the host thread (a twin is
    /// lost).
    /// `look_at_workers`: called ten times a second.
    ControlLoop(control::Control& control, SessionServer& sessions, LeaseServer& leases,
                ring::Wakeup& wakeup, Descriptor signals, std::vector<WatchedPort> ports,
                std::function<void(Nanoseconds now)> look_at_workers);
    /// Until a signal; which one.
    int run();

  private:
    void wait(int timeout_milliseconds);
    void check_links();
    void check_vlans();
    [[nodiscard]] int signal_that_came() const;

    control::Control& control_;
    SessionServer& sessions_;
    LeaseServer& leases_;
    ring::Wakeup& wakeup_;
    Descriptor signals_;
    Descriptor links_;  // rtnetlink: something about some interface changed
    std::vector<WatchedPort> ports_;
    std::function<void(Nanoseconds now)> look_at_workers_;
    std::uint64_t vlans_seen_ = 0;
    std::vector<pollfd> set_;
};

}  // namespace wye::dataplane
