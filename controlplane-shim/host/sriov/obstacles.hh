// What is in the way of a wish and only a person can decide about.
#pragma once

#include <string>
#include <vector>

#include "controlplane-shim/host/sriov/wish.hh"

namespace wye::host {

/// VFs that somebody uses and that would be taken away; VFs of others whose number would change,
/// unless `recreate`. Empty: nothing.
std::vector<std::string> find_obstacles(const HostSystem& system, const Survey& survey,
                                        const Wish& wish, bool recreate);

}  // namespace wye::host
