// The router, to be read from here: which passes a packet goes through, in order.
//
//   from a port    PlainLane       plain packets to known neighbours: plain_lane.hh; all others:
//                  classify pass   parse_link → Classifier
//                  admit pass      admit_packet (MAC filter, validate_ipv4 or _ipv6, hash_flow;
//                                  ARP, link-local and broadcast → punt); match_ingress_acls of all
//                  look-up pass    look_up → choose_nexthop
//                  forward pass    resolve_nexthop → TTL → hold? → match_egress_acl → MTU
//                                  → rewrite_link → decrement_ttl → send_frame
//                     by a tunnel  … → encap_tunnel, and look up again in the underlay
//                     to us        decap_tunnel and admit again, or punt_packet (or take_bfd)
//                     refused      drop, and make_icmp_error takes its place: look up again
//   from a twin    the host stack's own frame: tag or encapsulate → send_frame
//   from inject    the host stack's own packet: look up → … as above, without TTL and ACLs
//   from BFD       a session's packet: send_bfd → to its neighbour, or look up → … as above
//
// Passes are cut where the next dependent cache miss starts: the vport's policy, the FIB, the next
// hop's record. A frame to an address of the router passes the ingress ACL, as any unicast packet;
// neighbour discovery and other link-local traffic does not.
//
// Each function takes frames that it then owns: afterwards every one of them lies in an output
// queue, a hold slot, the punt queue or the pool, and is counted in exactly one place.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/base/ids.hh"
#include "dataplane/pipeline/context.hh"

namespace wye::pipeline {

/// At most kMaxBurst frames that one port received.
void run_from_port(Context& context, PortId port, std::span<Frame> frames) noexcept;

/// At most kMaxBurst frames from the host stack, of any twins.
void run_from_host(Context& context, std::span<HostFrame> frames) noexcept;

/// At most kMaxBurst packets of BFD sessions, which become frames here.
void run_from_bfd(Context& context, std::span<const bfd::Departure> departures) noexcept;

/// Looks again at packets that wait for a neighbour: after the control thread said that neighbours
/// changed (`all`), else only at those whose time is up.
void run_held(Context& context, bool all) noexcept;

/// Books what the worker could not transmit and gives it back to the pool.
void book_transmitted(Context& context, PortId port, std::size_t taken) noexcept;

/// Gives what is on hold back to the pool, unbooked: when the worker ends.
void release_held(Context& context) noexcept;

}  // namespace wye::pipeline
