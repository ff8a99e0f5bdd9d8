// Several pools in one process, without hugepages, so that both "nodes" are this machine's memory: what
// counts here is which pool a buffer comes from and goes back to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "drivers/ethdev/buffer_pools.hh"
#include "drivers/ethdev/port.hh"
#include "tests/unit/drivers/one_eal.hh"

namespace {

using namespace wye;
using namespace wye::drivers;
using pipeline::Frame;
using testing::HasSubstr;

[[maybe_unused]] const auto* const kOneEal =
    testing::AddGlobalTestEnvironment(new OneEal("pools", 192));

BufferPools make(std::vector<BufferPools::Wanted> wanted) {
    auto pools = BufferPools::create(wanted, 1522);
    EXPECT_TRUE(pools.has_value()) << pools.error().text;
    return std::move(*pools);
}

std::unique_ptr<EthdevPort> loop(const char* name, MbufPool& pool) {
    PortSpecification what;
    what.name = *ObjectName::from(name);
    what.kind = PortKind::ring;
    auto port = EthdevPort::probe(what, 1);
    EXPECT_TRUE(port.has_value()) << port.error().text;
    EXPECT_TRUE((*port)->start(pool).has_value());
    return std::move(*port);
}

TEST(BufferPools, TheOnlyOneIsForEverybody) {
    const BufferPools pools = make({{std::nullopt, 64}});
    EXPECT_EQ(pools.count(), 1u);
    EXPECT_EQ(&pools.near(0), &pools.first());
    EXPECT_EQ(&pools.near(7), &pools.first());
    EXPECT_TRUE(pools.first().place().only);
}

TEST(BufferPools, EachNodeHasItsOwnAndOthersTheFirst) {
    const BufferPools pools = make({{1, 48}, {0, 64}});
    EXPECT_EQ(pools.count(), 2u);
    EXPECT_EQ(&pools.near(1), &pools.first());
    EXPECT_NE(&pools.near(0), &pools.first());
    EXPECT_EQ(&pools.near(5), &pools.first());
    EXPECT_LT(pools.near(1).size(), pools.near(0).size());
    EXPECT_FALSE(pools.first().place().only) << "no fast free";
    EXPECT_FALSE(pools.near(0).place().only);
}

TEST(BufferPools, OneThatIsTooSmallSaysWhichNode) {
    const BufferPools::Wanted wanted[] = {{0, 48}, {1, 2}};
    const auto pools = BufferPools::create(wanted, 1522);
    ASSERT_FALSE(pools.has_value());
    EXPECT_THAT(pools.error().text, HasSubstr("2 MiB on NUMA node 1 hold only"));
}

TEST(BufferPools, FramesGoByAnyPortAndBackIntoTheirOwnPool) {
    const BufferPools pools = make({{0, 48}, {1, 48}});
    MbufPool& here = pools.near(0);
    MbufPool& there = pools.near(1);
    const auto port = loop("crossing", there);  // receives into the one, sends both
    const auto io = port->queue(0);
    std::array<Frame, 64> frames;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        ASSERT_TRUE((i % 3 == 0 ? here : there).allocate(frames[i]));
        EXPECT_GE(frames[i].headroom, pipeline::kMinHeadroom);
        std::memset(frames[i].data, static_cast<int>(i), 60);
        frames[i].length = 60;
    }
    EXPECT_EQ(here.in_use(), 22u);
    EXPECT_EQ(there.in_use(), 42u);
    ASSERT_EQ(io->transmit(frames), frames.size());
    std::size_t got = 0;
    std::array<Frame, 32> burst;
    while (const std::size_t n = io->receive(burst)) {
        for (std::size_t i = 0; i < n; ++i) {
            EXPECT_EQ(burst[i].data[0], static_cast<std::byte>(got++));
        }
        here.release({burst.data(), n});  // whichever pool is asked
    }
    EXPECT_EQ(got, frames.size());
    EXPECT_EQ(here.in_use(), 0u);
    EXPECT_EQ(there.in_use(), 0u);
    EXPECT_EQ(pools.in_use(), 0u);
}

}  // namespace
