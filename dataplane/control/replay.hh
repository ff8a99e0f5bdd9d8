// Mark and sweep across sessions.
#pragma once

namespace wye::control {

struct Core;

/// Removes the policy objects that the last replay did not declare, as far as nothing refers to
/// them; Core::leftovers says whether some are left.
void sweep_policy(Core& core);

}  // namespace wye::control
