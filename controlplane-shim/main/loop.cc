#include "controlplane-shim/main/loop.hh"

#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace wye::shim {
namespace {

constexpr std::chrono::milliseconds kRetry{100};
constexpr std::chrono::milliseconds kTick{1000};

}  // namespace

Descriptor catch_signals() {
    std::signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    return Descriptor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

void say(const std::string& text) {
    std::fprintf(stderr, "wye-shim: %s\n", text.c_str());
}

Loop::Loop(Parts parts, Descriptor signals)
    : parts_(std::move(parts)), signals_(std::move(signals)) {}

Status Loop::watch(int descriptor) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) == 0) return {};
    return fail(std::string("epoll: ") + std::strerror(errno));
}

Status Loop::run() {
    epoll_ = Descriptor(epoll_create1(EPOLL_CLOEXEC));
    for (const int descriptor :
         {signals_.get(), parts_.kernel.descriptor(), parts_.server.descriptor()}) {
        if (const Status watched = watch(descriptor); !watched) return watched;
    }
    if (parts_.routes != nullptr) {
        if (const Status watched = watch(parts_.routes->descriptor()); !watched) return watched;
    }
    if (parts_.bfdds != nullptr) {
        if (const Status watched = watch(parts_.bfdds->descriptor()); !watched) return watched;
    }
    while (!ending_) {
        if (!session_ && Clock::now() >= next_try_) try_to_connect();
        wait();
        ending_ = take_signals();
        check_session();
        parts_.kernel.run();
        if (parts_.routes != nullptr) parts_.routes->run();
        if (parts_.bfdds != nullptr) parts_.bfdds->run();
        parts_.server.run();
        if (Clock::now() >= next_tick_) {
            next_tick_ = Clock::now() + kTick;
            parts_.kernel.tick();
            if (parts_.bfdds != nullptr) parts_.bfdds->tick();
            parts_.state.tick();
        }
        parts_.state.pump();
        parts_.state.adjust_evpn();
        check_session();
    }
    parts_.state.session_closed();
    return {};
}

void Loop::try_to_connect() {
    std::vector<state::ReturnedTwin> returned;
    auto connected = state::DataplaneSession::connect(parts_.dataplane_socket, returned);
    if (!connected) {
        next_try_ = Clock::now() + kRetry;
        if (said_ != connected.error().text) {
            said_ = connected.error().text;
            say("waiting for the data plane: " + said_);
        }
        return;
    }
    session_ = std::move(*connected);
    said_.clear();
    say("connected to the data plane, process " + std::to_string(session_->welcome().process_id));
    for (const int descriptor : {session_->socket(), session_->wakeup()}) {
        if (const Status watched = watch(descriptor); !watched) say(watched.error().text);
    }
    parts_.state.session_opened(*session_, session_->welcome(), session_->announced(),
                                std::move(returned));
}

void Loop::check_session() {
    if (!session_) return;
    session_->look();
    if (session_->alive()) return;
    say("the session with the data plane is over" +
        (session_->reason().empty() ? std::string{} : ": " + session_->reason()));
    parts_.state.session_closed();
    session_.reset();
    next_try_ = Clock::now() + kRetry;
}

void Loop::wait() {
    using std::chrono::duration_cast, std::chrono::milliseconds;
    auto until = next_tick_;
    if (!session_) until = std::min(until, next_try_);
    if (const auto due = parts_.state.next_adjustment()) until = std::min(until, *due);
    const auto left = duration_cast<milliseconds>(until - Clock::now()).count() + 1;
    if (session_) {
        session_->prepare_sleep();
        parts_.state.pump();  // what came before the data plane knew that we sleep
    }
    std::array<epoll_event, 8> events;
    epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
               static_cast<int>(std::max<milliseconds::rep>(left, 0)));
    if (session_) session_->finish_sleep();
}

bool Loop::take_signals() {
    signalfd_siginfo info{};
    bool end = false;
    while (read(signals_.get(), &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            reload();
        } else {
            end = true;
        }
    }
    return end;
}

void Loop::reload() {
    const manifest::Loaded loaded = manifest::load_manifest_file(parts_.manifest_file);
    std::vector<std::string> errors;
    for (const manifest::Problem& problem : loaded.problems) errors.push_back(problem.to_string());
    if (loaded.manifest) errors = parts_.state.apply_manifest(*loaded.manifest);
    for (const std::string& error : errors) say(error);
    say(errors.empty() ? parts_.manifest_file + " is applied"
                       : parts_.manifest_file + " is not applied, the manifest before it stays");
}

}  // namespace wye::shim
