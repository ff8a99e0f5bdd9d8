#include "dataplane/main/other_threads.hh"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace wye::dataplane {
namespace {

bool is_in(const Cpus& cpus, std::uint32_t cpu) {
    return std::ranges::find(cpus, cpu) != cpus.end();
}

}  // namespace

Cpus cpus_for_others(const Cpus& planned, const Cpus& usable, const Cpus& workers) {
    Cpus cpus;
    for (const std::uint32_t cpu : planned) {
        if (is_in(usable, cpu) && !is_in(workers, cpu)) cpus.push_back(cpu);
    }
    if (!cpus.empty()) return cpus;
    for (const std::uint32_t cpu : usable) {
        if (!is_in(workers, cpu)) cpus.push_back(cpu);
    }
    return cpus;
}

Cpus usable_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    Cpus cpus;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
    for (std::uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
    return cpus;
}

std::vector<pid_t> threads_of_process() {
    std::vector<pid_t> threads;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", ignored)) {
        threads.push_back(std::atoi(entry.path().filename().c_str()));
    }
    return threads;
}

void pin_threads(std::span<const pid_t> threads, const Cpus& cpus) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const std::uint32_t cpu : cpus) {
        if (cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
    }
    if (CPU_COUNT(&set) == 0) return;
    for (const pid_t thread : threads) (void)sched_setaffinity(thread, sizeof set, &set);
}

}  // namespace wye::dataplane
