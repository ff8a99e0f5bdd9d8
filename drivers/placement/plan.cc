#include "drivers/placement/plan.hh"

#include <algorithm>
#include <utility>

#include "drivers/placement/plan_parts.hh"

namespace wye::drivers {
namespace {

bool is_in(const std::vector<std::string>& list, const std::string& one) {
    return std::ranges::find(list, one) != list.end();
}

Plan::Port port_of(const Machine& machine, const PlacementRequest::Port& port) {
    Plan::Port out;
    out.name = port.name;
    out.pci_address = port.pci_address;
    if (const auto* nic = nic_of(machine, port)) {
        out.pci_address = nic->address;
        out.nodes = nic->nodes;
    }
    return out;
}

Plan::Worker worker_of(const Machine& machine, std::uint32_t cpu, const Plan& plan) {
    Plan::Worker worker{cpu, 0, {}};
    const auto* thread = machine.find_cpu(cpu);
    if (thread == nullptr) return worker;
    worker.node = machine.core_of(*thread).node;
    for (const auto& port : plan.ports) {
        if (!port.nodes.empty() && !near(port.nodes, worker.node)) {
            worker.far_ports.push_back(port.name);
        }
    }
    return worker;
}

}  // namespace

const Machine::Nic* nic_of(const Machine& machine, const PlacementRequest::Port& port) {
    if (!port.pci_address.empty()) return machine.find_nic(port.pci_address);
    if (port.interface.empty()) return nullptr;
    const auto found = std::ranges::find_if(
        machine.nics, [&](const auto& nic) { return is_in(nic.interfaces, port.interface); });
    return found == machine.nics.end() ? nullptr : &*found;
}

bool near(const std::vector<std::uint32_t>& nodes, std::uint32_t node) {
    return std::ranges::find(nodes, node) != nodes.end();
}

std::vector<std::uint32_t> nodes_of_nics(const Machine& machine, const PlacementRequest& request) {
    std::vector<std::uint32_t> nodes;
    for (const auto& port : request.ports) {
        const auto* nic = nic_of(machine, port);
        if (nic != nullptr) nodes.insert(nodes.end(), nic->nodes.begin(), nic->nodes.end());
    }
    return nodes;
}

const Plan::NodeMemory* Plan::memory_of(std::uint32_t node) const {
    const auto found = std::ranges::find(memory, node, &NodeMemory::node);
    return found == memory.end() ? nullptr : &*found;
}

std::vector<std::uint32_t> Plan::pools() const {
    std::vector<std::uint32_t> nodes{default_pool};
    for (const Port& port : ports) {
        if (!near(nodes, port.buffers_on)) nodes.push_back(port.buffers_on);
    }
    return nodes;
}

std::uint32_t Plan::pool_for(std::uint32_t cpu) const {
    const auto worker = std::ranges::find(workers, cpu, &Worker::cpu);
    if (worker == workers.end()) return default_pool;
    return near(pools(), worker->node) ? worker->node : default_pool;
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
    place_buffers(machine, request, plan);
    plan.memory = plan_memory(machine, request, plan);
    plan.advice = advise(machine, request, plan);
    return plan;
}

}  // namespace wye::drivers
