// host.yaml: which VFs a machine's NICs should have. docs/host.md describes every key. Read strictly:
// all problems at once, each with file and line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane-shim/host/sriov/vf_state.hh"
#include "controlplane-shim/manifest/manifest.hh"

namespace wye::host {

struct HostFile {
    enum class Driver : std::uint8_t { automatic, vfio, kernel };
    struct Vf {
        std::optional<std::uint32_t> number;
        std::string address;  // if there is no number
        std::string name;     // may be empty
        VfAttributes attributes;
        Driver driver = Driver::automatic;
        int line = 0;
    };
    struct Pf {
        std::string device;  // interface or PCI address
        std::uint32_t count = 0;
        std::vector<Vf> vfs;
        int line = 0;
    };
    std::string path;
    std::vector<Pf> pfs;
};

struct HostFileResult {
    std::optional<HostFile> file;
    std::vector<manifest::Problem> problems;
};

HostFileResult parse_host_file(std::string_view text, const std::string& path);
HostFileResult read_host_file(const std::string& path);

}  // namespace wye::host
