// Answer: what executing one command came to. Refused ones have changed nothing.
#pragma once

#include <cstdint>

#include "dataplane/ring/vocabulary.hh"

namespace wye::control {

enum class Wait : std::uint8_t {
    no,
    grace,    // for workers to pass a quiescent state
    builder,  // for an ACL to be compiled
    turn,     // a long piece of work goes on in the next poll
};

struct [[nodiscard]] Answer {
    ring::Outcome outcome = ring::Outcome::accepted;
    std::uint32_t detail = 0;
    Wait wait = Wait::no;  // not done: execute the same command again later

    [[nodiscard]] bool accepted() const noexcept {
        return outcome == ring::Outcome::accepted && wait == Wait::no;
    }
};

constexpr Answer accept() noexcept {
    return {};
}
constexpr Answer refuse(ring::Outcome outcome, std::uint32_t detail = 0) noexcept {
    return {outcome, detail, Wait::no};
}
/// `offset`: of the impossible field in the command's body.
constexpr Answer malformed(std::size_t offset) noexcept {
    return refuse(ring::Outcome::malformed, static_cast<std::uint32_t>(offset));
}
constexpr Answer unknown(ring::Handle handle) noexcept {
    return refuse(ring::Outcome::unknown_handle, handle);
}
constexpr Answer wait_for(Wait what) noexcept {
    return {ring::Outcome::accepted, 0, what};
}

}  // namespace wye::control
