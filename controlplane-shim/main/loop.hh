// Loop: the shim's one thread. Waits on everything, keeps trying to have a session with the data
// plane, ends at SIGTERM or SIGINT, reads the manifest again at SIGHUP.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "controlplane-shim/api/server.hh"
#include "controlplane-shim/kernel/linux_kernel.hh"
#include "controlplane-shim/state/dataplane_session.hh"
#include "controlplane-shim/state/state.hh"

namespace wye::shim {

struct Parts {
    state::State& state;
    kernel::LinuxKernel& kernel;
    frr::RouteSource* routes;  // null: no --zebra-socket
    bfdd::Links* bfdds;        // null: no --bfdd
    api::Server& server;
    std::string dataplane_socket;
    std::string manifest_file;
};

/// Blocks the signals that the loop takes; before any thread is started.
Descriptor catch_signals();
/// "wye-shim: " and the text, on standard error.
void say(const std::string& text);

class Loop {
  public:
    Loop(Parts parts, Descriptor signals);
    /// Until a signal to end.
    Status run();

  private:
    using Clock = std::chrono::steady_clock;
    Status watch(int descriptor);
    void try_to_connect();
    void check_session();
    void wait();
    [[nodiscard]] bool take_signals();
    void reload();

    Parts parts_;
    Descriptor signals_, epoll_;
    std::unique_ptr<state::DataplaneSession> session_;
    Clock::time_point next_try_{}, next_tick_{};
    std::string said_;  // the last reason for not being connected, said once
    bool ending_ = false;
};

}  // namespace wye::shim
