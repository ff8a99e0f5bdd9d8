#include "controlplane-shim/host/sriov/vf_steps.hh"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "drivers/sriov/find_function.hh"

namespace wye::host {
namespace {

using drivers::kPciDevices;

constexpr std::uint32_t kMellanox = 0x15b3;
constexpr std::uint32_t kInterfaceUp = 1;  // IFF_UP

std::string pf_words(const PfState& pf) {
    return pf.interface.empty() ? pf.address : fmt::format("{} ({})", pf.address, pf.interface);
}

std::string vf_words(const PfState& pf, std::uint32_t vf) {
    return fmt::format("VF {} of {}", vf, pf_words(pf));
}

std::string folder_of(const std::string& address) {
    return kPciDevices + address;
}

/// The key of host.yaml, and the value in its words.
std::pair<std::string, std::string> attribute_words(const VfAttributes& one) {
    if (one.mac) return {"mac", net::to_string(*one.mac)};
    if (one.vlan) {
        std::string words = std::to_string(one.vlan->id);
        if (one.vlan->protocol != 0x8100) words += " (802.1ad)";
        if (one.vlan->priority != 0) words += fmt::format(" priority {}", one.vlan->priority);
        return {"vlan", words};
    }
    if (one.trust) return {"trust", *one.trust ? "true" : "false"};
    if (one.spoof_check) return {"spoof_check", *one.spoof_check ? "true" : "false"};
    if (one.rate) {
        return {"min_rate, max_rate", fmt::format("{}, {} Mb/s", one.rate->low, one.rate->high)};
    }
    static constexpr const char* kStates[] = {"auto", "enable", "disable"};
    if (one.link_state) return {"link_state", kStates[static_cast<std::size_t>(*one.link_state)]};
    return {};
}

std::string driver_words(const DriverGoal& goal) {
    if (!goal.bound) return "no driver";
    if (!goal.driver.empty()) return "driver " + goal.driver;
    return goal.driver_override.empty() ? "the kernel's driver" : "driver " + goal.driver_override;
}

bool satisfied(const VfState& vf, const DriverGoal& goal) {
    if (vf.driver_override != goal.driver_override) return false;
    if (!goal.bound) return vf.driver.empty();
    if (goal.driver.empty()) return !vf.driver.empty() && vf.driver != kVfio;
    return vf.driver == goal.driver;
}

std::string why(int error) {
    return std::strerror(error);
}

std::string or_root(int error, const std::string& fix) {
    return error == EPERM || error == EACCES ? "run it as root" : fix;
}

Status run_count(HostSystem& system, const Step& step) {
    const std::string folder = folder_of(step.pf.address);
    // The kernel's driver would take each new VF, only to be thrown out again.
    const auto probing = system.sys.read(folder + "/sriov_drivers_autoprobe");
    if (probing && step.count > 0) {
        (void)system.sys.write(folder + "/sriov_drivers_autoprobe", "0");
    }
    const int error = system.sys.write(folder + "/sriov_numvfs", std::to_string(step.count));
    if (probing && step.count > 0) {
        (void)system.sys.write(folder + "/sriov_drivers_autoprobe", *probing);
    }
    if (error == 0) return {};
    return fail(fmt::format(
        "{}: {} ({})", step.text, why(error),
        or_root(error, error == ENOMEM || error == ENOSPC || error == EIO
                           ? "switch SR-IOV on in the firmware, or boot with pci=realloc"
                           : "see dmesg; the PF's driver must be loaded and support SR-IOV")));
}

Status run_attribute(HostSystem& system, const Step& step) {
    const auto key = attribute_words(step.attribute).first;
    if (step.pf.interface.empty()) {
        return fail(step.text +
                    ": the PF has no interface here (bind it to its kernel driver, or "
                    "leave " +
                    key + " out)");
    }
    const int error = system.links.set(step.pf.interface, step.vf, step.attribute);
    if (error == 0) return {};
    std::string fix = "see dmesg";
    if (error == EOPNOTSUPP) fix = "its driver cannot do this: leave " + key + " out";
    if (error == EPROTONOSUPPORT) fix = "its driver tags with 802.1Q only: leave vlan_protocol out";
    if (error == EINVAL && step.attribute.rate) {
        fix = "its driver takes a rate only with a link (ip link set " + step.pf.interface +
              " up), up to the link's speed, and some take no min_rate";
    }
    return fail(fmt::format("{}: {} ({})", step.text, why(error), or_root(error, fix)));
}

std::string vfio_fix(const HostSystem& system, const std::string& address) {
    if (!system.sys.exists(folder_of(address) + "/iommu_group")) {
        return "there is no IOMMU: switch it on in the firmware and boot with intel_iommu=on "
               "iommu=pt (AMD: iommu=pt)";
    }
    return "see dmesg";
}

Status run_driver(HostSystem& system, const Step& step) {
    const auto pf = read_pf(system, step.pf.address);
    if (!pf) return tl::unexpected(pf.error());
    if (step.vf >= pf->vfs.size()) return fail(step.text + ": the VF is gone");
    const VfState& vf = pf->vfs[step.vf];
    const DriverGoal& goal = step.driver;
    const bool vfio = goal.driver_override == kVfio;
    const auto failed = [&](const char* what, int error) {
        const std::string fix = vfio ? vfio_fix(system, vf.address) : "see dmesg";
        return fail(
            fmt::format("{}: {}: {} ({})", step.text, what, why(error), or_root(error, fix)));
    };
    if (vfio && !system.sys.exists("bus/pci/drivers/vfio-pci")) {
        if (const int error = system.load_vfio(); error != 0) return failed("modprobe", error);
    }
    const std::string folder = folder_of(vf.address);
    if (!vf.driver.empty()) {
        if (const int error = system.sys.write(folder + "/driver/unbind", vf.address); error != 0) {
            return failed("unbind", error);
        }
    }
    // An empty line takes the override away.
    const std::string override_text = goal.driver_override + "\n";
    if (const int error = system.sys.write(folder + "/driver_override", override_text);
        error != 0) {
        return failed("driver_override", error);
    }
    if (!goal.bound) return {};
    // Of a VF the kernel's drivers are not tried while sriov_drivers_autoprobe is 0: name the one.
    const bool by_name = goal.driver_override.empty() && !goal.driver.empty() &&
                         system.sys.exists("bus/pci/drivers/" + goal.driver);
    const std::string door =
        by_name ? "bus/pci/drivers/" + goal.driver + "/bind" : "bus/pci/drivers_probe";
    if (const int error = system.sys.write(door, vf.address); error != 0) {
        return failed("bind", error);
    }
    const std::string got = system.sys.link_name(folder + "/driver");
    const VfState after{vf.address, got, goal.driver_override, {}};
    if (satisfied(after, goal)) return {};
    return fail(fmt::format("{}: it has {} ({})", step.text, got.empty() ? "none" : got,
                            vfio ? vfio_fix(system, vf.address)
                                 : "load the kernel's driver for VFs, or driver: vfio-pci"));
}

}  // namespace

std::vector<VfAttributes> differences(const VfAttributes& now, const VfAttributes& goal) {
    std::vector<VfAttributes> list;
    for_each_attribute([&](auto member) {
        if (!(goal.*member) || now.*member == goal.*member) return;
        list.emplace_back();
        list.back().*member = goal.*member;
    });
    return list;
}

VfAttributes masked(const VfAttributes& values, const VfAttributes& mask) {
    VfAttributes out;
    for_each_attribute([&](auto member) {
        if (mask.*member) out.*member = values.*member;
    });
    return out;
}

void overlay(VfAttributes& values, const VfAttributes& over) {
    for_each_attribute([&](auto member) {
        if (over.*member) values.*member = over.*member;
    });
}

Result<PfState> read_pf(const HostSystem& system, const std::string& address) {
    const std::string folder = folder_of(address);
    const auto total = system.sys.read_number(folder + "/sriov_totalvfs");
    const auto count = system.sys.read_number(folder + "/sriov_numvfs");
    if (!total || !count) {
        return fail(address +
                    " has no SR-IOV: switch it on in the firmware, load the PF's driver, "
                    "or take another NIC");
    }
    PfState pf;
    pf.address = address;
    pf.total = *total;
    pf.mlx5 = system.sys.read_number(folder + "/vendor").value_or(0) == kMellanox;
    const auto interfaces = system.sys.list(folder + "/net");
    if (!interfaces.empty()) pf.interface = interfaces.front();
    for (std::uint32_t i = 0; i < *count; ++i) {
        VfState vf;
        vf.address = system.sys.link_name(fmt::format("{}/virtfn{}", folder, i));
        vf.driver = system.sys.link_name(folder_of(vf.address) + "/driver");
        vf.driver_override =
            system.sys.read(folder_of(vf.address) + "/driver_override").value_or("");
        if (vf.driver_override == "(null)") vf.driver_override.clear();
        pf.vfs.push_back(std::move(vf));
    }
    if (pf.interface.empty() || pf.vfs.empty()) return pf;
    const auto attributes = system.links.read(pf.interface);
    if (!attributes) return tl::unexpected(attributes.error());
    for (std::size_t i = 0; i < pf.vfs.size() && i < attributes->size(); ++i) {
        pf.vfs[i].attributes = (*attributes)[i];
    }
    return pf;
}

std::vector<Step> count_steps(const PfState& now, const PfGoal& goal) {
    std::vector<Step> steps;
    const auto add = [&](std::uint32_t count, const std::string& words) {
        Step step;
        step.pf = now;
        step.count = count;
        step.text = pf_words(now) + ": " + words;
        steps.push_back(std::move(step));
    };
    if (now.vfs.size() == goal.count) return steps;
    if (!now.vfs.empty()) add(0, fmt::format("remove its {} VFs", now.vfs.size()));
    if (goal.count > 0) add(goal.count, fmt::format("create {} VFs", goal.count));
    return steps;
}

std::vector<Step> vf_steps(const PfState& now, const PfGoal& goal) {
    std::vector<Step> steps, drivers;
    const bool there = now.vfs.size() == goal.count;
    for (const auto& [number, vf] : goal.vfs) {
        const VfState state = there && number < now.vfs.size() ? now.vfs[number] : VfState{};
        Step step;
        step.pf = now;
        step.vf = number;
        for (const VfAttributes& one : differences(state.attributes, vf.attributes)) {
            const auto [key, value] = attribute_words(one);
            step.kind = Step::Kind::attribute;
            step.attribute = one;
            step.text = fmt::format("{}: {} {}", vf_words(now, number), key, value);
            steps.push_back(step);
        }
        if (!vf.driver || satisfied(state, *vf.driver)) continue;
        step.kind = Step::Kind::driver;
        step.driver = *vf.driver;
        step.text = fmt::format("{}{}: {}", vf_words(now, number),
                                state.address.empty() ? "" : ", " + state.address,
                                driver_words(*vf.driver));
        drivers.push_back(step);
    }
    // A driver reads its VF's MAC when it takes it: attributes first.
    steps.insert(steps.end(), drivers.begin(), drivers.end());
    return steps;
}

PfGoal goal_of(const PfState& before) {
    PfGoal goal{before.address, static_cast<std::uint32_t>(before.vfs.size()), {}};
    for (std::uint32_t i = 0; i < goal.count; ++i) {
        const VfState& vf = before.vfs[i];
        goal.vfs[i] = {vf.attributes,
                       DriverGoal{vf.driver_override, vf.driver, !vf.driver.empty()}};
    }
    return goal;
}

Status run_step(HostSystem& system, const Step& step) {
    switch (step.kind) {
        case Step::Kind::count:
            return run_count(system, step);
        case Step::Kind::attribute:
            return run_attribute(system, step);
        case Step::Kind::driver:
            return run_driver(system, step);
    }
    return {};
}

std::string user_of(const HostSystem& system, const VfState& vf) {
    const std::string folder = folder_of(vf.address);
    for (const std::string& interface : system.sys.list(folder + "/net")) {
        const auto flags = system.sys.read_number(folder + "/net/" + interface + "/flags");
        if ((flags.value_or(0) & kInterfaceUp) != 0) {
            return fmt::format("interface {} on it is up (ip link set {} down)", interface,
                               interface);
        }
    }
    const std::string group = system.sys.link_name(folder + "/iommu_group");
    if (vf.driver != kVfio || group.empty()) return {};
    std::error_code error;
    using Walk = std::filesystem::directory_iterator;
    for (Walk process(system.proc, error), end; !error && process != end;
         process.increment(error)) {
        std::error_code gone;
        for (Walk file(process->path() / "fd", gone); !gone && file != end; file.increment(gone)) {
            std::error_code none;
            if (std::filesystem::read_symlink(file->path(), none) != "/dev/vfio/" + group) continue;
            return fmt::format("process {} has it open (end it first)",
                               process->path().filename().string());
        }
    }
    return {};
}

}  // namespace wye::host
