// decrement_ttl and rewrite_link: the two changes that forwarding makes to a packet.
#pragma once

#include "dataplane/pipeline/packet.hh"
#include "dataplane/pipeline/verdict.hh"
#include "dataplane/table/nexthop.hh"

namespace wye::pipeline {

/// RFC 1812 5.3.1, RFC 4443 3.3: a TTL of 0 or 1 is spent; a larger one is no guess of ours.
[[nodiscard]] bool ttl_is_spent(const Packet& packet) noexcept;

/// By one, with the IPv4 header checksum updated incrementally (RFC 1624 equation 3).
void decrement_ttl(Packet& packet) noexcept;

/// Replaces what is before the IP header by the next hop's link header and the EtherType.
/// Drops: headroom.
Verdict rewrite_link(Packet& packet, const table::NextHop& nexthop, table::Rewrite active) noexcept;

}  // namespace wye::pipeline
