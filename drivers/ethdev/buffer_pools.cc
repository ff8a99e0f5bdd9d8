#include "drivers/ethdev/buffer_pools.hh"

#include <algorithm>

namespace wye::drivers {

Result<BufferPools> BufferPools::create(std::span<const Wanted> wanted,
                                        std::uint32_t longest_frame) {
    BufferPools made;
    for (const Wanted& one : wanted) {
        auto pool = MbufPool::create(one.megabytes, longest_frame, {one.node, wanted.size() == 1});
        if (!pool) return tl::unexpected(pool.error());
        made.pools_.push_back(std::move(*pool));
    }
    return made;
}

MbufPool& BufferPools::near(std::uint32_t node) const {
    const auto found = std::ranges::find_if(
        pools_, [node](const auto& pool) { return pool->place().node == node; });
    return found == pools_.end() ? first() : **found;
}

std::uint32_t BufferPools::in_use() const noexcept {
    std::uint32_t all = 0;
    for (const auto& pool : pools_) all += pool->in_use();
    return all;
}

}  // namespace wye::drivers
