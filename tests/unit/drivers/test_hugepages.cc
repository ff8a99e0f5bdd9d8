// Huge pages node by node, on a /sys of the test's own, and how DPDK is told of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "drivers/ethdev/eal.hh"
#include "drivers/ethdev/hugepages.hh"

namespace {

using namespace wye::drivers;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class NodeHugepages : public testing::Test {
  protected:
    void SetUp() override {
        sys_ = testing::TempDir() + "wye-hugepages-" + std::to_string(getpid());
    }
    void TearDown() override { std::filesystem::remove_all(sys_); }

    [[nodiscard]] std::string node(int number) const {
        return sys_ + "/devices/system/node/node" + std::to_string(number);
    }
    [[nodiscard]] std::string pool(int number) const {
        return node(number) + "/hugepages/hugepages-2048kB/";
    }
    /// This kernel does not obey: what is written to nr_hugepages makes no page free.
    void make_node(int number, int pages, int free, std::uint64_t free_megabytes) const {
        std::filesystem::create_directories(pool(number));
        std::ofstream(pool(number) + "nr_hugepages") << pages << "\n";
        std::ofstream(pool(number) + "free_hugepages") << free << "\n";
        std::ofstream(node(number) + "/meminfo")
            << "Node " << number << " MemTotal:  999999999 kB\n"
            << "Node " << number << " MemFree:  " << free_megabytes * 1024 << " kB\n";
    }
    [[nodiscard]] int pages(int number) const {
        std::ifstream file(pool(number) + "nr_hugepages");
        int value = -1;
        file >> value;
        return value;
    }

    std::string sys_;
};

TEST_F(NodeHugepages, AreThere) {
    make_node(0, 40, 33, 0);
    make_node(1, 40, 0, 0);
    const NodeMegabytes wanted[] = {{0, 64}, {1, 0}};
    EXPECT_TRUE(raise_hugepages(wanted, sys_).has_value()) << "32 and one for DPDK's rounding";
}

TEST_F(NodeHugepages, TheNodeThatLacksSomeIsNamedWithWhatMendsIt) {
    make_node(0, 40, 40, 0);
    make_node(1, 40, 10, 0);
    const NodeMegabytes wanted[] = {{0, 64}, {1, 64}};
    const auto done = raise_hugepages(wanted, sys_);
    ASSERT_FALSE(done.has_value());
    EXPECT_THAT(done.error().text,
                AllOf(HasSubstr("NUMA node 1 lacks 23 of 33 hugepages"), Not(HasSubstr("node 0")),
                      HasSubstr("run: echo 63 > " + pool(1) + "nr_hugepages")));
    EXPECT_EQ(pages(1), 40);
}

TEST_F(NodeHugepages, WhatWasRaisedInVainIsAsItWas) {
    make_node(0, 5, 0, 4096);
    make_node(1, 6, 0, 10);
    const NodeMegabytes wanted[] = {{0, 64}, {1, 64}};
    const auto done = raise_hugepages(wanted, sys_);
    ASSERT_FALSE(done.has_value());
    EXPECT_THAT(done.error().text,
                AllOf(HasSubstr("NUMA node 0 lacks 33"), HasSubstr("; NUMA node 1 lacks 33")));
    EXPECT_EQ(pages(0), 5);
    EXPECT_EQ(pages(1), 6) << "never more than half of what is free";
}

TEST_F(NodeHugepages, ANodeWithoutAnyKind) {
    const NodeMegabytes wanted[] = {{3, 64}};
    const auto done = raise_hugepages(wanted, sys_);
    ASSERT_FALSE(done.has_value());
    EXPECT_THAT(done.error().text, HasSubstr("NUMA node 3 has no 2 MiB hugepages"));
}

TEST(MemoryArguments, AreByNodeOnlyInHugepages) {
    EalOptions options;
    options.megabytes = 256;
    EXPECT_THAT(memory_arguments(options, true), ElementsAre("-m", "256"));
    options.nodes = {{2, 192}, {3, 64}};
    EXPECT_THAT(memory_arguments(options, true), ElementsAre("--socket-mem", "0,0,192,64"));
    EXPECT_THAT(memory_arguments(options, false), ElementsAre("-m", "256"));
}

}  // namespace
