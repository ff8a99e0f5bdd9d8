// What devices of DPDK can do, in their own words, against the table of docs/drivers.md; and what wye
// asks of them. Devices that need no NIC, in a network namespace of the test's own.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_bus_vdev.h>
#include <rte_ethdev.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "drivers/ethdev/capabilities.hh"
#include "drivers/ethdev/eal.hh"
#include "tests/unit/drivers/one_eal.hh"

namespace {

using namespace wye;
using namespace wye::drivers;
using testing::HasSubstr;

class OneEalWithAVeth : public OneEal {
    using OneEal::OneEal;
    void SetUp() override {
        if (unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "needs a network namespace (root)";
        ASSERT_EQ(std::system("ip link add cap-a type veth peer name cap-b && "
                              "ip link set cap-a up && ip link set cap-b up"),
                  0);
        OneEal::SetUp();
    }
};
[[maybe_unused]] const auto* const kOneEal =
    testing::AddGlobalTestEnvironment(new OneEalWithAVeth("unit-capabilities", 64));

struct Sort {
    const char* name;  // as in the table
    const char* device;
    const char* arguments;
};
const Sort kSorts[] = {
    {"af_packet", "net_af_packet_cap", "iface=cap-a"},
    {"af_xdp (DPDK's)", "net_af_xdp_cap", "iface=cap-a"},
    {"memif", "net_memif_cap", "role=server,id=0,socket-abstract=yes"},
    {"tap", "net_tap_cap", "iface=cap-tap"},
    {"ring", "net_ring_cap", ""},
    {"null", "net_null_cap", ""},
};

struct Column {
    bool transmit;
    std::uint64_t offload;
};
/// In the order of the table's columns.
constexpr Column kColumns[] = {
    {true, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE}, {true, RTE_ETH_TX_OFFLOAD_MULTI_SEGS},
    {true, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM},     {true, RTE_ETH_TX_OFFLOAD_UDP_CKSUM},
    {true, RTE_ETH_TX_OFFLOAD_VLAN_INSERT},    {false, RTE_ETH_RX_OFFLOAD_IPV4_CKSUM},
    {false, RTE_ETH_RX_OFFLOAD_VLAN_STRIP},    {false, RTE_ETH_RX_OFFLOAD_SCATTER},
};

std::string spread(std::uint64_t types) {
    const std::uint64_t tunnels = RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP;
    if ((types & tunnels) == tunnels) return "UDP ports";
    return types == 0 ? "no" : "addresses";
}

std::string row(const char* name, const rte_eth_dev_info& info) {
    std::string text = fmt::format("| {} |", name);
    for (const Column& column : kColumns) {
        const std::uint64_t all = column.transmit ? info.tx_offload_capa : info.rx_offload_capa;
        text += (all & column.offload) != 0 ? " yes |" : " no |";
    }
    return text + fmt::format(" {} |", spread(info.flow_type_rss_offloads));
}

std::string page() {
    std::ifstream file(WYE_SOURCE_DIR "/docs/drivers.md");
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

TEST(Capabilities, TheTableSaysWhatDevicesSay) {
    for (const Sort& sort : kSorts) {
        ASSERT_EQ(rte_vdev_init(sort.device, sort.arguments), 0) << sort.name;
        std::uint16_t id = 0;
        ASSERT_EQ(rte_eth_dev_get_port_by_name(sort.device, &id), 0) << sort.name;
        rte_eth_dev_info info{};
        ASSERT_EQ(rte_eth_dev_info_get(id, &info), 0);
        EXPECT_THAT(page(), HasSubstr(row(sort.name, info)));
        rte_eth_dev_close(id);
        (void)rte_vdev_uninit(sort.device);
    }
}

TEST(Capabilities, AsksForNothingThatADeviceLacks) {
    const rte_eth_dev_info none{};
    const DeviceUse use = choose_use(none, 4, true);
    EXPECT_EQ(use.transmit_offloads, 0u);
    EXPECT_EQ(use.receive_offloads, 0u);
    EXPECT_EQ(use.spread_by, 0u);
}

TEST(Capabilities, OfADeviceThatHasAllItTakesFastFreeAndUdpPorts) {
    rte_eth_dev_info all{};
    all.tx_offload_capa = all.rx_offload_capa = all.flow_type_rss_offloads = ~std::uint64_t{0};
    const DeviceUse use = choose_use(all, 4, true);
    EXPECT_EQ(use.transmit_offloads, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
    EXPECT_EQ(use.receive_offloads, 0u)
        << "vector paths of receiving end with scatter and the like";
    EXPECT_TRUE(spreads_tunnels(use.spread_by));
    EXPECT_EQ(use.spread_by & RTE_ETH_RSS_LEVEL_MASK, 0u) << "outer headers";
    EXPECT_EQ(choose_use(all, 1, true).spread_by, 0u) << "one queue";
}

TEST(Capabilities, FastFreeNeedsBuffersOfOnePool) {
    rte_eth_dev_info all{};
    all.tx_offload_capa = ~std::uint64_t{0};
    EXPECT_EQ(choose_use(all, 4, false).transmit_offloads, 0u);
}

TEST(Capabilities, KnowsWhetherTunnelsAreSpread) {
    EXPECT_FALSE(spreads_tunnels(RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP));
    EXPECT_FALSE(spreads_tunnels(RTE_ETH_RSS_IP | RTE_ETH_RSS_NONFRAG_IPV4_UDP));
    EXPECT_TRUE(spreads_tunnels(RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP));
}

TEST(Capabilities, AreSaidInWords) {
    ASSERT_EQ(rte_vdev_init("net_null_words", ""), 0);
    std::uint16_t id = 0;
    ASSERT_EQ(rte_eth_dev_get_port_by_name("net_null_words", &id), 0);
    EXPECT_EQ(describe_use(id, {}, 1), "net_null");
    EXPECT_EQ(describe_use(id, {RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE, 0, RTE_ETH_RSS_UDP}, 2),
              "net_null, fast free, 2 queues by RSS");
    EXPECT_EQ(describe_use(id, {0, 0, RTE_ETH_RSS_IP}, 2),
              "net_null, 2 queues by RSS without UDP ports: a tunnel comes in by one");
    EXPECT_EQ(describe_use(id, {}, 2), "net_null, 2 queues without RSS: whoever sends chooses");
    rte_eth_dev_close(id);
    (void)rte_vdev_uninit("net_null_words");
}

}  // namespace
