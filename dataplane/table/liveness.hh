// Liveness: whether a member can be used right now. What forwards is membership ∧ liveness.
//
// One 32-bit word a next hop, outside the arena: membership is written by commands, liveness by the
// data plane itself (link state, later BFD). A command never revives a dead member. Whether the
// neighbour answers is not said twice: NextHop::active (nexthop.hh) is incomplete when it does not.
// Writer: control thread (port_link) and, for BFD, the thread that owns the session: one writer a
// word. Readers: workers, once for each group member they would choose.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "dataplane/base/ids.hh"

namespace wye::table {

class Liveness {
  public:
    explicit Liveness(std::uint32_t capacity)
        : words_(std::make_unique<std::atomic<std::uint32_t>[]>(capacity)), capacity_(capacity) {}

    /// Dead only if the word was written for this very generation: a reused id starts alive.
    [[nodiscard]] bool alive(NextHopId id, std::uint32_t generation) const noexcept {
        return words_[id.value].load(std::memory_order_relaxed) != dead_word(generation);
    }
    void set_dead(NextHopId id, std::uint32_t generation) noexcept {
        set(id, dead_word(generation));
    }
    void set_alive(NextHopId id) noexcept { set(id, 0); }
    /// Grows with each word that is set: what was concluded from them holds while it stays the same.
    [[nodiscard]] std::uint64_t changes() const noexcept {
        return changes_.load(std::memory_order_acquire);
    }
    [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }

  private:
    void set(NextHopId id, std::uint32_t word) noexcept {
        words_[id.value].store(word, std::memory_order_release);
        changes_.fetch_add(1, std::memory_order_acq_rel);
    }
    static std::uint32_t dead_word(std::uint32_t generation) noexcept {
        return generation << 1 | 1;
    }
    std::unique_ptr<std::atomic<std::uint32_t>[]> words_;
    std::uint32_t capacity_;
    std::atomic<std::uint64_t> changes_{0};
};

}  // namespace wye::table
