// The arena as a reader sees it: a file of tables, mapped at any address, linked by Ref (an offset
// in units of 64 bytes). Position-independent, layout versioned, valid at every instant.
//
// Writer: the control thread alone, through ArenaWriter (dataplane/table/arena_writer.hh). Readers:
// workers under RCU, and other processes under a lease. A reader never follows a raw pointer, and
// a reader in another process uses checked(), since the writer may free what an expired lease held.
//
// The file begins with ArenaHeader. Behind it lie the fixed arrays (one record an id; sparse: pages
// that were never touched cost nothing) and then the heap of extents (FIB nodes, ACLs, policies).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace wye::table {

constexpr std::size_t kUnit = 64;  // bytes; a cache line

/// Offset of a T in the arena, in units; 0 is "nothing" (the header lies there).
template <class T>
struct Ref {
    std::uint32_t unit = 0;
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return unit != 0; }
    friend constexpr bool operator==(const Ref&, const Ref&) noexcept = default;
};

/// A Ref that the writer swaps under readers. Store: release. Load: acquire (free on x86).
template <class T>
struct AtomicRef {
    std::atomic<std::uint32_t> unit{0};
    [[nodiscard]] Ref<T> load() const noexcept {
        return Ref<T>{unit.load(std::memory_order_acquire)};
    }
    void store(Ref<T> ref) noexcept { unit.store(ref.unit, std::memory_order_release); }
};

constexpr std::uint64_t kArenaMagic = 0x616e65726165'7977;
/// Raised whenever any struct that lies in the arena changes. An arena of another layout is not
/// read: the new process starts empty and says so.
constexpr std::uint32_t kArenaLayout = 6;

enum class ArenaState : std::uint32_t {
    building = 0,   // made by this process, not yet forwarded from
    committed = 1,  // complete: a successor may forward from it at once
};

struct Vrf;
struct Vport;
struct TenantRoot;
struct Tunnel;
struct NextHop;
struct Group;

/// How many records each fixed array has. Set when the arena is made, from the configuration.
struct ArenaLimits {
    std::uint32_t tenants = 4096;
    std::uint32_t vrfs = 8192;
    std::uint32_t vports = 16384;
    std::uint32_t tunnels = 16384;
    std::uint32_t nexthops = 262144;
    std::uint32_t groups = 131072;
    std::uint64_t heap_bytes = std::uint64_t{4} << 30;
    friend bool operator==(const ArenaLimits&, const ArenaLimits&) = default;
};

struct alignas(64) ArenaHeader {
    std::uint64_t magic;
    std::uint32_t layout;
    std::atomic<ArenaState> state;
    std::uint64_t instance;            // of the process that wrote it
    std::atomic<std::uint64_t> size;   // bytes of the file; only grows
    std::atomic<std::uint64_t> epoch;  // last published
    ArenaLimits limits;
    Ref<TenantRoot> tenants;
    Ref<Vrf> vrfs;
    Ref<Vport> vports;
    Ref<Tunnel> tunnels;
    Ref<NextHop> nexthops;
    Ref<Group> groups;
    Ref<std::atomic<std::uint64_t>> vport_keys;   // hash: dataplane/table/vport_key.hh
    Ref<std::atomic<std::uint32_t>> tunnel_keys;  // hash: dataplane/table/tunnel_key.hh
    std::uint32_t vport_key_slots;                // powers of two
    std::uint32_t tunnel_key_slots;
};

/// What a worker holds: the base of the mapping. Copyable, one pointer.
class ArenaView {
  public:
    ArenaView() noexcept = default;
    explicit ArenaView(const std::byte* base) noexcept : base_(base) {}
    friend bool operator==(const ArenaView&, const ArenaView&) noexcept = default;

    [[nodiscard]] const ArenaHeader& header() const noexcept {
        return *reinterpret_cast<const ArenaHeader*>(base_);
    }
    template <class T>
    [[nodiscard]] const T* at(Ref<T> ref) const noexcept {
        return reinterpret_cast<const T*>(base_ + std::size_t{ref.unit} * kUnit);
    }
    /// nullptr unless the whole record lies within the file.
    template <class T>
    [[nodiscard]] const T* checked(Ref<T> ref, std::size_t bytes = sizeof(T)) const noexcept {
        const std::uint64_t start = std::uint64_t{ref.unit} * kUnit;
        if (ref.unit == 0 || start + bytes > header().size.load(std::memory_order_acquire)) {
            return nullptr;
        }
        return at(ref);
    }
    /// Record `index` of a fixed array. The caller knows that index < its limit.
    template <class T>
    [[nodiscard]] const T& record(Ref<T> array, std::uint32_t index) const noexcept {
        return at(array)[index];
    }
    [[nodiscard]] const std::byte* base() const noexcept { return base_; }
    [[nodiscard]] explicit operator bool() const noexcept { return base_ != nullptr; }

  private:
    const std::byte* base_ = nullptr;
};

}  // namespace wye::table
