// validate_ipv6: what RFC 8200 and RFC 4291 ask for before a packet may be routed.
// Passes: packets to a unicast destination of global scope. Punts: link-local unicast to the
// router, multicast of link-local scope (neighbour discovery, MLD, OSPF). Hop limit is not looked
// at here. Extension headers are no reason to drop (RFC 7045 2.1); hop-by-hop options are not
// processed (RFC 9673 5.1).
#pragma once

#include "dataplane/pipeline/packet.hh"
#include "dataplane/pipeline/verdict.hh"

namespace wye::pipeline {

Verdict validate_ipv6(Packet& packet) noexcept;

}  // namespace wye::pipeline
