// TimerWheel: a hashed timer wheel (Varghese and Lauck, 1987, scheme 6) for a fixed number of timers,
// each named by its number. Setting, clearing and the passing of a tick take constant time; a deadline
// beyond one turn of the wheel is found and left where it is each time around. No allocation after
// construction. One thread.
#pragma once

#include <cstdint>
#include <vector>

namespace wye::bfd {

class TimerWheel {
  public:
    /// `tick` in the caller's unit of time; timers fire up to one tick late, never early.
    TimerWheel(std::uint32_t timers, std::uint64_t tick)
        : tick_(tick), slots_(kSlots, kNone), timers_(timers) {}

    void set(std::uint32_t timer, std::uint64_t deadline) noexcept {
        clear(timer);
        // One that is due already lies in the slot that is looked at next.
        const std::uint64_t wanted = (deadline + tick_ - 1) / tick_;
        const std::uint64_t at = wanted > passed_ ? wanted : passed_ + 1;
        Timer& entry = timers_[timer];
        entry.deadline = at;
        entry.slot = static_cast<std::uint32_t>(at % kSlots);
        entry.next = slots_[entry.slot];
        entry.previous = kNone;
        if (entry.next != kNone) timers_[entry.next].previous = timer;
        slots_[entry.slot] = timer;
    }
    void clear(std::uint32_t timer) noexcept {
        Timer& entry = timers_[timer];
        if (entry.slot == kNone) return;
        if (entry.previous != kNone) {
            timers_[entry.previous].next = entry.next;
        } else {
            slots_[entry.slot] = entry.next;
        }
        if (entry.next != kNone) timers_[entry.next].previous = entry.previous;
        entry.slot = kNone;
    }
    [[nodiscard]] bool is_set(std::uint32_t timer) const noexcept {
        return timers_[timer].slot != kNone;
    }

    /// Calls fire(timer) for every timer that is due by `now`; it is not set any more when called, and
    /// fire may set and clear any timer. Where more time has passed than a turn of the wheel, every slot
    /// is looked at once.
    template <class Fire>
    void advance(std::uint64_t now, Fire&& fire) noexcept {
        const std::uint64_t until = now / tick_;
        if (until <= passed_) return;
        if (until - passed_ > kSlots) passed_ = until - kSlots;
        while (passed_ < until) {
            ++passed_;
            fire_slot(static_cast<std::uint32_t>(passed_ % kSlots), until, fire);
        }
    }

  private:
    static constexpr std::uint32_t kSlots = 1024;
    static constexpr std::uint32_t kNone = 0xffffffff;
    struct Timer {
        std::uint64_t deadline = 0;  // ticks
        std::uint32_t slot = kNone;
        std::uint32_t next = kNone, previous = kNone;
    };

    template <class Fire>
    void fire_slot(std::uint32_t slot, std::uint64_t until, Fire&& fire) noexcept {
        // Firing changes the list; each round takes one that is due until there is none.
        std::uint32_t timer = slots_[slot];
        while (timer != kNone) {
            if (timers_[timer].deadline > until) {
                timer = timers_[timer].next;
                continue;
            }
            clear(timer);
            fire(timer);
            timer = slots_[slot];
        }
    }

    std::uint64_t tick_;
    std::uint64_t passed_ = 0;  // ticks that were looked at
    std::vector<std::uint32_t> slots_;
    std::vector<Timer> timers_;
};

}  // namespace wye::bfd
