// Spsc<T>: a bounded queue between two threads of one process, one producer and one consumer.
// For what workers hand to the host and control threads and back. Never waits, never allocates.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace wye::ring {

template <class T>
class Spsc {
  public:
    explicit Spsc(std::size_t capacity)
        : mask_(std::bit_ceil(capacity) - 1), slots_(std::make_unique<T[]>(mask_ + 1)) {}

    /// Producer. False: full.
    bool push(const T& value) noexcept {
        const std::size_t tail = tail_.load(std::memory_order_relaxed);
        if (tail - cached_head_ > mask_) {
            cached_head_ = head_.load(std::memory_order_acquire);
            if (tail - cached_head_ > mask_) return false;
        }
        slots_[tail & mask_] = value;
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }
    /// Consumer. Takes up to out.size() values; returns how many.
    std::size_t pop(std::span<T> out) noexcept {
        const std::size_t head = head_.load(std::memory_order_relaxed);
        if (cached_tail_ == head) cached_tail_ = tail_.load(std::memory_order_acquire);
        const std::size_t available = cached_tail_ - head;
        const std::size_t n = available < out.size() ? available : out.size();
        for (std::size_t i = 0; i < n; ++i) out[i] = slots_[(head + i) & mask_];
        head_.store(head + n, std::memory_order_release);
        return n;
    }
    /// Either side; exact only for the caller's own end.
    [[nodiscard]] std::size_t size() const noexcept {
        return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_acquire);
    }
    [[nodiscard]] std::size_t capacity() const noexcept { return mask_ + 1; }

  private:
    std::size_t mask_;
    std::unique_ptr<T[]> slots_;
    alignas(64) std::atomic<std::size_t> head_{0};
    std::size_t cached_tail_ = 0;
    alignas(64) std::atomic<std::size_t> tail_{0};
    std::size_t cached_head_ = 0;
};

}  // namespace wye::ring
