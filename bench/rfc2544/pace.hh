// When the next frame is due: frame n of a trial at n/rate after its start, so errors do not add up. A
// generator that was kept from running catches up what it owes, but never more than `longest_lag`: more
// at once would be a burst that nobody asked for. What it gives up is counted, and moves the rest of the
// trial; a trial that lost much of its time so is not worth its name (scripts/rfc2544 repeats it).
#pragma once

#include <cstdint>

namespace wye::rfc2544 {

class Pace {
  public:
    /// `rate` in frames a second, above 0; times in nanoseconds of one clock.
    Pace(double rate, std::uint64_t start_ns, std::uint64_t longest_lag_ns)
        : interval_ns_(1e9 / rate), start_ns_(start_ns), longest_lag_ns_(longest_lag_ns) {}

    /// How many frames should have been sent by `now_ns`, the first at the start.
    std::uint64_t due(std::uint64_t now_ns, std::uint64_t sent) {
        const double owed_since = when(sent);
        const double now = static_cast<double>(now_ns - start_ns_);
        const double limit = static_cast<double>(longest_lag_ns_);
        if (now - owed_since > limit) {
            const double gap = now - owed_since - limit;
            given_up_ns_ += gap;
        }
        const double passed = now - given_up_ns_;
        return passed < 0 ? 0 : static_cast<std::uint64_t>(passed / interval_ns_) + 1;
    }

    /// The time at which a frame is due, as far as is known before it is sent.
    std::uint64_t at(std::uint64_t frame) const {
        return start_ns_ + static_cast<std::uint64_t>(when(frame));
    }

    std::uint64_t given_up_ns() const { return static_cast<std::uint64_t>(given_up_ns_); }

  private:
    double when(std::uint64_t frame) const {
        return static_cast<double>(frame) * interval_ns_ + given_up_ns_;
    }

    double interval_ns_;
    std::uint64_t start_ns_;
    std::uint64_t longest_lag_ns_;
    double given_up_ns_ = 0;
};

}  // namespace wye::rfc2544
