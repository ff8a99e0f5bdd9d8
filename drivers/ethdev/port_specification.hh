// What a port of the configuration says about its device. Plain data: no DPDK header.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/base/name.hh"

namespace wye::drivers {

enum class PortKind : std::uint8_t {
    pci,        // a NIC function by its PCI address, bound to a driver that DPDK can use
    af_packet,  // a Linux interface, through packet sockets with shared rings
    tap,        // a TAP interface that is made for it
    pcap,       // frames read from and written to capture files
    ring,       // what is transmitted is received again: tests in one process
    vdev,       // any virtual device of DPDK, by its arguments as they are
};

[[nodiscard]] std::string_view port_kind_name(PortKind kind) noexcept;

struct PortSpecification {
    ObjectName name;
    PortKind kind = PortKind::af_packet;
    std::string pci_address;           // pci: "0000:3b:02.1"
    std::string interface;             // af_packet, tap
    std::string devargs;               // vdev: "net_null0,size=64"
    std::string rx_file;               // pcap; empty: receives nothing
    std::string tx_file;               // pcap; empty: what is sent is thrown away
    bool repeat = false;               // pcap: receive the file's frames over and over
    std::optional<std::uint16_t> mtu;  // of the IP packet; none: what the device has
    bool promiscuous = true;
    std::uint16_t rx_descriptors = 512;
    std::uint16_t tx_descriptors = 512;
};

}  // namespace wye::drivers
