#include "drivers/placement/machine.hh"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>

#include "drivers/placement/topology_handle.hh"

namespace wye::drivers {
namespace {

constexpr unsigned kNetworkClass = 0x02;  // PCI base class
constexpr std::uint64_t kHugePage = 2u << 20;
constexpr std::uint32_t kHighestCpu = 8191;  // more than any kernel is built for

bool is_in(const std::vector<std::uint32_t>& set, std::uint32_t value) {
    return std::ranges::find(set, value) != set.end();
}

std::vector<std::uint32_t> numbers_of(hwloc_const_bitmap_t set) {
    std::vector<std::uint32_t> list;
    if (set == nullptr) return list;
    for (int i = hwloc_bitmap_first(set); i >= 0; i = hwloc_bitmap_next(set, i)) {
        list.push_back(static_cast<std::uint32_t>(i));
    }
    return list;
}

std::uint32_t package_of(hwloc_topology_t topology, hwloc_obj_t object) {
    hwloc_obj_t const package =
        object->type == HWLOC_OBJ_PACKAGE
            ? object
            : hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_PACKAGE, object);
    return package == nullptr ? 0 : package->os_index;
}

std::optional<std::uint64_t> huge_pages_of(hwloc_obj_t node) {
    const auto& memory = node->attr->numanode;
    for (unsigned i = 0; i < memory.page_types_len; ++i) {
        if (memory.page_types[i].size == kHugePage) return memory.page_types[i].count;
    }
    return std::nullopt;
}

void take_nodes(hwloc_topology_t topology, Machine& machine) {
    hwloc_obj_t node = nullptr;
    while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != nullptr) {
        machine.nodes.push_back({node->os_index, package_of(topology, node),
                                 node->attr->numanode.local_memory, huge_pages_of(node)});
    }
}

class CoreTaker {
  public:
    CoreTaker(hwloc_topology_t topology, const Isolation& isolation, Machine& machine)
        : topology_(topology), isolation_(isolation), machine_(machine) {}

    void take(hwloc_obj_t pu) {
        Machine::Thread thread;
        thread.cpu = pu->os_index;
        thread.core = core_of(pu);
        thread.allowed =
            hwloc_bitmap_isset(hwloc_topology_get_allowed_cpuset(topology_), pu->os_index) != 0;
        thread.isolated = is_in(isolation_.isolated, thread.cpu);
        thread.tickless = is_in(isolation_.tickless, thread.cpu);
        machine_.cores[thread.core].threads.push_back(machine_.threads.size());
        machine_.threads.push_back(thread);
    }

  private:
    /// A topology without cores has one for each thread.
    std::size_t core_of(hwloc_obj_t pu) {
        hwloc_obj_t object = hwloc_get_ancestor_obj_by_type(topology_, HWLOC_OBJ_CORE, pu);
        if (object == nullptr) object = pu;
        const auto [known, is_new] = cores_.emplace(object, machine_.cores.size());
        if (!is_new) return known->second;
        Machine::Core core;
        core.package = package_of(topology_, pu);
        core.node = static_cast<std::uint32_t>(std::max(hwloc_bitmap_first(pu->nodeset), 0));
        core.cache = cache_of(pu);
        if (!is_in(machine_.packages, core.package)) machine_.packages.push_back(core.package);
        machine_.cores.push_back(std::move(core));
        return known->second;
    }

    std::optional<std::size_t> cache_of(hwloc_obj_t pu) {
        hwloc_obj_t object = hwloc_get_ancestor_obj_by_type(topology_, HWLOC_OBJ_L3CACHE, pu);
        if (object == nullptr) return std::nullopt;
        const auto [known, is_new] = caches_.emplace(object, machine_.caches.size());
        if (is_new) machine_.caches.push_back({object->attr->cache.size});
        return known->second;
    }

    hwloc_topology_t topology_;
    const Isolation& isolation_;
    Machine& machine_;
    std::map<hwloc_obj_t, std::size_t> cores_, caches_;
};

