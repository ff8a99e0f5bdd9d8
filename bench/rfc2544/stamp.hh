// What the generator writes into the last 10 bytes of each frame, so that it knows its own again, of
// which trial, and when it was sent. At the end, because a router changes what is in front: tags and
// tunnels come and go. 10 bytes fit into 64-byte frames of IPv4 and UDP with two tags.
//
//   magic (2) | trial (2) | time sent, nanoseconds of the time-stamp counter modulo 2^48 (6)
//
// All in the machine's byte order: only this machine reads them. Readers: generator.cc,
// tests/tools/device_under_test.cc.
#pragma once

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <cstdint>
#include <cstring>

namespace wye::rfc2544 {

inline constexpr std::size_t kStampBytes = 10;
inline constexpr std::uint16_t kMagic = 0x5759;
inline constexpr std::uint64_t kTimeMask = (std::uint64_t{1} << 48) - 1;

struct Stamp {
    std::uint16_t trial = 0;
    std::uint64_t sent_ns = 0;  // modulo 2^48: 78 hours
};

/// Nanoseconds of the time-stamp counter, which all cores and processes of a machine share.
inline std::uint64_t now_ns() {
    static const double scale = 1e9 / static_cast<double>(rte_get_tsc_hz());
    return static_cast<std::uint64_t>(static_cast<double>(rte_rdtsc()) * scale);
}

/// `end` points behind the frame's last byte.
inline void write_stamp(std::uint8_t* end, const Stamp& stamp) {
    const std::uint64_t word = stamp.sent_ns & kTimeMask;
    std::memcpy(end - 10, &kMagic, 2);
    std::memcpy(end - 8, &stamp.trial, 2);
    std::memcpy(end - 6, &word, 6);  // little endian: the low six bytes
}

/// False for a frame that is not the generator's.
inline bool read_stamp(const rte_mbuf& frame, Stamp& stamp) {
    if (frame.pkt_len < kStampBytes) return false;
    std::uint8_t space[kStampBytes];
    const void* bytes =
        rte_pktmbuf_read(&frame, frame.pkt_len - std::uint32_t{kStampBytes}, kStampBytes, space);
    if (bytes == nullptr) return false;
    std::uint8_t tail[kStampBytes];
    std::memcpy(tail, bytes, kStampBytes);
    std::uint16_t magic = 0;
    std::memcpy(&magic, tail, 2);
    std::memcpy(&stamp.trial, tail + 2, 2);
    stamp.sent_ns = 0;
    std::memcpy(&stamp.sent_ns, tail + 4, 6);
    return magic == kMagic;
}

}  // namespace wye::rfc2544
