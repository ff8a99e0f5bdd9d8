// QueueGate: workers' leave to use a queue pair of a device, so that a device can go and come back while
// workers run. One worker receives by it, one (the same or another) sends.
//
// Writer of `wanted`: the control thread. Who receives polls in each turn, so that worker follows what is
// wanted there, and pays one load a burst. Who sends may not come by for long, so that worker says when it
// is inside: one locked store a burst.
#pragma once

#include <atomic>
#include <cstdint>

namespace wye::drivers {

class alignas(64) QueueGate {
  public:
    static constexpr std::uint16_t kNone = 0xffff;

    // Control thread.
    /// The queue pair is that of this device (DPDK's number), which is started.
    void open(std::uint16_t device) noexcept { wanted_.store(device); }
    void close() noexcept { wanted_.store(kNone); }
    /// No worker uses the queue pair, and none will before open().
    [[nodiscard]] bool closed() const noexcept {
        return wanted_.load() == kNone && receives_.load() == kNone && sends_.load() == kNone;
    }

    // The worker that receives.
    [[nodiscard]] bool changed(std::uint16_t device) const noexcept {
        return wanted_.load(std::memory_order_acquire) != device;
    }
    /// The device that may be used from now on, or kNone.
    [[nodiscard]] std::uint16_t follow() noexcept {
        const std::uint16_t device = wanted_.load();
        receives_.store(device);
        // Closed in between: either this sees it, or closed() has seen what was just stored.
        if (wanted_.load() == device) return device;
        receives_.store(kNone);
        return kNone;
    }
    void stop_receiving() noexcept { receives_.store(kNone); }

    // The worker that sends.
    /// The device that may be used until end_sending(), or kNone: then there is nothing to end.
    [[nodiscard]] std::uint16_t begin_sending() noexcept {
        const std::uint16_t device = wanted_.load(std::memory_order_acquire);
        if (device == kNone) return kNone;
        sends_.store(device);
        if (wanted_.load() == device) return device;
        end_sending();
        return kNone;
    }
    void end_sending() noexcept { sends_.store(kNone, std::memory_order_release); }
    /// Whether the device took any of a burst.
    void note(bool took) noexcept {
        std::atomic<bool>& seen = took ? took_ : refused_;
        if (!seen.load(std::memory_order_relaxed)) seen.store(true, std::memory_order_relaxed);
    }

    // Control thread.
    /// It refused bursts, and has taken nothing since forget_sent().
    [[nodiscard]] bool takes_nothing() const noexcept {
        return refused_.load(std::memory_order_relaxed) && !took_.load(std::memory_order_relaxed);
    }
    void forget_sent() noexcept {
        refused_.store(false, std::memory_order_relaxed);
        took_.store(false, std::memory_order_relaxed);
    }

  private:
    std::atomic<std::uint16_t> wanted_{kNone};
    std::atomic<std::uint16_t> receives_{kNone};
    std::atomic<std::uint16_t> sends_{kNone};
    std::atomic<bool> took_{false}, refused_{false};
};

}  // namespace wye::drivers
