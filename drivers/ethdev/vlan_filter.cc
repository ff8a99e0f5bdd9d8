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
        granted_.erase(*it);
        it = asked_.erase(it);
    }
    for (const std::uint16_t vlan : wanted) {
        if (!asked_.insert(vlan).second) continue;
        const int error = rte_eth_dev_vlan_filter(port, vlan, 1);
        if (error == 0) granted_.insert(vlan);
        // 0 is that of frames with a priority alone; not all PFs know it.
        if (error == 0 || vlan == 0) continue;
        problems.push_back(
            fmt::format("the device does not let VLAN {} through: {}", vlan, rte_strerror(-error)));
    }
    return problems;
}

bool VlanFilter::still_granted(std::uint16_t port) const {
    return granted_.empty() || rte_eth_dev_vlan_filter(port, *granted_.begin(), 1) == 0;
}

}  // namespace wye::drivers