/// The nodes near a device. hwloc hangs one that the firmware says nothing of under the machine.
std::vector<std::uint32_t> nodes_near(hwloc_topology_t topology, hwloc_obj_t device,
                                      std::size_t nodes) {
    hwloc_obj_t const place = hwloc_get_non_io_ancestor_obj(topology, device);
    if (place == nullptr) return {};
    if (place->type == HWLOC_OBJ_MACHINE && nodes > 1) return {};
    return numbers_of(place->nodeset);
}

void take_nics(hwloc_topology_t topology, Machine& machine) {
    hwloc_obj_t device = nullptr;
    while ((device = hwloc_get_next_pcidev(topology, device)) != nullptr) {
        const auto& pci = device->attr->pcidev;
        if (pci.class_id >> 8 != kNetworkClass) continue;
        Machine::Nic nic;
        nic.address = fmt::format("{:04x}:{:02x}:{:02x}.{:x}", unsigned{pci.domain}, pci.bus,
                                  pci.dev, pci.func);
        nic.vendor = pci.vendor_id;
        nic.device = pci.device_id;
        nic.nodes = nodes_near(topology, device, machine.nodes.size());
        for (hwloc_obj_t os = device->io_first_child; os != nullptr; os = os->next_sibling) {
            if (os->type == HWLOC_OBJ_OS_DEVICE &&
                os->attr->osdev.type == HWLOC_OBJ_OSDEV_NETWORK) {
                nic.interfaces.emplace_back(os->name);
            }
        }
        machine.nics.push_back(std::move(nic));
    }
}

std::optional<std::uint32_t> parse_cpu(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value > kHighestCpu ? std::nullopt : std::optional(value);
}

std::vector<std::uint32_t> read_list(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return parse_cpu_list(line).value_or(std::vector<std::uint32_t>{});
}

}  // namespace

const Machine::Thread* Machine::find_cpu(std::uint32_t cpu) const {
    const auto found = std::ranges::find(threads, cpu, &Thread::cpu);
    return found == threads.end() ? nullptr : &*found;
}

const Machine::Nic* Machine::find_nic(std::string_view address) const {
    const auto found = std::ranges::find(nics, address, &Nic::address);
    return found == nics.end() ? nullptr : &*found;
}

const Machine::Node* Machine::find_node(std::uint32_t number) const {
    const auto found = std::ranges::find(nodes, number, &Node::number);
    return found == nodes.end() ? nullptr : &*found;
}

std::optional<std::vector<std::uint32_t>> parse_cpu_list(std::string_view text) {
    std::vector<std::uint32_t> cpus;
    while (!text.empty()) {
        const std::string_view part = text.substr(0, text.find(','));
        text.remove_prefix(std::min(part.size() + 1, text.size()));
        const std::size_t dash = part.find('-');
        const auto first = parse_cpu(part.substr(0, dash));
        const auto last = dash == std::string_view::npos ? first : parse_cpu(part.substr(dash + 1));
        if (!first || !last || *last < *first) return std::nullopt;
        for (std::uint32_t cpu = *first; cpu <= *last; ++cpu) cpus.push_back(cpu);
    }
    return cpus;
}

std::string cpu_list(std::vector<std::uint32_t> cpus) {
    std::ranges::sort(cpus);
    std::string list;
    for (std::size_t i = 0; i < cpus.size();) {
        std::size_t last = i;
        while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
        list += (list.empty() ? "" : ",") + std::to_string(cpus[i]);
        if (last > i) list += (last > i + 1 ? "-" : ",") + std::to_string(cpus[last]);
        i = last + 1;
    }
    return list;
}

Isolation read_isolation(const std::string& sys) {
    const std::string folder = sys + "/devices/system/cpu/";
    return {read_list(folder + "isolated"), read_list(folder + "nohz_full")};
}

Machine machine_of(const Topology& topology, const Isolation& isolation) {
    hwloc_topology_t const handle = topology.impl().handle;
    Machine machine;
    take_nodes(handle, machine);
    CoreTaker taker(handle, isolation, machine);
    hwloc_obj_t pu = nullptr;
    while ((pu = hwloc_get_next_obj_by_type(handle, HWLOC_OBJ_PU, pu)) != nullptr) taker.take(pu);
    take_nics(handle, machine);
    return machine;
}

}  // namespace wye::drivers
