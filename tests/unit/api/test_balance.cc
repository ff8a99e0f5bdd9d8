// Rebalancing: from what was measured to what is moved.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "controlplane-shim/cli/balance.hh"

namespace wye::cli {
namespace {

using nlohmann::json;

json row(unsigned queue, const char* kind, unsigned worker, unsigned packets, unsigned cycles) {
    json made{{"queue", queue}, {"port", "wan"},    {"kind", kind},
              {"index", queue}, {"worker", worker}, {"rx_packets", packets}};
    if (std::string(kind) != "share") made["cycles"] = cycles;
    return made;
}

TEST(Balance, MovesWhatFillsTheGap) {
    const std::vector<QueueLoad> loads{
        {0, "a", 0, 600}, {1, "b", 0, 250}, {2, "c", 0, 150}, {3, "d", 1, 0}};
    const auto moves = plan_moves(loads, {0, 1});
    ASSERT_EQ(moves.size(), 1u);
    EXPECT_EQ(moves[0].queue, 0u);
    EXPECT_EQ(moves[0].from, 0u);
    EXPECT_EQ(moves[0].to, 1u);
}

TEST(Balance, LeavesWhatCannotBeBetter) {
    EXPECT_TRUE(plan_moves({{0, "a", 0, 1000}}, {0, 1}).empty());
    EXPECT_TRUE(plan_moves({{0, "a", 0, 500}, {1, "b", 1, 490}}, {0, 1}).empty());
    EXPECT_TRUE(plan_moves({}, {0, 1}).empty());
    EXPECT_TRUE(plan_moves({{0, "a", 0, 0}}, {}).empty());
}

TEST(Balance, CountsWhatCameMeanwhileAndSharesByTheirPackets) {
    const json before = json::array({row(0, "queue", 0, 100, 1000), row(1, "share", 0, 10, 0),
                                     row(2, "hand-over", 0, 50, 500)});
    const json after = json::array({row(0, "queue", 0, 300, 4000), row(1, "share", 0, 30, 0),
                                    row(2, "hand-over", 0, 150, 2500)});
    const auto loads = loads_between(before, after);
    ASSERT_EQ(loads.size(), 2u);
    EXPECT_EQ(loads[0].cycles, 3000u);
    EXPECT_EQ(loads[1].cycles, 20u * 2000 / 100);
    EXPECT_EQ(loads[1].words, "wan share 1");
}

/// Never worse than before, and near the best where queues are small.
TEST(Balance, EvensOutWhateverTheLoads) {
    std::mt19937 random(3);
    for (int round = 0; round < 200; ++round) {
        std::vector<std::uint32_t> workers;
        for (std::uint32_t w = 0; w < 2 + random() % 6; ++w) workers.push_back(w);
        std::vector<QueueLoad> loads;
        for (std::uint32_t q = 0; q < 64; ++q) {
            const auto worker = static_cast<std::uint32_t>(random() % workers.size());
            loads.push_back({q, "", random() % 3 == 0 ? 0 : worker, 500 + random() % 500});
        }
        std::uint64_t total = 0;
        for (const QueueLoad& load : loads) total += load.cycles;
        for (const QueueMove& move : plan_moves(loads, workers)) {
            EXPECT_EQ(loads[move.queue].worker, move.from);
            loads[move.queue].worker = move.to;
        }
        for (const auto& [worker, cycles] : load_of_workers(loads, workers)) {
            EXPECT_LT(cycles, total / workers.size() * 5 / 4) << round;
        }
    }
}

}  // namespace
}  // namespace wye::cli
