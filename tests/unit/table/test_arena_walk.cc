// The checked walk: it finds what the FIB has, and no bytes, however wrong, lead it out of the arena.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>

#include "dataplane/table/arena_walk.hh"
#include "dataplane/table/check_arena.hh"
#include "dataplane/table/fib_trie.hh"
#include "dataplane/table/vrf.hh"
#include "tests/unit/table/fib_fixture.hh"

namespace wye::table {
namespace {

using net::IpFamily;

class Walk : public testing::TestWithParam<IpFamily> {};
INSTANTIATE_TEST_SUITE_P(Families, Walk, testing::Values(IpFamily::ipv4, IpFamily::ipv6),
                         [](const auto& families) {
                             return families.param == IpFamily::ipv4 ? "ipv4" : "ipv6";
                         });

Result<CheckedArena> checked(ArenaView view) {
    return CheckedArena::of(view, [view] { return view.header().size.load(); });
}

void fill(FibUnderTest& fib, Crowd& crowd, std::size_t routes) {
    for (std::size_t i = 0; i < routes; ++i) {
        ASSERT_TRUE(fib.writer.insert(crowd.prefix(), crowd.leaf()));
        if (i % 3 == 0) (void)fib.writer.erase(crowd.prefix());
    }
}

// The prefixes of the walk, taken as routes of their own, forward as the workers' lookup does.
TEST_P(Walk, SaysWhatLookupSays) {
    for (unsigned seed = 0; seed < 12; ++seed) {
        Crowd crowd(GetParam(), seed);
        FibUnderTest fib(GetParam());
        fill(fib, crowd, 4u << seed);
        if (seed >= 10) {  // enough for a direct root
            for (std::uint32_t i = 0; i < 10000; ++i) {
                const auto address = crowd.address();
                const net::IpPrefix some{net::mask(address, 28), 28};
                const net::IpPrefix next{
                    GetParam() == IpFamily::ipv4
                        ? net::IpAddress(net::Ipv4Address::from_host(i << 8))
                        : net::IpAddress(net::Ipv6Address{{0x20, static_cast<std::uint8_t>(i >> 8),
                                                           static_cast<std::uint8_t>(i)}}),
                    24};
                ASSERT_TRUE(fib.writer.insert(some, crowd.leaf()));
                ASSERT_TRUE(fib.writer.insert(next, Leaf::of(NextHopId{i % 5})));
            }
            ASSERT_NE(fib.form(), FibForm::trie);
        }
        auto arena = checked(fib.arena.view());
        ASSERT_TRUE(arena.has_value()) << arena.error().text;
        std::vector<net::IpPrefix> order;
        FibUnderTest copy(GetParam());
        SeenUnits seen;
        const Status walked = walk_fib(*arena, GetParam(), fib.root.load(), seen,
                                       [&](const net::IpPrefix& prefix, Leaf leaf) {
                                           order.push_back(prefix);
                                           EXPECT_TRUE(copy.writer.insert(prefix, leaf));
                                       });
        ASSERT_TRUE(walked.has_value()) << walked.error().text;
        EXPECT_EQ(copy.writer.size(), order.size()) << "a prefix came twice";
        EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
        fib.reclaim();
        EXPECT_EQ(seen.bytes(), fib.arena.used_bytes());
        for (const auto& prefix : order) {
            for (const auto& address : crowd.around(prefix)) {
                const Leaf leaf = fib.lookup(address);
                ASSERT_EQ(copy.lookup(address), leaf) << net::to_string(address);
                ASSERT_EQ(*find_leaf(*arena, GetParam(), fib.root.load(), address), leaf);
            }
        }
    }
}

/// A copy of an arena's bytes on the heap, to the byte: ASan sees whoever leaves it.
struct Copy {
    std::size_t size;
    std::unique_ptr<std::byte[]> bytes;

