#include "drivers/placement/plan.hh"

#include <algorithm>
#include <utility>

#include "drivers/placement/plan_parts.hh"

namespace wye::drivers {
namespace {

Plan::Port port_of(const Machine& machine, const PlacementRequest::Port& port) {
    Plan::Port out{port.name, port.pci_address, {}, 0};
    if (const auto* nic = machine.find_nic(port.pci_address)) out.nodes = nic->nodes;
    return out;
}

Plan::Worker worker_of(const Machine& machine, std::uint32_t cpu, const Plan& plan) {
    Plan::Worker worker{cpu, {}};
    const auto* thread = machine.find_cpu(cpu);
    if (thread == nullptr) return worker;
    const std::uint32_t node = machine.core_of(*thread).node;
    for (const auto& port : plan.ports) {
        if (!port.nodes.empty() && !near(port.nodes, node)) worker.far_ports.push_back(port.name);
    }
    return worker;
}

}  // namespace

bool near(const std::vector<std::uint32_t>& nodes, std::uint32_t node) {
    return std::ranges::find(nodes, node) != nodes.end();
}

std::vector<std::uint32_t> nodes_of_nics(const Machine& machine, const PlacementRequest& request) {
    std::vector<std::uint32_t> nodes;
    for (const auto& port : request.ports) {
        const auto* nic = machine.find_nic(port.pci_address);
        if (nic != nullptr) nodes.insert(nodes.end(), nic->nodes.begin(), nic->nodes.end());
    }
    return nodes;
}

std::vector<std::uint32_t> Plan::worker_cpus() const {
    std::vector<std::uint32_t> cpus;
    for (const Worker& worker : workers) cpus.push_back(worker.cpu);
    return cpus;
}

std::vector<std::uint32_t> Plan::other_cpus() const {
    std::vector<std::uint32_t> cpus;
    for (const OtherThread& other : others) cpus.push_back(other.cpu);
    std::ranges::sort(cpus);
    cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
    return cpus;
}

Plan plan_placement(const Machine& machine, const PlacementRequest& request) {
    Plan plan;
    plan.proposed = request.cores.empty();
    const auto cpus = plan.proposed ? propose_workers(machine, request) : request.cores;
    for (const auto& port : request.ports) {
        plan.ports.push_back(port_of(machine, port));
        plan.ports.back().queues = static_cast<std::uint32_t>(cpus.size());
    }
    for (const std::uint32_t cpu : cpus) {
        plan.workers.push_back(worker_of(machine, cpu, plan));
    }
    plan.others = place_others(machine, request, cpus);
    plan.memory = plan_memory(machine, request, plan);
    plan.advice = advise(machine, request, plan);
    return plan;
}

}  // namespace wye::drivers
