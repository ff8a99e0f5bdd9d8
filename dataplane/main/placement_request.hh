// What placement has to know of a configuration: for the check at start and for wyectl.
#pragma once

#include "dataplane/main/configuration.hh"
#include "drivers/placement/plan.hh"

namespace wye::dataplane {

/// The tables count as huge pages where the configuration lets them lie on a hugetlbfs.
drivers::PlacementRequest placement_request(const Configuration& configuration);

}  // namespace wye::dataplane
