// Mpsc<T>: a bounded first-in-first-out queue with any number of producers and, at one time, one
// consumer. For frames that several workers send by one queue of a device. Never waits for another
// thread, never allocates (after D. Vyukov's bounded queue: a sequence number in each place says
// whose turn it is).
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>

namespace wye::ring {

template <class T>
class Mpsc {
  public:
    explicit Mpsc(std::size_t capacity)
        : mask_(std::bit_ceil(capacity) - 1), places_(std::make_unique<Place[]>(mask_ + 1)) {
        for (std::size_t i = 0; i <= mask_; ++i) {
            places_[i].turn.store(i, std::memory_order_relaxed);
        }
    }

    /// Any thread. False: full.
    bool push(const T& value) noexcept {
        std::size_t tail = tail_.load(std::memory_order_relaxed);
        while (true) {
            Place& place = places_[tail & mask_];
            const std::size_t turn = place.turn.load(std::memory_order_acquire);
            if (turn == tail) {
                if (tail_.compare_exchange_weak(tail, tail + 1, std::memory_order_relaxed)) {
                    place.value = value;
                    place.turn.store(tail + 1, std::memory_order_release);
                    return true;
                }
            } else if (turn < tail) {
                return false;
            } else {
                tail = tail_.load(std::memory_order_relaxed);
            }
        }
    }
    /// The consumer. False: empty, or the next value is still being written.
    bool pop(T& value) noexcept {
        const std::size_t head = head_.load(std::memory_order_relaxed);
        Place& place = places_[head & mask_];
        if (place.turn.load(std::memory_order_acquire) != head + 1) return false;
        value = place.value;
        place.turn.store(head + mask_ + 1, std::memory_order_release);
        head_.store(head + 1, std::memory_order_release);
        return true;
    }
    /// Any thread: nothing that was pushed before waits any more.
    [[nodiscard]] bool empty() const noexcept {
        return head_.load(std::memory_order_seq_cst) == tail_.load(std::memory_order_seq_cst);
    }

  private:
    struct Place {
        std::atomic<std::size_t> turn{0};
        T value{};
    };
    std::size_t mask_;
    std::unique_ptr<Place[]> places_;
    alignas(64) std::atomic<std::size_t> head_{0};
    alignas(64) std::atomic<std::size_t> tail_{0};
};

}  // namespace wye::ring
