#include "controlplane-shim/host/sriov/command.hh"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "controlplane-shim/host/exit_code.hh"
#include "controlplane-shim/host/sriov/sriov.hh"
#include "drivers/sriov/find_function.hh"

namespace wye::host {
namespace {

using What = SriovCommand::What;

int load_vfio() {
    const char* const words[] = {"modprobe", "vfio-pci", nullptr};
    pid_t child = 0;
    const int error =
        posix_spawnp(&child, words[0], nullptr, nullptr, const_cast<char* const*>(words), environ);
    if (error != 0) return error;
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : ENOENT;
}

/// Until each NIC of the file is there, or the time is over: what is missing is said later.
void wait_for(const HostFile& file, const drivers::SysTree& sys, int seconds) {
    const auto all_there = [&] {
        return std::ranges::all_of(file.pfs, [&](const HostFile::Pf& pf) {
            const auto address = drivers::find_pf(sys, pf.device);
            return address && sys.exists(drivers::kPciDevices + *address + "/sriov_totalvfs") &&
                   !sys.list(drivers::kPciDevices + *address + "/net").empty();
        });
    };
    for (int tenths = 0; tenths < seconds * 10 && !all_there(); ++tenths) usleep(100'000);
}

/// A dry run is not asked to be silent about what it would do; a run says what it did.
void print_words(const SriovCommand& command, const SriovReport& report) {
    const bool dry = command.what == What::plan || !command.yes;
    for (const std::string& step : report.steps) {
        std::printf("%s%s\n", dry ? "would do: " : "", step.c_str());
    }
    for (const std::string& note : report.notes) std::printf("%s\n", note.c_str());
    if (!report.errors.empty()) return;
    if (report.steps.empty()) {
        std::printf("nothing to change\n");
    } else if (dry) {
        std::printf("nothing was changed; %s\n", command.what == What::release
                                                     ? "wyectl host release --yes does it"
                                                     : "wyectl host apply --yes does it");
    }
}

void print_json(const SriovCommand& command, const SriovReport& report) {
    const nlohmann::json out{{"dry_run", command.what == What::plan || !command.yes},
                             {"changed", report.changed},
                             {"steps", report.steps},
                             {"notes", report.notes},
                             {"errors", report.errors}};
    std::printf("%s\n", out.dump(2).c_str());
}

}  // namespace

int run_sriov(const SriovCommand& command) {
    drivers::SysTree sys;
    KernelVfLink links;
    HostSystem system{sys, links, load_vfio};
    SriovReport report;
    if (command.what == What::release) {
        report = release_sriov(system, command.yes);
    } else {
        const auto read = read_host_file(command.file);
        for (const auto& problem : read.problems) report.errors.push_back(problem.to_string());
        if (read.file) {
            const bool really = command.what == What::apply && command.yes;
            wait_for(*read.file, sys, command.wait_seconds);
            const SriovOptions options{command.recreate};
            report = really ? apply_sriov(system, *read.file, options)
                            : plan_sriov(system, *read.file, options);
        }
    }
    if (command.json) {
        print_json(command, report);
    } else {
        print_words(command, report);
    }
    std::fflush(stdout);
    for (const std::string& error : report.errors) std::fprintf(stderr, "%s\n", error.c_str());
    return report.errors.empty() ? kDone : kRefused;
}

}  // namespace wye::host
