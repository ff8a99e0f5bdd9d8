// VlanFilter: the VLANs that a device lets through. A virtual function receives tagged frames only of
// VLANs that it has asked its PF for (on all Intel NICs); a PF in promiscuous mode receives them all
// and is not asked.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace wye::drivers {

class VlanFilter {
  public:
    /// As rte_eth_dev_vlan_filter(): 0, or -errno.
    using Ask = std::function<int(std::uint16_t port, std::uint16_t vlan, bool on)>;
    VlanFilter();
    explicit VlanFilter(Ask ask) : ask_(std::move(ask)) {}

    /// Asks the device for what is wanted now and was not before, and the reverse; what went wrong, in
    /// words. What the device refused is asked for again only after it was not wanted for a while.
    std::vector<std::string> follow(std::uint16_t port, std::span<const std::uint16_t> wanted);
    /// The device was reset: it lets none through.
    void forget() {
        asked_.clear();
        granted_.clear();
    }
    /// The device was reset, as asking again shows: for one that was granted, which it does not know any
    /// more or its PF does not answer for; or, where all were refused, for one of those, which is granted
    /// now: so its PF was not up before, and has set the device up anew since.
    [[nodiscard]] bool was_reset(std::uint16_t port) const;

  private:
    Ask ask_;
    std::set<std::uint16_t> asked_, granted_;
};

}  // namespace wye::drivers
