#include "controlplane-shim/cli/balance.hh"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace wye::cli {
namespace {

using nlohmann::json;

std::uint64_t number(const json& row, const char* key) {
    const auto found = row.find(key);
    return found != row.end() && found->is_number() ? found->get<std::uint64_t>() : 0;
}

/// What a cell grew by; a row that was not there before, or was cleared, counts from zero.
std::uint64_t growth(const std::map<std::uint64_t, json>& before, const json& row,
                     const char* key) {
    const std::uint64_t now = number(row, key);
    const auto old = before.find(number(row, "queue"));
    const std::uint64_t then = old == before.end() ? 0 : number(old->second, key);
    return now >= then ? now - then : now;
}

struct Mean {
    std::uint64_t packets = 0, cycles = 0;
};

}  // namespace

std::vector<QueueLoad> loads_between(const json& before, const json& after) {
    std::map<std::uint64_t, json> old;
    for (const json& row : before) old[number(row, "queue")] = row;
    std::map<std::string, Mean> spread;  // by port
    for (const json& row : after) {
        if (row.value("kind", "") != "hand-over") continue;
        Mean& mean = spread[row.value("port", "")];
        mean.packets += growth(old, row, "rx_packets");
        mean.cycles += growth(old, row, "cycles");
    }
    std::vector<QueueLoad> loads;
    for (const json& row : after) {
        const std::string kind = row.value("kind", ""), port = row.value("port", "");
        if (kind != "queue" && kind != "share") continue;
        QueueLoad load;
        load.queue = static_cast<std::uint32_t>(number(row, "queue"));
        load.words = port + " " + kind + " " + std::to_string(number(row, "index"));
        load.worker = static_cast<std::uint32_t>(number(row, "worker"));
        load.cycles = growth(old, row, "cycles");
        if (kind == "share") {
            const Mean& mean = spread[port];
            load.cycles =
                mean.packets == 0 ? 0 : growth(old, row, "rx_packets") * mean.cycles / mean.packets;
        }
        loads.push_back(std::move(load));
    }
    return loads;
}

std::map<std::uint32_t, std::uint64_t> load_of_workers(const std::vector<QueueLoad>& loads,
                                                       const std::vector<std::uint32_t>& workers) {
    std::map<std::uint32_t, std::uint64_t> sums;
    for (const std::uint32_t worker : workers) sums[worker] = 0;
    for (const QueueLoad& load : loads) {
        if (const auto sum = sums.find(load.worker); sum != sums.end()) sum->second += load.cycles;
    }
    return sums;
}

std::vector<QueueMove> plan_moves(std::vector<QueueLoad> loads,
                                  const std::vector<std::uint32_t>& workers) {
    std::vector<QueueMove> moves;
    while (moves.size() < loads.size()) {
        const auto sums = load_of_workers(loads, workers);
        const auto by_load = [](const auto& a, const auto& b) { return a.second < b.second; };
        const auto most = std::max_element(sums.begin(), sums.end(), by_load);
        const auto least = std::min_element(sums.begin(), sums.end(), by_load);
        if (most == sums.end()) break;
        const std::uint64_t gap = most->second - least->second;
        if (gap == 0 || gap < most->second / 20) break;
        // What is left of the gap is |gap - 2 cycles|: the closer to its half, the better.
        QueueLoad* best = nullptr;
        const auto rest = [gap](const QueueLoad& load) {
            return 2 * load.cycles > gap ? 2 * load.cycles - gap : gap - 2 * load.cycles;
        };
        for (QueueLoad& load : loads) {
            if (load.worker != most->first || load.cycles == 0 || load.cycles >= gap) continue;
            if (best == nullptr || rest(load) < rest(*best)) best = &load;
        }
        if (best == nullptr) break;
        moves.push_back({best->queue, best->words, best->worker, least->first, best->cycles});
        best->worker = least->first;
    }
    return moves;
}

}  // namespace wye::cli
