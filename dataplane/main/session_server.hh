// SessionServer: the data plane's end of the session socket (dataplane/ring/handshake.hh).
//
// One session at a time. Who connects has a moment to say Hello; a second Hello while the first
// peer is there is refused in words. A new shim first gets the twins back that the data plane still
// holds. Nothing here blocks: what the peer does not take now is sent when its socket has room.
// Control thread only.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/clock.hh"
#include "dataplane/base/descriptor.hh"
#include "dataplane/base/result.hh"
#include "dataplane/control/control.hh"
#include "dataplane/control/twins.hh"
#include "dataplane/ring/channel.hh"
#include "dataplane/ring/handshake.hh"

namespace wye::dataplane {

struct SessionSettings {
    std::uint16_t workers = 1;
    std::uint64_t instance = 0;  // of this process: another one after a restart
    ring::ChannelSizes sizes;
    /// How the ports run, asked for each session anew.
    std::function<std::vector<ring::PortMessage>()> ports;
};

class SessionServer {
  public:
    SessionServer(Descriptor listener, control::Control& control, const SessionSettings& settings);
    ~SessionServer();
    SessionServer(const SessionServer&) = delete;
    SessionServer& operator=(const SessionServer&) = delete;

    /// Whatever can be done now, without waiting.
    void serve();
    /// What to wait for before serve() can do more.
    void wait_for(std::vector<pollfd>& set) const;
    /// Of the session, or null.
    [[nodiscard]] ring::Channel* channel() noexcept;

  private:
    struct Visitor {  // connected, has not said Hello
        Descriptor socket;
        Nanoseconds deadline;
    };
    struct Session {
        Descriptor socket;
        ring::Channel channel;
        std::vector<control::TwinRegistry::Key> to_hand_back;  // in reverse
        bool handed_back = false;                              // TwinsEnd was sent
    };

    void accept_visitors();
    void listen_to_visitors();
    /// False: this visitor is done with (refused, gone, or has become the session).
    bool listen_to(Visitor& visitor);
    void greet(Visitor& visitor, const ring::Hello& hello);
    Status open(Visitor& visitor, std::uint16_t version);
    [[nodiscard]] Status announce(int socket, std::uint16_t version) const;
    [[nodiscard]] bool peer_is_gone() const;
    void hand_back_twins();
    void listen_to_session();
    Status receive_twin(ring::Received& received);
    void close_session();

    Descriptor listener_;
    control::Control& control_;
    SessionSettings settings_;
    std::vector<Visitor> visitors_;
    std::optional<Session> session_;
};

}  // namespace wye::dataplane
