// hash_flow: the number that keeps a flow on one path and in one tunnel source port.
// Over addresses, protocol and ports; over addresses and protocol alone for fragments, so that all
// of a datagram take one path. CRC-32C with a finisher, as the CPU has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/pipeline/packet.hh"

namespace wye::pipeline {

/// `ports`: source in the upper and destination in the lower 16 bits, host order; 0: not known.
/// `addresses`: source and destination, as they lie in the packet, of which `bytes` are both. CRC is
/// linear; the finisher (of MurmurHash3) spreads it over all bits, since groups take the low ones
/// and tunnels the high ones.
inline std::uint32_t hash_of_flow(std::uint8_t protocol, std::uint32_t ports,
                                  const std::byte* addresses, std::size_t bytes) noexcept {
    const std::uint64_t key = std::uint64_t{protocol} << 32 | ports;
    std::uint64_t h = __builtin_ia32_crc32di(0x77796531u, key);
    for (std::size_t i = 0; i < bytes; i += 8) {
        std::uint64_t word;
        std::memcpy(&word, addresses + i, sizeof word);
        h = __builtin_ia32_crc32di(h, word);
    }
    auto v = static_cast<std::uint32_t>(h);
    v = (v ^ (v >> 16)) * 0x85ebca6bu;
    v = (v ^ (v >> 13)) * 0xc2b2ae35u;
    return v ^ (v >> 16);
}

/// Of the IP packet that apply_layout() described.
void hash_flow(Packet& packet) noexcept;
/// Of an Ethernet frame that is no IP packet: over its addresses.
void hash_link(Packet& packet) noexcept;

}  // namespace wye::pipeline
