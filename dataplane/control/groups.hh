// Groups as the other families use them.
#pragma once

#include <cstddef>

#include "dataplane/control/objects.hh"

namespace wye::control {

struct Core;

/// What a FIB stores for routes to this group.
table::Leaf leaf_of(const Group& group);
/// False: routes refer to it.
bool remove_group(Core& core, Group& group);
std::size_t content_hash(const std::vector<Member>& members);

}  // namespace wye::control
