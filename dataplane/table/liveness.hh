// Liveness: whether a member can be used right now. What forwards is membership ∧ liveness.
//
// Two 32-bit words a next hop, side by side, outside the arena: membership is written by commands,
// liveness by the data plane itself. A command never revives a dead member. Whether the neighbour
// answers is not said a third time: NextHop::active (nexthop.hh) is incomplete when it does not.
// Writers, one a word: the link's is the control thread's (port_link); the session's is that of the
// worker that runs the BFD session with the neighbour, in the moment in which it goes down or up.
// Readers: workers, once for each group member they would choose.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "dataplane/base/ids.hh"

namespace wye::table {

class Liveness {
  public:
    explicit Liveness(std::uint32_t capacity)
        : words_(std::make_unique<Words[]>(capacity)), capacity_(capacity) {}

    /// Dead only if a word was written for this very generation: a reused id starts alive.
    [[nodiscard]] bool alive(NextHopId id, std::uint32_t generation) const noexcept {
        const Words& words = words_[id.value];
        const std::uint32_t dead = dead_word(generation);
        return words.link.load(std::memory_order_relaxed) != dead &&
               words.session.load(std::memory_order_relaxed) != dead;
    }
    /// The port's link.
    void set_link(NextHopId id, std::uint32_t generation, bool alive) noexcept {
        set(words_[id.value].link, alive ? 0 : dead_word(generation));
    }
    /// The BFD session with the neighbour.
    void set_session(NextHopId id, std::uint32_t generation, bool alive) noexcept {
        set(words_[id.value].session, alive ? 0 : dead_word(generation));
    }
    /// Grows with each word that is set: what was concluded from them holds while it stays the same.
    [[nodiscard]] std::uint64_t changes() const noexcept {
        return changes_.load(std::memory_order_acquire);
    }
    [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }

  private:
    struct alignas(8) Words {
        std::atomic<std::uint32_t> link{0}, session{0};
    };
    void set(std::atomic<std::uint32_t>& to, std::uint32_t word) noexcept {
        if (to.load(std::memory_order_relaxed) == word) return;
        to.store(word, std::memory_order_release);
        changes_.fetch_add(1, std::memory_order_acq_rel);
    }
    static std::uint32_t dead_word(std::uint32_t generation) noexcept {
        return generation << 1 | 1;
    }
    std::unique_ptr<Words[]> words_;
    std::uint32_t capacity_;
    std::atomic<std::uint64_t> changes_{0};
};

}  // namespace wye::table
