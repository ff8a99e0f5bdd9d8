#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "drivers/placement/plan_parts.hh"

namespace wye::drivers {
namespace {

using Severity = Advice::Severity;

class Adviser {
  public:
    Adviser(const Machine& machine, const PlacementRequest& request, const Plan& plan)
        : machine_(machine), request_(request), plan_(plan) {}

    std::vector<Advice> all() {
        check_cores();
        check_number();
        check_siblings();
        check_others();
        check_nics();
        check_isolation();
        check_shared_cores();
        check_memory();
        check_huge_pages();
        std::ranges::stable_sort(advice_, {}, &Advice::severity);
        return std::move(advice_);
    }

  private:
    void say(Severity severity, std::string text, std::string fix) {
        advice_.push_back({severity, std::move(text), std::move(fix)});
    }

    [[nodiscard]] const Machine::Thread* thread_of(std::size_t worker) const {
        return machine_.find_cpu(plan_.workers[worker].cpu);
    }

    template <class Wanted>
    [[nodiscard]] std::vector<std::uint32_t> cpus_where(Wanted wanted) const {
        std::vector<std::uint32_t> cpus;
        for (const auto& thread : machine_.threads) {
            if (wanted(thread)) cpus.push_back(thread.cpu);
        }
        return cpus;
    }

    [[nodiscard]] bool is_worker(std::uint32_t cpu) const {
        return std::ranges::find(plan_.workers, cpu, &Plan::Worker::cpu) != plan_.workers.end();
    }

    /// "worker 3 (core 5)", "workers 1, 2 (cores 3, 4)".
    [[nodiscard]] std::string words_for(const std::vector<std::size_t>& workers) const {
        std::vector<std::uint32_t> cpus;
        for (const std::size_t worker : workers) cpus.push_back(plan_.workers[worker].cpu);
        const char* const s = workers.size() == 1 ? "" : "s";
        return fmt::format("worker{} {} (core{} {})", s, fmt::join(workers, ", "), s,
                           fmt::join(cpus, ", "));
    }

    void check_cores() {
        const auto all = cpu_list(cpus_where([](const auto&) { return true; }));
        const auto allowed = cpu_list(cpus_where([](const auto& t) { return t.allowed; }));
        std::map<std::uint32_t, std::size_t> taken;
        for (std::size_t i = 0; i < plan_.workers.size(); ++i) {
            const std::uint32_t cpu = plan_.workers[i].cpu;
            const auto* thread = thread_of(i);
            if (thread == nullptr) {
                say(Severity::refusal,
                    fmt::format("worker {}: core {} does not exist; this machine has {}", i, cpu,
                                all),
                    fmt::format("give workers[{}] a core of {}", i, allowed));
            } else if (!thread->allowed) {
                say(Severity::refusal,
                    fmt::format("worker {}: core {} is not allowed for this process (cpuset); "
                                "allowed: {}",
                                i, cpu, allowed),
                    "give it another, or widen AllowedCPUs= of the service");
            }
            const auto [other, fresh] = taken.emplace(cpu, i);
            if (fresh) continue;
            say(Severity::refusal,
                fmt::format("workers {} and {} are both on core {}; give each its own",
                            other->second, i, cpu),
                fmt::format("choose another core for workers[{}]", i));
        }
    }

    void check_number() {
        if (!plan_.proposed || request_.workers <= plan_.workers.size()) return;
        say(Severity::warning,
            fmt::format("there is room for {} workers, not for {}", plan_.workers.size(),
                        request_.workers),
            "ask for fewer workers");
    }

    void check_siblings() {
        std::map<std::size_t, std::vector<std::size_t>> of_core;
        for (std::size_t i = 0; i < plan_.workers.size(); ++i) {
            const auto* thread = thread_of(i);
            if (thread != nullptr) of_core[thread->core].push_back(i);
        }
        for (const auto& [core, workers] : of_core) {
            std::set<std::uint32_t> cpus;
            for (const std::size_t worker : workers) cpus.insert(plan_.workers[worker].cpu);
            if (cpus.size() < 2) continue;
            const auto free = free_cores(machine_.cores[core].node);
            say(Severity::warning,
                fmt::format("{} are hardware threads of one physical core and will slow each other "
                            "down",
                            words_for(workers)),
                free.empty()
                    ? "have fewer workers, or use cores of another node"
                    : fmt::format("move all but one to cores that are free: {}", cpu_list(free)));
        }
    }

