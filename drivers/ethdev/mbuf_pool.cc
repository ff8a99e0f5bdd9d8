#include "drivers/ethdev/mbuf_pool.hh"

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>

#include <algorithm>
#include <array>

#include "drivers/ethdev/mbuf_frame.hh"

namespace wye::drivers {

using pipeline::Frame;

static_assert(RTE_PKTMBUF_HEADROOM + kPrivateBytes >= pipeline::kMinHeadroom + 4 + 4,
              "headroom that is promised, also after two tags were put back");
static_assert(kPrivateBytes % RTE_MBUF_PRIV_ALIGN == 0);

namespace {

constexpr std::uint32_t kSmallestRoom = 2048;  // what drivers expect at least
constexpr std::uint32_t kCache = 256;          // buffers that a thread keeps for itself
constexpr std::uint32_t kFewestBuffers = 2048;

/// Of megabytes of memory, what is left for buffers: the rest is for queues and EAL itself.
std::uint32_t count_for(std::uint32_t megabytes, std::uint32_t room) {
    const std::uint64_t bytes = (std::uint64_t{megabytes} << 20) * 3 / 4;
    const std::uint64_t each =
        sizeof(rte_mbuf) + kPrivateBytes + room + std::size_t{2} * RTE_CACHE_LINE_SIZE;
    return static_cast<std::uint32_t>(bytes / each);
}

/// As rte_pktmbuf_pool_create does, but without hugepages a buffer may cross the border of a page:
/// it would else take a whole 4 KiB page. Addresses of devices are virtual ones here
/// (--iova-mode=va).
rte_mempool* make_pool(std::uint32_t count, std::uint16_t room, std::optional<std::uint32_t> node) {
    const auto size = static_cast<unsigned>(sizeof(rte_mbuf) + kPrivateBytes + room);
    const bool huge = rte_eal_has_hugepages() != 0;
    const unsigned flags = huge ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;
    // Without hugepages DPDK knows no nodes.
    const int socket = node && huge ? static_cast<int>(*node) : SOCKET_ID_ANY;
    const std::string name = node ? fmt::format("wye-frames-{}", *node) : "wye-frames";
    rte_mempool* pool = rte_mempool_create_empty(name.c_str(), count, size, kCache,
                                                 sizeof(rte_pktmbuf_pool_private), socket, flags);
    if (pool == nullptr) return nullptr;
    rte_pktmbuf_pool_private layout{};
    layout.mbuf_data_room_size = room;
    layout.mbuf_priv_size = kPrivateBytes;
    int failed = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), nullptr);
    if (failed == 0) {
        rte_pktmbuf_pool_init(pool, &layout);
        failed = std::min(rte_mempool_populate_default(pool), 0);
    }
    if (failed != 0) {
        rte_mempool_free(pool);
        rte_errno = -failed;
        return nullptr;
    }
    rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
    return pool;
}

}  // namespace

Result<std::unique_ptr<MbufPool>> MbufPool::create(std::uint32_t megabytes,
                                                   std::uint32_t longest_frame, PoolPlace place) {
    const std::string where = place.node ? fmt::format(" on NUMA node {}", *place.node) : "";
    const std::uint32_t room =
        RTE_PKTMBUF_HEADROOM + std::max(kSmallestRoom, longest_frame + kPrivateBytes);
    if (room > UINT16_MAX) return fail(fmt::format("no buffer for {} bytes", longest_frame));
    const std::uint32_t count = count_for(megabytes, room);
    if (count < kFewestBuffers) {
        return fail(
            fmt::format("memory.megabytes: {} MiB{} hold only {} packet buffers of {} bytes; "
                        "at least {} are needed",
                        megabytes, where, count, room, kFewestBuffers));
    }
    rte_mempool* pool = make_pool(count, static_cast<std::uint16_t>(room), place.node);
    if (pool == nullptr) {
        return fail(fmt::format("no memory for {} packet buffers{} ({}); raise memory.megabytes",
                                count, where, rte_strerror(rte_errno)));
    }
    return std::unique_ptr<MbufPool>(new MbufPool(pool, count, place));
}

MbufPool::~MbufPool() {
    rte_mempool_free(pool_);
}

bool MbufPool::allocate(Frame& frame) noexcept {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
    if (mbuf == nullptr) return false;
    frame = frame_of(mbuf);
    return true;
}

void MbufPool::release(std::span<const Frame> frames) noexcept {
    std::array<rte_mbuf*, 64> batch;
    while (!frames.empty()) {
        const std::size_t n = std::min(frames.size(), batch.size());
        for (std::size_t i = 0; i < n; ++i) batch[i] = static_cast<rte_mbuf*>(frames[i].buffer);
        rte_pktmbuf_free_bulk(batch.data(), static_cast<unsigned>(n));
        frames = frames.subspan(n);
    }
}

std::uint32_t MbufPool::in_use() const noexcept {
    return rte_mempool_in_use_count(pool_);
}

}  // namespace wye::drivers
