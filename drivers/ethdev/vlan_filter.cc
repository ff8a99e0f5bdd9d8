#include "drivers/ethdev/vlan_filter.hh"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <algorithm>

namespace wye::drivers {

VlanFilter::VlanFilter()
    : VlanFilter([](std::uint16_t port, std::uint16_t vlan, bool on) {
          return rte_eth_dev_vlan_filter(port, vlan, on ? 1 : 0);
      }) {}

std::vector<std::string> VlanFilter::follow(std::uint16_t port,
                                            std::span<const std::uint16_t> wanted) {
    std::vector<std::string> problems;
    for (auto it = asked_.begin(); it != asked_.end();) {
        if (std::find(wanted.begin(), wanted.end(), *it) != wanted.end()) {
            ++it;
            continue;
        }
        // One too many let through is dropped as vlan_unknown: nothing to say if this fails.
        (void)ask_(port, *it, false);
        granted_.erase(*it);
        it = asked_.erase(it);
    }
    for (const std::uint16_t vlan : wanted) {
        if (!asked_.insert(vlan).second) continue;
        const int error = ask_(port, vlan, true);
        if (error == 0) granted_.insert(vlan);
        // 0 is that of frames with a priority alone; not all PFs know it.
        if (error == 0 || vlan == 0) continue;
        problems.push_back(
            fmt::format("the device does not let VLAN {} through: {}", vlan, rte_strerror(-error)));
    }
    return problems;
}

bool VlanFilter::was_reset(std::uint16_t port) const {
    if (asked_.empty()) return false;
    if (!granted_.empty()) return ask_(port, *granted_.begin(), true) != 0;
    return ask_(port, *asked_.rbegin(), true) == 0;
}

}  // namespace wye::drivers
