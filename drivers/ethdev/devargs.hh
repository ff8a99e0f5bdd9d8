// How a port of the configuration is spelled for DPDK.
#pragma once

#include <cstdint>
#include <string>

#include "drivers/ethdev/port_specification.hh"

namespace wye::drivers {

struct Devargs {
    std::string name;       // "net_af_packet_wan", or a PCI address
    std::string arguments;  // "iface=eth1,…"
};

/// `mtu`: of af_packet's interface, for the size of its ring's slots.
Devargs devargs_of(const PortSpecification& port, std::uint16_t queues, std::uint16_t mtu);

/// Bytes of a slot of af_packet's ring, header included. The driver wants buffers as large.
std::uint32_t packet_slot_bytes(std::uint16_t mtu) noexcept;

}  // namespace wye::drivers
