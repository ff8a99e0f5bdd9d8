// What a port of the configuration says about its device. Plain data: no DPDK header.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/name.hh"

namespace wye::drivers {

enum class PortKind : std::uint8_t {
    pci,        // a NIC function by its PCI address, bound to a driver that DPDK can use
    af_packet,  // a Linux interface, through packet sockets with shared rings
    tap,        // a TAP interface that is made for it
    pcap,       // frames read from and written to capture files
    ring,       // what is transmitted is received again: tests in one process
    vdev,       // any virtual device of DPDK, by its arguments as they are
    af_xdp,  // a Linux interface that the kernel keeps: the router's share, through AF_XDP sockets
    memif,   // shared memory with another process, which speaks libmemif's protocol
    vhost_user,  // a virtual machine's or container's virtio device, through shared memory
};

[[nodiscard]] std::string_view port_kind_name(PortKind kind) noexcept;

enum class Steer : std::uint8_t { tunnels, all };
enum class XdpMode : std::uint8_t { automatic, native, generic };
enum class ZeroCopy : std::uint8_t { automatic, never, required };

/// af_xdp: which of the interface's frames are the router's, and how it gets them.
struct XdpSpecification {
    Steer steer = Steer::tunnels;
    std::vector<std::uint16_t> udp_ports{4789, 6081};  // VXLAN, GENEVE; with steer tunnels
    std::vector<std::uint16_t> vlans;                  // outer ids, 1 to 4094; with steer tunnels
    XdpMode mode = XdpMode::automatic;
    ZeroCopy zero_copy = ZeroCopy::automatic;
};

/// memif, vhost_user: how the two ends meet.
struct SocketSpecification {
    std::string path;
    bool listens = true;        // memif: role server; else the other end does
    std::uint16_t mode = 0600;  // of the socket, where the port listens
    std::uint32_t id = 0;       // memif: of the interface, on its socket
    std::uint16_t buffer_bytes =
        0;                   // memif, where it connects: of a shared buffer; 0: a whole frame
    bool zero_copy = false;  // memif, where it connects: buffers are the pool's own
};

struct PortSpecification {
    ObjectName name;
    PortKind kind = PortKind::af_packet;
    std::string pci_address;           // pci: "0000:3b:02.1"; else found at start from the next two
    std::string vf;                    // pci: the name of a VF, or
    std::string pf;                    // its PF (address or interface) and
    std::uint32_t vf_number = 0;       // its number
    std::string interface;             // af_packet, tap, af_xdp
    std::string devargs;               // vdev: "net_null0,size=64"
    std::string rx_file;               // pcap; empty: receives nothing
    std::string tx_file;               // pcap; empty: what is sent is thrown away
    bool repeat = false;               // pcap: receive the file's frames over and over
    std::optional<std::uint16_t> mtu;  // of the IP packet; none: what the device has
    XdpSpecification xdp;              // af_xdp
    SocketSpecification socket;        // memif, vhost_user
    bool promiscuous = true;
    bool spread = false;               // one receive queue, shared out among workers in software
    std::uint16_t receive_queues = 0;  // at least so many, if the device has them; 0: one a worker
    std::uint16_t rx_descriptors = 512;
    std::uint16_t tx_descriptors = 512;
};

}  // namespace wye::drivers
