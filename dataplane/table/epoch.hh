// Epochs: how the single writer knows that no worker still reads what it unpublished.
//
// Quiescent-state-based reclamation (DPDK lib/rcu) on plain memory. A worker is a reader with a
// number; it reports after each burst and is offline while it sleeps, so that a sleeping worker
// holds nothing up. The control thread advances the epoch after it published, and asks, never waits.
// Writer: control thread. Readers: workers. No system calls, no locks on either side.
#pragma once

#include <cstdint>
#include <memory>

namespace wye::table {

class Epochs {
  public:
    explicit Epochs(std::uint32_t max_readers);
    ~Epochs();
    Epochs(const Epochs&) = delete;
    Epochs& operator=(const Epochs&) = delete;

    // Control thread.
    /// What was published before is visible to every reader that reports from now on.
    std::uint64_t advance() noexcept;
    /// Every reader online has passed a quiescent state since advance() returned `epoch`.
    [[nodiscard]] bool reached(std::uint64_t epoch) const noexcept;

    // Each reader, on its own thread.
    void register_reader(std::uint32_t reader) noexcept;
    void unregister_reader(std::uint32_t reader) noexcept;
    void online(std::uint32_t reader) noexcept;
    void offline(std::uint32_t reader) noexcept;
    void quiescent(std::uint32_t reader) noexcept;
    /// The last that was begun. What a reader keeps of what it read holds for as long as this stays
    /// the same: it changes before any grace period begins.
    [[nodiscard]] std::uint64_t current() const noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace wye::table
