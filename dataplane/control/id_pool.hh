// IdPool: dense ids of next hops and groups, each use with its own generation. Given back only
// after a grace period. Private memory of the control thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace wye::control {

class IdPool {
  public:
    /// `first_generation` differs between processes, so that a liveness word written for a record
    /// of one arena says nothing about a record of another.
    IdPool(std::uint32_t limit, std::uint32_t first_generation)
        : limit_(limit), first_generation_(first_generation) {}

    struct Taken {
        std::uint32_t id, generation;
    };
    std::optional<Taken> take() {
        if (!free_.empty()) {
            const std::uint32_t id = free_.back();
            free_.pop_back();
            return Taken{id, ++generations_[id]};
        }
        if (generations_.size() >= limit_) return std::nullopt;
        generations_.push_back(first_generation_);
        return Taken{static_cast<std::uint32_t>(generations_.size() - 1), first_generation_};
    }
    void give_back(std::uint32_t id) { free_.push_back(id); }

  private:
    std::uint32_t limit_, first_generation_;
    std::vector<std::uint32_t> generations_;
    std::vector<std::uint32_t> free_;
};

}  // namespace wye::control
