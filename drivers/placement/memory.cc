#include <algorithm>
#include <map>

#include "drivers/placement/plan_parts.hh"

namespace wye::drivers {
namespace {

// As drivers/ethdev/mbuf_pool.cc lays buffers out: header, private area, headroom, room, pool's.
constexpr std::uint64_t kBufferOverhead = 128 + 192 + 128 + 128;
constexpr std::uint64_t kSmallestRoom = 2048;
constexpr std::uint64_t kFrameOverhead = 14 + 8 + 192;  // Ethernet, two tags, what stays free
constexpr std::uint32_t kHeldByWorker = 1024;           // its cache, a burst, held packets
constexpr std::uint64_t kHugePage = 2u << 20;

std::uint64_t buffer_bytes(const PlacementRequest& request) {
    std::uint64_t room = kSmallestRoom;
    for (const auto& port : request.ports) {
        room = std::max(room, std::uint64_t{port.mtu} + kFrameOverhead);
    }
    return kBufferOverhead + room;
}

std::uint32_t node_of_cpu(const Machine& machine, std::uint32_t cpu) {
    const auto* thread = machine.find_cpu(cpu);
    return thread == nullptr ? 0 : machine.core_of(*thread).node;
}

}  // namespace

std::uint64_t buffers_in(std::uint32_t megabytes, const PlacementRequest& request) {
    return (std::uint64_t{megabytes} << 20) * 3 / 4 / buffer_bytes(request);
}

std::vector<Plan::NodeMemory> plan_memory(const Machine& machine, const PlacementRequest& request,
                                          const Plan& plan) {
    if (plan.workers.empty()) return {};
    std::map<std::uint32_t, std::uint64_t> held;
    const std::uint32_t home = node_of_cpu(machine, plan.workers.front().cpu);
    for (const auto& worker : plan.workers) held[node_of_cpu(machine, worker.cpu)] += kHeldByWorker;
    for (std::size_t i = 0; i < plan.ports.size(); ++i) {
        const auto& nodes = plan.ports[i].nodes;
        const auto& port = request.ports[i];
        // A device writes to the memory next to it.
        const std::uint32_t node = nodes.empty() || near(nodes, home) ? home : nodes.front();
        held[node] +=
            std::uint64_t{plan.ports[i].queues} * (port.rx_descriptors + port.tx_descriptors);
    }
    std::uint64_t all = 0;
    for (const auto& [node, buffers] : held) all += buffers;
    const std::uint64_t made = buffers_in(request.megabytes, request);
    std::vector<Plan::NodeMemory> memory;
    for (const auto& [node, buffers] : held) {
        Plan::NodeMemory one;
        one.node = node;
        one.buffers_held = static_cast<std::uint32_t>(buffers);
        one.buffers = static_cast<std::uint32_t>(made * buffers / all);
        one.megabytes = static_cast<std::uint32_t>((request.megabytes * buffers + all - 1) / all);
        if (request.huge_pages) one.buffer_pages = (one.megabytes + 1) / 2;
        if (node == home) {
            one.table_pages =
                static_cast<std::uint32_t>((request.table_bytes + kHugePage - 1) / kHugePage);
        }
        memory.push_back(one);
    }
    return memory;
}

}  // namespace wye::drivers