    explicit Copy(ArenaView arena)
        : size(arena.header().size.load()), bytes(new (std::align_val_t{64}) std::byte[size]) {
        std::memcpy(bytes.get(), arena.base(), size);
    }
    ~Copy() { ::operator delete[](bytes.release(), std::align_val_t{64}); }
    Copy(const Copy&) = delete;
    Copy& operator=(const Copy&) = delete;
    [[nodiscard]] Result<CheckedArena> checked() const {
        return CheckedArena::of(ArenaView(bytes.get()), [n = size] { return std::uint64_t{n}; });
    }
};

/// Damages the arena anew in each round; how often that was found out.
void damage(FibUnderTest& fib, Crowd& crowd, int rounds, unsigned& faults) {
    ASSERT_TRUE(fib.arena.back(fib.arena.header().vrfs, 0));
    Vrf& vrf = fib.arena.record(fib.arena.header().vrfs, 0);
    vrf.generation = 1;
    vrf.tenant = TenantId{0};
    (fib.family == IpFamily::ipv4 ? vrf.fib4.unit : vrf.fib6.unit).store(fib.root.load());
    const ArenaOffsets offsets = lay_out_arena(fib.arena.header().limits, kUnit);
    const std::size_t used = offsets.heap + fib.arena.used_bytes() + fib.arena.retired_bytes();
    std::mt19937 random(1);
    const auto name = [](SlotKind, std::uint32_t slot) { return std::to_string(slot); };
    Copy copy(fib.arena.view());
    const Copy original(fib.arena.view());
    for (int round = 0; round < rounds; ++round) {
        const unsigned changes = 1 + static_cast<unsigned>(random() % 8);
        std::vector<std::size_t> touched;
        for (unsigned i = 0; i < changes; ++i) {
            // Mostly the blocks of the trie; now and then header, hashes and records.
            const std::size_t low = random() % 4 == 0 ? 0 : offsets.heap;
            const std::size_t at = (low + random() % (used - low)) / 4 * 4;
            touched.push_back(at);
            const std::uint32_t word = random() % 2 == 0
                                           ? static_cast<std::uint32_t>(random())
                                           : static_cast<std::uint32_t>(random() % 4096);
            if (random() % 2 == 0) {
                std::memcpy(copy.bytes.get() + at, &word, 4);
            } else {
                copy.bytes[at + random() % 4] ^= static_cast<std::byte>(1u << random() % 8);
            }
        }
        if (auto arena = copy.checked()) {
            SeenUnits seen;
            std::size_t routes = 0;
            const Status walked = walk_fib(*arena, fib.family, fib.root.load(), seen,
                                           [&](const net::IpPrefix&, Leaf) { ++routes; });
            const bool sound = check_arena(*arena, name).has_value();
            if (!walked || !sound) ++faults;
            for (int i = 0; i < 20; ++i) {
                (void)find_leaf(*arena, fib.family, fib.root.load(), crowd.address());
            }
        } else {
            ++faults;
        }
        for (const std::size_t at : touched) {
            std::memcpy(copy.bytes.get() + at, original.bytes.get() + at, 4);
        }
    }
    EXPECT_EQ(std::memcmp(copy.bytes.get(), original.bytes.get(), copy.size), 0);
}

TEST_P(Walk, DamagedBytesNeverLeadItOut) {
    Crowd crowd(GetParam(), 7);
    FibUnderTest fib(GetParam(), 8 << 20);
    fill(fib, crowd, 600);
    unsigned faults = 0;
    damage(fib, crowd, 3000, faults);
    EXPECT_GT(faults, 100u);
}

TEST_P(Walk, DamageInALargeOneNeverLeadsItOut) {
    Crowd crowd(GetParam(), 8);
    FibUnderTest fib(GetParam(), 32 << 20);
    fill(fib, crowd, 300);
    const bool is_ipv4 = GetParam() == IpFamily::ipv4;
    for (std::uint32_t i = 0; i < 20000; ++i) {  // sites of few places, some of them crowded
        auto address = *net::parse_ip(is_ipv4 ? "100.64.0.0" : "2001:db8::");
        for (std::size_t b = is_ipv4 ? 1 : 4; b < (is_ipv4 ? 4u : 6u); ++b) {
            address.bytes[b] = static_cast<std::uint8_t>(crowd.random());
        }
        if (!is_ipv4) address.bytes[3] = static_cast<std::uint8_t>(i % 64);
        const auto length = static_cast<std::uint8_t>(is_ipv4 ? 24 + i % 9 : 33 + i % 16);
        ASSERT_TRUE(fib.writer.insert({net::mask(address, length), length}, crowd.leaf()));
        if (i % 64 == 0) fib.reclaim();
    }
    fib.reclaim();
    ASSERT_NE(fib.form(), FibForm::trie);
    unsigned faults = 0;
    damage(fib, crowd, 60, faults);
}

TEST(CheckedArena, ACutOneIsRefused) {
    const FibUnderTest fib(IpFamily::ipv4);
    const ArenaView view = fib.arena.view();
    EXPECT_FALSE(CheckedArena::of(view, [] { return std::uint64_t{0}; }).has_value());
    EXPECT_FALSE(CheckedArena::of(view, [] { return std::uint64_t{4096}; }).has_value());
}

TEST(CheckedArena, ALeafToAFreeNextHopIsNamed) {
    FibUnderTest fib(IpFamily::ipv4);
    auto arena = checked(fib.arena.view());
    ASSERT_TRUE(arena.has_value());
    const Status free = check_leaf(*arena, Leaf::of(NextHopId{3}));
    ASSERT_FALSE(free.has_value());
    EXPECT_NE(free.error().text.find("next hop 3"), std::string::npos);
    EXPECT_FALSE(check_leaf(*arena, Leaf::of(NextHopId{16})).has_value());
    EXPECT_FALSE(check_leaf(*arena, Leaf::of(GroupId{2})).has_value());
    EXPECT_FALSE(check_leaf(*arena, Leaf::of(GroupId{1u << 30})).has_value());
}

}  // namespace
}  // namespace wye::table
