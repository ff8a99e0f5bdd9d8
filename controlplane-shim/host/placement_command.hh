// `wyectl host placement`: reads a machine and a configuration, prints or draws the plan.
#pragma once

#include <string>

namespace wye::host {

struct PlacementOptions {
    std::string config;    // dataplane.yaml; empty: every NIC of the machine is a port
    std::string topology;  // an XML file of hwloc or its notation; empty: this machine
    std::string isolated;  // with `topology`: its isolated CPUs, a list
    std::string svg;       // file to write
    std::string workers;   // a number, or "auto": propose instead of those of the configuration
    bool json = false;
    bool yaml = false;  // print the section `workers:` alone
};

/// The exit code: 0 done, 1 the plan or the configuration is refused, 2 wrong usage.
int run_placement(const PlacementOptions& options);

}  // namespace wye::host
