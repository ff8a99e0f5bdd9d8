// Wakeup: how the producer of an Spsc wakes a consumer that sleeps, and costs nothing when it does
// not: the eventfd is written only when the consumer said that it is about to sleep.
//
// Any number of threads may notify, one sleeps. Both sides go through a read-modify-write of the
// same word, so either the sleeper sees what was queued, or the waker sees that it sleeps.
#pragma once

#include <sys/eventfd.h>

#include <atomic>

#include "dataplane/base/check.hh"
#include "dataplane/base/descriptor.hh"

namespace wye::ring {

class Wakeup {
  public:
    Wakeup() : descriptor_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
        WYE_CHECK(descriptor_.valid(), "no eventfd");
    }
    /// To poll; readable once somebody notified a sleeper.
    [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }

    // The sleeper: prepare, look at the queues once more, poll the descriptor, finish.
    void prepare_sleep() noexcept { (void)sleeping_.exchange(true, std::memory_order_acq_rel); }
    void finish_sleep() noexcept {
        (void)sleeping_.exchange(false, std::memory_order_acq_rel);
        eventfd_t ignored = 0;
        (void)eventfd_read(descriptor_.get(), &ignored);
    }
    /// Whoever queued something, afterwards.
    void notify() noexcept {
        if (sleeping_.exchange(false, std::memory_order_acq_rel)) {
            (void)eventfd_write(descriptor_.get(), 1);
        }
    }

  private:
    Descriptor descriptor_;
    std::atomic<bool> sleeping_{false};
};

}  // namespace wye::ring
