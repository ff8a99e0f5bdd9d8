// The enumerations of the object model that both the commands (dataplane/ring) and the tables
// (dataplane/table) speak of. Values are part of both layouts: never renumber, only add.
#pragma once

#include <cstdint>

namespace wye {

enum class TunnelKind : std::uint8_t { vxlan = 1, geneve = 2 };

/// Where a tenant attaches: (port, VLAN, inner VLAN), or the inside of a tunnel.
enum class VportKind : std::uint8_t { none = 0, port = 1, tunnel = 2 };

/// No VLAN tag at this level.
constexpr std::uint16_t kNoVlan = 0xffff;

enum class NextHopKind : std::uint8_t {
    none = 0,
    adjacency = 1,    // to a gateway on a vport
    glean = 2,        // to the packet's own destination on a vport (a connected prefix)
    local = 3,        // to the router itself: the twin of a vport
    blackhole = 4,    // dropped, silently
    unreachable = 5,  // dropped, ICMP host unreachable
    prohibit = 6,     // dropped, ICMP administratively prohibited
};

/// How an ACL rule looks at fragmentation. `later` is a fragment with a non-zero offset.
enum class FragmentMatch : std::uint8_t { any = 0, not_fragment = 1, fragment = 2, later = 3 };

enum class AclAction : std::uint8_t { deny = 0, permit = 1, count = 2 };  // count: and go on

}  // namespace wye
