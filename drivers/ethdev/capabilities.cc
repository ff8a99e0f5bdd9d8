#include "drivers/ethdev/capabilities.hh"

#include <fmt/format.h>
#include <rte_ethdev.h>

namespace wye::drivers {
namespace {

/// Both families' UDP: where tunnels put their entropy (RFC 7348 5, RFC 8926 3.3).
constexpr std::uint64_t kUdp = RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP;

void join(std::string& text, const std::string& more) {
    if (!text.empty() && !more.empty()) text += ", ";
    text += more;
}

}  // namespace

DeviceUse choose_use(const rte_eth_dev_info& info, std::uint16_t queues, bool one_pool) noexcept {
    DeviceUse use;
    // A queue's buffers of one pool, with one owner each, is all that it asks for. With several pools
    // nothing keeps what one port received off another's queue, and the driver would put it into
    // the pool of the buffer before it.
    if (one_pool) use.transmit_offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
    if (queues > 1) {
        use.spread_by =
            info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
    }
    return use;
}

bool spreads_tunnels(std::uint64_t spread_by) noexcept {
    return (spread_by & kUdp) == kUdp;
}

std::string burst_modes(std::uint16_t device) {
    rte_eth_burst_mode mode{};
    std::string text;
    if (rte_eth_rx_burst_mode_get(device, 0, &mode) == 0) {
        join(text, fmt::format("receives by {}", mode.info));
    }
    if (rte_eth_tx_burst_mode_get(device, 0, &mode) == 0) {
        join(text, fmt::format("sends by {}", mode.info));
    }
    return text;
}

std::string offload_words(const DeviceUse& use, std::uint16_t queues) {
    std::string text;
    if (use.transmit_offloads != 0) join(text, "fast free");
    if (queues < 2) return text;
    if (use.spread_by == 0) {
        join(text, fmt::format("{} queues without RSS: whoever sends chooses", queues));
    } else if (spreads_tunnels(use.spread_by)) {
        join(text, fmt::format("{} queues by RSS", queues));
    } else {
        join(text,
             fmt::format("{} queues by RSS without UDP ports: a tunnel comes in by one", queues));
    }
    return text;
}

std::string describe_use(std::uint16_t device, const DeviceUse& use, std::uint16_t queues) {
    rte_eth_dev_info info{};
    if (rte_eth_dev_info_get(device, &info) != 0) return "?";
    std::string text = info.driver_name;
    join(text, burst_modes(device));
    join(text, offload_words(use, queues));
    return text;
}

}  // namespace wye::drivers
