// Desk: what the control thread has of the BFD sessions. All of it outlives the control thread.
#pragma once

#include "dataplane/bfd/engine.hh"
#include "dataplane/bfd/vrf_set.hh"
#include "dataplane/table/bfd_file.hh"

namespace wye::bfd {

struct Desk {
    Orders& orders;
    Events& events;
    const table::BfdFile& file;
    VrfSet& vrfs;
};

}  // namespace wye::bfd
