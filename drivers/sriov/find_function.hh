// Which PCI function is meant: a PF by its interface or address, a VF by its PF and number or by the
// name that `wyectl host apply` gave it. Never by order of appearance.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dataplane/base/result.hh"
#include "drivers/sriov/sys_tree.hh"

namespace wye::drivers {

/// In it a link for each named VF, to its folder in sysfs.
constexpr const char* kVfNames = "/run/wye-host/vf";

constexpr const char* kPciDevices = "bus/pci/devices/";

/// "hhhh:hh:hh.d": domain, bus, device, function.
bool is_pci_address(std::string_view text);
/// The address of a PF, given that or a Linux interface.
Result<std::string> find_pf(const SysTree& sys, const std::string& pf);
Result<std::string> find_vf(const SysTree& sys, const std::string& pf, std::uint32_t number);
Result<std::string> find_named_vf(const std::string& name, const std::string& names = kVfNames);

}  // namespace wye::drivers
