// RouteTable: the routes by command of one VRF, of both families, found by prefix.
//
// A full table of the Internet does not fit into a cache, so each line that a change touches is
// waited for: a route is one line, and its slot is another (open addressing, linear probing,
// close_gap.hh). prefetch_…() asks for both before they are needed; the executor does so for the
// commands that follow in a batch.
//
// Private memory of the control thread. A route stays where it is as long as it stands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/base/huge_pages.hh"
#include "dataplane/net/address.hh"

namespace wye::control {

struct Group;
struct Vrf;

struct alignas(64) Route {
    Group* group = nullptr;
    Route* previous = nullptr;  // routes of one group are chained
    Route* next = nullptr;
    Vrf* vrf = nullptr;
    std::uint32_t declared = 0;
    net::IpPrefix prefix;
    std::uint8_t protocol = 0;
};
static_assert(sizeof(Route) == 64, "one cache line");

/// Records of routes, for all VRFs together; 2 MiB of them at a time.
class RoutePool {
  public:
    [[nodiscard]] std::uint32_t take();
    void give_back(std::uint32_t index) { free_.push_back(index); }
    [[nodiscard]] Route& operator[](std::uint32_t index) noexcept {
        return chunks_[index / kInChunk][index % kInChunk];
    }

  private:
    using Chunk = std::vector<Route, HugePages<Route>>;
    static constexpr std::uint32_t kInChunk = HugePages<Route>::kPage / sizeof(Route);
    std::vector<Chunk> chunks_;
    std::vector<std::uint32_t> free_;
};

class RouteTable {
  public:
    explicit RouteTable(RoutePool& pool) : pool_(&pool) {}

    /// Null: there is none.
    [[nodiscard]] Route* find(const net::IpPrefix& prefix) const noexcept;
    [[nodiscard]] bool contains(const net::IpPrefix& prefix) const noexcept {
        return find(prefix) != nullptr;
    }
    /// There was none of this prefix. All but the prefix is as constructed.
    Route& insert(const net::IpPrefix& prefix);
    /// Out of the table; the record stands until it is put back or freed.
    std::uint32_t take_out(const net::IpPrefix& prefix);
    void put_back(std::uint32_t record);
    void free(std::uint32_t record) { pool_->give_back(record); }

    /// Where the search for the prefix begins; then, once that is near, what it finds there.
    void prefetch_slot(const net::IpPrefix& prefix) const noexcept;
    void prefetch_route(const net::IpPrefix& prefix) const noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    /// visit(route) for each; must not change the table.
    template <class Visit>
    void each(Visit visit) const {
        for (const Slot& slot : slots_) {
            if (slot.record != kFree) visit((*pool_)[slot.record]);
        }
    }

  private:
    static constexpr std::uint32_t kFree = 0xffffffff;
    static constexpr std::uint32_t kSmallest = 16;
    struct Slot {
        std::uint32_t hash = 0;
        std::uint32_t record = kFree;
    };

    using Slots = std::vector<Slot, HugePages<Slot>>;

    [[nodiscard]] static std::uint32_t hash_of(const net::IpPrefix& prefix) noexcept;
    [[nodiscard]] std::size_t home_of(std::uint32_t hash) const noexcept;
    [[nodiscard]] std::size_t after(std::size_t slot) const noexcept {
        return (slot + 1) & (slots_.size() - 1);
    }
    /// The prefix's slot, or the free one where the search for it ends.
    [[nodiscard]] std::size_t slot_of(const net::IpPrefix& prefix,
                                      std::uint32_t hash) const noexcept;
    void resize(std::size_t slots);
    void place(Slot slot) noexcept;

    RoutePool* pool_;
    Slots slots_;  // a power of two, at most three quarters in use; or none
    std::size_t size_ = 0;
};

}  // namespace wye::control
