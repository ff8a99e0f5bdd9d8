// hwloc's handle behind a Topology: for the files of this folder alone.
#pragma once

#include <hwloc.h>

#include "drivers/placement/topology.hh"

namespace wye::drivers {

struct Topology::Impl {
    hwloc_topology_t handle = nullptr;
    Impl() = default;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() {
        if (handle != nullptr) hwloc_topology_destroy(handle);
    }
};

}  // namespace wye::drivers
