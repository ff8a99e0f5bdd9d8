// What to move so that workers have as much to do: from two looks at the queues, a while apart.
//
// A queue's load are the cycles that its packets took meanwhile; a share of a spread port is not
// timed, so its packets count as the mean packet of that port. The largest queue that fits goes from
// the worker with the most to the one with the least, until these are within a twentieth of each
// other or nothing fits: few moves rather than the last percent.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace wye::cli {

struct QueueLoad {
    std::uint32_t queue = 0;  // its number for `place`
    std::string words;        // "wan queue 3"
    std::uint32_t worker = 0;
    std::uint64_t cycles = 0;
};

struct QueueMove {
    std::uint32_t queue = 0;
    std::string words;
    std::uint32_t from = 0, to = 0;
    std::uint64_t cycles = 0;
};

/// From the rows of `show queues`, first the earlier look.
std::vector<QueueLoad> loads_between(const nlohmann::json& before, const nlohmann::json& after);
/// `workers`: those that run. In the order in which they are to be done.
std::vector<QueueMove> plan_moves(std::vector<QueueLoad> loads,
                                  const std::vector<std::uint32_t>& workers);
/// Cycles of each of the workers.
std::map<std::uint32_t, std::uint64_t> load_of_workers(const std::vector<QueueLoad>& loads,
                                                       const std::vector<std::uint32_t>& workers);

}  // namespace wye::cli
