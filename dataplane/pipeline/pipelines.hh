// The router, to be read from here: which passes a packet goes through, in order.
//
//   from a port    parse_link → classify_vport → validate → (local? decapsulate and again)
//                  → match ingress ACL → look up → next hop → match egress ACL → rewrite
//                  → (tunnel? encapsulate, and look up again in the underlay) → transmit
//   from a twin    the host stack's own frame: tag or encapsulate → transmit
//   from inject    the host stack's own packet: look up → … as above
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

/// Looks again at packets that wait for a neighbour: after the control thread said that neighbours
/// changed (`all`), else only at those whose time is up.
void run_held(Context& context, bool all) noexcept;

/// Books what the worker could not transmit and gives it back to the pool.
void book_transmitted(Context& context, PortId port, std::size_t taken) noexcept;

}  // namespace wye::pipeline
