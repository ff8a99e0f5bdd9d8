// A BFD session (RFC 5880 6.8): the state machine and its intervals, as values. No clock, no timer, no
// packet buffer: whoever owns it says what came and what time is up, and sends what it is told to.
//
// Asynchronous mode. Not done: authentication (6.7), the echo function (6.4; Required Min Echo RX is
// always zero), demand mode of our own (6.6; the peer's is honoured). Names in comments are the RFC's
// state variables (6.8.1). Intervals are in microseconds as on the wire, durations in nanoseconds.
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/base/clock.hh"
#include "dataplane/net/bfd.hh"

namespace wye::bfd {

/// What is configured. A change is negotiated with the peer by a Poll Sequence (6.8.3).
struct Parameters {
    std::uint32_t desired_min_tx = 300'000;
    std::uint32_t required_min_rx = 300'000;
    std::uint8_t detect_multiplier = 3;
    bool passive = false;  // sends nothing before the peer does (6.1)
    bool admin_down = false;
    bool control_plane_independent = false;
    friend bool operator==(const Parameters&, const Parameters&) = default;
};

/// Slowest rate of a session that is not Up: at most one packet a second (6.8.3).
constexpr std::uint32_t kSlowInterval = 1'000'000;

class Session {
  public:
    Session() = default;
    Session(std::uint32_t discriminator, const Parameters& parameters) noexcept;

    void configure(const Parameters& parameters) noexcept;

    struct Received {
        bool changed = false;  // state, or something that is told of the peer
        bool answer = false;   // send a packet with F now (6.8.7)
        bool heard = false;    // restart the detection timer
    };
    /// A packet of this session that parse_bfd() lets through and that has no authentication.
    Received receive(const net::BfdControl& packet) noexcept;
    /// The detection time has passed without a packet (6.8.4). True: the state has changed.
    bool detection_expired() noexcept;

    /// The next packet; `final` answers a poll.
    [[nodiscard]] net::BfdControl packet(bool final) const noexcept;
    /// Time between two packets before jitter; none: nothing is sent periodically (6.8.7).
    [[nodiscard]] std::optional<Nanoseconds> transmit_interval() const noexcept;
    /// The same with jitter (6.8.7): up to 25 % less, and at least 10 % less where a single lost packet
    /// ends the session. `random`: any 32 bits.
    [[nodiscard]] std::optional<Nanoseconds> jittered_interval(std::uint32_t random) const noexcept;
    /// None: nothing was heard yet (6.8.4).
    [[nodiscard]] std::optional<Nanoseconds> detection_time() const noexcept;

    /// The path is known to be broken (RFC 5882 3.2, 4.2): the session was Up and went Down, and neither
    /// side has said that an administrator did it. One that never came up says nothing.
    [[nodiscard]] bool path_failed() const noexcept { return path_failed_; }

    [[nodiscard]] net::BfdState state() const noexcept { return state_; }
    [[nodiscard]] net::BfdDiagnostic diagnostic() const noexcept { return diagnostic_; }
    [[nodiscard]] std::uint32_t discriminator() const noexcept { return discriminator_; }
    [[nodiscard]] std::uint32_t remote_discriminator() const noexcept {
        return remote_discriminator_;
    }
    [[nodiscard]] bool polling() const noexcept { return polling_; }
    /// The last packet that was taken; all zero before the first.
    [[nodiscard]] const net::BfdControl& heard() const noexcept { return heard_; }
    [[nodiscard]] const Parameters& parameters() const noexcept { return parameters_; }

  private:
    void announce() noexcept;
    void go_to(net::BfdState state, net::BfdDiagnostic diagnostic) noexcept;
    void step(net::BfdState remote) noexcept;
    void end_poll() noexcept;

    Parameters parameters_;
    net::BfdState state_ = net::BfdState::down;                 // bfd.SessionState
    net::BfdDiagnostic diagnostic_ = net::BfdDiagnostic::none;  // bfd.LocalDiag
    std::uint32_t discriminator_ = 0;                           // bfd.LocalDiscr
    std::uint32_t remote_discriminator_ = 0;                    // bfd.RemoteDiscr
    std::uint32_t remote_min_rx_ = 1;                           // bfd.RemoteMinRxInterval
    std::uint32_t desired_min_tx_ = kSlowInterval;              // bfd.DesiredMinTxInterval
    std::uint32_t required_min_rx_ = 0;                         // bfd.RequiredMinRxInterval
    // What the last finished Poll Sequence left; it may lag behind what is announced.
    std::uint32_t tx_in_force_ = kSlowInterval, rx_in_force_ = 0;
    bool polling_ = false;
    bool path_failed_ = false;
    net::BfdControl heard_;
};

}  // namespace wye::bfd
