#include "drivers/ethdev/vlan_filter.hh"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <algorithm>

namespace wye::drivers {

std::vector<std::string> VlanFilter::follow(std::uint16_t port,
                                            std::span<const std::uint16_t> wanted) {
    std::vector<std::string> problems;
    for (auto it = asked_.begin(); it != asked_.end();) {
        if (std::find(wanted.begin(), wanted.end(), *it) != wanted.end()) {
            ++it;
            continue;
        }
        // One too many let through is dropped as vlan_unknown: nothing to say if this fails.
        (void)rte_eth_dev_vlan_filter(port, *it, 0);
        it = asked_.erase(it);
    }
    for (const std::uint16_t vlan : wanted) {
        if (!asked_.insert(vlan).second) continue;
        const int error = rte_eth_dev_vlan_filter(port, vlan, 1);
        if (error == 0) continue;
        problems.push_back(
            fmt::format("the device does not let VLAN {} through: {}", vlan, rte_strerror(-error)));
    }
    return problems;
}

}  // namespace wye::drivers
