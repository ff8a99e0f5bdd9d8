// Spsc against a naive queue, and between two threads under ThreadSanitizer.
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <random>
#include <thread>

#include "dataplane/ring/spsc.hh"

namespace wye::ring {
namespace {

TEST(Spsc, AgreesWithANaiveQueue) {
    for (const std::size_t capacity : {1u, 2u, 5u, 64u}) {
        Spsc<std::uint32_t> queue(capacity);
        EXPECT_GE(queue.capacity(), capacity);
        std::deque<std::uint32_t> model;
        std::mt19937 random(static_cast<unsigned>(capacity));
        std::array<std::uint32_t, 80> out;
        for (std::uint32_t step = 0; step < 20000; ++step) {
            if (random() % 3 != 0) {
                const bool fits = model.size() < queue.capacity();
                ASSERT_EQ(queue.push(step), fits);
                if (fits) model.push_back(step);
            } else {
                const std::size_t wanted = random() % out.size();
                const std::size_t n = queue.pop({out.data(), wanted});
                // It may know of fewer than there are, but never of none when there are some.
                ASSERT_LE(n, std::min(wanted, model.size()));
                ASSERT_EQ(n == 0, wanted == 0 || model.empty());
                for (std::size_t i = 0; i < n; ++i) {
                    ASSERT_EQ(out[i], model.front());
                    model.pop_front();
                }
            }
            ASSERT_EQ(queue.size(), model.size());
        }
    }
}

TEST(Spsc, LosesNothingBetweenTwoThreads) {
    struct Value {
        std::uint64_t number, twice;
    };
    constexpr std::uint64_t kValues = 50000;
    Spsc<Value> queue(32);
    std::thread producer([&queue] {
        for (std::uint64_t i = 0; i < kValues;) {
            if (queue.push({i, 2 * i})) {
                ++i;
            } else {
                std::this_thread::yield();
            }
        }
    });
    std::array<Value, 7> out;
    std::uint64_t next = 0;
    bool in_order = true;
    while (next < kValues) {
        const std::size_t n = queue.pop(out);
        if (n == 0) std::this_thread::yield();
        for (std::size_t i = 0; i < n; ++i, ++next) {
            in_order = in_order && out[i].number == next && out[i].twice == 2 * next;
        }
    }
    producer.join();
    EXPECT_TRUE(in_order);
}

}  // namespace
}  // namespace wye::ring
