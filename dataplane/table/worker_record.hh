// WorkerRecord: what the control thread knows of a worker, for other processes to read.
//
// One for each worker, in the counter file behind the names. Writer: the control thread. Readers:
// any process that maps the file (the shim, for `show workers`). A sequence number around the words
// says whether what was read is one state; a reader that finds it changing reads again. So neither
// side waits for the other, and a reader that is killed holds nothing up.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <type_traits>

namespace wye::table {

enum class WorkerState : std::uint32_t {
    absent = 0,  // no thread
    running,
    stalled,  // has not finished a turn for too long
};

/// As plain data: what is written and read as one.
struct WorkerReport {
    static constexpr std::uint32_t kNotPinned = 0xffffffff;
    WorkerState state = WorkerState::absent;
    std::uint32_t core = kNotPinned;         // as Linux numbers it
    std::uint64_t stalls = 0;                // since the process started
    std::uint64_t stall_milliseconds = 0;    // of the current stall, or else the last one
    std::uint64_t longest_milliseconds = 0;  // of all stalls
    /// Of the last stall: names of functions, the innermost first, joined by " < "; zero-terminated.
    std::array<char, 984> stack{};

    [[nodiscard]] std::string_view stack_text() const noexcept {
        const void* end = std::memchr(stack.data(), 0, stack.size());
        return {stack.data(), end == nullptr ? stack.size()
                                             : static_cast<std::size_t>(
                                                   static_cast<const char*>(end) - stack.data())};
    }
    /// What is too long is cut.
    void set_stack(std::string_view text) noexcept {
        stack.fill('\0');
        std::memcpy(stack.data(), text.data(), std::min(text.size(), stack.size() - 1));
    }
};
static_assert(std::is_trivially_copyable_v<WorkerReport> && sizeof(WorkerReport) % 8 == 0);

class alignas(64) WorkerRecord {
  public:
    void write(const WorkerReport& report) noexcept {
        std::array<std::uint64_t, kWords> words;
        std::memcpy(words.data(), &report, sizeof report);
        // Odd also where a writer was killed in the middle.
        const std::uint64_t before = sequence_.load(std::memory_order_relaxed) | 1;
        sequence_.store(before, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);
        for (std::size_t i = 0; i < kWords; ++i) {
            words_[i].store(words[i], std::memory_order_relaxed);
        }
        sequence_.store(before + 1, std::memory_order_release);
    }
    /// None: it was being written each time.
    [[nodiscard]] std::optional<WorkerReport> read() const noexcept {
        for (int attempt = 0; attempt < 100; ++attempt) {
            const std::uint64_t before = sequence_.load(std::memory_order_acquire);
            std::array<std::uint64_t, kWords> words;
            for (std::size_t i = 0; i < kWords; ++i) {
                words[i] = words_[i].load(std::memory_order_relaxed);
            }
            std::atomic_thread_fence(std::memory_order_acquire);
            if (before % 2 != 0 || sequence_.load(std::memory_order_relaxed) != before) continue;
            WorkerReport report;
            std::memcpy(static_cast<void*>(&report), words.data(), sizeof report);
            return report;
        }
        return std::nullopt;
    }

  private:
    static constexpr std::size_t kWords = sizeof(WorkerReport) / 8;
    std::atomic<std::uint64_t> sequence_{0};
    std::array<std::atomic<std::uint64_t>, kWords> words_{};
};

}  // namespace wye::table
