// BufferPools: all packet buffers of the process, one pool for each NUMA node that has ports, or a single
// one where nodes do not count (docs/adr/0019). All have room for the longest frame of all ports, so that
// any port can send what came in by another, whichever pool it lies in.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/base/result.hh"
#include "drivers/ethdev/mbuf_pool.hh"

namespace wye::drivers {

class BufferPools {
  public:
    struct Wanted {
        std::optional<std::uint32_t> node;  // none: the only pool, wherever EAL has memory
        std::uint32_t megabytes = 0;
    };
    /// At least one. The first is for whoever is near none.
    static Result<BufferPools> create(std::span<const Wanted> wanted, std::uint32_t longest_frame);

    /// That of the node, or the first.
    [[nodiscard]] MbufPool& near(std::uint32_t node) const;
    [[nodiscard]] MbufPool& first() const { return *pools_.front(); }
    [[nodiscard]] std::size_t count() const noexcept { return pools_.size(); }
    /// Buffers that somebody holds.
    [[nodiscard]] std::uint32_t in_use() const noexcept;

  private:
    std::vector<std::unique_ptr<MbufPool>> pools_;
};

}  // namespace wye::drivers
