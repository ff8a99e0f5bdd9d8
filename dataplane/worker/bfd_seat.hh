// BfdSeat: the BFD sessions' place in a worker. One worker at a time runs the engine, in each of its turns;
// the others hand it what they receive. It moves as a receive queue does (receive_queues.hh): the one who
// has it gives it away between two turns.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/base/clock.hh"
#include "dataplane/base/ids.hh"
#include "dataplane/bfd/engine.hh"
#include "dataplane/bfd/vrf_set.hh"
#include "dataplane/table/bfd_file.hh"

namespace wye::worker {

class BfdSeat {
  public:
    static constexpr std::size_t kInbox = 2048;
    static constexpr std::size_t kOrders = 1024;

    BfdSeat(std::size_t workers, std::uint32_t vrf_limit, table::Liveness& liveness,
            table::BfdFile made_file, std::uint64_t cycles_per_second)
        : file(std::move(made_file)),
          vrfs(vrf_limit),
          began_(read_cycles()),
          per_second_(static_cast<double>(cycles_per_second)) {
        std::vector<bfd::Inbox*> all;
        for (std::size_t i = 0; i < workers; ++i) {
            inboxes_.push_back(std::make_unique<bfd::Inbox>(kInbox));
            all.push_back(inboxes_.back().get());
        }
        engine_ = std::make_unique<bfd::Engine>(
            bfd::Engine::Wiring{orders, std::move(all), events, liveness, file});
    }

    // Control thread.
    void place(WorkerId worker) noexcept { wanted_.store(worker.value, std::memory_order_release); }
    /// While nobody runs.
    void settle(WorkerId worker) noexcept {
        place(worker);
        owner_.store(worker.value, std::memory_order_release);
    }
    [[nodiscard]] WorkerId wanted() const noexcept {
        return WorkerId{wanted_.load(std::memory_order_relaxed)};
    }
    [[nodiscard]] WorkerId owner() const noexcept {
        return WorkerId{owner_.load(std::memory_order_acquire)};
    }

    // Workers.
    [[nodiscard]] bfd::Inbox& inbox(WorkerId worker) noexcept { return *inboxes_[worker.value]; }
    [[nodiscard]] bool is_with(WorkerId worker) const noexcept { return owner() == worker; }
    /// Whoever has it, between two turns.
    void give_away() noexcept {
        const std::uint32_t wanted = wanted_.load(std::memory_order_acquire);
        if (wanted != owner_.load(std::memory_order_relaxed)) [[unlikely]] {
            owner_.store(wanted, std::memory_order_release);
        }
    }
    /// Whoever has it. One clock for all workers: their rates were measured apart.
    bfd::Engine& engine() noexcept { return *engine_; }
    [[nodiscard]] Nanoseconds time(std::uint64_t cycles) const noexcept {
        return Nanoseconds(
            static_cast<std::int64_t>(static_cast<double>(cycles - began_) * 1e9 / per_second_));
    }

    bfd::Orders orders{kOrders};                     // control thread → engine
    bfd::Events events{2 * table::kMaxBfdSessions};  // engine → control thread
    table::BfdFile file;
    bfd::VrfSet vrfs;

  private:
    std::vector<std::unique_ptr<bfd::Inbox>> inboxes_;
    std::unique_ptr<bfd::Engine> engine_;
    std::uint64_t began_;
    double per_second_;
    std::atomic<std::uint32_t> owner_{0}, wanted_{0};
};

}  // namespace wye::worker
