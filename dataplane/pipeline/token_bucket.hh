// A token bucket in one word: the virtual scheduling form of the ATM Forum's generic cell rate
// algorithm (ITU-T I.371), which is equivalent. A bucket of zero is full (RFC 2697, 2698: buckets
// start full), so an array of zeroes is ready for use.
#pragma once

#include <cstdint>

namespace wye::pipeline {

struct TokenRate {
    std::uint32_t per_second;  // not zero
    std::uint32_t burst;       // tokens, at least 1
};

class TokenBucket {
  public:
    /// Takes one token; false: there is none.
    bool take(TokenRate rate, std::uint64_t now_cycles, std::uint64_t cycles_per_second) noexcept {
        const std::uint64_t interval = cycles_per_second / rate.per_second;
        const std::uint64_t tolerance = interval * (rate.burst - 1);
        if (next_ > now_cycles && next_ - now_cycles > tolerance) return false;
        next_ = (next_ > now_cycles ? next_ : now_cycles) + interval;
        return true;
    }

  private:
    std::uint64_t next_ = 0;  // when the bucket is full again, cycles
};

}  // namespace wye::pipeline
