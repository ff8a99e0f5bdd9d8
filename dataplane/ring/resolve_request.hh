// What a worker asks of the control thread: a packet waits for this neighbour. Passed on to the
// shim as an Event of kind resolve. Producer: one worker; consumer: the control thread.
#pragma once

#include "dataplane/base/ids.hh"
#include "dataplane/net/address.hh"

namespace wye::ring {

struct ResolveRequest {
    VportId vport;
    net::IpAddress address;
};

}  // namespace wye::ring
