#include "drivers/sriov/find_function.hh"

#include <filesystem>
#include <system_error>

namespace wye::drivers {

bool is_pci_address(std::string_view text) {
    constexpr std::string_view kShape = "hhhh:hh:hh.d";
    if (text.size() != kShape.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool digit = c >= '0' && c <= '9';
        const bool hexadecimal = digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (kShape[i] == 'h'   ? !hexadecimal
            : kShape[i] == 'd' ? c < '0' || c > '7'
                               : c != kShape[i]) {
            return false;
        }
    }
    return text[8] == '0' || text[8] == '1';  // a bus has 32 devices
}

Result<std::string> find_pf(const SysTree& sys, const std::string& pf) {
    if (is_pci_address(pf)) {
        if (sys.exists(kPciDevices + pf)) return pf;
        return fail("there is no PCI device " + pf + ": see lspci -D");
    }
    if (!sys.exists("class/net/" + pf)) {
        return fail("there is no interface " + pf +
                    ": see ip link (it may be in another namespace; then give the PCI address)");
    }
    const std::string address = sys.link_name("class/net/" + pf + "/device");
    if (is_pci_address(address)) return address;
    return fail("interface " + pf + " is no PCI device");
}

Result<std::string> find_vf(const SysTree& sys, const std::string& pf, std::uint32_t number) {
    auto address = find_pf(sys, pf);
    if (!address) return address;
    const std::string folder = kPciDevices + *address;
    const std::string vf = sys.link_name(folder + "/virtfn" + std::to_string(number));
    if (!vf.empty()) return vf;
    const std::string there = sys.read(folder + "/sriov_numvfs").value_or("none, without SR-IOV");
    return fail("PF " + pf + " has no VF " + std::to_string(number) + " (VFs there: " + there +
                "): wyectl host apply makes them");
}

Result<std::string> find_named_vf(const std::string& name, const std::string& names) {
    std::error_code error;
    const auto target = std::filesystem::read_symlink(names + "/" + name, error);
    const std::string address = error ? std::string() : target.filename().string();
    if (is_pci_address(address)) return address;
    return fail("no VF is called " + name + " in " + names +
                ": name it in host.yaml, then wyectl host apply --yes");
}

}  // namespace wye::drivers
