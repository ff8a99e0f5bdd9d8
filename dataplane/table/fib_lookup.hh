// Inside of the readers of large IPv4 FIBs (fib_table.hh): bursts in variants. Interface: fib.hh.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/net/address.hh"
#include "dataplane/table/fib_trie.hh"
#include "dataplane/table/lookup_variants.hh"
#include "dataplane/table/nexthop.hh"

namespace wye::table {

struct FibSettled {
    std::uint64_t open;  // bit i: leaves[i] takes more than table and page
    bool has_one_root;   // else nothing was done
};
/// What a variant does: `count` addresses (1 to kFibBurst), if all are in one table, which roots[0] is
/// (FibForm::table).
using LookupTable = FibSettled (*)(ArenaView arena, const Ref<Fib4Root>* roots,
                                   const net::Ipv4Address* addresses, Leaf* leaves,
                                   std::size_t count) noexcept;

using FibVariant = LookupVariant<LookupTable>;
extern LookupVariants<LookupTable> fib_variants;

/// Whether a burst, which is not empty, is of one root. Without a branch for each.
template <class Root>
bool are_one(std::span<const Ref<Root>> roots) noexcept {
    std::uint32_t differ = 0;
    for (const Ref<Root> root : roots) differ |= root.unit ^ roots[0].unit;
    return differ == 0;
}

}  // namespace wye::table
