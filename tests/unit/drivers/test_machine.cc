// What is read of a machine: hwloc's topology, Linux's lists of CPUs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/drivers/topology_samples.hh"

namespace wye::drivers {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(CpuList, IsReadAndWrittenAsLinuxDoes) {
    EXPECT_THAT(*parse_cpu_list("0-3,8,10-11"), ElementsAre(0, 1, 2, 3, 8, 10, 11));
    EXPECT_THAT(*parse_cpu_list(""), IsEmpty());
    for (const char* const bad : {"(null)", "3-1", "a", "1,,2", "1-", "-1", "0-99999999"}) {
        EXPECT_FALSE(parse_cpu_list(bad).has_value()) << bad;
    }
    EXPECT_EQ(cpu_list({11, 0, 1, 2, 8, 10}), "0-2,8,10,11");
    EXPECT_EQ(cpu_list({}), "");
}

TEST(Isolation, IsReadFromSysfs) {
    const std::string sys = testing::TempDir() + "/isolation";
    std::filesystem::create_directories(sys + "/devices/system/cpu");
    std::ofstream(sys + "/devices/system/cpu/isolated") << "2-4,7\n";
    std::ofstream(sys + "/devices/system/cpu/nohz_full") << "(null)\n";
    const Isolation isolation = read_isolation(sys);
    EXPECT_THAT(isolation.isolated, ElementsAre(2, 3, 4, 7));
    EXPECT_THAT(isolation.tickless, IsEmpty());
    std::filesystem::remove_all(sys);
}

TEST(Machine, OneSocketWithHardwareThreads) {
    const Machine machine = server("one_socket_smt", {{2, 10}, {2}});
    EXPECT_EQ(machine.cores.size(), 8u);
    EXPECT_EQ(machine.threads.size(), 16u);
    EXPECT_EQ(machine.caches.size(), 1u);
    ASSERT_EQ(machine.nodes.size(), 1u);
    EXPECT_EQ(machine.nodes[0].huge_pages, 1024u);
    ASSERT_NE(machine.find_cpu(10), nullptr);
    EXPECT_EQ(machine.find_cpu(10)->core, machine.find_cpu(2)->core);
    EXPECT_TRUE(machine.find_cpu(2)->tickless);
    EXPECT_FALSE(machine.find_cpu(10)->tickless);
    EXPECT_TRUE(machine.find_cpu(10)->isolated);
    EXPECT_EQ(machine.nics.size(), 6u);
    ASSERT_NE(machine.find_nic("0000:18:00.1"), nullptr);
    EXPECT_THAT(machine.find_nic("0000:18:00.1")->interfaces, ElementsAre("ens1f1"));
    EXPECT_EQ(machine.find_nic("0000:18:00.1")->vendor, 0x8086);
}

TEST(Machine, ANicIsNearItsSocketItsClusterOrNobodyKnows) {
    EXPECT_THAT(server("two_sockets_smt").find_nic("0000:af:00.0")->nodes, ElementsAre(1));
    EXPECT_THAT(server("two_sockets_snc").find_nic("0000:51:00.0")->nodes, ElementsAre(1));
    EXPECT_THAT(server("two_sockets_one_thread").find_nic("0000:04:00.0")->nodes, IsEmpty());
    EXPECT_THAT(server("one_socket_four_l3").find_nic("0000:c1:00.0")->nodes, ElementsAre(0));
}

TEST(Machine, SubNumaClustersAreNodesOfOneSocket) {
    const Machine machine = server("two_sockets_snc");
    ASSERT_EQ(machine.nodes.size(), 4u);
    EXPECT_EQ(machine.nodes[1].package, 0u);
    EXPECT_EQ(machine.nodes[2].package, 1u);
    EXPECT_EQ(machine.core_of(*machine.find_cpu(6)).node, 1u);
    EXPECT_EQ(machine.core_of(*machine.find_cpu(30)).node, 1u);  // its second thread
}

TEST(Machine, CoresOfOneL3) {
    const Machine machine = server("one_socket_four_l3");
    EXPECT_EQ(machine.caches.size(), 4u);
    EXPECT_EQ(machine.core_of(*machine.find_cpu(0)).cache,
              machine.core_of(*machine.find_cpu(19)).cache);
    EXPECT_NE(machine.core_of(*machine.find_cpu(3)).cache,
              machine.core_of(*machine.find_cpu(4)).cache);
}

TEST(Machine, ThisOne) {
    const auto topology = Topology::of_this_machine();
    ASSERT_TRUE(topology.has_value());
    const Machine machine = machine_of(*topology, read_isolation());
    EXPECT_FALSE(machine.threads.empty());
    EXPECT_FALSE(machine.nodes.empty());
}

TEST(Topology, NonsenseIsNone) {
    EXPECT_FALSE(Topology::synthetic("twelve dwarves").has_value());
    EXPECT_FALSE(Topology::from_xml("<topology/>").has_value());
}

}  // namespace
}  // namespace wye::drivers
