// make_icmp_error: turns a transit packet that is being dropped into the ICMP error about it.
//
// In place: the error quotes the packet as received, so it keeps the buffer and gets the headers in
// front; nothing is allocated. What must never be answered is listed in RFC 1812 4.3.2.7 and RFC
// 4443 2.4(e). Rate limited for each VRF. The source is an address of the vport by which the error
// leaves, else of the one by which the packet entered; without one there is no error.
#pragma once

#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/pipeline/verdict.hh"

namespace wye::pipeline {

/// May the standards' lists be satisfied: is an error about this packet allowed at all?
[[nodiscard]] bool may_answer_with_error(const Packet& packet) noexcept;

/// True: the packet is now the error, of Origin::router, to be looked up in its VRF. False: it is
/// unchanged.
bool make_icmp_error(Context& context, Packet& packet, ErrorKind kind) noexcept;

}  // namespace wye::pipeline
