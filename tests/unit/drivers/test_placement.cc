#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "drivers/placement/placement.hh"

namespace {

using namespace wye::drivers;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Two sockets of two cores of two threads. hwloc numbers the PUs of a synthetic topology in order:
// package 0 has 0..3, package 1 has 4..7; (0,1) (2,3) (4,5) (6,7) share a core.
Topology two_sockets(std::vector<std::uint32_t> allowed = {}) {
    auto topology = Topology::synthetic("package:2 [numa] core:2 pu:2", allowed);
    EXPECT_TRUE(topology.has_value());
    return std::move(*topology);
}

// A socket-1 NIC, as hwloc exports it, in the smallest machine that has two nodes.
std::string nic_on_node_one() {
    std::ifstream file(WYE_SOURCE_DIR "/tests/unit/drivers/nic_on_node_one.xml");
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Placement, AGoodOneHasNothingToSay) {
    const auto report = check_placement(two_sockets(), {{0, 2, 4}, {}});
    EXPECT_THAT(report.refusals, IsEmpty());
    EXPECT_THAT(report.warnings, IsEmpty());
}

TEST(Placement, RefusesACoreThatIsNotThere) {
    const auto report = check_placement(two_sockets(), {{1, 8, 64}, {}});
    EXPECT_THAT(report.refusals,
                ElementsAre(HasSubstr("worker 1: core 8 does not exist; this machine has 0-7"),
                            HasSubstr("worker 2: core 64 does not exist")));
}

TEST(Placement, RefusesACoreOutsideTheCpuset) {
    const auto report = check_placement(two_sockets({0, 1, 2}), {{2, 3}, {}});
    EXPECT_THAT(report.refusals,
                ElementsAre(HasSubstr("worker 1: core 3 is not allowed for this process")));
    EXPECT_THAT(report.refusals[0], HasSubstr("allowed: 0-2"));
}

TEST(Placement, RefusesOneCoreForTwoWorkers) {
    const auto report = check_placement(two_sockets(), {{2, 4, 2}, {}});
    EXPECT_THAT(report.refusals, ElementsAre(HasSubstr("workers 0 and 2 are both on core 2")));
}

TEST(Placement, WarnsOfHardwareThreadsOfOneCore) {
    const auto report = check_placement(two_sockets(), {{4, 2, 5}, {}});
    EXPECT_THAT(report.refusals, IsEmpty());
    EXPECT_THAT(report.warnings, ElementsAre(HasSubstr("workers 0 and 2 (cores 4 and 5)")));
}

TEST(Placement, WarnsOfANicOnTheOtherNode) {
    const auto topology = Topology::from_xml(nic_on_node_one());
    ASSERT_TRUE(topology.has_value()) << topology.error().text;
    const auto report = check_placement(*topology, {{0, 1}, {{"wan", "0000:81:00.0"}}});
    EXPECT_THAT(report.refusals, IsEmpty());
    EXPECT_THAT(report.warnings,
                ElementsAre(HasSubstr("worker 0 (core 0) is on NUMA node 0, but port \"wan\" "
                                      "(0000:81:00.0) is on node 1")));
}

TEST(Placement, ThisMachineHasItsCores) {
    const auto topology = Topology::of_this_machine();
    ASSERT_TRUE(topology.has_value());
    EXPECT_THAT(check_placement(*topology, {{4095}, {}}).refusals,
                ElementsAre(HasSubstr("does not exist")));
}

TEST(Placement, NonsenseIsNoTopology) {
    EXPECT_FALSE(Topology::synthetic("twelve dwarves").has_value());
    EXPECT_FALSE(Topology::from_xml("<topology/>").has_value());
}

}  // namespace
