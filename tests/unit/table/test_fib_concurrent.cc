// Readers look up while the writer churns and reclaims. Run under ThreadSanitizer as well.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "dataplane/table/epoch.hh"
#include "tests/unit/table/fib_fixture.hh"

namespace wye::table {
namespace {

using net::IpAddress;
using net::IpFamily;
using net::IpPrefix;

constexpr std::uint32_t kReaders = 2;

/// An arena in which what was retired is allocated again as soon as the readers let it.
struct Churned : FibUnderTest {
    Epochs epochs{kReaders};
    std::atomic<bool> stop{false};
    std::atomic<std::uint32_t> started{0};
    std::atomic<std::uint64_t> bursts{0};
    std::uint64_t sealed = 0;
    std::vector<std::thread> threads;

    explicit Churned(IpFamily f) : FibUnderTest(f, 64 << 20) {}

    template <class Check>  // check() looks up; on a reader's thread
    void start_readers(Check check) {
        for (std::uint32_t r = 0; r < kReaders; ++r) {
            threads.emplace_back([this, r, check] {
                epochs.register_reader(r);
                started += 1;
                while (!stop.load(std::memory_order_relaxed)) {
                    check();
                    bursts.fetch_add(1, std::memory_order_relaxed);
                    epochs.quiescent(r);
                }
                epochs.unregister_reader(r);
            });
        }
        while (started.load() < kReaders) std::this_thread::yield();
    }
    /// Once every few changes, as the control thread does; never waits.
    void poll() {
        if (sealed != 0 && !epochs.reached(sealed)) return;
        arena.release_through(sealed);
        sealed = epochs.advance();
        arena.seal(sealed);
    }
    void join() {
        stop = true;
        for (auto& thread : threads) thread.join();
        threads.clear();
    }
    ~Churned() { join(); }
};

struct Case {
    IpFamily family;
    const FibVariant* variant;
};
/// IPv4 in every variant, since that is where they differ.
std::vector<Case> cases() {
    std::vector<Case> all{{IpFamily::ipv6, &fib_variants.in_use()}};
    for (const FibVariant& variant : fib_variants.all()) {
        if (variant.is_supported()) all.push_back({IpFamily::ipv4, &variant});
    }
    return all;
}
std::string name_of(const testing::TestParamInfo<Case>& with) {
    std::string name = with.param.family == IpFamily::ipv4 ? "ipv4_" : "ipv6_";
    for (const char c : std::string(with.param.variant->name)) name += c == '-' ? '_' : c;
    return name;
}

class FibConcurrent : public testing::TestWithParam<Case> {
  protected:
    FibConcurrent() { fib_variants.use(*GetParam().variant); }
    ~FibConcurrent() override { fib_variants.use(before_); }
    static IpFamily family() { return GetParam().family; }

