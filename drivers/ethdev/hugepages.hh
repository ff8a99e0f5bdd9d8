// Making sure of hugepages: 2 MiB pages of the default pool.
#pragma once

#include <cstdint>

#include "dataplane/base/result.hh"

namespace wye::drivers {

/// After this, a mapping of so many megabytes in hugepages was tried and worked. Raises nr_hugepages
/// if too few are free, but not by more than half of the memory that is available; never lowers it.
/// The error says what is missing; nr_hugepages is then as it was.
Status secure_hugepages(std::uint32_t megabytes);

}  // namespace wye::drivers
