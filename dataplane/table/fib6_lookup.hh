// Inside of the readers of large IPv6 FIBs (fib6_page.hh): one lookup, and bursts in variants.
// Interface: fib.hh.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/net/address.hh"
#include "dataplane/table/fib6_page.hh"
#include "dataplane/table/lookup_variants.hh"
#include "dataplane/table/nexthop.hh"

namespace wye::table {

struct Fib6Answer {
    std::uint32_t leaf = 0;   // a Leaf's value; none: that of length 0 counts
    std::uint32_t child = 0;  // FibNode at bit 48, where the search goes on
};
/// `high`: the first 64 bits of the address.
Fib6Answer find_in_pages(ArenaView arena, const FibRoot& root, std::uint64_t high) noexcept;

/// `count` addresses (at most kFibBurst), all in roots of FibForm::pages. Bit i of what it returns:
/// leaves[i] takes more than pages and narrow blocks, and is not set.
using LookupPages = std::uint64_t (*)(ArenaView arena, const Ref<Fib6Root>* roots,
                                      const net::Ipv6Address* addresses, Leaf* leaves,
                                      std::size_t count) noexcept;

using Fib6Variant = LookupVariant<LookupPages>;
extern const Fib6Variant kFib6Avx2, kFib6Baseline;
extern LookupVariants<LookupPages> fib6_variants;

}  // namespace wye::table
