// XdpMemory: the router's packet buffers (MbufPool) as memory of AF_XDP sockets (a UMEM), and who has
// which buffer.
//
// The kernel writes received frames right into buffers of the pool and reads those that are sent from
// there, so nothing is copied between ports, and any port can send what came in here. A chunk is the
// data room of a buffer, at any address (XDP_UMEM_UNALIGNED_CHUNK_FLAG), at most a page of it. The
// kernel leaves 256 bytes before the frame, and the buffer's private area lies before those.
//
// A buffer that the kernel has is marked, so that all of them come back when the sockets are closed,
// whatever they were doing.
#pragma once

#include <xdp/xsk.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/base/result.hh"
#include "dataplane/pipeline/frame.hh"
#include "drivers/ethdev/mbuf_pool.hh"

struct rte_mbuf;

namespace wye::drivers {

/// Of a chunk; of a page, less what the kernel keeps before the frame.
constexpr std::uint32_t kLargestChunk = 4096;
constexpr std::uint32_t kChunkHeadroom = 256;  // XDP_PACKET_HEADROOM
constexpr std::uint32_t kLongestXdpFrame = kLargestChunk - kChunkHeadroom;

/// The rings of the first socket, which are made with the memory.
struct XdpBufferRings {
    xsk_ring_prod fill{};
    xsk_ring_cons completion{};
};

class XdpMemory {
  public:
    /// `first`: rings of the first socket, of so many entries as all sockets will have.
    static Result<std::unique_ptr<XdpMemory>> create(MbufPool& pool, XdpBufferRings& first,
                                                     std::uint32_t fill_entries,
                                                     std::uint32_t completion_entries);
    ~XdpMemory();  // after all sockets; takes back what the kernel has
    XdpMemory(const XdpMemory&) = delete;
    XdpMemory& operator=(const XdpMemory&) = delete;

    [[nodiscard]] xsk_umem* umem() const noexcept { return umem_; }
    [[nodiscard]] MbufPool& pool() const noexcept { return pool_; }

    /// Takes buffers out of the pool for the kernel to fill; all or none. Addresses are the kernel's.
    bool take_empty(std::span<std::uint64_t> addresses) noexcept;
    /// What the kernel says that it has filled.
    pipeline::Frame filled(const xdp_desc& descriptor) noexcept;
    /// A frame for the kernel to send. False: no buffer for a copy, which one of another pool needs.
    bool give(const pipeline::Frame& frame, xdp_desc& descriptor) noexcept;
    /// Buffers that the kernel has sent go back into the pool.
    void sent(std::span<const std::uint64_t> addresses) noexcept;

  private:
    XdpMemory(MbufPool& pool, std::byte* start, std::size_t bytes);
    [[nodiscard]] std::uint64_t address_of(const rte_mbuf* buffer) const noexcept;
    [[nodiscard]] rte_mbuf* buffer_at(std::uint64_t address) const noexcept;
    [[nodiscard]] std::uint8_t& mark(std::uint64_t address) noexcept;
    rte_mbuf* copy(const pipeline::Frame& frame) noexcept;

    MbufPool& pool_;
    std::byte* start_;  // at a page
    std::size_t bytes_;
    xsk_umem* umem_ = nullptr;
    std::vector<std::uint8_t> marks_;  // a buffer each: 1, the kernel has it
};

}  // namespace wye::drivers
