// Walking the tables of an arena, believing nothing: for programs apart from the data plane
// (dataplane/tools/). Every Ref and id is checked before it is followed; what does not hold is an
// error that names the object. Bounded by the arena's size, whatever its bytes are. The pipeline's
// own lookups (dataplane/table/fib.hh) do not check: they trust the one writer.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "dataplane/net/address.hh"
#include "dataplane/table/checked_arena.hh"
#include "dataplane/table/nexthop.hh"

namespace wye::table {

/// Which units were seen as part of the table walked so far: each belongs to one block only.
class SeenUnits {
  public:
    /// False: some of it was seen before.
    bool add(std::uint32_t unit, std::uint64_t bytes);
    [[nodiscard]] std::uint64_t bytes() const noexcept { return count_ * kUnit; }

  private:
    std::vector<bool> seen_;
    std::uint64_t count_ = 0;
};

/// A prefix and where it leads. Longest match wins among those of one table; a prefix comes after
/// those that contain it, otherwise they come in the order of their addresses. The table does not
/// keep what makes no difference: equal neighbours, and what a covering prefix says already, are
/// one prefix.
using VisitRoute = std::function<void(const net::IpPrefix&, Leaf)>;

/// All of one FIB; `root` is Vrf::fib4 or fib6, as its unit.
Status walk_fib(CheckedArena& arena, net::IpFamily family, std::uint32_t root, SeenUnits& seen,
                const VisitRoute& visit);

/// One lookup as walk_fib sees it, each step checked.
Result<Leaf> find_leaf(CheckedArena& arena, net::IpFamily family, std::uint32_t root,
                       const net::IpAddress& address);

/// A record that was never written, or whose VRF is gone, is not.
[[nodiscard]] bool is_used(const Vrf& vrf) noexcept;

struct GroupMembers {
    std::vector<NextHopId> members;  // as published
    std::uint32_t buckets = 0;
    std::uint64_t bytes = 0;  // of the table
};
Result<GroupMembers> read_group(CheckedArena& arena, GroupId id);

/// The next hop, if it is there and what it names is: its vport, its gateway's family.
Result<const NextHop*> read_nexthop(CheckedArena& arena, NextHopId id);

/// That all next hops behind the leaf are live records, and all buckets of a group lead to members.
Status check_leaf(CheckedArena& arena, Leaf leaf);

}  // namespace wye::table