    /// First threads of the node's cores without a worker; CPU 0 is nothing to advise.
    [[nodiscard]] std::vector<std::uint32_t> free_cores(std::uint32_t node) const {
        std::vector<std::uint32_t> cpus;
        for (const auto& core : machine_.cores) {
            if (core.node != node) continue;
            const auto& first = machine_.threads[core.threads.front()];
            const bool busy = std::ranges::any_of(core.threads, [&](std::size_t thread) {
                return is_worker(machine_.threads[thread].cpu);
            });
            if (!busy && first.allowed && first.cpu != 0) cpus.push_back(first.cpu);
        }
        return cpus;
    }

    void check_others() {
        if (!plan_.others.empty()) {
            const auto* home = machine_.find_cpu(plan_.others.front().cpu);
            if (home == nullptr || !home->isolated) return;
            say(Severity::warning,
                "every CPU that is left for the other threads is isolated: the scheduler will not "
                "spread them",
                "leave a CPU out of isolcpus");
            return;
        }
        say(Severity::warning,
            "no CPU is left for the other threads (control, host, shim, FRR): they take time from "
            "workers",
            "have one worker fewer");
    }

    void check_nics() {
        std::map<std::vector<std::uint32_t>, std::vector<const Plan::Port*>> of_place;
        for (const auto& port : plan_.ports) {
            if (port.pci_address.empty()) continue;
            if (machine_.find_nic(port.pci_address) == nullptr) {
                say(Severity::hint,
                    fmt::format("port \"{}\": there is no network device {}", port.name,
                                port.pci_address),
                    "see lspci -D; a VF is there after wyectl host apply");
            } else if (port.nodes.empty()) {
                say(Severity::hint,
                    fmt::format("port \"{}\" ({}): the machine does not tell which NUMA node it is "
                                "near",
                                port.name, port.pci_address),
                    "update the firmware, or see the board's manual for the slot");
            } else {
                of_place[port.nodes].push_back(&port);
            }
        }
        for (const auto& [nodes, ports] : of_place) check_distance(nodes, ports);
        if (of_place.size() < 2) return;
        say(Severity::warning,
            "the ports' NICs are on several NUMA nodes, and each worker polls each port: some of "
            "the packets always cross",
            "put the NICs into slots of one socket, or run an instance for each node");
    }

    /// Of workers that are near no port: who is near one has no better place.
    void check_distance(const std::vector<std::uint32_t>& near_nodes,
                        const std::vector<const Plan::Port*>& ports) {
        std::vector<std::size_t> far;
        std::set<std::uint32_t> nodes, packages;
        for (std::size_t i = 0; i < plan_.workers.size(); ++i) {
            const auto* thread = thread_of(i);
            if (thread == nullptr || near_some_port(machine_.core_of(*thread).node)) continue;
            far.push_back(i);
            nodes.insert(machine_.core_of(*thread).node);
            packages.insert(machine_.core_of(*thread).package);
        }
        if (far.empty()) return;
        std::vector<std::string> names, addresses;
        for (const auto* port : ports) {
            names.push_back("\"" + port->name + "\"");
            addresses.push_back(port->pci_address);
        }
        const auto* node = machine_.find_node(near_nodes.front());
        const bool same =
            node != nullptr && packages.size() == 1 && *packages.begin() == node->package;
        const auto local = cpus_where(
            [&](const auto& t) { return t.allowed && near(near_nodes, machine_.core_of(t).node); });
        const bool one = ports.size() == 1;
        std::vector<std::string> fixes;
        if (!local.empty()) fixes.push_back("use cores of " + cpu_list(local));
        if (!same) fixes.emplace_back("put the NIC into a slot of the workers' socket");
        if (fixes.empty()) fixes.emplace_back("allow the process cores of that node");
        say(Severity::warning,
            fmt::format("{} {} on NUMA node {}, but port{} {} ({}) {} on node {}: every packet "
                        "will cross {}",
                        words_for(far), far.size() == 1 ? "is" : "are", fmt::join(nodes, ", "),
                        one ? "" : "s", fmt::join(names, ", "), fmt::join(addresses, ", "),
                        one ? "is" : "are", fmt::join(near_nodes, ", "),
                        same ? "to another part of the socket" : "the sockets"),
            fmt::format("{}", fmt::join(fixes, ", or ")));
    }

    [[nodiscard]] bool near_some_port(std::uint32_t node) const {
        return std::ranges::any_of(plan_.ports,
                                   [&](const auto& port) { return near(port.nodes, node); });
    }

