// The writer's side of the arena: makes the file, hands out extents, frees them late.
//
// Owner: the control thread (not thread-safe; the builder thread fills an extent that the control
// thread reserved for it). Allocator state is private memory: after a crash it is rebuilt by the
// shim's replay into a fresh arena, never recovered from the file.
//
// Life of a free: retire() puts an extent aside; seal(epoch) says that all retired so far were
// unreachable from `epoch` on; release_through(epoch) makes them allocatable again, once every
// reader has passed a quiescent state in that epoch (RCU) and no lease holds them.
//
// Room is made sure of before a write (posix_fallocate), so that a full file system is a refusal
// here and never a SIGBUS in a worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "dataplane/base/result.hh"
#include "dataplane/table/arena.hh"

namespace wye::table {

/// For tests: lets an arena be full at a moment of their choosing. `passes` more times memory is
/// given, then `failures` times it is refused, then it is given again.
struct AllocationFaults {
    std::uint64_t passes = 0, failures = 0;
    std::uint64_t refused = 0;  // so far

    bool strike() noexcept {
        if (failures == 0) return false;
        if (passes != 0) {
            --passes;
            return false;
        }
        --failures;
        ++refused;
        return true;
    }
};

class ArenaWriter {
  public:
    /// A new file at `path` (mode 0640), header and fixed arrays laid out, all records zero, state
    /// building. With hugetlbfs paths sizes are rounded to its page size.
    static Result<ArenaWriter> create(const std::string& path, const ArenaLimits& limits,
                                      std::uint64_t instance);
    /// For tests: anonymous memory, no file.
    static Result<ArenaWriter> create_anonymous(const ArenaLimits& limits);

    ArenaWriter(ArenaWriter&&) noexcept;
    ArenaWriter& operator=(ArenaWriter&&) noexcept;
    ~ArenaWriter();  // unmaps; the file stays

    [[nodiscard]] ArenaView view() const noexcept;
    [[nodiscard]] ArenaHeader& header() noexcept;
    [[nodiscard]] int descriptor() const noexcept;

    /// Zeroed extent of at least `bytes` bytes, 64-byte aligned; null when the heap is full.
    template <class T>
    [[nodiscard]] Ref<T> allocate(std::size_t bytes) {
        return Ref<T>{allocate_units(bytes)};
    }
    template <class T>
    [[nodiscard]] T* writable(Ref<T> ref) noexcept {
        return reinterpret_cast<T*>(base() + std::size_t{ref.unit} * kUnit);
    }
    /// Record `index` of a fixed array, for writing.
    template <class T>
    [[nodiscard]] T& record(Ref<T> array, std::uint32_t index) noexcept {
        return writable(array)[index];
    }
    /// Makes sure that record `index` of a fixed array has memory behind it; false: file system full.
    template <class T>
    [[nodiscard]] bool back(Ref<T> array, std::uint32_t index) {
        return back_bytes(std::uint64_t{array.unit} * kUnit + std::uint64_t{index} * sizeof(T),
                          sizeof(T));
    }

    /// Was published and will be unreachable once the current change is: free after a grace period.
    template <class T>
    void retire(Ref<T> ref, std::size_t bytes) {
        retire_units(ref.unit, bytes);
    }
    /// Was never published: free at once.
    template <class T>
    void discard(Ref<T> ref, std::size_t bytes) {
        discard_units(ref.unit, bytes);
    }
    void seal(std::uint64_t epoch);
    void release_through(std::uint64_t epoch);
    [[nodiscard]] std::size_t retired_bytes() const noexcept;
    [[nodiscard]] std::size_t used_bytes() const noexcept;  // heap extents in use
    [[nodiscard]] std::size_t free_bytes() const noexcept;  // heap still available

    /// For tests: asked before memory is given. Borrowed.
    void inject(AllocationFaults* faults) noexcept;

  private:
    struct Impl;
    explicit ArenaWriter(std::unique_ptr<Impl> impl);
    [[nodiscard]] std::byte* base() noexcept;
    std::uint32_t allocate_units(std::size_t bytes);
    bool back_bytes(std::uint64_t offset, std::uint64_t bytes);
    void retire_units(std::uint32_t unit, std::size_t bytes);
    void discard_units(std::uint32_t unit, std::size_t bytes);
    std::unique_ptr<Impl> impl_;
};

/// A read-only mapping of an arena file, checked before anything is believed: magic, layout, size,
/// state committed. Used by a restarted data plane to forward at once, and by readers under a lease.
class ArenaMapping {
  public:
    static Result<ArenaMapping> open(const std::string& path);
    /// Of a descriptor (which stays the caller's), also of an arena that is still being filled: for
    /// a reader that is told so. `name` is for errors.
    static Result<ArenaMapping> map(int descriptor, const std::string& name,
                                    bool must_be_committed);
    ArenaMapping(ArenaMapping&&) noexcept;
    ArenaMapping& operator=(ArenaMapping&&) noexcept;
    ~ArenaMapping();
    [[nodiscard]] ArenaView view() const noexcept;

  private:
    ArenaMapping(std::byte* base, std::size_t size) : base_(base), size_(size) {}
    std::byte* base_ = nullptr;
    std::size_t size_ = 0;
};

/// Removes an arena's file. `path` may be a symbolic link to it (dataplane/main/table_folder.hh):
/// then what it points to goes too, and the folder of that if it is empty then.
void remove_arena(const std::string& path);

}  // namespace wye::table
