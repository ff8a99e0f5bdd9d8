// A buffer of DPDK as a Frame, and back. The Frame is what counts while the pipeline owns it; the
// mbuf's own fields are written again before transmission.
#pragma once

#include <rte_ether.h>
#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/pipeline/frame.hh"
#include "drivers/ethdev/mbuf_pool.hh"

namespace wye::drivers {

/// Of a buffer of a pool that mbuf_pool.cc made. Reads its first cache line only.
inline pipeline::Frame frame_of(rte_mbuf* mbuf) noexcept {
    pipeline::Frame frame;
    frame.data = rte_pktmbuf_mtod(mbuf, std::byte*);
    frame.length = mbuf->data_len;
    // The private area lies before the data room only of a buffer that is the pool's own.
    const std::uint16_t before = RTE_MBUF_DIRECT(mbuf) ? kPrivateBytes : std::uint16_t{0};
    frame.headroom = static_cast<std::uint16_t>(mbuf->data_off + before);
    frame.tailroom = rte_pktmbuf_tailroom(mbuf);
    frame.buffer = mbuf;
    return frame;
}

/// Puts a tag that the device took out back into the bytes. False: no room.
inline bool insert_tag(rte_mbuf* mbuf, std::uint16_t type, std::uint16_t tci) noexcept {
    constexpr std::uint16_t kAddresses = 12;
    constexpr std::uint16_t kTag = 4;
    const auto* old_start = rte_pktmbuf_mtod(mbuf, const char*);
    if (mbuf->data_len < kAddresses) return false;
    char* start = rte_pktmbuf_prepend(mbuf, kTag);
    if (start == nullptr) return false;
    std::memmove(start, old_start, kAddresses);
    const std::uint16_t words[] = {rte_cpu_to_be_16(type), rte_cpu_to_be_16(tci)};
    std::memcpy(start + kAddresses, words, sizeof words);
    return true;
}

/// The chain's bytes in one buffer of its pool, which has room for the longest frame, in place of the
/// chain. Null: no buffer is left, or they are too long; the chain is still there.
inline rte_mbuf* gather(rte_mbuf* chain) noexcept {
    if (chain->pkt_len > UINT16_MAX) return nullptr;
    rte_mbuf* whole = rte_pktmbuf_alloc(chain->pool);
    if (whole == nullptr) return nullptr;
    char* to = rte_pktmbuf_append(whole, static_cast<std::uint16_t>(chain->pkt_len));
    if (to == nullptr) {
        rte_pktmbuf_free(whole);
        return nullptr;
    }
    for (const rte_mbuf* segment = chain; segment != nullptr; segment = segment->next) {
        std::memcpy(to, rte_pktmbuf_mtod(segment, const char*), segment->data_len);
        to += segment->data_len;
    }
    whole->ol_flags = chain->ol_flags;
    whole->vlan_tci = chain->vlan_tci;
    whole->vlan_tci_outer = chain->vlan_tci_outer;
    rte_pktmbuf_free(chain);
    return whole;
}

/// Tags in the bytes, everything in one piece, which may be another buffer. False: that cannot be
/// done (the caller frees it).
inline bool normalize(rte_mbuf*& mbuf) noexcept {
    constexpr std::uint64_t kStripped = RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_RX_QINQ_STRIPPED;
    if (mbuf->nb_segs == 1 && (mbuf->ol_flags & kStripped) == 0) [[likely]]
        return true;
    // In place where the first buffer has room for the rest.
    if (mbuf->nb_segs > 1 && rte_pktmbuf_linearize(mbuf) != 0) {
        rte_mbuf* whole = gather(mbuf);
        if (whole == nullptr) return false;
        mbuf = whole;
    }
    if ((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0 &&
        !insert_tag(mbuf, RTE_ETHER_TYPE_VLAN, mbuf->vlan_tci)) {
        return false;
    }
    return (mbuf->ol_flags & RTE_MBUF_F_RX_QINQ_STRIPPED) == 0 ||
           insert_tag(mbuf, RTE_ETHER_TYPE_QINQ, mbuf->vlan_tci_outer);
}

/// The buffer, ready to be transmitted as the frame says; null: the frame reaches into the private
/// area and there is no room to move it up.
inline rte_mbuf* mbuf_of(const pipeline::Frame& frame) noexcept {
    auto* mbuf = static_cast<rte_mbuf*>(frame.buffer);
    auto* room = static_cast<std::byte*>(mbuf->buf_addr);
    const std::ptrdiff_t offset = frame.data - room;
    if (offset < 0) [[unlikely]] {
        if (-offset > frame.tailroom) return nullptr;
        std::memmove(room, frame.data, frame.length);
    }
    mbuf->data_off = static_cast<std::uint16_t>(offset < 0 ? 0 : offset);
    mbuf->data_len = static_cast<std::uint16_t>(frame.length);
    mbuf->pkt_len = frame.length;
    // One segment it is already: as it was received, or normalize() made it so. What the device said
    // in ol_flags when it received is of no meaning to one that sends.
    return mbuf;
}

}  // namespace wye::drivers
