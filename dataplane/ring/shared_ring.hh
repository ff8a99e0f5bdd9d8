// SharedRing<T>: one rte_ring in memory that two processes map, one producer and one consumer.
//
// Only the inline functions of rte_ring are used, so that neither side needs EAL or links DPDK.
// The producer moves its head, copies, and publishes its tail once for the whole batch: a producer
// that dies in between has published nothing of that batch (and leaves a ring that nobody may
// produce into again, which is why a session never reuses one).
#pragma once

#include <rte_ring_elem.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <type_traits>

namespace wye::ring {

template <class T>
class SharedRing {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % 4 == 0);

  public:
    SharedRing() noexcept = default;
    /// `memory`: bytes(slots) of them, aligned to a cache line.
    SharedRing(void* memory, std::uint32_t slots) noexcept
        : ring_(static_cast<rte_ring*>(memory)), slots_(slots) {}

    static constexpr std::size_t bytes(std::uint32_t slots) noexcept {
        return sizeof(rte_ring) + std::size_t{slots} * sizeof(T);
    }

    /// Makes the ring in zeroed memory. `slots` is a power of two; one of them stays empty.
    void format() noexcept {
        new (ring_) rte_ring{};
        ring_->flags = RING_F_SP_ENQ | RING_F_SC_DEQ;
        ring_->size = slots_;
        ring_->mask = slots_ - 1;
        ring_->capacity = slots_ - 1;
        ring_->prod.sync_type = RTE_RING_SYNC_ST;
        ring_->cons.sync_type = RTE_RING_SYNC_ST;
    }
    /// True if the header, written by another process, is one that format() would have written and
    /// holds no more than fits: with that, no copy can leave the ring's memory.
    [[nodiscard]] bool sound() const noexcept {
        const std::uint32_t used = ring_->prod.tail - ring_->cons.tail;
        return ring_->size == slots_ && ring_->mask == slots_ - 1 &&
               ring_->capacity == slots_ - 1 && used <= slots_ - 1 &&
               ring_->prod.sync_type == RTE_RING_SYNC_ST &&
               ring_->cons.sync_type == RTE_RING_SYNC_ST;
    }

    /// Producer. All or nothing.
    bool enqueue(std::span<const T> values) noexcept {
        return rte_ring_sp_enqueue_bulk_elem(ring_, values.data(), sizeof(T),
                                             static_cast<unsigned>(values.size()),
                                             nullptr) == values.size();
    }
    /// Consumer. As many as there are, up to out.size().
    std::size_t dequeue(std::span<T> out) noexcept {
        return rte_ring_sc_dequeue_burst_elem(ring_, out.data(), sizeof(T),
                                              static_cast<unsigned>(out.size()), nullptr);
    }
    /// Producer: how many values fit now.
    [[nodiscard]] std::size_t room() const noexcept {
        const std::uint32_t consumed = __atomic_load_n(&ring_->cons.tail, __ATOMIC_ACQUIRE);
        return slots_ - 1 - (ring_->prod.tail - consumed);
    }
    [[nodiscard]] std::size_t capacity() const noexcept { return slots_ - 1; }

  private:
    rte_ring* ring_ = nullptr;
    std::uint32_t slots_ = 0;  // as agreed at attach: not read again from shared memory
};

}  // namespace wye::ring
