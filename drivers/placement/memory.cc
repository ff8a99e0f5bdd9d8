#include <algorithm>
#include <map>
#include <set>

#include "drivers/placement/plan_parts.hh"

namespace wye::drivers {
namespace {

// As drivers/ethdev/mbuf_pool.cc lays buffers out: header, private area, headroom, room, pool's.
constexpr std::uint64_t kBufferOverhead = 128 + 192 + 128 + 128;
constexpr std::uint64_t kSmallestRoom = 2048;
constexpr std::uint64_t kFrameOverhead = 14 + 8 + 192;  // Ethernet, two tags, what stays free
constexpr std::uint32_t kHeldByWorker = 1024;  // of each pool: its cache, a burst, held packets
constexpr std::uint32_t kOfDpdkAlone = 4;      // MiB, where it needs some and has no pool
constexpr std::uint64_t kHugePage = 2u << 20;

std::uint64_t buffer_bytes(const PlacementRequest& request) {
    std::uint64_t room = kSmallestRoom;
    for (const auto& port : request.ports) {
        room = std::max(room, std::uint64_t{port.mtu} + kFrameOverhead);
    }
    return kBufferOverhead + room;
}

std::set<std::uint32_t> nodes_with_cpus(const Machine& machine) {
    std::set<std::uint32_t> nodes;
    for (const auto& core : machine.cores) nodes.insert(core.node);
    return nodes;
}

/// Where most workers are; of as many, where the first of them is.
std::uint32_t node_of_most(const std::vector<Plan::Worker>& workers) {
    std::map<std::uint32_t, std::size_t> counts;
    std::size_t most = 0;
    for (const auto& worker : workers) most = std::max(most, ++counts[worker.node]);
    for (const auto& worker : workers) {
        if (counts[worker.node] == most) return worker.node;
    }
    return 0;
}

/// A device writes to the memory next to it. DPDK takes none of a node without CPUs.
std::uint32_t node_for(const Plan::Port& port, std::uint32_t home,
                       const std::set<std::uint32_t>& with_cpus) {
    if (near(port.nodes, home)) return home;
    for (const std::uint32_t node : port.nodes) {
        if (with_cpus.contains(node)) return node;
    }
    return home;
}

/// Where DPDK itself needs some memory: at a NIC for its queues and its driver, and where the process
/// runs if that is only one node.
std::set<std::uint32_t> nodes_of_dpdk(const Machine& machine, const Plan& plan) {
    const std::set<std::uint32_t> with_cpus = nodes_with_cpus(machine);
    std::set<std::uint32_t> allowed, nodes;
    for (const auto& thread : machine.threads) {
        if (thread.allowed) allowed.insert(machine.core_of(thread).node);
    }
    if (allowed.size() == 1) nodes = allowed;
    for (const auto& port : plan.ports) {
        if (port.nodes.size() == 1 && with_cpus.contains(port.nodes.front())) {
            nodes.insert(port.nodes.front());
        }
    }
    return nodes;
}

/// What is sent lies in the pool that it was received into, so any port's queue may hold any
/// pool's buffers until they are sent, and any worker some of each.
std::map<std::uint32_t, std::uint64_t> held_of_each_pool(const PlacementRequest& request,
                                                         const Plan& plan) {
    std::map<std::uint32_t, std::uint64_t> held{{plan.default_pool, 0}};
    for (const auto& port : plan.ports) held[port.buffers_on] = 0;
    for (auto& [node, buffers] : held) {
        buffers = std::uint64_t{kHeldByWorker} * plan.workers.size();
        for (std::size_t i = 0; i < plan.ports.size(); ++i) {
            const auto& port = request.ports[i];
            buffers += std::uint64_t{plan.ports[i].queues} * port.tx_descriptors;
            if (plan.ports[i].buffers_on != node) continue;
            buffers += std::uint64_t{plan.ports[i].queues} * port.rx_descriptors;
        }
    }
    return held;
}

}  // namespace

std::uint64_t buffers_in(std::uint32_t megabytes, const PlacementRequest& request) {
    return (std::uint64_t{megabytes} << 20) * 3 / 4 / buffer_bytes(request);
}

void place_buffers(const Machine& machine, const PlacementRequest& request, Plan& plan) {
    const std::set<std::uint32_t> nodes = nodes_with_cpus(machine);
    plan.several_nodes = nodes.size() > 1;
    plan.home = node_of_most(plan.workers);
    plan.default_pool = plan.home;
    if (plan.ports.empty()) return;
    bool at_home = false;
    for (auto& port : plan.ports) {
        port.buffers_on = request.one_pool ? *nodes.begin() : node_for(port, plan.home, nodes);
        at_home = at_home || port.buffers_on == plan.home;
    }
    if (!at_home) plan.default_pool = plan.ports.front().buffers_on;
}

std::vector<Plan::NodeMemory> plan_memory(const Machine& machine, const PlacementRequest& request,
                                          const Plan& plan) {
    if (plan.workers.empty()) return {};
    std::map<std::uint32_t, Plan::NodeMemory> memory;
    const auto held = held_of_each_pool(request, plan);
    std::uint64_t all = 0;
    for (const auto& [node, buffers] : held) all += buffers;
    for (const auto& [node, buffers] : held) {
        auto& one = memory[node];
        one.buffers_held = static_cast<std::uint32_t>(buffers);
        one.megabytes = static_cast<std::uint32_t>((request.megabytes * buffers + all - 1) / all);
        one.buffers = static_cast<std::uint32_t>(buffers_in(one.megabytes, request));
    }
    for (const std::uint32_t node : nodes_of_dpdk(machine, plan)) {
        if (!held.contains(node)) memory[node].megabytes = kOfDpdkAlone;
    }
    if (request.table_bytes > 0) {
        memory[plan.home].table_pages =
            static_cast<std::uint32_t>((request.table_bytes + kHugePage - 1) / kHugePage);
    }
    std::vector<Plan::NodeMemory> list;
    for (auto& [node, one] : memory) {
        one.node = node;
        if (request.huge_pages) one.buffer_pages = (one.megabytes + 1) / 2;
        list.push_back(one);
    }
    return list;
}

}  // namespace wye::drivers
