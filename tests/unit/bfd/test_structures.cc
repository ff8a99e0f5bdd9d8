// The timer wheel and the session map against naive models with random operations.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "dataplane/bfd/session_map.hh"
#include "dataplane/bfd/timer_wheel.hh"

namespace wye::bfd {
namespace {

TEST(TimerWheel, FiresWhatIsDueAndNothingElse) {
    constexpr std::uint32_t kTimers = 300;
    constexpr std::uint64_t kTick = 100;
    std::mt19937 chooser(3);
    TimerWheel wheel(kTimers, kTick);
    std::map<std::uint32_t, std::uint64_t> model;
    std::uint64_t now = 0;
    std::size_t fired = 0;
    for (int step = 0; step < 300'000; ++step) {
        const auto timer = static_cast<std::uint32_t>(chooser() % kTimers);
        switch (chooser() % 8) {
            case 0:
                wheel.clear(timer);
                model.erase(timer);
                break;
            case 1:
            case 2:
            case 3: {
                // Some lie in the past, some beyond a turn of the wheel.
                const std::uint64_t at = now + chooser() % (chooser() % 10 == 0 ? 500'000 : 5000);
                wheel.set(timer, at > 300 ? at - 300 : at);
                model[timer] = at > 300 ? at - 300 : at;
                break;
            }
            default: {
                now += chooser() % (chooser() % 1000 == 0 ? 1'000'000 : 300);
                std::set<std::uint32_t> seen;
                wheel.advance(now, [&](std::uint32_t due) {
                    ASSERT_TRUE(seen.insert(due).second);
                    ASSERT_TRUE(model.contains(due));
                    ASSERT_LE(model.at(due), now);
                    model.erase(due);
                    ++fired;
                });
                // At most a tick late, and one that was due when it was set by the next tick.
                for (const auto& [left, at] : model)
                    ASSERT_GT(std::max(at, now - now % kTick) + kTick, now);
            }
        }
        ASSERT_EQ(wheel.is_set(timer), model.contains(timer));
    }
    EXPECT_GT(fired, 10'000u);
}

TEST(TimerWheel, FiringMaySetAndClear) {
    TimerWheel wheel(3, 10);
    wheel.set(0, 100);
    wheel.set(1, 100);
    int rounds = 0;
    for (std::uint64_t now = 0; now < 1000; now += 5) {
        wheel.advance(now, [&](std::uint32_t timer) {
            if (timer != 0 && timer != 1) return;
            wheel.clear(1 - timer);
            wheel.set(timer, now + 50);
            ++rounds;
        });
    }
    EXPECT_EQ(rounds, 18);
}

TEST(SessionMap, AgainstANaiveModel) {
    std::mt19937 chooser(5);
    constexpr std::uint32_t kSlots = 64;
    SessionMap map(kSlots);
    std::map<std::uint32_t, std::uint64_t> model;  // slot → key
    for (int step = 0; step < 200'000; ++step) {
        const auto slot = static_cast<std::uint32_t>(chooser() % kSlots);
        const std::uint64_t key = chooser() % 40;  // many are equal
        if (const auto have = model.find(slot); have != model.end()) {
            map.remove(have->second, slot);
            model.erase(have);
        } else {
            map.add(key, slot);
            model.emplace(slot, key);
        }
        const std::uint64_t asked = chooser() % 40;
        const auto wanted = static_cast<std::uint32_t>(chooser() % kSlots);
        const auto it = model.find(wanted);
        const bool is_there = it != model.end() && it->second == asked;
        ASSERT_EQ(map.find(asked, [&](std::uint32_t s) { return s == wanted; }),
                  is_there ? wanted : SessionMap::kNone);
    }
}

}  // namespace
}  // namespace wye::bfd
