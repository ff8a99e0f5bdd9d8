#include "controlplane-shim/host/sriov/vf_names.hh"

#include <fmt/format.h>

#include <filesystem>

#include "drivers/sriov/find_function.hh"

namespace wye::host {
namespace {

namespace fs = std::filesystem;

std::string folder_of(const HostSystem& system) {
    return system.state + "/vf";
}

/// Empty where it is not known yet.
std::string address_of(const VfPlace& vf, const PfStates& states, const Wish& wish) {
    const PfState& pf = states.at(vf.pf);
    const bool there = pf.vfs.size() == wish.goals.at(vf.pf).count;
    return there && vf.number < pf.vfs.size() ? pf.vfs[vf.number].address : "";
}

/// In one step, so that a reader finds the old or the new.
Status make_link(const HostSystem& system, const std::string& name, const std::string& address) {
    // No VF's name, and gone at the next boot.
    const std::string path = folder_of(system) + "/" + name, beside = system.state + "/link.new";
    std::error_code error;
    fs::create_directories(folder_of(system), error);
    fs::remove(beside, error);
    fs::create_symlink(system.sys.full(drivers::kPciDevices + address), beside, error);
    if (!error) fs::rename(beside, path, error);
    if (error) return fail(path + ": " + error.message());
    return {};
}

}  // namespace

VfNames names_there(const HostSystem& system) {
    VfNames names;
    std::error_code error;
    for (fs::directory_iterator entry(folder_of(system), error), end; !error && entry != end;
         entry.increment(error)) {
        std::error_code unreadable;
        const auto target = fs::read_symlink(entry->path(), unreadable);
        names[entry->path().filename()] = unreadable ? "" : target.filename().string();
    }
    return names;
}

std::vector<NameStep> name_steps(const HostSystem& system, const PfStates& states,
                                 const Wish& wish) {
    std::vector<NameStep> steps;
    const VfNames there = names_there(system);
    for (const auto& [name, address] : there) {
        if (!wish.names.contains(name)) {
            steps.push_back({"name " + name + ": removed", name, address, true});
        }
    }
    for (const auto& [name, vf] : wish.names) {
        const std::string address = address_of(vf, states, wish);
        const auto old = there.find(name);
        if (!address.empty() && old != there.end() && old->second == address) continue;
        steps.push_back({fmt::format("name {}: VF {} of {}{}", name, vf.number, vf.pf,
                                     address.empty() ? "" : ", " + address),
                         name, address});
    }
    return steps;
}

Status run_step(const HostSystem& system, const NameStep& step) {
    if (!step.remove) return make_link(system, step.name, step.address);
    std::error_code ignored;
    fs::remove(folder_of(system) + "/" + step.name, ignored);
    return {};
}

void restore_names(const HostSystem& system, const VfNames& before) {
    const VfNames there = names_there(system);
    for (const auto& [name, address] : there) {
        if (!before.contains(name)) (void)run_step(system, NameStep{"", name, address, true});
    }
    for (const auto& [name, address] : before) {
        const auto now = there.find(name);
        if (now == there.end() || now->second != address) (void)make_link(system, name, address);
    }
}

}  // namespace wye::host
