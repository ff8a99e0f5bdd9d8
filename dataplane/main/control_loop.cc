#include "dataplane/main/control_loop.hh"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "dataplane/base/check.hh"
#include "dataplane/base/clock.hh"

namespace wye::dataplane {
namespace {

constexpr int kTick = 100;      // milliseconds: links that nobody reports are looked at so often
constexpr int kPending = 1;     // while a change waits for the workers
constexpr int kBusyTurns = 64;  // between two looks at the sockets while commands keep coming

/// Told of every interface of this network namespace that changes; -1 without rtnetlink.
Descriptor open_link_events() {
    Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK;
    if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return Descriptor{};
    }
    return socket;
}

/// Reads what there is; only that there was something matters.
bool drain(const Descriptor& socket) {
    std::array<char, 16384> bytes;
    bool any = false;
    while (socket.valid() && recv(socket.get(), bytes.data(), bytes.size(), 0) > 0) any = true;
    return any;
}

}  // namespace

Descriptor catch_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    WYE_CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0, "signals cannot be blocked");
    std::signal(SIGHUP, SIG_IGN);   // NOLINT: the macro casts
    std::signal(SIGPIPE, SIG_IGN);  // NOLINT
    Descriptor signals(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    WYE_CHECK(signals.valid(), "no signalfd");
    return signals;
}

ControlLoop::ControlLoop(control::Control& control, SessionServer& sessions, LeaseServer& leases,
                         ring::Wakeup& wakeup, Descriptor signals, std::vector<WatchedPort> ports,
                         std::function<void(Nanoseconds now)> look_at_workers)
    : control_(control),
      sessions_(sessions),
      leases_(leases),
      wakeup_(wakeup),
      signals_(std::move(signals)),
      links_(open_link_events()),
      ports_(std::move(ports)),
      look_at_workers_(std::move(look_at_workers)) {}

int ControlLoop::run() {
    Nanoseconds next_links{0};
    Nanoseconds next_workers{0};
    while (true) {
        sessions_.serve();
        leases_.serve();
        if (const int signal = signal_that_came(); signal != 0) return signal;
        if (drain(links_) || monotonic_now() >= next_links) {
            check_links();
            next_links = monotonic_now() + std::chrono::milliseconds(kTick);
        }
        if (const Nanoseconds now = monotonic_now(); now >= next_workers) {
            look_at_workers_(now);
            next_workers = now + std::chrono::milliseconds(kTick);
        }
        bool busy = true;
        for (int turn = 0; turn < kBusyTurns && busy; ++turn) busy = control_.poll();
        check_vlans();
        if (!busy) wait(control_.pending() ? kPending : kTick);
    }
}

void ControlLoop::wait(int timeout_milliseconds) {
    set_.clear();
    set_.push_back({signals_.get(), POLLIN, 0});
    set_.push_back({wakeup_.descriptor(), POLLIN, 0});
    if (links_.valid()) set_.push_back({links_.get(), POLLIN, 0});
    if (const int builder = control_.builder_wakeup(); builder >= 0) {
        set_.push_back({builder, POLLIN, 0});
    }
    sessions_.wait_for(set_);
    leases_.wait_for(set_);
    ring::Channel* channel = sessions_.channel();
    if (channel != nullptr) set_.push_back({channel->control_wakeup(), POLLIN, 0});
    wakeup_.prepare_sleep();
    if (channel != nullptr) channel->control_prepare_sleep();
    if (!control_.poll()) (void)poll(set_.data(), set_.size(), timeout_milliseconds);
    if (channel != nullptr) channel->control_finish_sleep();
    wakeup_.finish_sleep();
}

void ControlLoop::check_links() {
    for (WatchedPort& port : ports_) {
        const bool up = port.link_up();
        if (up == port.was_up) continue;
        port.was_up = up;
        control_.set_port_link(port.id, up);
    }
}

void ControlLoop::check_vlans() {
    const std::uint64_t changes = control_.vlan_changes();
    if (changes == vlans_seen_) return;
    vlans_seen_ = changes;
    for (WatchedPort& port : ports_) port.set_vlans(control_.vlans_of(port.id));
}

int ControlLoop::signal_that_came() const {
    signalfd_siginfo info{};
    const ssize_t n = read(signals_.get(), &info, sizeof info);
    return n == static_cast<ssize_t>(sizeof info) ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace wye::dataplane
