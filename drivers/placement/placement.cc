#include "drivers/placement/placement.hh"

#include <fmt/format.h>
#include <hwloc.h>

#include <cerrno>
#include <cstring>
#include <map>

namespace wye::drivers {

struct Topology::Impl {
    hwloc_topology_t handle = nullptr;
    ~Impl() {
        if (handle != nullptr) hwloc_topology_destroy(handle);
    }
};

Topology::Topology(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Topology::Topology(Topology&&) noexcept = default;
Topology& Topology::operator=(Topology&&) noexcept = default;
Topology::~Topology() = default;

namespace {

Status prepare(Topology::Impl& impl) {
    if (hwloc_topology_init(&impl.handle) != 0) return fail("hwloc cannot make a topology");
    // Disallowed cores stay in the picture, so that "not allowed" and "not there" can be told
    // apart.
    hwloc_topology_set_flags(impl.handle, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    hwloc_topology_set_io_types_filter(impl.handle, HWLOC_TYPE_FILTER_KEEP_ALL);
    return {};
}

Status load(Topology::Impl& impl) {
    if (hwloc_topology_load(impl.handle) != 0) {
        return fail(fmt::format("hwloc cannot read the topology: {}", std::strerror(errno)));
    }
    return {};
}

std::string list_of(hwloc_const_bitmap_t set) {
    char* text = nullptr;
    if (hwloc_bitmap_list_asprintf(&text, set) < 0) return "?";
    std::string list(text);
    free(text);
    return list;
}

/// Refused or not, for one core alone.
void check_core(hwloc_topology_t topology, std::size_t worker, std::uint32_t core,
                PlacementReport& report) {
    hwloc_const_bitmap_t all = hwloc_topology_get_complete_cpuset(topology);
    hwloc_const_bitmap_t allowed = hwloc_topology_get_allowed_cpuset(topology);
    if (hwloc_get_pu_obj_by_os_index(topology, core) == nullptr) {
        report.refusals.push_back(fmt::format(
            "worker {}: core {} does not exist; this machine has {}", worker, core, list_of(all)));
    } else if (hwloc_bitmap_isset(allowed, core) == 0) {
        report.refusals.push_back(
            fmt::format("worker {}: core {} is not allowed for this process (cpuset); allowed: {}",
                        worker, core, list_of(allowed)));
    }
}

hwloc_obj_t physical_core(hwloc_topology_t topology, std::uint32_t core) {
    hwloc_obj_t pu = hwloc_get_pu_obj_by_os_index(topology, core);
    return pu == nullptr ? nullptr : hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, pu);
}

void check_sharing(hwloc_topology_t topology, std::span<const std::uint32_t> cores,
                   PlacementReport& report) {
    for (std::size_t b = 0; b < cores.size(); ++b) {
        for (std::size_t a = 0; a < b; ++a) {
            if (cores[a] == cores[b]) {
                report.refusals.push_back(fmt::format(
                    "workers {} and {} are both on core {}; give each its own", a, b, cores[a]));
                continue;
            }
            hwloc_obj_t const one = physical_core(topology, cores[a]);
            if (one != nullptr && one == physical_core(topology, cores[b])) {
                report.warnings.push_back(
                    fmt::format("workers {} and {} (cores {} and {}) are hardware threads of one "
                                "physical core and will slow each other down",
                                a, b, cores[a], cores[b]));
            }
        }
    }
}

void check_nic(hwloc_topology_t topology, const PlacementRequest::Nic& nic,
               std::span<const std::uint32_t> cores, PlacementReport& report) {
    hwloc_obj_t device = hwloc_get_pcidev_by_busidstring(topology, nic.pci_address.c_str());
    if (device == nullptr) return;  // the driver says what is wrong with the device itself
    hwloc_obj_t const place = hwloc_get_non_io_ancestor_obj(topology, device);
    if (place == nullptr || place->nodeset == nullptr) return;
    for (std::size_t i = 0; i < cores.size(); ++i) {
        hwloc_obj_t pu = hwloc_get_pu_obj_by_os_index(topology, cores[i]);
        if (pu == nullptr || hwloc_bitmap_intersects(pu->nodeset, place->nodeset) != 0) continue;
        report.warnings.push_back(fmt::format(
            "worker {} (core {}) is on NUMA node {}, but port \"{}\" ({}) is on node {}: every "
            "packet will cross the sockets",
            i, cores[i], list_of(pu->nodeset), nic.port, nic.pci_address, list_of(place->nodeset)));
    }
}

}  // namespace

Result<Topology> Topology::of_this_machine() {
    auto impl = std::make_unique<Impl>();
    if (auto ready = prepare(*impl).and_then([&] { return load(*impl); }); !ready) {
        return tl::unexpected(ready.error());
    }
    return Topology(std::move(impl));
}

Result<Topology> Topology::synthetic(const std::string& description,
                                     std::span<const std::uint32_t> allowed) {
    auto impl = std::make_unique<Impl>();
    if (auto ready = prepare(*impl); !ready) return tl::unexpected(ready.error());
    if (hwloc_topology_set_synthetic(impl->handle, description.c_str()) != 0) {
        return fail(fmt::format("\"{}\" is no synthetic topology", description));
    }
    if (auto ready = load(*impl); !ready) return tl::unexpected(ready.error());
    if (!allowed.empty()) {
        hwloc_bitmap_t set = hwloc_bitmap_alloc();
        for (const std::uint32_t core : allowed) hwloc_bitmap_set(set, core);
        const int done = hwloc_topology_allow(impl->handle, set, nullptr, HWLOC_ALLOW_FLAG_CUSTOM);
        hwloc_bitmap_free(set);
        if (done != 0) return fail("none of the allowed cores is in the topology");
    }
    return Topology(std::move(impl));
}

Result<Topology> Topology::from_xml(const std::string& xml) {
    auto impl = std::make_unique<Impl>();
    if (auto ready = prepare(*impl); !ready) return tl::unexpected(ready.error());
    const int size = static_cast<int>(xml.size() + 1);
    if (hwloc_topology_set_xmlbuffer(impl->handle, xml.c_str(), size) != 0) {
        return fail("the XML is no hwloc topology");
    }
    if (auto ready = load(*impl); !ready) return tl::unexpected(ready.error());
    return Topology(std::move(impl));
}

PlacementReport check_placement(const Topology& topology, const PlacementRequest& request) {
    hwloc_topology_t handle = topology.impl().handle;
    PlacementReport report;
    for (std::size_t i = 0; i < request.cores.size(); ++i) {
        check_core(handle, i, request.cores[i], report);
    }
    check_sharing(handle, request.cores, report);
    for (const auto& nic : request.nics) check_nic(handle, nic, request.cores, report);
    return report;
}

}  // namespace wye::drivers
