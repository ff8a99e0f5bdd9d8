#include "bench/rfc2544/program.hh"

#include <fmt/format.h>
#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace wye::rfc2544 {
namespace {

constexpr auto kAnySocket = static_cast<unsigned>(SOCKET_ID_ANY);
constexpr std::size_t kUsualFrame = RTE_ETHER_MAX_LEN - RTE_ETHER_CRC_LEN;

rte_eth_dev_info info_of(std::uint16_t port) {
    rte_eth_dev_info info{};
    if (!rte_eth_dev_is_valid_port(port) || rte_eth_dev_info_get(port, &info) != 0) {
        throw std::runtime_error(fmt::format("there is no port {}", port));
    }
    return info;
}

bool is_memif(const rte_eth_dev_info& info) {
    return std::string_view(info.driver_name) == "net_memif";
}

std::string argument(const rte_eth_dev_info& info, std::string_view key) {
    const rte_devargs* given = rte_dev_devargs(info.device);
    std::string_view rest = given == nullptr || given->args == nullptr ? "" : given->args;
    while (!rest.empty()) {
        const std::string_view one = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        if (one.starts_with(key) && one.substr(key.size()).starts_with('=')) {
            return std::string(one.substr(key.size() + 1));
        }
    }
    return {};
}

/// memif tells DPDK of 1518 bytes whatever its buffers are. What counts is that a buffer, which the client
/// makes, holds a whole frame: DPDK 22.11's driver was seen to damage frames that lie in several.
void check_memif(std::uint16_t port, const rte_eth_dev_info& info, std::size_t longest) {
    constexpr std::size_t kUsualBuffer = 2048;
    if (argument(info, "role") == "server") return;
    const std::string said = argument(info, "bsize");
    const std::size_t buffer =
        said.empty() ? kUsualBuffer : std::strtoul(said.c_str(), nullptr, 10);
    if (longest <= buffer) return;
    throw std::runtime_error(
        fmt::format("port {} is a memif client with buffers of {} bytes, and frames of {} bytes do "
                    "not fit: add "
                    "bsize={} to its --vdev",
                    port, buffer, longest, std::bit_ceil(longest)));
}

void check_length(std::uint16_t port, const rte_eth_dev_info& info, std::size_t longest) {
    if (is_memif(info)) return check_memif(port, info, longest);
    const std::size_t most = info.max_rx_pktlen;
    if (longest <= kUsualFrame || longest + RTE_ETHER_CRC_LEN <= most) return;
    throw std::runtime_error(fmt::format(
        "port {} ({}) takes frames of at most {} bytes with their check sequence, not {}: "
        "lower --sizes, or use another port",
        port, info.driver_name, most, longest + RTE_ETHER_CRC_LEN));
}

}  // namespace

rte_mempool* make_buffers(std::size_t longest, std::span<const std::uint16_t> ports,
                          std::uint16_t descriptors) {
    constexpr std::size_t kLong = 4096;
    std::size_t held = 0;  // memif copies
    for (const std::uint16_t port : ports) held += is_memif(info_of(port)) ? 0u : 2u * descriptors;
    const std::size_t room =
        std::max<std::size_t>(RTE_MBUF_DEFAULT_BUF_SIZE, longest + RTE_PKTMBUF_HEADROOM + 64);
    const std::size_t count = std::max<std::size_t>(room > kLong ? 8191 : 32767, held + 4096);
    rte_mempool* made = rte_pktmbuf_pool_create("frames", static_cast<unsigned>(count), 256, 0,
                                                static_cast<std::uint16_t>(room), SOCKET_ID_ANY);
    if (made != nullptr) return made;
    throw std::runtime_error(fmt::format(
        "no memory for {} packet buffers of {} bytes ({}): raise EAL's -m, or lower --descriptors",
        count, room, rte_strerror(rte_errno)));
}

void start_port(std::uint16_t port, std::size_t longest, std::uint16_t descriptors,
                rte_mempool* buffers) {
    const rte_eth_dev_info info = info_of(port);
    check_length(port, info, longest);
    rte_eth_conf configuration{};
    if (longest > kUsualFrame && !is_memif(info)) {
        configuration.rxmode.mtu = static_cast<std::uint32_t>(
            std::min<std::size_t>(longest - RTE_ETHER_HDR_LEN, info.max_mtu));
    }
    std::uint16_t rx = descriptors, tx = descriptors;
    if (rte_eth_dev_configure(port, 1, 1, &configuration) != 0 ||
        rte_eth_dev_adjust_nb_rx_tx_desc(port, &rx, &tx) != 0 ||
        rte_eth_rx_queue_setup(port, 0, rx, kAnySocket, nullptr, buffers) != 0 ||
        rte_eth_tx_queue_setup(port, 0, tx, kAnySocket, nullptr) != 0 ||
        rte_eth_dev_start(port) != 0) {
        throw std::runtime_error(fmt::format("port {} does not start", port));
    }
    rte_eth_promiscuous_enable(port);  // what cannot be promiscuous has one address anyway
}

void close_ports(std::span<const std::uint16_t> ports) {
    for (const std::uint16_t port : ports) {
        rte_eth_dev_stop(port);
        rte_eth_dev_close(port);
    }
}

}  // namespace wye::rfc2544
