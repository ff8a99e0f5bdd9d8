// validate_ipv4: what RFC 1812 5.2.2 and 5.3 ask for before a datagram may be routed.
// Passes: datagrams to a unicast destination. Punts: limited broadcast, link-local multicast.
// TTL is not looked at here: it matters only when forwarding (RFC 1812 4.2.2.9).
//
// Directed broadcasts are not known here, since an address does not show its prefix length: a route
// to one (blackhole) keeps them from being resolved like a host (RFC 2644).
//
// Options (RFC 7126): a datagram that carries a source route, Record Route or Timestamp is dropped
// (RFC 7126 4.3, 4.4, 4.5, 4.7), as is one whose options are malformed; all others pass unchanged.
#pragma once

#include "dataplane/pipeline/packet.hh"
#include "dataplane/pipeline/verdict.hh"

namespace wye::pipeline {

Verdict validate_ipv4(Packet& packet) noexcept;

}  // namespace wye::pipeline
