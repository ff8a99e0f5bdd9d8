// VlanFilter: the VLANs that a device lets through. A virtual function receives tagged frames only of
// VLANs that it has asked its PF for (on all Intel NICs); a PF in promiscuous mode receives them all
// and is not asked.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace wye::drivers {

class VlanFilter {
  public:
    /// Asks the device for what is wanted now and was not before, and the reverse; what went wrong, in
    /// words. What the device refused is asked for again only after it was not wanted for a while.
    std::vector<std::string> follow(std::uint16_t port, std::span<const std::uint16_t> wanted);
    /// The device was reset: it lets none through.
    void forget() {
        asked_.clear();
        granted_.clear();
    }
    /// Asks for one again that was granted. False: the device does not know it any more, or its PF does
    /// not answer; so it was reset.
    [[nodiscard]] bool still_granted(std::uint16_t port) const;

  private:
    std::set<std::uint16_t> asked_, granted_;
};

}  // namespace wye::drivers
