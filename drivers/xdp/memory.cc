#include "drivers/xdp/memory.hh"

#include <fmt/format.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "drivers/ethdev/mbuf_frame.hh"

namespace wye::drivers {

using pipeline::Frame;

namespace {

/// From a buffer's header to its data room.
constexpr std::size_t kBeforeRoom = sizeof(rte_mbuf) + kPrivateBytes;
/// Buffers are further apart than this, so that it tells them apart.
constexpr unsigned kMarkShift = 11;

struct Range {
    std::uintptr_t begin = UINTPTR_MAX;
    std::uintptr_t end = 0;
};

void extend(rte_mempool*, void* opaque, rte_mempool_memhdr* piece, unsigned) {
    auto& range = *static_cast<Range*>(opaque);
    const auto begin = reinterpret_cast<std::uintptr_t>(piece->addr);
    range.begin = std::min(range.begin, begin);
    range.end = std::max(range.end, begin + piece->len);
}

/// All memory of the pool, in whole pages.
Range pages_of(rte_mempool* pool) {
    Range range;
    (void)rte_mempool_mem_iter(pool, extend, &range);
    const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    range.begin = range.begin / page * page;
    range.end = (range.end + page - 1) / page * page;
    return range;
}

std::uint32_t chunk_bytes(rte_mempool* pool) {
    return std::min<std::uint32_t>(rte_pktmbuf_data_room_size(pool), kLargestChunk);
}

}  // namespace

XdpMemory::XdpMemory(MbufPool& pool, std::byte* start, std::size_t bytes)
    : pool_(pool), start_(start), bytes_(bytes), marks_((bytes >> kMarkShift) + 1) {}

Result<std::unique_ptr<XdpMemory>> XdpMemory::create(MbufPool& pool, XdpBufferRings& first,
                                                     std::uint32_t fill_entries,
                                                     std::uint32_t completion_entries) {
    const Range range = pages_of(pool.mempool());
    // NOLINTNEXTLINE: the pool tells its memory as numbers
    auto* start = reinterpret_cast<std::byte*>(range.begin);
    std::unique_ptr<XdpMemory> made(new XdpMemory(pool, start, range.end - range.begin));
    xsk_umem_config config{};
    config.fill_size = fill_entries;
    config.comp_size = completion_entries;
    config.frame_size = chunk_bytes(pool.mempool());
    config.flags = XDP_UMEM_UNALIGNED_CHUNK_FLAG;
    const int failed = xsk_umem__create(&made->umem_, start, made->bytes_, &first.fill,
                                        &first.completion, &config);
    if (failed == 0) return made;
    return fail(
        fmt::format("the kernel does not take {} MiB of packet buffers as AF_XDP memory: {}{}",
                    made->bytes_ >> 20, std::strerror(-failed),
                    failed == -ENOBUFS ? "; raise the limit of locked memory (ulimit -l)" : ""));
}

XdpMemory::~XdpMemory() {
    if (umem_ != nullptr) (void)xsk_umem__delete(umem_);
    const auto give_back = [](rte_mempool* pool, void* memory, void* object, unsigned) {
        auto& self = *static_cast<XdpMemory*>(memory);
        std::uint8_t& marked = self.mark(self.address_of(static_cast<const rte_mbuf*>(object)));
        if (marked != 0) rte_mempool_put(pool, object);
        marked = 0;
    };
    (void)rte_mempool_obj_iter(pool_.mempool(), give_back, this);
}

std::uint64_t XdpMemory::address_of(const rte_mbuf* buffer) const noexcept {
    return static_cast<std::uint64_t>(reinterpret_cast<const std::byte*>(buffer) + kBeforeRoom -
                                      start_);
}

rte_mbuf* XdpMemory::buffer_at(std::uint64_t address) const noexcept {
    return reinterpret_cast<rte_mbuf*>(start_ + address - kBeforeRoom);
}

std::uint8_t& XdpMemory::mark(std::uint64_t address) noexcept {
    return marks_[address >> kMarkShift];
}

bool XdpMemory::take_empty(std::span<std::uint64_t> addresses) noexcept {
    std::array<void*, pipeline::kMaxBurst> buffers;
    const auto n = static_cast<unsigned>(addresses.size());
    if (rte_mempool_get_bulk(pool_.mempool(), buffers.data(), n) != 0) return false;
    for (unsigned i = 0; i < n; ++i) {
        addresses[i] = address_of(static_cast<const rte_mbuf*>(buffers[i]));
        mark(addresses[i]) = 1;
    }
    return true;
}

Frame XdpMemory::filled(const xdp_desc& descriptor) noexcept {
    const std::uint64_t address = xsk_umem__extract_addr(descriptor.addr);
    const std::uint64_t offset = xsk_umem__extract_offset(descriptor.addr);
    mark(address) = 0;
    Frame frame;
    frame.data = start_ + address + offset;
    frame.length = descriptor.len;
    frame.headroom = static_cast<std::uint16_t>(offset + kPrivateBytes);
    frame.tailroom = static_cast<std::uint16_t>(rte_pktmbuf_data_room_size(pool_.mempool()) -
                                                offset - descriptor.len);
    frame.buffer = buffer_at(address);
    return frame;
}

rte_mbuf* XdpMemory::copy(const Frame& frame) noexcept {
    rte_mbuf* other = rte_pktmbuf_alloc(pool_.mempool());
    if (other == nullptr) return nullptr;
    std::memcpy(rte_pktmbuf_mtod(other, std::byte*), frame.data, frame.length);
    other->data_len = static_cast<std::uint16_t>(frame.length);
    return other;
}

bool XdpMemory::give(const Frame& frame, xdp_desc& descriptor) noexcept {
    rte_mbuf* buffer = mbuf_of(frame);
    if (buffer == nullptr) return false;
    if (buffer->pool != pool_.mempool() || !RTE_MBUF_DIRECT(buffer)) [[unlikely]] {
        rte_mbuf* ours = copy(frame);
        if (ours == nullptr) return false;
        rte_pktmbuf_free(buffer);
        buffer = ours;
    }
    const std::uint64_t address = address_of(buffer);
    mark(address) = 1;
    descriptor.addr = address | std::uint64_t{buffer->data_off} << XSK_UNALIGNED_BUF_OFFSET_SHIFT;
    descriptor.len = frame.length;
    descriptor.options = 0;
    return true;
}

void XdpMemory::sent(std::span<const std::uint64_t> addresses) noexcept {
    std::array<void*, pipeline::kMaxBurst> buffers;
    while (!addresses.empty()) {
        const std::size_t n = std::min(addresses.size(), buffers.size());
        for (std::size_t i = 0; i < n; ++i) {
            const std::uint64_t address = xsk_umem__extract_addr(addresses[i]);
            mark(address) = 0;
            buffers[i] = buffer_at(address);
        }
        rte_mempool_put_bulk(pool_.mempool(), buffers.data(), static_cast<unsigned>(n));
        addresses = addresses.subspan(n);
    }
}

}  // namespace wye::drivers
