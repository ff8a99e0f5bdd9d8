#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "drivers/placement/plan_parts.hh"

namespace wye::drivers {
namespace {

constexpr std::size_t kSmallMachine = 4;  // cores: one of them is kept for the other threads

/// The cores that the process may use, and what of them a worker would take.
class Choice {
  public:
    Choice(const Machine& machine, const PlacementRequest& request)
        : machine_(machine), homes_(nodes_of_nics(machine, request)) {
        for (const auto& thread : machine.threads) {
            isolated_ = isolated_ || (thread.allowed && thread.isolated);
        }
        if (homes_.empty()) take_first_node();
        keep_free();
    }

    std::vector<std::uint32_t> choose(std::uint32_t wanted) {
        const std::vector<std::size_t> good = by_nearness();
        std::size_t count = wanted;
        if (count == 0) {
            count = std::clamp<std::size_t>(near_homes(good), 1, kProposedAtMost);
        }
        for (const std::size_t core : good) take(core);
        for (const std::size_t core : kept_) take(core);
        take_second_threads();
        const std::size_t most = std::max<std::size_t>(allowed_threads() - 1, 1);
        chosen_.resize(std::min({chosen_.size(), count, most}));
        return chosen_;
    }

  private:
    [[nodiscard]] std::size_t allowed_threads() const {
        return static_cast<std::size_t>(
            std::ranges::count_if(machine_.threads, &Machine::Thread::allowed));
    }

    [[nodiscard]] bool usable(const Machine::Thread& thread) const {
        return thread.allowed && (!isolated_ || thread.isolated);
    }

    /// The thread of the core that a worker gets; none: not one may be used.
    [[nodiscard]] std::optional<std::uint32_t> first_thread(std::size_t core,
                                                            bool any = false) const {
        for (const std::size_t index : machine_.cores[core].threads) {
            const auto& thread = machine_.threads[index];
            if (any ? thread.allowed : usable(thread)) return thread.cpu;
        }
        return std::nullopt;
    }

    /// Without a NIC whose place is known: where the first core is.
    void take_first_node() {
        for (const auto& core : machine_.cores) {
            homes_.push_back(core.node);
            return;
        }
    }

    /// With isolated CPUs, those that are not are what is kept; else, see plan.hh.
    void keep_free() {
        std::vector<std::size_t> whole;
        for (std::size_t i = 0; i < machine_.cores.size(); ++i) {
            if (first_thread(i, true)) whole.push_back(i);
        }
        if (whole.size() < 2) return;
        if (isolated_) {
            const bool some_left = std::ranges::any_of(
                machine_.threads, [](const auto& t) { return t.allowed && !t.isolated; });
            if (!some_left) kept_.push_back(whole.front());
            return;
        }
        const std::size_t lowest = *std::ranges::min_element(
            whole, {}, [this](std::size_t core) { return first_thread(core, true); });
        kept_.push_back(lowest);
        if (whole.size() <= kSmallMachine) return;
        for (const std::size_t core : whole) {
            if (core == lowest || machine_.cores[core].node != homes_.front()) continue;
            kept_.push_back(core);
            return;
        }
    }

    [[nodiscard]] bool is_kept(std::size_t core) const {
        return std::ranges::find(kept_, core) != kept_.end();
    }

    [[nodiscard]] std::size_t near_homes(const std::vector<std::size_t>& cores) const {
        return static_cast<std::size_t>(std::ranges::count_if(
            cores, [this](std::size_t core) { return near(homes_, machine_.cores[core].node); }));
    }

