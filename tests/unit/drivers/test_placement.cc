// Where everything goes, on servers whose right answer is known, and what is said against a plan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "drivers/placement/plan.hh"
#include "tests/unit/drivers/topology_samples.hh"

namespace wye::drivers {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Severity = Advice::Severity;

PlacementRequest cores(std::vector<std::uint32_t> list) {
    PlacementRequest request;
    request.cores = std::move(list);
    return request;
}

PlacementRequest nic(const std::string& address, std::uint32_t workers = 0) {
    PlacementRequest request;
    request.workers = workers;
    request.ports.push_back({"wan", address, 512, 512, 1500, ""});
    return request;
}

std::vector<std::string> texts(const Plan& plan, Severity severity) {
    std::vector<std::string> list;
    for (const Advice& advice : plan.advice) {
        EXPECT_NE(advice.fix, "") << advice.text;
        if (advice.severity == severity) list.push_back(advice.text);
    }
    return list;
}
std::vector<std::string> refusals(const Plan& plan) {
    return texts(plan, Severity::refusal);
}
std::vector<std::string> warnings(const Plan& plan) {
    return texts(plan, Severity::warning);
}
std::vector<std::string> hints(const Plan& plan) {
    return texts(plan, Severity::hint);
}

// Two sockets of two cores of two threads. hwloc numbers the PUs of a synthetic topology in order:
// package 0 has 0..3, package 1 has 4..7; (0,1) (2,3) (4,5) (6,7) share a core.
Machine two_sockets(const std::vector<std::uint32_t>& allowed = {}) {
    return synthetic_machine("package:2 [numa] core:2 pu:2", allowed);
}

TEST(Placement, AGoodOneHasNoWarning) {
    const Plan plan = plan_placement(two_sockets(), cores({2, 4}));
    EXPECT_THAT(refusals(plan), IsEmpty());
    EXPECT_THAT(warnings(plan), IsEmpty());
    EXPECT_FALSE(plan.proposed);
}

TEST(Placement, RefusesACoreThatIsNotThere) {
    EXPECT_THAT(refusals(plan_placement(two_sockets(), cores({1, 8, 64}))),
                ElementsAre(HasSubstr("worker 1: core 8 does not exist; this machine has 0-7"),
                            HasSubstr("worker 2: core 64 does not exist")));
}

TEST(Placement, RefusesACoreOutsideTheCpuset) {
    EXPECT_THAT(refusals(plan_placement(two_sockets({0, 1, 2}), cores({2, 3}))),
                ElementsAre(AllOf(HasSubstr("worker 1: core 3 is not allowed for this process"),
                                  HasSubstr("allowed: 0-2"))));
}

TEST(Placement, RefusesOneCoreForTwoWorkers) {
    EXPECT_THAT(refusals(plan_placement(two_sockets(), cores({2, 4, 2}))),
                ElementsAre(HasSubstr("workers 0 and 2 are both on core 2")));
}

TEST(Placement, WarnsOfHardwareThreadsOfOneCore) {
    const Plan plan = plan_placement(two_sockets(), cores({4, 2, 5}));
    EXPECT_THAT(refusals(plan), IsEmpty());
    EXPECT_THAT(warnings(plan), ElementsAre(HasSubstr("workers 0, 2 (cores 4, 5) are hardware")));
    EXPECT_THAT(plan.advice, Contains(Field(&Advice::fix, HasSubstr("free: 6"))));
}

TEST(Placement, WarnsOfANicOnTheOtherNode) {
    auto request = nic("0000:81:00.0");
    request.cores = {0};
    EXPECT_THAT(warnings(plan_placement(server("nic_on_node_one"), request)),
                ElementsAre(HasSubstr("worker 0 (core 0) is on NUMA node 0, but port \"wan\" "
                                      "(0000:81:00.0) is on node 1: every packet will cross the "
                                      "sockets")));
}

TEST(Placement, WarnsOfTheOtherClusterOfTheSameSocket) {
    auto request = nic("0000:51:00.0");
    request.cores = {1, 6, 2};
    EXPECT_THAT(warnings(plan_placement(server("two_sockets_snc"), request)),
                ElementsAre(AllOf(HasSubstr("workers 0, 2 (cores 1, 2) are on NUMA node 0"),
                                  HasSubstr("another part of the socket"))));
}

TEST(Placement, PortsOfOnePlaceAreOneWarning) {
    auto request = nic("0000:af:00.0");
    request.ports.push_back({"lan", "0000:af:00.1", 512, 512, 1500, ""});
    request.cores = {2};
    EXPECT_THAT(warnings(plan_placement(server("two_sockets_smt"), request)),
                ElementsAre(HasSubstr("but ports \"wan\", \"lan\" (0000:af:00.0, 0000:af:00.1) "
                                      "are on node 1")));
}

TEST(Placement, WarnsWhenNoCpuIsLeft) {
    const Plan plan = plan_placement(synthetic_machine("core:2 pu:1"), cores({0, 1}));
    EXPECT_THAT(warnings(plan), ElementsAre(HasSubstr("no CPU is left")));
    EXPECT_THAT(plan.others, IsEmpty());
}

TEST(Placement, WarnsOfTooFewBuffers) {
    auto request = nic("0000:18:00.0", 4);
    request.megabytes = 64;
    request.ports[0].rx_descriptors = 8192;
    const Plan plan = plan_placement(server("one_socket_smt"), request);
    EXPECT_THAT(warnings(plan), ElementsAre(HasSubstr("memory.megabytes: 64 MiB make")));
    request.megabytes = 256;
    EXPECT_THAT(warnings(plan_placement(server("one_socket_smt"), request)), IsEmpty());
}

TEST(Placement, HintsNameTheKernelsSettings) {
    const auto plan = plan_placement(server("one_socket_smt"), nic("0000:18:00.0", 2));
    EXPECT_THAT(hints(plan), Contains(HasSubstr("Linux may run other tasks on workers' cores")));
    EXPECT_THAT(hints(plan), Contains(HasSubstr("second hardware threads")));
    EXPECT_THAT(plan.advice, Contains(Field(&Advice::fix, HasSubstr("isolcpus="))));
    const Isolation good{{2, 3, 10, 11}, {2, 3, 10, 11}};
    auto request = nic("0000:18:00.0", 2);
    const Plan isolated = plan_placement(server("one_socket_smt", good), request);
    EXPECT_THAT(isolated.worker_cpus(), ElementsAre(2, 3));
    EXPECT_THAT(isolated.advice, IsEmpty());
}

TEST(Placement, SaysWhatIsIsolatedForNobodyAndWhatStillTicks) {
    const Isolation isolation{{2, 3, 4, 10, 11, 12}, {}};
    const Plan plan = plan_placement(server("one_socket_smt", isolation), nic("0000:18:00.0", 2));
    EXPECT_THAT(hints(plan), ElementsAre(HasSubstr("the timer still ticks on workers' cores: 2,3"),
                                         HasSubstr("isolated and without a worker: 4,12")));
}

TEST(Placement, SaysWhenThePlaceOfANicIsNotKnown) {
    EXPECT_THAT(hints(plan_placement(server("two_sockets_one_thread"), nic("0000:04:00.0"))),
                Contains(HasSubstr("does not tell which NUMA node")));
    EXPECT_THAT(hints(plan_placement(server("one_socket_smt"), nic("0000:99:00.0"))),
                Contains(HasSubstr("there is no network device 0000:99:00.0")));
}

TEST(Placement, HugePagesAreWantedWhereTheBuffersAre) {
    auto request = nic("0000:af:00.0", 4);
    const Plan plan = plan_placement(server("two_sockets_smt"), request);
    ASSERT_EQ(plan.memory.size(), 1u);
    EXPECT_EQ(plan.memory[0].node, 1u);
    EXPECT_EQ(plan.memory[0].megabytes, 128u);
    EXPECT_EQ(plan.memory[0].buffer_pages, 64u);
    EXPECT_EQ(plan.memory[0].buffers_held, 4 * 1024u + 4 * 1024u);
    EXPECT_THAT(hints(plan), Contains(HasSubstr("node 1 has 0 huge pages of 2 MiB, packet buffers "
                                                "want 64")));
    EXPECT_THAT(plan.advice, Contains(Field(&Advice::fix, HasSubstr("node1/hugepages"))));
    request.huge_pages = false;
    EXPECT_THAT(hints(plan_placement(server("two_sockets_smt"), request)),
                Not(Contains(HasSubstr("huge pages"))));
}

TEST(Placement, TablesWantHugePagesToo) {
    auto request = nic("0000:18:00.0", 2);
    request.table_bytes = std::uint64_t{4} << 30;
    const Plan plan = plan_placement(server("one_socket_smt"), request);
    ASSERT_EQ(plan.memory.size(), 1u);
    EXPECT_EQ(plan.memory[0].table_pages, 2048u);
    EXPECT_THAT(hints(plan), Contains(HasSubstr("they lie in ordinary memory")));
}

// Where buffers lie.

TEST(Buffers, AMachineOfOneNodeHasOnePoolForAll) {
    auto request = nic("0000:18:00.0");
    request.cores = {2, 3};
    request.ports.push_back({"tap", "", 512, 512, 1500, ""});
    const Plan plan = plan_placement(server("one_socket_smt"), request);
    EXPECT_FALSE(plan.several_nodes);
    EXPECT_THAT(plan.pools(), ElementsAre(0));
    ASSERT_EQ(plan.memory.size(), 1u);
    EXPECT_EQ(plan.memory[0].megabytes, 128u);
}

TEST(Buffers, LieAtTheNicAndNotAtItsFarWorkers) {
    auto request = nic("0000:81:00.0");
    request.cores = {0};
    request.table_bytes = 64u << 20;
    const Plan plan = plan_placement(server("nic_on_node_one"), request);
    EXPECT_TRUE(plan.several_nodes);
    EXPECT_THAT(plan.pools(), ElementsAre(1)) << "one pool, so fast free may be asked for";
    EXPECT_EQ(plan.ports[0].buffers_on, 1u);
    EXPECT_EQ(plan.pool_for(0), 1u) << "node 0 has none";
    EXPECT_EQ(plan.memory_of(1)->megabytes, 128u);
    EXPECT_EQ(plan.home, 0u) << "the tables are with the workers";
    EXPECT_EQ(plan.memory_of(0)->buffers, 0u);
    EXPECT_EQ(plan.memory_of(0)->table_pages, 32u);
    EXPECT_EQ(plan.memory_of(0)->buffer_pages, 0u);
}

PlacementRequest nics_on_both_sockets() {
    auto request = nic("0000:3b:00.0");
    request.ports.push_back({"lan", "0000:d8:00.0", 512, 512, 1500, ""});
    request.cores = {8, 2, 9};
    return request;
}

TEST(Buffers, NicsOnTwoNodesHaveAPoolEach) {
    const Plan plan = plan_placement(server("two_sockets_one_thread"), nics_on_both_sockets());
    EXPECT_EQ(plan.ports[0].buffers_on, 0u);
    EXPECT_EQ(plan.ports[1].buffers_on, 1u);
    EXPECT_EQ(plan.home, 1u) << "most workers";
    EXPECT_THAT(plan.pools(), ElementsAre(1, 0)) << "first that of whoever has none";
    EXPECT_EQ(plan.pool_for(2), 0u);
    EXPECT_EQ(plan.pool_for(9), 1u);
    EXPECT_EQ(plan.pool_for(77), 1u) << "no worker is there yet";
    // Workers' caches, and both ports' queues to send, can be full of one pool's.
    const std::uint32_t held = 3 * 1024 + 3 * 512 + 2 * 3 * 512;
    ASSERT_EQ(plan.memory.size(), 2u);
    for (const auto& node : plan.memory) {
        EXPECT_EQ(node.buffers_held, held);
        EXPECT_EQ(node.megabytes, 64u);
        EXPECT_EQ(node.buffer_pages, 32u);
        EXPECT_GE(node.buffers, node.buffers_held);
    }
}

TEST(Buffers, APortOfNoNodeTakesThoseOfItsWorkers) {
    auto request = nic("0000:3b:00.0");
    request.cores = {8, 9};
    request.ports.push_back({"tap", "", 512, 512, 1500, ""});
    request.ports.push_back({"gone", "0000:99:00.0", 512, 512, 1500, ""});
    const Plan plan = plan_placement(server("two_sockets_one_thread"), request);
    EXPECT_EQ(plan.ports[0].buffers_on, 0u);
    EXPECT_EQ(plan.ports[1].buffers_on, 1u);
    EXPECT_EQ(plan.ports[2].buffers_on, 1u);
    EXPECT_THAT(plan.pools(), ElementsAre(1, 0));
}

TEST(Buffers, AnInterfaceThatItsNicWritesForIsNearThatNic) {
    const Machine machine = server("two_sockets_one_thread");
    const auto* far = machine.find_nic("0000:d8:00.0");
    ASSERT_NE(far, nullptr);
    ASSERT_FALSE(far->interfaces.empty());
    PlacementRequest request = cores({2});
    request.ports.push_back({"shared", "", 512, 512, 1500, far->interfaces.front()});
    const Plan plan = plan_placement(machine, request);
    EXPECT_EQ(plan.ports[0].buffers_on, 1u);
    EXPECT_EQ(plan.ports[0].pci_address, "0000:d8:00.0");
    EXPECT_THAT(plan.workers[0].far_ports, ElementsAre("shared"));
}

TEST(Buffers, OnePoolForAllWhereAPortCanSendNoOther) {
    auto request = nics_on_both_sockets();
    request.one_pool = true;
    const Plan plan = plan_placement(server("two_sockets_one_thread"), request);
    EXPECT_EQ(plan.home, 1u);
    EXPECT_THAT(plan.pools(), ElementsAre(0)) << "the lowest node";
    EXPECT_EQ(plan.memory_of(0)->megabytes, 128u);
    EXPECT_EQ(plan.memory_of(1)->buffers, 0u);
    EXPECT_EQ(plan.memory_of(1)->megabytes, 4u) << "the driver of the NIC there needs some";
}

TEST(Buffers, DpdkHasSomeMemoryWhereTheProcessIsShutIn) {
    auto request = nic("0000:81:00.0");
    auto machine = server("nic_on_node_one");
    for (auto& thread : machine.threads) thread.allowed = machine.core_of(thread).node == 0;
    request.cores = {0};
    const Plan plan = plan_placement(machine, request);
    EXPECT_THAT(plan.pools(), ElementsAre(1));
    ASSERT_NE(plan.memory_of(0), nullptr);
    EXPECT_GT(plan.memory_of(0)->megabytes, 0u);
    EXPECT_EQ(plan.memory_of(0)->buffers, 0u);
}

TEST(Proposal, TakesTheNicsSocket) {
    const Plan plan = plan_placement(server("two_sockets_smt"), nic("0000:af:00.0", 4));
    EXPECT_TRUE(plan.proposed);
    EXPECT_THAT(plan.worker_cpus(), ElementsAre(13, 14, 15, 16));  // 12 is for the others
    EXPECT_THAT(warnings(plan), IsEmpty());
    EXPECT_EQ(plan.others.front().name, "control");
    EXPECT_EQ(plan.others.front().cpu, 12u);
}

TEST(Proposal, TakesTheNicsCluster) {
    const Plan plan = plan_placement(server("two_sockets_snc"), nic("0000:51:00.0"));
    EXPECT_THAT(plan.worker_cpus(), ElementsAre(7, 8, 9, 10, 11));
}

TEST(Proposal, ThenTheSameSocketThenTheOther) {
    const Plan plan = plan_placement(server("two_sockets_snc"), nic("0000:51:00.0", 11));
    EXPECT_THAT(plan.worker_cpus(), ElementsAre(7, 8, 9, 10, 11, 1, 2, 3, 4, 5, 12));
}

TEST(Proposal, NicsOnTwoSocketsShareTheWorkers) {
    auto request = nic("0000:3b:00.0", 4);
    request.ports.push_back({"lan", "0000:d8:00.0", 512, 512, 1500, ""});
    const Plan plan = plan_placement(server("two_sockets_one_thread"), request);
    EXPECT_THAT(plan.worker_cpus(), ElementsAre(2, 8, 3, 9));
    EXPECT_THAT(warnings(plan), ElementsAre(HasSubstr("on several NUMA nodes")));
    EXPECT_EQ(plan.memory.size(), 2u);
    EXPECT_THAT(plan.workers[0].far_ports, ElementsAre("lan"));
}

TEST(Proposal, LeavesCpuZeroToOthersAndHasAtMostEightUnasked) {
    EXPECT_THAT(plan_placement(server("one_socket_four_l3"), {}).worker_cpus(),
                ElementsAre(2, 3, 4, 5, 6, 7, 8, 9));
    EXPECT_THAT(plan_placement(synthetic_machine("core:2 pu:1"), {}).worker_cpus(), ElementsAre(1));
    EXPECT_THAT(plan_placement(synthetic_machine("core:1 pu:1"), {}).worker_cpus(), ElementsAre(0));
}

TEST(Proposal, SaysWhenThereIsNoRoom) {
    PlacementRequest request;
    request.workers = 9;
    const Plan plan = plan_placement(synthetic_machine("core:2 pu:2"), request);
    EXPECT_THAT(plan.worker_cpus(), ElementsAre(2, 0, 1));
    EXPECT_THAT(warnings(plan), Contains(HasSubstr("there is room for 3 workers, not for 9")));
}

}  // namespace
}  // namespace wye::drivers
