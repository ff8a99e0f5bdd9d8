// BFD sessions as the other families use them, and the control thread's picture of them. The engine
// (dataplane/bfd) runs them; here is who they are, and their next hops.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "dataplane/bfd/desk.hh"
#include "dataplane/control/objects.hh"

namespace wye::control {

struct Core;

struct BfdSession {
    Vrf* vrf = nullptr;
    Vport* vport = nullptr;  // none: multihop
    net::IpAddress local, remote;
    std::uint32_t slot = 0;
    std::uint32_t discriminator = 0;
    std::uint8_t least_hop_limit = 0;
    bfd::Parameters parameters;
    NextHop* nexthop = nullptr;  // single hop
    ring::Handle handle = ring::kNoHandle;
    bool stale = false;  // not declared since bfd_begin
    net::BfdState seen = net::BfdState::down;
};

struct BfdSessions {
    std::vector<std::unique_ptr<BfdSession>> by_slot;  // null: free
    std::unordered_map<ring::Handle, BfdSession*> handles;
    std::deque<bfd::Order> orders;  // that wait for room
};

/// What the engine has told: times are written down, the shim hears of it. True if there was anything.
bool pass_on_bfd(Core& core);
/// The vport or VRF goes, or the vport goes to another VRF: its sessions end.
void remove_bfd_of(Core& core, const Vport& vport);
void remove_bfd_of(Core& core, const Vrf& vrf);
void forget_bfd_handles(Core& core);

}  // namespace wye::control