    /// First the NICs' nodes by turns, as often as they have NICs; then their packages; then others.
    [[nodiscard]] std::vector<std::size_t> by_nearness() const {
        std::map<std::uint32_t, std::vector<std::size_t>> of_node;
        std::set<std::uint32_t> home_packages;
        for (std::size_t i = machine_.cores.size(); i-- > 0;) {
            if (!first_thread(i) || is_kept(i)) continue;
            of_node[machine_.cores[i].node].push_back(i);  // the last is taken first
        }
        for (const std::uint32_t home : homes_) {
            if (const auto* node = machine_.find_node(home)) home_packages.insert(node->package);
        }
        std::vector<std::size_t> order;
        const auto take_from = [&](std::uint32_t node) {
            auto& cores = of_node[node];
            if (cores.empty()) return false;
            order.push_back(cores.back());
            cores.pop_back();
            return true;
        };
        for (bool more = true; more;) {
            more = false;
            for (const std::uint32_t home : homes_) more = take_from(home) || more;
        }
        for (const bool same_package : {true, false}) {
            for (auto& [node, cores] : of_node) {
                const auto* known = machine_.find_node(node);
                const bool same = known != nullptr && home_packages.contains(known->package);
                while (same == same_package && take_from(node)) {
                }
            }
        }
        return order;
    }

    void take(std::size_t core) {
        auto cpu = first_thread(core);
        if (!cpu) cpu = first_thread(core, true);
        if (cpu) chosen_.push_back(*cpu);
    }

    void take_second_threads() {
        for (const bool isolated : {true, false}) {
            for (const auto& thread : machine_.threads) {
                const bool taken = std::ranges::find(chosen_, thread.cpu) != chosen_.end();
                if (thread.allowed && !taken && usable(thread) == isolated) {
                    chosen_.push_back(thread.cpu);
                }
            }
        }
    }

    const Machine& machine_;
    bool isolated_ = false;
    std::vector<std::uint32_t> homes_;  // nodes of NICs, with repetition
    std::vector<std::size_t> kept_;     // cores for the other threads
    std::vector<std::uint32_t> chosen_;
};

constexpr const char* kOthers[] = {"control", "host", "builder", "shim", "FRR"};

}  // namespace

std::vector<std::uint32_t> propose_workers(const Machine& machine,
                                           const PlacementRequest& request) {
    return Choice(machine, request).choose(request.workers);
}

std::vector<Plan::OtherThread> place_others(const Machine& machine, const PlacementRequest& request,
                                            const std::vector<std::uint32_t>& workers) {
    std::set<std::size_t> worker_cores;
    std::set<std::uint32_t> worker_nodes;
    for (const std::uint32_t cpu : workers) {
        const auto* thread = machine.find_cpu(cpu);
        if (thread == nullptr) continue;
        worker_cores.insert(thread->core);
        worker_nodes.insert(machine.core_of(*thread).node);
    }
    const std::vector<std::uint32_t> homes = nodes_of_nics(machine, request);
    // Ascending is better; the last words are for a stable order.
    using Rank = std::tuple<bool, bool, bool, bool, std::size_t, std::uint32_t>;
    std::vector<Rank> ranks;
    for (const auto& thread : machine.threads) {
        if (!thread.allowed || std::ranges::find(workers, thread.cpu) != workers.end()) continue;
        const auto& core = machine.core_of(thread);
        const auto& siblings = core.threads;
        const std::size_t which = static_cast<std::size_t>(
            std::ranges::find(siblings, thread.cpu,
                              [&](std::size_t i) { return machine.threads[i].cpu; }) -
            siblings.begin());
        const bool far =
            homes.empty() ? !worker_nodes.contains(core.node) : !near(homes, core.node);
        ranks.emplace_back(thread.isolated, worker_cores.contains(thread.core), far, which > 0,
                           which, thread.cpu);
    }
    if (ranks.empty()) return {};
    std::ranges::sort(ranks);
    // Only the best kind: whoever is isolated, or shares a worker's core, is left alone if it can be.
    const auto same_kind = [&](const Rank& rank) {
        return std::get<0>(rank) == std::get<0>(ranks.front()) &&
               std::get<1>(rank) == std::get<1>(ranks.front());
    };
    const auto choices = static_cast<std::size_t>(std::ranges::count_if(ranks, same_kind));
    std::vector<Plan::OtherThread> others;
    for (const char* name : kOthers) {
        others.push_back({name, std::get<5>(ranks[others.size() % choices])});
    }
    return others;
}

}  // namespace wye::drivers
