#include "dataplane/worker/flow_hash.hh"

#include <algorithm>
#include <cstring>

namespace wye::worker {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::size_t kMacs = 12;
constexpr std::uint16_t kVxlanPort = 4789;
constexpr std::uint16_t kGenevePort = 6081;

std::uint8_t byte_at(Bytes bytes, std::size_t at) noexcept {
    return std::to_integer<std::uint8_t>(bytes[at]);
}
std::uint16_t word_at(Bytes bytes, std::size_t at) noexcept {
    return static_cast<std::uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}
Bytes from(Bytes bytes, std::size_t at) noexcept {
    return bytes.subspan(std::min(at, bytes.size()));
}

std::uint64_t mix(std::uint64_t hash, Bytes bytes) noexcept {
    for (std::size_t i = 0; i < bytes.size(); i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + i, std::min<std::size_t>(8, bytes.size() - i));
        hash = __builtin_ia32_crc32di(hash, word);
    }
    return hash;
}

std::uint64_t hash_frame(std::uint64_t hash, Bytes frame, bool inner) noexcept;

/// The VNI and what is inside. UDP's header is 8 bytes, VXLAN's and GENEVE's are 8 and their options.
std::uint64_t hash_tunnel(std::uint64_t hash, Bytes udp, std::uint16_t port) noexcept {
    constexpr std::size_t kHeaders = 16;
    const std::size_t options = port == kGenevePort ? 4u * (byte_at(udp, 8) & 0x3f) : 0;
    hash = mix(hash, udp.subspan(12, 3));
    return hash_frame(hash, from(udp, kHeaders + options), true);
}

std::uint64_t hash_transport(std::uint64_t hash, std::uint8_t protocol, Bytes transport,
                             bool inner) noexcept {
    constexpr std::uint8_t kTcp = 6, kUdp = 17, kSctp = 132;
    hash = __builtin_ia32_crc32di(hash, protocol);
    if ((protocol != kTcp && protocol != kUdp && protocol != kSctp) || transport.size() < 4) {
        return hash;
    }
    const std::uint16_t port = word_at(transport, 2);
    const bool tunnel = protocol == kUdp && (port == kVxlanPort || port == kGenevePort);
    if (tunnel && !inner && transport.size() >= 16) return hash_tunnel(hash, transport, port);
    return mix(hash, transport.first(4));
}

std::uint64_t hash_ipv4(std::uint64_t hash, Bytes packet, bool inner) noexcept {
    hash = mix(hash, packet.subspan(12, 8));
    const bool fragment = (word_at(packet, 6) & 0x3fff) != 0;
    const std::size_t header = 4u * (byte_at(packet, 0) & 0xf);
    return hash_transport(hash, byte_at(packet, 9), fragment ? Bytes{} : from(packet, header),
                          inner);
}

std::uint64_t hash_frame(std::uint64_t hash, Bytes frame, bool inner) noexcept {
    std::size_t at = kMacs;
    while (frame.size() >= at + 6) {
        const std::uint16_t type = word_at(frame, at);
        if (type != 0x8100 && type != 0x88a8) break;
        hash = __builtin_ia32_crc32di(hash, word_at(frame, at + 2) & 0xfffu);  // without priority
        at += 4;
    }
    if (frame.size() < at + 2) return hash;
    const std::uint16_t type = word_at(frame, at);
    const Bytes packet = from(frame, at + 2);
    if (type == 0x0800 && packet.size() >= 20) return hash_ipv4(hash, packet, inner);
    if (type == 0x86dd && packet.size() >= 40) {
        hash = mix(hash, packet.subspan(8, 32));
        return hash_transport(hash, byte_at(packet, 6), from(packet, 40), inner);
    }
    return mix(hash, frame.first(std::min(frame.size(), kMacs)));
}

}  // namespace

std::uint32_t flow_hash(std::span<const std::byte> frame) noexcept {
    // CRC is linear; the finisher (of MurmurHash3) spreads it over all bits.
    auto v = static_cast<std::uint32_t>(hash_frame(0x77796531u, frame, false));
    v = (v ^ (v >> 16)) * 0x85ebca6bu;
    v = (v ^ (v >> 13)) * 0xc2b2ae35u;
    return v ^ (v >> 16);
}

}  // namespace wye::worker
