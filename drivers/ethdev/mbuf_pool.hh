// MbufPool: packet buffers that devices can fill, as a FramePool.
//
// Headroom. Debian's DPDK is built with 128 bytes before the data (RTE_PKTMBUF_HEADROOM), and its
// drivers insist on them. So each buffer also has a private area of kPrivateBytes right before its
// data room: together more than kMinHeadroom. A frame that has grown into the private area is moved
// up before transmission, since devices only know the data room; that takes two headers of a tunnel
// in a tunnel, so it is rare, and kPrivateBytes are kept free behind the longest frame for it.
//
// A frame may be released by any pool: its buffer goes back to the pool that it is of.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "dataplane/base/result.hh"
#include "dataplane/pipeline/frame.hh"

struct rte_mempool;

namespace wye::drivers {

constexpr std::uint16_t kPrivateBytes = 192;

/// Where a pool's memory is.
struct PoolPlace {
    std::optional<std::uint32_t> node;  // NUMA node, Linux's number; none: wherever EAL has some
    bool only = true;                   // the process makes no other pool
};

class MbufPool final : public pipeline::FramePool {
  public:
    /// As many buffers as go into `megabytes` of EAL's memory with something left for queues.
    static Result<std::unique_ptr<MbufPool>> create(std::uint32_t megabytes,
                                                    std::uint32_t longest_frame,
                                                    PoolPlace place = {});
    ~MbufPool() override;
    MbufPool(const MbufPool&) = delete;
    MbufPool& operator=(const MbufPool&) = delete;

    bool allocate(pipeline::Frame& frame) noexcept override;
    void release(std::span<const pipeline::Frame> frames) noexcept override;

    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
    /// Buffers that somebody holds; devices hold some in their receive queues.
    [[nodiscard]] std::uint32_t in_use() const noexcept;
    [[nodiscard]] rte_mempool* mempool() const noexcept { return pool_; }
    [[nodiscard]] const PoolPlace& place() const noexcept { return place_; }

  private:
    MbufPool(rte_mempool* pool, std::uint32_t size, PoolPlace place)
        : pool_(pool), size_(size), place_(place) {}
    rte_mempool* pool_;
    std::uint32_t size_;
    PoolPlace place_;
};

}  // namespace wye::drivers
