#include "dataplane/bfd/session.hh"

#include <algorithm>

namespace wye::bfd {

using net::BfdControl;
using net::BfdDiagnostic;
using net::BfdState;

namespace {

constexpr Nanoseconds from_microseconds(std::uint64_t microseconds) noexcept {
    return std::chrono::microseconds(microseconds);
}

}  // namespace

Session::Session(std::uint32_t discriminator, const Parameters& parameters) noexcept
    : parameters_(parameters), discriminator_(discriminator) {
    if (parameters.admin_down) {
        state_ = BfdState::admin_down;
        diagnostic_ = BfdDiagnostic::administratively_down;
    }
    announce();
}

void Session::configure(const Parameters& parameters) noexcept {
    const bool was_admin_down = parameters_.admin_down;
    parameters_ = parameters;
    if (parameters.admin_down && !was_admin_down) {  // 6.8.16
        go_to(BfdState::admin_down, BfdDiagnostic::administratively_down);
        return;
    }
    if (!parameters.admin_down && was_admin_down) {
        go_to(BfdState::down, BfdDiagnostic::none);
        return;
    }
    announce();
}

/// 6.8.3. What is announced changes at once. In force at once is only what cannot make the peer, which
/// goes by the old values, miss something: not a longer interval between our packets, and not a shorter
/// detection time, until a Poll Sequence has told the peer.
void Session::announce() noexcept {
    const bool up = state_ == BfdState::up;
    const std::uint32_t tx =
        up ? parameters_.desired_min_tx : std::max(parameters_.desired_min_tx, kSlowInterval);
    const std::uint32_t rx = parameters_.required_min_rx;
    const bool changed = tx != desired_min_tx_ || rx != required_min_rx_;
    desired_min_tx_ = tx;
    required_min_rx_ = rx;
    if (!up || tx < tx_in_force_) tx_in_force_ = tx;
    if (!up || rx > rx_in_force_) rx_in_force_ = rx;
    if (remote_discriminator_ == 0) {
        polling_ = false;
    } else if (changed) {
        polling_ = true;
    }
}

void Session::end_poll() noexcept {
    polling_ = false;
    tx_in_force_ = desired_min_tx_;
    rx_in_force_ = required_min_rx_;
}

void Session::go_to(BfdState state, BfdDiagnostic diagnostic) noexcept {
    if (state_ == BfdState::up && state == BfdState::down) path_failed_ = true;
    if (state == BfdState::up || state == BfdState::admin_down) path_failed_ = false;
    state_ = state;
    diagnostic_ = diagnostic;
    announce();
}

Session::Received Session::receive(const BfdControl& packet) noexcept {
    Received result;
    const BfdState before = state_;
    result.changed = packet.state != heard_.state || packet.diagnostic != heard_.diagnostic ||
                     packet.my_discriminator != remote_discriminator_ ||
                     packet.desired_min_tx != heard_.desired_min_tx ||
                     packet.required_min_rx != heard_.required_min_rx ||
                     packet.detect_multiplier != heard_.detect_multiplier;
    remote_discriminator_ = packet.my_discriminator;
    remote_min_rx_ = packet.required_min_rx;
    heard_ = packet;
    if (polling_ && packet.final) {
        end_poll();
        result.changed = true;
    }
    if (state_ == BfdState::admin_down) return result;  // after the intervals were updated
    if (packet.state == BfdState::admin_down) {
        // RFC 5882 4.2: an administrator's decision says nothing about the path.
        if (state_ != BfdState::down) go_to(BfdState::down, BfdDiagnostic::neighbor_down);
        path_failed_ = false;
    } else {
        step(packet.state);
    }
    result.changed |= state_ != before;
    result.answer = packet.poll;
    result.heard = true;
    return result;
}

/// The figure of 6.2 as 6.8.6 has it.
void Session::step(BfdState remote) noexcept {
    switch (state_) {
        case BfdState::down:
            if (remote == BfdState::down) go_to(BfdState::init, diagnostic_);
            if (remote == BfdState::init) go_to(BfdState::up, BfdDiagnostic::none);
            break;
        case BfdState::init:
            if (remote == BfdState::init || remote == BfdState::up) {
                go_to(BfdState::up, BfdDiagnostic::none);
            }
            break;
        case BfdState::up:
            if (remote == BfdState::down) go_to(BfdState::down, BfdDiagnostic::neighbor_down);
            break;
        case BfdState::admin_down:
            break;
    }
}

bool Session::detection_expired() noexcept {
    remote_discriminator_ = 0;  // 6.8.1
    heard_.state = BfdState::down;
    const bool ends = state_ == BfdState::init || state_ == BfdState::up;
    if (ends) {
        go_to(BfdState::down, BfdDiagnostic::detection_expired);
    } else {
        announce();
    }
    return ends;
}

BfdControl Session::packet(bool final) const noexcept {
    BfdControl packet;
    packet.state = state_;
    packet.diagnostic = diagnostic_;
    packet.final = final;
    packet.poll = polling_ && !final;  // 6.5: never both
    packet.control_plane_independent = parameters_.control_plane_independent;
    packet.detect_multiplier = parameters_.detect_multiplier;
    packet.my_discriminator = discriminator_;
    packet.your_discriminator = remote_discriminator_;
    packet.desired_min_tx = desired_min_tx_;
    packet.required_min_rx = required_min_rx_;
    return packet;
}

std::optional<Nanoseconds> Session::transmit_interval() const noexcept {
    if (parameters_.passive && remote_discriminator_ == 0) return std::nullopt;
    if (remote_min_rx_ == 0) return std::nullopt;
    const bool both_up = state_ == BfdState::up && heard_.state == BfdState::up;
    if (heard_.demand && both_up && !polling_) return std::nullopt;
    return from_microseconds(std::max(tx_in_force_, remote_min_rx_));
}

std::optional<Nanoseconds> Session::jittered_interval(std::uint32_t random) const noexcept {
    const auto interval = transmit_interval();
    if (!interval) return std::nullopt;
    const std::uint64_t least = parameters_.detect_multiplier == 1 ? 10 : 0;  // percent to take off
    const std::uint64_t span = 25 - least;
    const std::uint64_t permille = 10 * least + (std::uint64_t{random} * (10 * span) >> 32);
    const auto whole = static_cast<std::uint64_t>(interval->count());
    return Nanoseconds(static_cast<std::int64_t>(whole - whole / 1000 * permille));
}

std::optional<Nanoseconds> Session::detection_time() const noexcept {
    if (remote_discriminator_ == 0 || heard_.detect_multiplier == 0) return std::nullopt;
    const std::uint64_t slower = std::max(rx_in_force_, heard_.desired_min_tx);
    return from_microseconds(slower * heard_.detect_multiplier);
}

}  // namespace wye::bfd
