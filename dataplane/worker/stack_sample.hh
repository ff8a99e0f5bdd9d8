// StackSample: where a thread is just now, asked for by another thread.
//
// The other thread sends a signal; the handler runs on the thread that is asked, writes the return
// addresses into the buffer below, and returns. It allocates nothing and takes no lock: unwinding is
// glibc's backtrace(), which since glibc 2.35 with GCC 12's libgcc finds its tables without a lock
// (_dl_find_object), and whose library is loaded by prepare(), before any signal.
//
// A thread that is in the kernel and cannot be interrupted answers when it comes back: nobody waits.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <span>

namespace wye::worker {

class StackSample {
  public:
    static constexpr std::size_t kDepth = 48;

    /// Before the first request: takes the signal (SIGRTMIN + 5) for the process.
    static void prepare();

    // The thread that may be asked.
    void begin_on_this_thread() noexcept;
    void end_on_this_thread() noexcept;

    // One other thread.
    /// Forgets the last answer and asks. False: no thread is bound.
    bool request() noexcept;
    /// Of the thread, for /proc; 0: none is bound.
    [[nodiscard]] pid_t thread() const noexcept { return thread_.load(std::memory_order_acquire); }
    /// Addresses, that of the interrupted instruction first; empty: no answer yet.
    [[nodiscard]] std::span<void* const> frames() const noexcept;

    /// The handler's part, on the thread that is asked. `instruction`: the interrupted one.
    void take(void* instruction) noexcept;

  private:
    std::atomic<pid_t> thread_{0};
    std::atomic<bool> wanted_{false};
    std::atomic<std::size_t> count_{0};  // 0: no answer
    std::array<void*, kDepth> frames_{};
};

}  // namespace wye::worker
