// Proposals on random machines, judged by counting: what must hold of any good plan.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "drivers/placement/plan.hh"
#include "tests/unit/drivers/topology_samples.hh"

namespace wye::drivers {
namespace {

using Cpus = std::set<std::uint32_t>;

struct Case {
    Machine machine;
    PlacementRequest request;
    std::string words;
};

class Random {
  public:
    explicit Random(std::uint64_t seed) : engine_(seed) {}
    std::uint32_t below(std::uint32_t limit) {
        return std::uniform_int_distribution<std::uint32_t>(0, limit - 1)(engine_);
    }

  private:
    std::mt19937_64 engine_;
};

Case random_case(Random& random) {
    Case one;
    const std::uint32_t packages = 1 + random.below(2), clusters = 1 + random.below(2);
    const std::uint32_t cores = 1 + random.below(6), threads = 1 + random.below(2);
    one.words = "package:" + std::to_string(packages) + " group:" + std::to_string(clusters) +
                " [numa] core:" + std::to_string(cores) + " pu:" + std::to_string(threads);
    const std::uint32_t cpus = packages * clusters * cores * threads;
    std::vector<std::uint32_t> allowed;
    if (random.below(3) == 0) {
        for (std::uint32_t cpu = 0; cpu < cpus; ++cpu) {
            if (random.below(4) != 0) allowed.push_back(cpu);
        }
    }
    Isolation isolation;
    if (random.below(3) == 0) {
        for (std::uint32_t cpu = 0; cpu < cpus; ++cpu) {
            if (random.below(2) == 0) isolation.isolated.push_back(cpu);
        }
    }
    one.machine = synthetic_machine(one.words, allowed, isolation);
    for (std::uint32_t i = random.below(3); i > 0; --i) {
        Machine::Nic nic;
        nic.address = "0000:0" + std::to_string(i) + ":00.0";
        if (random.below(5) != 0) nic.nodes.push_back(random.below(packages * clusters));
        one.machine.nics.push_back(nic);
        one.request.ports.push_back({"port" + std::to_string(i), nic.address, 512, 512, 1500, ""});
    }
    one.request.workers = random.below(cpus + 2);
    one.words += " allowed " + cpu_list(allowed) + " isolated " + cpu_list(isolation.isolated) +
                 " workers " + std::to_string(one.request.workers);
    for (const auto& nic : one.machine.nics) one.words += " nic " + cpu_list(nic.nodes);
    return one;
}

class Judge {
  public:
    explicit Judge(const Case& one)
        : machine_(one.machine), request_(one.request), plan_(plan_placement(machine_, request_)) {
        for (const auto& worker : plan_.workers) workers_.insert(worker.cpu);
        for (const auto& nic : machine_.nics) homes_.insert(nic.nodes.begin(), nic.nodes.end());
        for (const auto& thread : machine_.threads) {
            if (!thread.allowed) continue;
            allowed_.insert(thread.cpu);
            if (thread.isolated) isolated_.insert(thread.cpu);
        }
    }

    void judge() const {
        ASSERT_FALSE(plan_.workers.empty());
        EXPECT_EQ(workers_.size(), plan_.workers.size()) << "a CPU twice";
        EXPECT_TRUE(std::ranges::includes(allowed_, workers_)) << "a CPU that is not allowed";
        if (request_.workers > 0) {
            EXPECT_LE(plan_.workers.size(), request_.workers);
        }
        judge_others();
        judge_siblings();
        judge_isolated();
        judge_distance();
        judge_words();
    }

  private:
    [[nodiscard]] const Machine::Core& core_of(std::uint32_t cpu) const {
        return machine_.core_of(*machine_.find_cpu(cpu));
    }
    [[nodiscard]] std::size_t core_number(std::uint32_t cpu) const {
        return machine_.find_cpu(cpu)->core;
    }
    [[nodiscard]] std::size_t sharing() const {
        std::set<std::size_t> cores;
        for (const std::uint32_t cpu : workers_) cores.insert(core_number(cpu));
        return workers_.size() - cores.size();
    }
    [[nodiscard]] std::set<std::size_t> cores_of(const Cpus& cpus) const {
        std::set<std::size_t> cores;
        for (const std::uint32_t cpu : cpus) cores.insert(core_number(cpu));
        return cores;
    }

    void judge_others() const {
        if (allowed_.size() == 1) return;
        EXPECT_EQ(plan_.others.size(), 5u) << "no CPU is left";
        bool free_plain = false;  // a CPU that is neither isolated nor on a worker's core
        for (const std::uint32_t cpu : allowed_) {
            free_plain = free_plain || (!isolated_.contains(cpu) &&
                                        !cores_of(workers_).contains(core_number(cpu)));
        }
        for (const auto& other : plan_.others) {
            EXPECT_TRUE(allowed_.contains(other.cpu));
            EXPECT_FALSE(workers_.contains(other.cpu)) << other.name << " on a worker's CPU";
            if (!free_plain) continue;
            EXPECT_FALSE(isolated_.contains(other.cpu)) << other.name;
            EXPECT_FALSE(cores_of(workers_).contains(core_number(other.cpu))) << other.name;
        }
    }

