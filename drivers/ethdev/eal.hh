// The environment of DPDK: started once a process, before any port.
//
// With hugepages where there are enough (nr_hugepages is raised, never lowered), else without,
// which is said. EAL's main thread is not pinned: workers are threads of ours that register
// themselves.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/base/result.hh"
#include "drivers/ethdev/hugepages.hh"

namespace wye::drivers {

enum class HugepagePolicy : std::uint8_t { automatic, never, required };

struct EalOptions {
    std::string instance;
    HugepagePolicy hugepages = HugepagePolicy::automatic;
    std::uint32_t megabytes = 128;
    /// In hugepages: what of them is on which NUMA node. Empty: nodes do not count.
    std::vector<NodeMegabytes> nodes;
    std::vector<std::string> plugins;        // shared objects with further poll-mode drivers
    std::vector<std::string> pci_addresses;  // the only PCI devices that are looked at
    bool single_file_segments = false;  // memif with zero-copy needs it, and memory on one node
};

struct EalReport {
    bool hugepages = false;
    std::vector<std::string> notes;  // for people
};

/// DPDK's options for so much memory, by node in hugepages.
std::vector<std::string> memory_arguments(const EalOptions& options, bool hugepages);

/// The calling thread becomes EAL's main thread; its CPU affinity is left as it was.
Result<EalReport> start_eal(const EalOptions& options);
void stop_eal();

/// Each other thread that touches buffers or queues calls these around its life: without, buffers
/// have no cache of their own on that thread.
void enter_eal_thread();
void leave_eal_thread();

}  // namespace wye::drivers
