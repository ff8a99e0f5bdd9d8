// HeapMap: which units of the arena's heap are free. Segregated fit with immediate coalescing.
//
// Bins 1..kExact hold free runs of exactly that many units (FIB nodes); larger runs lie in bins of
// an eighth of a power of two. A run's length stands in private tags at its first and last unit, so
// that a freed run finds its neighbours; the links between free runs of one bin lie in private
// memory too. Nothing of this is in the arena.
//
// Owner: ArenaWriter. Cost: 12 bytes of private memory for each unit of the heap as far as it has
// grown (a fifth of it).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace wye::table {

class HeapMap {
  public:
    /// The heap has grown by `units` at its end, all of them free.
    void grow(std::uint32_t units);
    /// First unit of a run of `units`, or kNone.
    [[nodiscard]] std::uint32_t allocate(std::uint32_t units);
    /// Of exactly the length it was allocated with.
    void free(std::uint32_t unit, std::uint32_t units);
    [[nodiscard]] std::uint32_t size() const noexcept {
        return static_cast<std::uint32_t>(tags_.size());
    }
    [[nodiscard]] std::uint64_t used() const noexcept { return used_; }
    /// Free units at the very end: growth joins them.
    [[nodiscard]] std::uint32_t free_at_end() const noexcept;

    static constexpr std::uint32_t kNone = 0xffffffff;

  private:
    static constexpr std::uint32_t kExact = 32;
    static constexpr std::uint32_t kBins = 256;
    /// `length` counts at the first and the last unit of a run only.
    struct Tag {
        std::uint32_t length_and_free;  // length << 1 | free
        std::uint32_t next, previous;   // in the bin; of a free run's first unit only
    };

    [[nodiscard]] static std::uint32_t bin_of(std::uint32_t units) noexcept;
    [[nodiscard]] std::uint32_t find_run(std::uint32_t units) const noexcept;
    void mark(std::uint32_t unit, std::uint32_t units, bool is_free) noexcept;
    void link(std::uint32_t unit, std::uint32_t units) noexcept;
    void unlink(std::uint32_t unit, std::uint32_t units) noexcept;

    std::vector<Tag> tags_;
    std::array<std::uint32_t, kBins> heads_ = make_heads();
    std::array<std::uint64_t, kBins / 64> occupied_{};
    std::uint64_t used_ = 0;

    static constexpr std::array<std::uint32_t, kBins> make_heads() {
        std::array<std::uint32_t, kBins> heads{};
        heads.fill(kNone);
        return heads;
    }
};

}  // namespace wye::table
