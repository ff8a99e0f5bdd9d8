#include "drivers/ethdev/devargs.hh"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace wye::drivers {
namespace {

/// Slots fill blocks, blocks fill pages.
std::string packet_ring(std::uint16_t mtu, std::uint16_t descriptors) {
    const std::uint32_t slot = packet_slot_bytes(mtu);
    return fmt::format("framesz={},blocksz={},framecnt={}", slot, 2 * slot, descriptors);
}

std::string pcap_files(const PortSpecification& port) {
    std::string text;
    if (!port.rx_file.empty()) text += "rx_pcap=" + port.rx_file;
    if (!port.tx_file.empty()) text += (text.empty() ? "" : ",") + ("tx_pcap=" + port.tx_file);
    if (port.repeat) text += ",infinite_rx=1";
    return text;
}

/// Rings as powers of two; the driver's own sockets would be abstract ones, which anybody may use.
std::string memif_arguments(const PortSpecification& port, std::uint16_t mtu) {
    const SocketSpecification& socket = port.socket;
    // DPDK 22.11's driver damages frames now and then that lie in more than one buffer.
    const std::uint32_t whole = std::bit_ceil(mtu + 14u + 8u);
    const std::uint32_t buffer = socket.buffer_bytes == 0 ? whole : socket.buffer_bytes;
    std::string text =
        fmt::format("role={},id={},socket={},socket-abstract=no,bsize={},rsize={}",
                    socket.listens ? "server" : "client", socket.id, socket.path, buffer,
                    std::bit_width(std::max(port.rx_descriptors, port.tx_descriptors)) - 1);
    if (socket.zero_copy) text += ",zero-copy=yes";
    return text;
}

}  // namespace

std::uint32_t packet_slot_bytes(std::uint16_t mtu) noexcept {
    constexpr std::uint32_t kSlotHeader = 96;  // TPACKET2_HDRLEN and alignment, rounded up
    const std::uint32_t needed = mtu + 14u + 8u + kSlotHeader;
    for (const std::uint32_t slot : {2048u, 4096u}) {
        if (needed <= slot) return slot;
    }
    return 10240;
}

Devargs devargs_of(const PortSpecification& port, std::uint16_t queues, std::uint16_t mtu) {
    const std::string name(port.name.view());
    switch (port.kind) {
        case PortKind::pci:
            return {port.pci_address, ""};
        case PortKind::af_packet:
            return {"net_af_packet_" + name,
                    fmt::format("iface={},qpairs={},{}", port.interface, queues,
                                packet_ring(mtu, port.rx_descriptors))};
        case PortKind::tap:
            return {"net_tap_" + name, "iface=" + port.interface};
        case PortKind::pcap:
            return {"net_pcap_" + name, pcap_files(port)};
        case PortKind::ring:
            return {"net_ring_" + name, ""};
        case PortKind::af_xdp:
            break;  // no device of DPDK
        case PortKind::memif:
            return {"net_memif_" + name, memif_arguments(port, mtu)};
        case PortKind::vhost_user:
            return {"net_vhost_" + name,
                    fmt::format("iface={},queues={},client={}", port.socket.path, queues,
                                port.socket.listens ? 0 : 1)};
        case PortKind::vdev: {
            const auto comma = port.devargs.find(',');
            if (comma == std::string::npos) return {port.devargs, ""};
            return {port.devargs.substr(0, comma), port.devargs.substr(comma + 1)};
        }
    }
    return {};
}

}  // namespace wye::drivers
