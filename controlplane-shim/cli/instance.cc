#include "controlplane-shim/cli/instance.hh"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "controlplane-shim/api/client.hh"
#include "dataplane/base/name.hh"

namespace wye::cli {
namespace {

std::string socket_of(const std::string& run_dir, const std::string& name) {
    return run_dir + "/" + name + "/shim.sock";
}

/// Instances whose shim answers, in order.
std::vector<std::string> running(const std::string& run_dir) {
    std::vector<std::string> names;
    std::error_code error;
    for (auto entry = std::filesystem::directory_iterator(run_dir, error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        const std::string name = entry->path().filename();
        if (api::Client::connect(socket_of(run_dir, name))) names.push_back(name);
    }
    std::ranges::sort(names);
    return names;
}

}  // namespace

Found find_socket(const std::string& run_dir, const std::string& name) {
    if (!name.empty()) {
        if (!ObjectName::from(name)) {
            return {{}, "instance " + name + " is no name: 1 to 31 of A-Z a-z 0-9 . _ -", true};
        }
        return {socket_of(run_dir, name), {}, false};
    }
    const auto names = running(run_dir);
    if (names.size() == 1) return {socket_of(run_dir, names.front()), {}, false};
    if (names.empty()) {
        return {{},
                "no shim answers under " + run_dir + ": start wye-shim, or say where with --socket",
                false};
    }
    std::string all;
    for (const std::string& one : names) all += (all.empty() ? "" : ", ") + one;
    return {{}, "several instances run (" + all + "): choose one with --instance", true};
}

}  // namespace wye::cli