  private:
    const FibVariant& before_ = fib_variants.in_use();
};
INSTANTIATE_TEST_SUITE_P(Cases, FibConcurrent, testing::ValuesIn(cases()), name_of);

// Host routes stay; everything around them comes and goes, including the form of the root.
TEST_P(FibConcurrent, StableRoutesAreNeverMissed) {
    Crowd crowd(family(), 1);
    Churned fib(family());
    const std::uint8_t bits = net::address_bits(family());
    std::vector<IpAddress> stable;
    for (std::uint32_t i = 0; i < 60; ++i) {
        stable.push_back(crowd.address());
        ASSERT_TRUE(fib.writer.insert({stable.back(), bits}, Leaf::of(NextHopId{77})));
    }
    std::atomic<int> missed{0};
    fib.start_readers([&] {
        for (const Leaf leaf : fib.lookup_all(stable)) {
            if (leaf != Leaf::of(NextHopId{77})) missed += 1;
        }
        for (std::size_t i = 0; i < 4; ++i) {
            if (fib.lookup(stable[i]) != Leaf::of(NextHopId{77})) missed += 1;
        }
    });
    std::vector<IpPrefix> churned;
    std::size_t largest = 0;
    for (int i = 0; i < 160000 || fib.bursts.load() < 200; ++i) {
        IpPrefix prefix = crowd.prefix();
        // Hosts are the stable ones; very short ones are slow over a direct-indexed root.
        if (prefix.length == bits || (prefix.length < 10 && i % 64 != 0)) {
            prefix = {net::mask(prefix.address, 24), 24};
        }
        // Grows to more than a small root holds, and shrinks again.
        if (i / 40000 % 2 == 0) {
            if (!fib.writer.find(prefix)) churned.push_back(prefix);
            ASSERT_TRUE(fib.writer.insert(prefix, crowd.leaf()));
            largest = std::max(largest, fib.writer.size());
        } else if (!churned.empty()) {
            ASSERT_TRUE(fib.writer.erase(churned.back()));
            churned.pop_back();
        }
        if (i % 8 == 0) fib.poll();
    }
    fib.join();
    EXPECT_EQ(missed.load(), 0);
    EXPECT_GT(largest, 8192u);  // the root was direct-indexed for a while
}

// Made before broken: the address is covered at every instant, by the specific route or by one of
// the covering ones, in the same node or page, in nodes above, and by the default route.
void make_before_break(IpFamily family, bool is_large) {
    Crowd crowd(family, 2);
    Churned fib(family);
    const IpAddress address = crowd.address();
    std::vector<IpPrefix> covering;
    for (const unsigned length : {0u, 3u, 8u, 14u, 17u, 20u, 24u, 26u, 29u, 32u}) {
        const auto l = static_cast<std::uint8_t>(length);
        covering.push_back({net::mask(address, l), l});
    }
    // Company, so that blocks have other routes and are replaced rather than removed.
    for (int i = 0; i < 300; ++i) {
        const auto around = crowd.around(covering[crowd.random() % covering.size()]);
        const IpPrefix host{around[2], net::address_bits(family)};
        if (host.address == address) continue;
        ASSERT_TRUE(fib.writer.insert(host, Leaf::of(NextHopId{1})));
    }
    for (std::uint32_t i = 0; is_large && i < 9000; ++i) {
        IpAddress other = address;
        other.bytes[0] ^= 0x80;
        other.bytes[2] = static_cast<std::uint8_t>(i >> 8);
        other.bytes[3] = static_cast<std::uint8_t>(i);
        ASSERT_TRUE(fib.writer.insert({net::mask(other, 32), 32}, Leaf::of(NextHopId{1})));
    }
    ASSERT_TRUE(fib.writer.insert(covering[0], Leaf::of(NextHopId{100})));
    ASSERT_EQ(fib.form() != FibForm::trie, is_large);
    const std::vector<IpAddress> burst(32, address);
    std::atomic<int> missed{0};
    fib.start_readers([&] {
        const auto is_one_of_them = [](Leaf leaf) {
            return leaf == Leaf::of(NextHopId{100}) || leaf == Leaf::of(NextHopId{40000});
        };
        for (const Leaf leaf : fib.lookup_all(burst)) missed += is_one_of_them(leaf) ? 0 : 1;
        if (!is_one_of_them(fib.lookup(address))) missed += 1;
    });
    std::size_t current = 0;
    // In a large one the short ones go over many words.
    for (int i = 0; i < (is_large ? 6000 : 60000) || fib.bursts.load() < 200; ++i) {
        const std::size_t next = crowd.random() % covering.size();
        if (next == current) continue;
        // Now and then one that takes a wide page.
        const NextHopId hop{crowd.random() % 8 == 0 ? 40000u : 100u};
        ASSERT_TRUE(fib.writer.insert(covering[next], Leaf::of(hop)));
        ASSERT_TRUE(fib.writer.erase(covering[current]));
        current = next;
        if (i % 4 == 0) fib.poll();
    }
    fib.join();
    EXPECT_EQ(missed.load(), 0);
}

TEST_P(FibConcurrent, MakeBeforeBreakIsSeenAsSuchInASmallFib) {
    make_before_break(family(), false);
}
TEST_P(FibConcurrent, MakeBeforeBreakIsSeenAsSuchInALargeFib) {
    make_before_break(family(), true);
}

}  // namespace
}  // namespace wye::table
