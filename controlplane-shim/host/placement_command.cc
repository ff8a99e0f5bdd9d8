#include "controlplane-shim/host/placement_command.hh"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "controlplane-shim/host/exit_code.hh"
#include "controlplane-shim/host/placement_svg.hh"
#include "controlplane-shim/host/placement_words.hh"
#include "controlplane-shim/manifest/section.hh"
#include "dataplane/main/configuration.hh"
#include "dataplane/main/placement_request.hh"

namespace wye::host {
namespace {

using drivers::Machine;
using drivers::PlacementRequest;

Result<drivers::Topology> topology_of(const PlacementOptions& options) {
    if (options.topology.empty()) return drivers::Topology::of_this_machine();
    std::error_code none;
    if (!std::filesystem::is_regular_file(options.topology, none)) {
        return drivers::Topology::synthetic(options.topology);
    }
    std::ifstream file(options.topology);
    const std::string xml(std::istreambuf_iterator<char>(file), {});
    return drivers::Topology::from_xml(xml);
}

Result<drivers::Isolation> isolation_of(const PlacementOptions& options) {
    if (options.topology.empty()) return drivers::read_isolation();
    const auto cpus = drivers::parse_cpu_list(options.isolated);
    if (!cpus) return fail("--isolated " + options.isolated + " is no list such as 2-7,10");
    return drivers::Isolation{*cpus, *cpus};
}

/// Without a configuration every NIC of the machine counts as a port.
PlacementRequest request_for(const Machine& machine) {
    PlacementRequest request;
    for (const auto& nic : machine.nics) {
        PlacementRequest::Port port;
        port.name = nic.interfaces.empty() ? nic.address : nic.interfaces.front();
        port.pci_address = nic.address;
        request.ports.push_back(std::move(port));
    }
    return request;
}

/// None: problems were printed.
bool read_request(const PlacementOptions& options, PlacementRequest& request) {
    auto read = dataplane::read_configuration(options.config, dataplane::WorkersKey::optional);
    for (const std::string& problem : read.problems) {
        std::fprintf(stderr, "%s\n", problem.c_str());
    }
    if (options.topology.empty() && read.problems.empty()) {
        const Status found = dataplane::find_ports(read.configuration, drivers::SysTree());
        if (!found) read.problems.push_back(found.error().text);
        if (!found) std::fprintf(stderr, "%s\n", found.error().text.c_str());
    }
    request = dataplane::placement_request(read.configuration);
    return read.problems.empty();
}

Status apply_workers(const PlacementOptions& options, PlacementRequest& request) {
    if (options.workers.empty()) return {};
    request.cores.clear();
    if (options.workers == "auto") return {};
    const auto number = manifest::parse_number(options.workers);
    if (!number || *number == 0 || *number > 64) {
        return fail("--workers " + options.workers + " should be a number from 1 to 64, or auto");
    }
    request.workers = static_cast<std::uint32_t>(*number);
    return {};
}

Status write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    file.close();
    if (file) return {};
    return fail(fmt::format("{} cannot be written: {}", path, std::strerror(errno)));
}

int complain(const Error& error) {
    std::fprintf(stderr, "wyectl: %s\n", error.text.c_str());
    return kUsage;
}

}  // namespace

int run_placement(const PlacementOptions& options) {
    const auto topology = topology_of(options);
    if (!topology) return complain(topology.error());
    const auto isolation = isolation_of(options);
    if (!isolation) return complain(isolation.error());
    const Machine machine = drivers::machine_of(*topology, *isolation);
    PlacementRequest request = request_for(machine);
    if (!options.config.empty() && !read_request(options, request)) return kRefused;
    if (const Status good = apply_workers(options, request); !good) return complain(good.error());

    const drivers::Plan plan = drivers::plan_placement(machine, request);
    if (!options.svg.empty()) {
        const Status written = write_file(options.svg, placement_svg(machine, plan));
        if (!written) return complain(written.error());
    }
    const std::string out = options.json   ? placement_json(machine, plan).dump(2) + "\n"
                            : options.yaml ? workers_section(machine, plan)
                                           : placement_words(machine, plan);
    std::fputs(out.c_str(), stdout);
    const bool refused = std::ranges::any_of(plan.advice, [](const auto& advice) {
        return advice.severity == drivers::Advice::Severity::refusal;
    });
    return refused ? kRefused : kDone;
}

}  // namespace wye::host
