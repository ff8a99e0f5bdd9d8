#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <cstring>

#include "drivers/memory/memory_port.hh"

namespace {

using namespace wye;
using drivers::MemoryPool;
using drivers::MemoryPort;
using pipeline::Frame;

std::vector<std::byte> numbered(std::size_t length, int first) {
    std::vector<std::byte> bytes(length);
    for (std::size_t i = 0; i < length; ++i) {
        bytes[i] = static_cast<std::byte>(static_cast<int>(i) + first);
    }
    return bytes;
}

bool readable(int descriptor) {
    pollfd entry{descriptor, POLLIN, 0};
    return poll(&entry, 1, 0) == 1;
}

TEST(MemoryPool, GivesHeadroomAndRunsOut) {
    MemoryPool pool(2, 100);
    std::array<Frame, 3> frames;
    EXPECT_TRUE(pool.allocate(frames[0]));
    EXPECT_TRUE(pool.allocate(frames[1]));
    EXPECT_FALSE(pool.allocate(frames[2]));
    EXPECT_EQ(frames[0].length, 0u);
    EXPECT_GE(frames[0].headroom, pipeline::kMinHeadroom);
    EXPECT_EQ(frames[0].tailroom, 100);
    EXPECT_EQ(pool.in_use(), 2u);
    pool.release({frames.data(), 2});
    EXPECT_EQ(pool.in_use(), 0u);
}

TEST(MemoryPoolDeathTest, StopsAtADoubleRelease) {
    MemoryPool pool(1);
    Frame frame;
    ASSERT_TRUE(pool.allocate(frame));
    pool.release({&frame, 1});
    EXPECT_DEATH(pool.release({&frame, 1}), "released twice");
}

TEST(MemoryPort, CarriesFramesInOrderAndWakes) {
    MemoryPool pool(8);
    MemoryPort port(pool);
    EXPECT_FALSE(readable(port.wait_descriptor()));
    EXPECT_TRUE(port.arrive(numbered(60, 1)));
    EXPECT_TRUE(port.arrive(numbered(61, 2)));
    EXPECT_TRUE(readable(port.wait_descriptor()));
    std::array<Frame, 8> frames;
    ASSERT_EQ(port.receive(frames), 2u);
    EXPECT_FALSE(readable(port.wait_descriptor()));
    EXPECT_EQ(port.receive(std::span(frames).subspan(2)), 0u);
    ASSERT_EQ(port.transmit({frames.data(), 2}), 2u);
    const auto sent = port.take_transmitted();
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(sent[0], numbered(60, 1));
    EXPECT_EQ(sent[1], numbered(61, 2));
    EXPECT_EQ(pool.in_use(), 0u);
}

TEST(MemoryPort, TakesOnlyWhatThereIsRoomFor) {
    MemoryPool pool(4);
    MemoryPort port(pool);
    port.set_transmit_room(1);
    std::array<Frame, 2> frames;
    ASSERT_TRUE(pool.make(numbered(60, 0), frames[0]));
    ASSERT_TRUE(pool.make(numbered(60, 0), frames[1]));
    EXPECT_EQ(port.transmit(frames), 1u);
    EXPECT_EQ(port.transmit({&frames[1], 1}), 0u);
    pool.release({&frames[1], 1});
    EXPECT_EQ(port.take_transmitted().size(), 1u);
}

TEST(MemoryPort, KnowsWhichFramesItCanSend) {
    MemoryPool pool(1);
    MemoryPort port(pool);
    port.set_longest_frame(100, 104);
    Frame frame;
    auto bytes = numbered(104, 0);
    ASSERT_TRUE(pool.make(bytes, frame));
    EXPECT_FALSE(port.sendable(frame));
    frame.data[12] = std::byte{0x81};
    frame.data[13] = std::byte{0x00};
    EXPECT_TRUE(port.sendable(frame));
    frame.data[12] = std::byte{0x88};
    frame.data[13] = std::byte{0xa8};
    EXPECT_FALSE(port.sendable(frame));
    frame.trim_to(100);
    EXPECT_TRUE(port.sendable(frame));
    pool.release({&frame, 1});
}

}  // namespace
