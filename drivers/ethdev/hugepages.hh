// Making sure of hugepages: 2 MiB pages of the default pool.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "dataplane/base/result.hh"

namespace wye::drivers {

/// After this, a mapping of so many megabytes in hugepages was tried and worked. Raises nr_hugepages
/// if too few are free, but not by more than half of the memory that is available; never lowers it.
/// The error says what is missing; nr_hugepages is then as it was.
Status secure_hugepages(std::uint32_t megabytes);

struct NodeMegabytes {
    std::uint32_t node = 0;  // NUMA node, Linux's number
    std::uint32_t megabytes = 0;
};
/// The same, node by node: that as many pages are free on each, raised by its own nr_hugepages. The error
/// names each node that lacks some, how many, and the command that would give them.
Status secure_hugepages(std::span<const NodeMegabytes> nodes);
/// Without the mapping. `sys`: where sysfs is.
Status raise_hugepages(std::span<const NodeMegabytes> nodes, const std::string& sys = "/sys");

}  // namespace wye::drivers