    /// A core is shared only when every core that could be had has a worker.
    void judge_siblings() const {
        if (sharing() == 0) return;
        EXPECT_EQ(cores_of(workers_).size(),
                  cores_of(allowed_).size() - cores_without_use().size());
    }
    /// With isolated CPUs, cores that have none of them are left to the others.
    [[nodiscard]] std::set<std::size_t> cores_without_use() const {
        std::set<std::size_t> cores;
        if (isolated_.empty()) return cores;
        const auto used = cores_of(workers_), usable = cores_of(isolated_);
        for (const std::size_t core : cores_of(allowed_)) {
            if (!usable.contains(core) && !used.contains(core)) cores.insert(core);
        }
        return cores;
    }

    void judge_isolated() const {
        if (isolated_.empty()) return;
        std::size_t plain = 0;
        for (const std::uint32_t cpu : workers_) plain += isolated_.contains(cpu) ? 0u : 1u;
        if (plain == 0) return;
        EXPECT_TRUE(std::ranges::includes(workers_, isolated_))
            << "a worker beside isolated CPUs that are free";
    }

    /// Far from every NIC only when no whole core near one is left but those that are kept.
    void judge_distance() const {
        if (homes_.empty()) return;
        bool far = false;
        for (const std::uint32_t cpu : workers_) far = far || !homes_.contains(core_of(cpu).node);
        if (!far || sharing() > 0) return;
        std::set<std::size_t> left;
        for (const std::uint32_t cpu : isolated_.empty() ? allowed_ : isolated_) {
            if (homes_.contains(core_of(cpu).node) &&
                !cores_of(workers_).contains(core_number(cpu))) {
                left.insert(core_number(cpu));
            }
        }
        EXPECT_LE(left.size(), 2u) << "cores near a NIC are free";
    }

    /// What was said is so.
    void judge_words() const {
        for (const auto& worker : plan_.workers) {
            const std::uint32_t node = core_of(worker.cpu).node;
            std::size_t far = 0;
            for (const auto& nic : machine_.nics) {
                far += !nic.nodes.empty() && nic.nodes.front() != node ? 1u : 0u;
            }
            EXPECT_EQ(worker.far_ports.size(), far);
        }
        bool said = false;
        for (const auto& advice : plan_.advice) {
            EXPECT_NE(advice.severity, Advice::Severity::refusal) << advice.text;
            said = said || advice.text.find("hardware threads of one") != std::string::npos;
        }
        EXPECT_EQ(said, sharing() > 0);
        std::uint64_t megabytes = 0;
        for (const auto& node : plan_.memory) megabytes += node.megabytes;
        EXPECT_GE(megabytes, request_.megabytes);
        EXPECT_LE(megabytes, request_.megabytes + 4 * plan_.memory.size());  // DPDK's own
        judge_buffers();
    }

    /// Next to the NIC, else where a worker is; a pool wherever somebody takes buffers.
    void judge_buffers() const {
        std::set<std::uint32_t> with_workers, with_cpus;
        for (const std::uint32_t cpu : workers_) with_workers.insert(core_of(cpu).node);
        for (const auto& core : machine_.cores) with_cpus.insert(core.node);
        EXPECT_EQ(plan_.several_nodes, with_cpus.size() > 1);
        EXPECT_TRUE(with_workers.contains(plan_.home));
        const auto pools = plan_.pools();
        const auto has_pool = [&](std::uint32_t node) {
            const auto* memory = plan_.memory_of(node);
            return memory != nullptr && memory->buffers > 0 &&
                   std::ranges::find(pools, node) != pools.end();
        };
        for (const std::uint32_t node : pools) EXPECT_TRUE(has_pool(node)) << node;
        for (const std::uint32_t cpu : workers_) EXPECT_TRUE(has_pool(plan_.pool_for(cpu)));
        for (const auto& port : plan_.ports) {
            EXPECT_TRUE(has_pool(port.buffers_on)) << port.name;
            const bool near_nic =
                std::ranges::find(port.nodes, port.buffers_on) != port.nodes.end();
            EXPECT_TRUE(near_nic || (port.nodes.empty() && port.buffers_on == plan_.home));
        }
    }

    const Machine& machine_;
    const PlacementRequest& request_;
    const Plan plan_;
    Cpus workers_, allowed_, isolated_;
    std::set<std::uint32_t> homes_;
};

TEST(PlacementModel, RandomMachines) {
    Random random(20221119);
    for (int i = 0; i < 2000 && !testing::Test::HasFailure(); ++i) {
        const Case one = random_case(random);
        SCOPED_TRACE(one.words);
        if (std::ranges::none_of(one.machine.threads, &Machine::Thread::allowed)) continue;
        Judge(one).judge();
    }
}

}  // namespace
}  // namespace wye::drivers
