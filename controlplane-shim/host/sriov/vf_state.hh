// What there is of physical and virtual functions, and what there should be. Plain data.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/net/address.hh"

namespace wye::host {

enum class LinkState : std::uint8_t { automatic, enable, disable };  // IFLA_VF_LINK_STATE_*

/// Of a VF, held by its PF. None: not known, or not asked for.
struct VfAttributes {
    struct Vlan {
        std::uint16_t id = 0;  // 0: none
        std::uint8_t priority = 0;
        std::uint16_t protocol = 0x8100;  // EtherType
        friend bool operator==(const Vlan&, const Vlan&) = default;
    };
    struct Rate {  // Mb/s of what it sends; 0: no bound
        std::uint32_t low = 0, high = 0;
        friend bool operator==(const Rate&, const Rate&) = default;
    };
    std::optional<net::MacAddress> mac;
    std::optional<Vlan> vlan;
    std::optional<bool> trust;
    std::optional<bool> spoof_check;
    std::optional<Rate> rate;
    std::optional<LinkState> link_state;
};

/// Calls each(member) with a pointer to every attribute, in the order in which they are set.
template <class Each>
void for_each_attribute(const Each& each) {
    each(&VfAttributes::mac);
    each(&VfAttributes::vlan);
    each(&VfAttributes::trust);
    each(&VfAttributes::spoof_check);
    each(&VfAttributes::rate);
    each(&VfAttributes::link_state);
}

constexpr const char* kVfio = "vfio-pci";

struct VfState {
    std::string address;
    std::string driver;           // empty: none
    std::string driver_override;  // empty: none
    VfAttributes attributes;
};

struct PfState {
    std::string address;
    std::string interface;  // empty: it has none here
    std::uint32_t total = 0;
    bool mlx5 = false;
    std::vector<VfState> vfs;  // by number
};

/// Which driver a VF should have.
struct DriverGoal {
    std::string driver_override;  // empty: whatever the kernel finds
    std::string driver;           // empty: any of the kernel's
    bool bound = true;
};

struct VfGoal {
    VfAttributes attributes;
    std::optional<DriverGoal> driver;  // none: as it is
};

struct PfGoal {
    std::string address;
    std::uint32_t count = 0;
    std::map<std::uint32_t, VfGoal> vfs;  // by number
};

}  // namespace wye::host
