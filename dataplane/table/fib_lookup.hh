// Inside of the FIB's readers: the choice between variants. Interface: fib.hh.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/net/address.hh"
#include "dataplane/table/fib_trie.hh"
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

struct FibVariant {
    const char* name;
    bool (*is_supported)() noexcept;
    LookupTable lookup_table;
};

/// Whether a burst, which is not empty, is of one root. Without a branch for each.
template <class Root>
bool are_one(std::span<const Ref<Root>> roots) noexcept {
    std::uint32_t differ = 0;
    for (const Ref<Root> root : roots) differ |= root.unit ^ roots[0].unit;
    return differ == 0;
}

/// The fastest first; the last one is supported everywhere.
std::span<const FibVariant> fib_variants() noexcept;
/// For tests and benchmarks, while nobody looks anything up: this one from now on.
void use_fib_variant(const FibVariant& variant) noexcept;
const FibVariant& fib_variant_in_use() noexcept;

}  // namespace wye::table
