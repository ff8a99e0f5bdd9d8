// Grace: what may be done only after every worker has passed a quiescent state.
//
// after() collects; seal(epoch) says in which epoch all collected so far became unreachable; run()
// does, in order, what belongs to epochs that were reached. Private memory of the control thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

namespace wye::control {

class Grace {
  public:
    void after(std::function<void()> action) { unsealed_.push_back(std::move(action)); }
    [[nodiscard]] bool has_unsealed() const noexcept { return !unsealed_.empty(); }
    [[nodiscard]] bool empty() const noexcept { return unsealed_.empty() && sealed_.empty(); }

    void seal(std::uint64_t epoch) {
        if (unsealed_.empty()) return;
        sealed_.push_back({epoch, std::move(unsealed_)});
        unsealed_.clear();
    }
    /// True if anything was done. Actions may call after().
    bool run(std::uint64_t reached) {
        bool done = false;
        while (!sealed_.empty() && sealed_.front().epoch <= reached) {
            const Batch batch = std::move(sealed_.front());
            sealed_.pop_front();
            for (const auto& action : batch.actions) action();
            done = true;
        }
        return done;
    }

  private:
    struct Batch {
        std::uint64_t epoch;
        std::vector<std::function<void()>> actions;
    };
    std::vector<std::function<void()>> unsealed_;
    std::deque<Batch> sealed_;
};

}  // namespace wye::control
