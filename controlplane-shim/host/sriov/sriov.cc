#include "controlplane-shim/host/sriov/sriov.hh"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "controlplane-shim/host/sriov/apply.hh"
#include "controlplane-shim/host/sriov/obstacles.hh"
#include "controlplane-shim/host/sriov/vf_names.hh"
#include "dataplane/base/descriptor.hh"

namespace wye::host {
namespace {

/// One at a time on a machine; a plan does without.
Result<Descriptor> take_lock(const std::string& folder) {
    std::error_code none;
    std::filesystem::create_directories(folder, none);
    const std::string path = folder + "/lock";
    Descriptor lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock.valid()) {
        return fail(fmt::format("{}: {} (run it as root)", path, std::strerror(errno)));
    }
    if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
    return fail("another wyectl host runs: wait for it");
}

void say_plan(const HostSystem& system, const Survey& survey, const Wish& wish,
              SriovReport& report) {
    for (const auto& [address, goal] : wish.goals) {
        for (const Step& step : count_steps(survey.states.at(address), goal)) {
            report.steps.push_back(step.text);
        }
    }
    for (const auto& [address, goal] : wish.goals) {
        for (const Step& step : vf_steps(survey.states.at(address), goal)) {
            report.steps.push_back(step.text);
        }
    }
    for (const NameStep& step : name_steps(system, survey.states, wish)) {
        report.steps.push_back(step.text);
    }
}

/// Without a file: back to what was there before.
SriovReport follow(HostSystem& system, const HostFile* file, bool recreate, bool really) {
    SriovReport report;
    Descriptor lock;
    if (really) {
        auto taken = take_lock(system.state);
        if (!taken) {
            report.errors.push_back(taken.error().text);
            return report;
        }
        lock = std::move(*taken);
    }
    Survey survey = survey_machine(system, file, report.errors);
    if (!report.errors.empty()) return report;
    if (file == nullptr && !survey.has_record) {
        report.notes.emplace_back("nothing was applied since the machine started");
        return report;
    }
    const Wish wish = file != nullptr ? wish_for(system.sys, *file, survey, report.errors)
                                      : wish_back(survey.record);
    if (!report.errors.empty()) return report;
    report.errors = find_obstacles(system, survey, wish, recreate);
    if (!really) {
        say_plan(system, survey, wish, report);
    } else if (report.errors.empty()) {
        apply_wish(system, std::move(survey), wish, report);
    }
    return report;
}

}  // namespace

SriovReport plan_sriov(HostSystem& system, const HostFile& file, const SriovOptions& options) {
    return follow(system, &file, options.recreate, false);
}

SriovReport apply_sriov(HostSystem& system, const HostFile& file, const SriovOptions& options) {
    return follow(system, &file, options.recreate, true);
}

SriovReport release_sriov(HostSystem& system, bool really) {
    return follow(system, nullptr, true, really);
}

}  // namespace wye::host
