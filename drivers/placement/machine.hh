// A machine as placement needs it: plain data, taken from hwloc and from what Linux says of isolated
// CPUs. A CPU is a hardware thread, by the number that Linux gives it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/placement/topology.hh"

namespace wye::drivers {

struct Machine {
    struct Thread {
        std::uint32_t cpu = 0;  // Linux's number
        std::size_t core = 0;   // in cores
        bool allowed = true;    // this process may run there (cpuset)
        bool isolated = false;  // the scheduler keeps off it: isolcpus
        bool tickless = false;  // no timer tick while one task runs: nohz_full
    };
    struct Core {
        std::uint32_t package = 0;         // Linux's number
        std::uint32_t node = 0;            // NUMA node, Linux's number
        std::optional<std::size_t> cache;  // in caches
        std::vector<std::size_t> threads;  // in threads, in hwloc's order
    };
    struct Cache {  // of the last level (L3)
        std::uint64_t bytes = 0;
    };
    struct Node {
        std::uint32_t number = 0;
        std::uint32_t package = 0;
        std::uint64_t memory_bytes = 0;
        std::optional<std::uint64_t> huge_pages;  // of 2 MiB; none: not told
    };
    struct Nic {                              // a PCI function of class "network"
        std::string address;                  // "0000:3b:02.1"
        std::vector<std::string> interfaces;  // Linux's, if its driver has any
        std::uint16_t vendor = 0, device = 0;
        std::vector<std::uint32_t> nodes;  // near it; empty: the machine does not tell
    };

    std::vector<Thread> threads;  // package by package, node by node, core by core
    std::vector<Core> cores;
    std::vector<Cache> caches;
    std::vector<Node> nodes;
    std::vector<Nic> nics;
    std::vector<std::uint32_t> packages;

    [[nodiscard]] const Thread* find_cpu(std::uint32_t cpu) const;
    [[nodiscard]] const Core& core_of(const Thread& thread) const { return cores[thread.core]; }
    [[nodiscard]] const Nic* find_nic(std::string_view address) const;
    [[nodiscard]] const Node* find_node(std::uint32_t number) const;
};

/// CPUs that the kernel was told to leave alone.
struct Isolation {
    std::vector<std::uint32_t> isolated, tickless;
};

/// From `sys`/devices/system/cpu/{isolated,nohz_full}; what is absent is nobody.
Isolation read_isolation(const std::string& sys = "/sys");

Machine machine_of(const Topology& topology, const Isolation& isolation = {});

/// "0-3,8" as Linux writes lists of CPUs; none: it is no such list.
std::optional<std::vector<std::uint32_t>> parse_cpu_list(std::string_view text);
/// The reverse. `cpus` in any order.
std::string cpu_list(std::vector<std::uint32_t> cpus);

}  // namespace wye::drivers
