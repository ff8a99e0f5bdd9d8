// What wye asks of a device of DPDK, chosen from what the device says it can do: only what is worth more
// than it costs, and never what would take the device off its vector path. docs/drivers.md has the
// table and the reasons.
#pragma once

#include <cstdint>
#include <string>

struct rte_eth_dev_info;

namespace wye::drivers {

struct DeviceUse {
    std::uint64_t transmit_offloads = 0;  // RTE_ETH_TX_OFFLOAD_…
    std::uint64_t receive_offloads = 0;   // RTE_ETH_RX_OFFLOAD_…
    std::uint64_t spread_by = 0;  // RTE_ETH_RSS_…: by what flows go to queues; 0: not at all
};

/// `one_pool`: all buffers that are ever sent by it are of one pool.
DeviceUse choose_use(const rte_eth_dev_info& info, std::uint16_t queues, bool one_pool) noexcept;

/// Whether the outer UDP ports are part of it: else all flows of a tunnel come in by one queue.
bool spreads_tunnels(std::uint64_t spread_by) noexcept;

// For people, of a device that is started.

/// "receives by Vector AVX512, sends by Vector AVX512"; empty: it does not say.
std::string burst_modes(std::uint16_t device);
/// "fast free, 4 queues by RSS"; empty: none, and one queue.
std::string offload_words(const DeviceUse& use, std::uint16_t queues);
/// The driver, and all that.
std::string describe_use(std::uint16_t device, const DeviceUse& use, std::uint16_t queues);

}  // namespace wye::drivers
