// dataplane.yaml: what wye-dataplane knows about its machine. Changed by restart only.
//
// Read strictly: an unknown key, a wrong type, an impossible value, a port or a core named twice
// are each a problem, all of them are reported at once with file and line, and nothing is started.
// docs/configuration.md describes every key.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/table/arena.hh"
#include "drivers/ethdev/port_specification.hh"
#include "drivers/sriov/find_function.hh"

namespace wye::dataplane {

enum class Idle : std::uint8_t { poll, adaptive };
enum class Hugepages : std::uint8_t { automatic, never, required };

struct MemoryConfiguration {
    Hugepages hugepages = Hugepages::automatic;
    std::uint32_t megabytes = 128;  // of packet buffers and queues
};

struct TablesConfiguration {
    std::string folder;  // absolute; empty: wherever is best (auto)
};

struct Configuration {
    std::string instance = "wye";
    std::string run_dir;  // default /run/wye/<instance>
    std::vector<std::uint32_t> worker_cores;
    std::uint32_t max_workers = 0;  // that may ever run; as many as there are cores, or more
    bool share_cores = false;       // several workers on one core
    Idle idle = Idle::adaptive;
    std::uint32_t stall_milliseconds = 1000;  // a turn that takes longer is reported; 0: never
    MemoryConfiguration memory;
    TablesConfiguration tables;
    std::vector<drivers::PortSpecification> ports;
    std::vector<std::string> eal_drivers;  // shared objects with further poll-mode drivers
    table::ArenaLimits limits;
    std::uint32_t max_acl_rules = 1u << 20;
};

struct ConfigurationResult {
    Configuration configuration;
    std::vector<std::string> problems;  // "file:line: path: what is wrong"; any: do not use it
};

/// Whoever plans the workers does without them.
enum class WorkersKey : std::uint8_t { required, optional };

ConfigurationResult read_configuration(const std::string& path,
                                       WorkersKey workers = WorkersKey::required);
/// The same from a string; `path` is for the messages.
ConfigurationResult parse_configuration(const std::string& text, const std::string& path,
                                        WorkersKey workers = WorkersKey::required);

/// Fills in the addresses of VFs that are given by name, or by PF and number. `names`: the folder in
/// which wyectl host apply leaves the names.
Status find_ports(Configuration& configuration, const drivers::SysTree& sys,
                  const std::string& names = drivers::kVfNames);

}  // namespace wye::dataplane
