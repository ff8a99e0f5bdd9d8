// Where workers may run: checked against the machine before anything is started, in words.
//
// A core is a logical CPU by the number that Linux gives it (as in /proc/cpuinfo). Refused: a core
// that is absent, that this process may not use (cgroup cpuset), or that is given to two workers.
// Warned of: two workers on hardware threads of one physical core, a worker on another NUMA node
// than a NIC that it polls. hwloc tells; a synthetic topology or an XML file stands in for tests.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/result.hh"

namespace wye::drivers {

class Topology {
  public:
    static Result<Topology> of_this_machine();
    /// hwloc's notation, for example "package:2 core:4 pu:2"; `allowed`: cores the process may use
    /// (empty: all).
    static Result<Topology> synthetic(const std::string& description,
                                      std::span<const std::uint32_t> allowed = {});
    static Result<Topology> from_xml(const std::string& xml);
    Topology(Topology&&) noexcept;
    Topology& operator=(Topology&&) noexcept;
    ~Topology();

    struct Impl;
    [[nodiscard]] const Impl& impl() const { return *impl_; }

  private:
    explicit Topology(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

struct PlacementRequest {
    struct Nic {
        std::string port;
        std::string pci_address;
    };
    std::vector<std::uint32_t> cores;  // one a worker, in order
    std::vector<Nic> nics;
};

struct PlacementReport {
    std::vector<std::string> refusals;  // any: do not start
    std::vector<std::string> warnings;
};

PlacementReport check_placement(const Topology& topology, const PlacementRequest& request);

}  // namespace wye::drivers
