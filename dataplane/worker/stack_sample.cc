#include "dataplane/worker/stack_sample.hh"

#include <execinfo.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "dataplane/base/check.hh"

namespace wye::worker {
namespace {

/// In the program's own thread-local storage, which is there before the thread runs.
constinit thread_local StackSample* own_sample = nullptr;

int signal_number() noexcept {
    return SIGRTMIN + 5;
}

void on_signal(int /*number*/, siginfo_t* /*info*/, void* context) noexcept {
    const int saved = errno;
    if (own_sample != nullptr) {
        const auto* interrupted = static_cast<const ucontext_t*>(context);
        own_sample->take(
            reinterpret_cast<void*>(interrupted->uc_mcontext.gregs[REG_RIP]));  // NOLINT
    }
    errno = saved;
}

}  // namespace

void StackSample::prepare() {
    void* ignored[2];
    (void)backtrace(ignored, 2);  // loads libgcc_s
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&action.sa_mask);
    WYE_CHECK(sigaction(signal_number(), &action, nullptr) == 0, "a signal cannot be taken");
}

void StackSample::begin_on_this_thread() noexcept {
    own_sample = this;
    thread_.store(gettid(), std::memory_order_release);
}

void StackSample::end_on_this_thread() noexcept {
    thread_.store(0, std::memory_order_release);
    own_sample = nullptr;
}

bool StackSample::request() noexcept {
    const pid_t thread = thread_.load(std::memory_order_acquire);
    if (thread == 0) return false;
    // One is under way: its answer will do, and the buffer is the handler's.
    if (wanted_.load(std::memory_order_acquire)) return true;
    count_.store(0, std::memory_order_relaxed);
    wanted_.store(true, std::memory_order_release);
    if (syscall(SYS_tgkill, getpid(), thread, signal_number()) == 0) return true;
    wanted_.store(false, std::memory_order_release);
    return false;
}

void StackSample::take(void* instruction) noexcept {
    if (!wanted_.load(std::memory_order_acquire)) return;
    const int depth = backtrace(frames_.data(), static_cast<int>(kDepth));
    auto* const end = frames_.data() + std::max(depth, 0);
    // The handler and the kernel's way back stand before the interrupted instruction.
    auto* const first = std::find(frames_.data(), end, instruction);
    std::size_t count = 0;
    if (first != end) {
        count = static_cast<std::size_t>(std::copy(first, end, frames_.data()) - frames_.data());
    } else {
        frames_[0] = instruction;
        count = 1;
    }
    count_.store(count, std::memory_order_release);
    wanted_.store(false, std::memory_order_release);
}

std::span<void* const> StackSample::frames() const noexcept {
    return {frames_.data(), count_.load(std::memory_order_acquire)};
}

}  // namespace wye::worker
