// Inside of the FIB's readers: one lookup, and the choice between variants. Interface: fib.hh.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/net/address.hh"
#include "dataplane/table/fib_trie.hh"
#include "dataplane/table/nexthop.hh"

namespace wye::table {

/// What a variant does: `count` addresses, all in tables (FibForm::table).
using LookupTables = void (*)(ArenaView arena, const Ref<Fib4Root>* roots,
                              const net::Ipv4Address* addresses, Leaf* leaves,
                              std::size_t count) noexcept;

struct FibVariant {
    const char* name;
    bool (*is_supported)() noexcept;
    LookupTables lookup_tables;
};

/// The fastest first; the last one is supported everywhere.
std::span<const FibVariant> fib_variants() noexcept;
/// For tests and benchmarks, while nobody looks anything up: this one from now on.
void use_fib_variant(const FibVariant& variant) noexcept;
const FibVariant& fib_variant_in_use() noexcept;

/// One lookup in a large IPv4 FIB.
Leaf lookup_in_table(ArenaView arena, Ref<Fib4Root> root, net::Ipv4Address address) noexcept;

}  // namespace wye::table
