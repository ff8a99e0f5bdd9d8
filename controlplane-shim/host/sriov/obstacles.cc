#include "controlplane-shim/host/sriov/obstacles.hh"

#include <fmt/format.h>

namespace wye::host {
namespace {

/// Which VFs lose what they have: all, or those that change their driver.
std::vector<std::uint32_t> taken_vfs(const PfState& now, const PfGoal& goal, bool all_go) {
    std::vector<std::uint32_t> taken;
    if (all_go) {
        for (std::uint32_t i = 0; i < now.vfs.size(); ++i) taken.push_back(i);
        return taken;
    }
    for (const Step& step : vf_steps(now, goal)) {
        if (step.kind == Step::Kind::driver) taken.push_back(step.vf);
    }
    return taken;
}

}  // namespace

std::vector<std::string> find_obstacles(const HostSystem& system, const Survey& survey,
                                        const Wish& wish, bool recreate) {
    std::vector<std::string> found;
    for (const auto& [address, goal] : wish.goals) {
        const PfState& now = survey.states.at(address);
        const bool all_go = !count_steps(now, goal).empty();
        if (all_go && !now.vfs.empty() && !survey.record.pfs.contains(address) && !recreate) {
            found.push_back(
                fmt::format("{} has {} VFs that wyectl did not make, and should have {}: "
                            "--recreate removes them, or say vfs: {}",
                            address, now.vfs.size(), goal.count, now.vfs.size()));
        }
        for (const std::uint32_t vf : taken_vfs(now, goal, all_go)) {
            const std::string user = user_of(system, now.vfs[vf]);
            if (user.empty()) continue;
            found.push_back(fmt::format("VF {} of {}, {}, is in use: {}", vf, address,
                                        now.vfs[vf].address, user));
        }
    }
    return found;
}

}  // namespace wye::host
