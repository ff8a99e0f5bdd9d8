// Commands from random bytes, for the unit test and the fuzz target: half of the bytes are taken as
// they are, the others are bent so that the command gets past the first checks.
#pragma once

#include <cstdint>
#include <span>

#include "tests/unit/control/rig.hh"

namespace wye::control::test {

constexpr std::size_t kGarbageBytes = 136;

/// A tenant with a route, by handles far away from those that garbage uses.
void declare_victim(Programmer& p);
void expect_victim_unharmed(Rig& rig);
/// At most kGarbageBytes are used; fewer count as zeros.
void post_garbage(Programmer& p, std::span<const std::uint8_t> bytes);

}  // namespace wye::control::test
