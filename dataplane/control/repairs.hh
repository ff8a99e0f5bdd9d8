// What a full arena kept the FIBs from following, when the command that asked for it could not be
// refused any more: looked at again until there is room. Until then such a prefix leads where it led.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "dataplane/control/objects.hh"

namespace wye::control {

struct Core;

struct Repairs {
    std::vector<std::pair<Vrf*, net::IpPrefix>> leaves;
    std::vector<std::function<void()>> afterwards;  // frees what a leaf may still lead to
};

/// The prefix's leaf is not that of its route, or of its host route, or should not be there.
void repair_later(Core& core, Vrf& vrf, const net::IpPrefix& prefix);
/// In each poll: as far as there is room.
void repair(Core& core);
/// The VRF has no routes any more and goes.
void forget_repairs(Core& core, const Vrf& vrf);

}  // namespace wye::control
