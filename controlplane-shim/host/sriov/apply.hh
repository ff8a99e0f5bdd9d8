// Brings the machine to a wish: everything, or nothing.
#pragma once

#include "controlplane-shim/host/sriov/sriov.hh"
#include "controlplane-shim/host/sriov/wish.hh"

namespace wye::host {

/// Writes the record first, takes the steps that are missing, reads everything again. After a failure
/// all goes back to what `survey` found; what cannot is said, and the record kept.
void apply_wish(HostSystem& system, Survey survey, const Wish& wish, SriovReport& report);

}  // namespace wye::host