    void check_isolation() {
        std::vector<std::uint32_t> wanted, unisolated, ticking;
        for (std::size_t i = 0; i < plan_.workers.size(); ++i) {
            const auto* thread = thread_of(i);
            if (thread == nullptr) continue;
            wanted.push_back(thread->cpu);
            if (!thread->isolated) unisolated.push_back(thread->cpu);
            if (!thread->tickless) ticking.push_back(thread->cpu);
        }
        const std::string list = cpu_list(wanted);
        const std::string fix = fmt::format(
            "boot Linux with isolcpus=managed_irq,domain,{0} nohz_full={0} "
            "rcu_nocbs={0} (GRUB_CMDLINE_LINUX)",
            list);
        if (!unisolated.empty()) {
            say(Severity::hint,
                fmt::format("Linux may run other tasks on workers' cores: {} not isolated",
                            cpu_list(unisolated)),
                fix);
        } else if (!ticking.empty()) {
            say(Severity::hint,
                fmt::format("the timer still ticks on workers' cores: {} not nohz_full",
                            cpu_list(ticking)),
                fix);
        }
        check_idle_isolated();
    }

    void check_idle_isolated() {
        std::set<std::size_t> used;
        for (std::size_t i = 0; i < plan_.workers.size(); ++i) {
            if (const auto* thread = thread_of(i)) used.insert(thread->core);
        }
        const auto idle = cpus_where(
            [&](const auto& t) { return t.allowed && t.isolated && !used.contains(t.core); });
        if (idle.empty()) return;
        say(Severity::hint, fmt::format("isolated and without a worker: {}", cpu_list(idle)),
            "give them workers, or leave them out of isolcpus");
    }

    void check_shared_cores() {
        std::vector<std::uint32_t> beside;
        bool boot_cpu = false;
        for (std::size_t i = 0; i < plan_.workers.size(); ++i) {
            const auto* thread = thread_of(i);
            if (thread == nullptr) continue;
            boot_cpu = boot_cpu || thread->cpu == 0;
            for (const std::size_t index : machine_.core_of(*thread).threads) {
                const auto& sibling = machine_.threads[index];
                if (!is_worker(sibling.cpu) && !sibling.isolated && sibling.allowed) {
                    beside.push_back(sibling.cpu);
                }
            }
        }
        if (boot_cpu && machine_.threads.size() > 1) {
            say(Severity::hint, "a worker is on CPU 0, where Linux has most interrupts and timers",
                "give it another core");
        }
        if (beside.empty()) return;
        std::ranges::sort(beside);
        beside.erase(std::unique(beside.begin(), beside.end()), beside.end());
        say(Severity::hint,
            fmt::format("second hardware threads of workers' cores can be given to other tasks: {}",
                        cpu_list(beside)),
            "isolate them too, or switch them off: echo 0 > "
            "/sys/devices/system/cpu/cpuN/online");
    }

    void check_memory() {
        std::uint64_t held = 0;
        for (const auto& node : plan_.memory) held += node.buffers_held;
        const std::uint64_t made = buffers_in(request_.megabytes, request_);
        if (held <= made) return;
        std::uint32_t enough = request_.megabytes;
        while (buffers_in(enough, request_) < held) enough += 64;
        say(Severity::warning,
            fmt::format("memory.megabytes: {} MiB make {} packet buffers, but {} ports and {} "
                        "workers can hold {}: a busy port would starve the rest",
                        request_.megabytes, made, plan_.ports.size(), plan_.workers.size(), held),
            fmt::format("memory.megabytes: {}, or fewer descriptors", enough));
    }

    void check_huge_pages() {
        for (const auto& wanted : plan_.memory) {
            const auto* node = machine_.find_node(wanted.node);
            if (node == nullptr || !node->huge_pages) continue;
            const std::uint64_t there = *node->huge_pages;
            const std::uint64_t all = wanted.buffer_pages + wanted.table_pages;
            const std::string fix = fmt::format(
                "echo {} > /sys/devices/system/node/node{}/hugepages/"
                "hugepages-2048kB/nr_hugepages",
                all, wanted.node);
            if (there < wanted.buffer_pages) {
                say(Severity::hint,
                    fmt::format("NUMA node {} has {} huge pages of 2 MiB, packet buffers want {}",
                                wanted.node, there, wanted.buffer_pages),
                    fix);
            } else if (there < all) {
                say(Severity::hint,
                    fmt::format("NUMA node {} has {} huge pages of 2 MiB; packet buffers take {}, "
                                "and the tables could take {}, so they lie in ordinary memory",
                                wanted.node, there, wanted.buffer_pages, wanted.table_pages),
                    fix + ", or lower limits.table_megabytes");
            }
        }
    }

    const Machine& machine_;
    const PlacementRequest& request_;
    const Plan& plan_;
    std::vector<Advice> advice_;
};

}  // namespace

std::vector<Advice> advise(const Machine& machine, const PlacementRequest& request,
                           const Plan& plan) {
    return Adviser(machine, request, plan).all();
}

}  // namespace wye::drivers
