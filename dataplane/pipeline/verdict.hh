// What a step says about its packet. Everything but `go_on` ends the packet's way through this
// pass.
#pragma once

#include <cstdint>

#include "dataplane/table/reason.hh"

namespace wye::pipeline {

enum class Fate : std::uint8_t {
    go_on,          // the next step has it
    drop,           // counted under the reason, its buffer given back
    punt,           // to the host stack
    consume,        // the router itself has taken what was in it
    hold,           // waits for a neighbour (the step has put it there)
    sent,           // lies in an output queue (the step has put it there)
    look_up_again,  // it has become another packet, to be looked up in packet.vrf
    admit_again,    // it has become another packet, whose link header is to be read
};

/// An ICMP error that goes back to the source of a dropped transit packet, if the standards allow.
enum class ErrorKind : std::uint8_t {
    none,
    time_exceeded,        // 11/0; ICMPv6 3/0
    network_unreachable,  // 3/0; 1/0
    host_unreachable,     // 3/1; 1/3
    prohibited,           // 3/13; 1/1
};

/// One word, so that it travels in a register: a struct of three bytes is put together in memory,
/// and reading it back whole waits for the store buffer, in every step.
class Verdict {
  public:
    static constexpr Verdict go_on() noexcept { return Verdict(Fate::go_on); }
    static constexpr Verdict drop(table::Reason reason,
                                  ErrorKind error = ErrorKind::none) noexcept {
        return Verdict(Fate::drop, reason, error);
    }
    static constexpr Verdict punt() noexcept { return Verdict(Fate::punt); }
    static constexpr Verdict consume() noexcept { return Verdict(Fate::consume); }
    static constexpr Verdict hold() noexcept { return Verdict(Fate::hold); }
    static constexpr Verdict sent() noexcept { return Verdict(Fate::sent); }
    static constexpr Verdict look_up_again() noexcept { return Verdict(Fate::look_up_again); }
    static constexpr Verdict admit_again() noexcept { return Verdict(Fate::admit_again); }

    [[nodiscard]] constexpr Fate fate() const noexcept { return static_cast<Fate>(bits_ & 0xff); }
    /// Of a drop.
    [[nodiscard]] constexpr table::Reason reason() const noexcept {
        return static_cast<table::Reason>(bits_ >> 8 & 0xff);
    }
    [[nodiscard]] constexpr ErrorKind error() const noexcept {
        return static_cast<ErrorKind>(bits_ >> 16);
    }
    [[nodiscard]] constexpr bool goes_on() const noexcept { return fate() == Fate::go_on; }

  private:
    explicit constexpr Verdict(Fate fate, table::Reason reason = {},
                               ErrorKind error = ErrorKind::none) noexcept
        : bits_(static_cast<std::uint32_t>(fate) | static_cast<std::uint32_t>(reason) << 8 |
                static_cast<std::uint32_t>(error) << 16) {}
    std::uint32_t bits_;
};

}  // namespace wye::pipeline
