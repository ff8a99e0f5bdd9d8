#include "drivers/ethdev/eal.hh"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "drivers/ethdev/hugepages.hh"

namespace wye::drivers {
namespace {

/// Main thread may run wherever the process may.
std::string every_core(const cpu_set_t& set) {
    std::string list;
    for (std::size_t core = 0; core < CPU_SETSIZE; ++core) {
        if (!CPU_ISSET(core, &set)) continue;
        list += (list.empty() ? "" : ",") + std::to_string(core);
    }
    return list;
}

std::vector<std::string> arguments(const EalOptions& options, bool hugepages,
                                   const cpu_set_t& cores) {
    std::vector<std::string> list{"wye-dataplane",
                                  "--lcores",
                                  fmt::format("0@({})", every_core(cores)),
                                  "--file-prefix",
                                  "wye-" + options.instance,
                                  "--no-telemetry",
                                  "--iova-mode=va",
                                  "--log-level=warning",
                                  "--log-level=lib.*:warning",
                                  "--log-level=pmd.*:warning"};
    for (std::string& word : memory_arguments(options, hugepages)) {
        list.push_back(std::move(word));
    }
    if (hugepages) {
        list.emplace_back("--in-memory");
    } else {
        list.insert(list.end(), {"--no-huge", "--no-shconf"});
    }
    if (options.single_file_segments) list.emplace_back("--single-file-segments");
    if (options.pci_addresses.empty()) list.emplace_back("--no-pci");
    for (const std::string& address : options.pci_addresses) {
        list.insert(list.end(), {"-a", address});
    }
    for (const std::string& plugin : options.plugins) list.insert(list.end(), {"-d", plugin});
    return list;
}

Result<bool> choose_hugepages(const EalOptions& options, std::vector<std::string>& notes) {
    if (options.hugepages == HugepagePolicy::never) return false;
    const Status secured = options.nodes.empty() ? secure_hugepages(options.megabytes)
                                                 : secure_hugepages(options.nodes);
    if (secured) return true;
    if (options.hugepages == HugepagePolicy::required) {
        return fail("memory.hugepages is required, but " + secured.error().text);
    }
    notes.push_back("goes on without hugepages, slower: " + secured.error().text);
    return false;
}

Status check_plugins(const std::vector<std::string>& plugins) {
    for (const std::string& plugin : plugins) {
        if (access(plugin.c_str(), R_OK) == 0) continue;
        return fail(
            fmt::format("eal_drivers: {} cannot be read: {}", plugin, std::strerror(errno)));
    }
    return {};
}

}  // namespace

std::vector<std::string> memory_arguments(const EalOptions& options, bool hugepages) {
    if (options.nodes.empty() || !hugepages) return {"-m", std::to_string(options.megabytes)};
    std::size_t count = 0;
    for (const NodeMegabytes& one : options.nodes) {
        count = std::max<std::size_t>(count, one.node + 1);
    }
    // By the number of the node; one that is not there has nothing.
    std::vector<std::uint32_t> amounts(count);
    for (const NodeMegabytes& one : options.nodes) amounts[one.node] = one.megabytes;
    return {"--socket-mem", fmt::format("{}", fmt::join(amounts, ","))};
}

Result<EalReport> start_eal(const EalOptions& options) {
    EalReport report;
    if (auto good = check_plugins(options.plugins); !good) return tl::unexpected(good.error());
    const Result<bool> hugepages = choose_hugepages(options, report.notes);
    if (!hugepages) return tl::unexpected(hugepages.error());
    report.hugepages = *hugepages;

    cpu_set_t cores;
    CPU_ZERO(&cores);
    if (sched_getaffinity(0, sizeof cores, &cores) != 0) return fail("no CPU affinity to be read");
    std::vector<std::string> list = arguments(options, report.hugepages, cores);
    std::vector<char*> pointers;
    for (std::string& argument : list) pointers.push_back(argument.data());
    if (rte_eal_init(static_cast<int>(pointers.size()), pointers.data()) < 0) {
        return fail(fmt::format("DPDK does not start ({}); its own words are above",
                                rte_strerror(rte_errno)));
    }
    (void)pthread_setaffinity_np(pthread_self(), sizeof cores, &cores);
    return report;
}

void stop_eal() {
    (void)rte_eal_cleanup();
}

void enter_eal_thread() {
    (void)rte_thread_register();
}
void leave_eal_thread() {
    rte_thread_unregister();
}

}  // namespace wye::drivers
