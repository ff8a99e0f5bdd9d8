#include "controlplane-shim/host/placement_words.hh"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace wye::host {
namespace {

using drivers::Machine;
using drivers::Plan;
using nlohmann::json;

template <class Wanted>
std::vector<std::uint32_t> cpus_where(const Machine& machine, Wanted wanted) {
    std::vector<std::uint32_t> cpus;
    for (const auto& thread : machine.threads) {
        if (wanted(thread)) cpus.push_back(thread.cpu);
    }
    return cpus;
}

std::string isolated_list(const Machine& machine) {
    return drivers::cpu_list(cpus_where(machine, [](const auto& t) { return t.isolated; }));
}

std::string plural(std::size_t count, std::string_view word) {
    return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

std::string machine_words(const Machine& machine) {
    const std::string isolated = isolated_list(machine);
    return fmt::format(
        "machine: {}, {}, {}, {}; isolated: {}\n", plural(machine.packages.size(), "package"),
        plural(machine.nodes.size(), "NUMA node"), plural(machine.cores.size(), "core"),
        plural(machine.threads.size(), "CPU"), isolated.empty() ? "none" : isolated);
}

/// "node 1, package 1, beside CPU 37".
std::string where(const Machine& machine, std::uint32_t cpu) {
    const auto* thread = machine.find_cpu(cpu);
    if (thread == nullptr) return "is not there";
    const auto& core = machine.core_of(*thread);
    std::string words = fmt::format("node {}, package {}", core.node, core.package);
    std::vector<std::uint32_t> siblings;
    for (const std::size_t index : core.threads) {
        if (machine.threads[index].cpu != cpu) siblings.push_back(machine.threads[index].cpu);
    }
    if (!siblings.empty()) words += ", beside CPU " + drivers::cpu_list(siblings);
    if (thread->isolated) words += ", isolated";
    return words;
}

std::string port_words(const Machine& machine, const Plan& plan, const Plan::Port& port) {
    std::string place = "no PCI device";
    if (!port.pci_address.empty()) {
        place = port.pci_address + ", ";
        place += machine.find_nic(port.pci_address) == nullptr ? "not there"
                 : port.nodes.empty()                          ? "its node is not known"
                                      : fmt::format("node {}", fmt::join(port.nodes, ", "));
    }
    const std::string buffers =
        plan.several_nodes ? fmt::format(", buffers on node {}", port.buffers_on) : "";
    return fmt::format("  {}: {}; {}{}\n", port.name, place, plural(port.queues, "queue"), buffers);
}

std::string memory_words(const Plan::NodeMemory& node) {
    std::string words =
        node.buffers == 0
            ? fmt::format("  node {}: no packet buffers", node.node)
            : fmt::format(
                  "  node {}: {} packet buffers in {} MiB (queues and workers hold up to {})",
                  node.node, node.buffers, node.megabytes, node.buffers_held);
    if (node.buffer_pages > 0) words += fmt::format("; {} huge pages", node.buffer_pages);
    if (node.table_pages > 0) words += fmt::format(", {} more for full tables", node.table_pages);
    return words + "\n";
}

json thread_json(const Machine::Thread& thread) {
    return {{"cpu", thread.cpu},
            {"allowed", thread.allowed},
            {"isolated", thread.isolated},
            {"tickless", thread.tickless}};
}

json machine_json(const Machine& machine) {
    json out{{"packages", machine.packages}};
    for (const auto& node : machine.nodes) {
        out["nodes"].push_back(
            {{"node", node.number},
             {"package", node.package},
             {"memory_bytes", node.memory_bytes},
             {"huge_pages", node.huge_pages ? json(*node.huge_pages) : json(nullptr)}});
    }
    for (const auto& core : machine.cores) {
        json one{{"package", core.package}, {"node", core.node}};
        one["cache"] = core.cache ? json(*core.cache) : json(nullptr);
        for (const std::size_t index : core.threads) {
            one["threads"].push_back(thread_json(machine.threads[index]));
        }
        out["cores"].push_back(std::move(one));
    }
    out["nics"] = json::array();
    for (const auto& nic : machine.nics) {
        out["nics"].push_back(
            {{"address", nic.address}, {"interfaces", nic.interfaces}, {"nodes", nic.nodes}});
    }
    return out;
}

}  // namespace

std::string_view severity_name(drivers::Advice::Severity severity) {
    switch (severity) {
        case drivers::Advice::Severity::refusal:
            return "refused";
        case drivers::Advice::Severity::warning:
            return "warning";
        case drivers::Advice::Severity::hint:
            return "hint";
    }
    return "?";
}

std::string placement_words(const Machine& machine, const Plan& plan) {
    std::string out = machine_words(machine);
    out += plan.proposed ? "workers (proposed)\n" : "workers\n";
    for (std::size_t i = 0; i < plan.workers.size(); ++i) {
        const auto& worker = plan.workers[i];
        out += fmt::format("  worker {}: CPU {} ({})", i, worker.cpu, where(machine, worker.cpu));
        if (!worker.far_ports.empty()) {
            out += fmt::format("; far from {}", fmt::join(worker.far_ports, ", "));
        }
        out += "\n";
    }
    if (!plan.others.empty()) out += "other threads\n";
    for (const auto& other : plan.others) {
        out += fmt::format("  {}: CPU {} ({})\n", other.name, other.cpu, where(machine, other.cpu));
    }
    if (!plan.others.empty()) {
        const auto cpus = plan.other_cpus();
        out += fmt::format("  (CPUAffinity={} in the units of wye-shim and FRR)\n",
                           fmt::join(cpus, " "));
    }
    if (!plan.ports.empty()) out += "ports\n";
    for (const auto& port : plan.ports) out += port_words(machine, plan, port);
    if (!plan.memory.empty()) out += "memory\n";
    for (const auto& node : plan.memory) out += memory_words(node);
    out += plan.advice.empty() ? "nothing to improve\n" : "not ideal\n";
    for (const auto& advice : plan.advice) {
        out += fmt::format("  {}: {}\n    fix: {}\n", severity_name(advice.severity), advice.text,
                           advice.fix);
    }
    return out;
}

json placement_json(const Machine& machine, const Plan& plan) {
    json out{{"machine", machine_json(machine)}, {"proposed", plan.proposed},
             {"workers", json::array()},         {"others", json::array()},
             {"ports", json::array()},           {"memory", json::array()},
             {"advice", json::array()}};
    for (const auto& worker : plan.workers) {
        out["workers"].push_back({{"cpu", worker.cpu}, {"far_ports", worker.far_ports}});
    }
    for (const auto& other : plan.others) {
        out["others"].push_back({{"name", other.name}, {"cpu", other.cpu}});
    }
    for (const auto& port : plan.ports) {
        out["ports"].push_back({{"name", port.name},
                                {"pci_address", port.pci_address},
                                {"nodes", port.nodes},
                                {"queues", port.queues},
                                {"buffers_on", port.buffers_on}});
    }
    for (const auto& node : plan.memory) {
        out["memory"].push_back({{"node", node.node},
                                 {"buffers", node.buffers},
                                 {"buffers_held", node.buffers_held},
                                 {"megabytes", node.megabytes},
                                 {"buffer_pages", node.buffer_pages},
                                 {"table_pages", node.table_pages}});
    }
    for (const auto& advice : plan.advice) {
        out["advice"].push_back({{"severity", severity_name(advice.severity)},
                                 {"text", advice.text},
                                 {"fix", advice.fix}});
    }
    return out;
}

std::string workers_section(const Machine& machine, const Plan& plan) {
    std::string out = "workers:\n";
    for (const auto& worker : plan.workers) {
        out += fmt::format("  - core: {:<5} # {}\n", worker.cpu, where(machine, worker.cpu));
    }
    return out;
}

}  // namespace wye::host
