#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "dataplane/table/epoch.hh"

namespace wye::table {
namespace {

TEST(Epochs, WithoutReadersEveryEpochIsReached) {
    Epochs epochs(4);
    const auto first = epochs.advance();
    const auto second = epochs.advance();
    EXPECT_GT(second, first);
    EXPECT_TRUE(epochs.reached(second));
}

TEST(Epochs, WaitsForOnlineReadersOnly) {
    Epochs epochs(4);
    epochs.register_reader(0);
    epochs.register_reader(3);
    const auto epoch = epochs.advance();
    EXPECT_FALSE(epochs.reached(epoch));
    epochs.quiescent(0);
    EXPECT_FALSE(epochs.reached(epoch));
    epochs.offline(3);
    EXPECT_TRUE(epochs.reached(epoch));
    epochs.online(3);
    const auto next = epochs.advance();
    epochs.quiescent(0);
    EXPECT_FALSE(epochs.reached(next));
    epochs.unregister_reader(3);
    EXPECT_TRUE(epochs.reached(next));
    epochs.unregister_reader(0);
}

// Readers follow a pointer; the writer poisons what it replaced once the epoch is reached.
TEST(Epochs, NothingIsReusedUnderAReader) {
    constexpr int kReaders = 3;
    Epochs epochs(kReaders);
    std::vector<std::atomic<std::uint64_t>> slots(2);
    slots[0] = slots[1] = 1;
    std::atomic<std::uint32_t> current{0};
    std::atomic<bool> stop{false};
    std::atomic<int> started{0};
    std::atomic<std::uint64_t> poisoned{0};
    std::vector<std::thread> readers;
    for (std::uint32_t r = 0; r < kReaders; ++r) {
        readers.emplace_back([&, r] {
            epochs.register_reader(r);
            started += 1;
            for (unsigned i = 0; !stop.load(std::memory_order_relaxed); ++i) {
                const auto slot = current.load(std::memory_order_acquire);
                for (int j = 0; j < 20; ++j) {
                    if (slots[slot].load(std::memory_order_relaxed) == 0) poisoned += 1;
                }
                epochs.quiescent(r);
                if (i % 1024 == 1023) {
                    epochs.offline(r);
                    std::this_thread::yield();
                    epochs.online(r);
                }
            }
            epochs.unregister_reader(r);
        });
    }
    while (started.load() < kReaders) std::this_thread::yield();
    for (int i = 0; i < 5000; ++i) {
        const std::uint32_t old = current.load();
        slots[1 - old].store(1, std::memory_order_relaxed);
        current.store(1 - old, std::memory_order_release);
        const auto epoch = epochs.advance();
        while (!epochs.reached(epoch)) std::this_thread::yield();
        slots[old].store(0, std::memory_order_relaxed);
    }
    stop = true;
    for (auto& reader : readers) reader.join();
    EXPECT_EQ(poisoned.load(), 0u);
}

}  // namespace
}  // namespace wye::table
