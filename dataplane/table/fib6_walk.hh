// Inside of the checked walk (arena_walk.hh): the pages and blocks of a large IPv6 FIB
// (fib6_page.hh), each Ref checked before it is followed.
#pragma once

#include <cstdint>
#include <functional>

#include "dataplane/table/arena_walk.hh"
#include "dataplane/table/checked_arena.hh"
#include "dataplane/table/fib6_lookup.hh"
#include "dataplane/table/fib_rib.hh"

namespace wye::table {

/// What a walk calls for a prefix, and for a trie: FibNode `child` behind the first `length` bits,
/// for which `leaf` counts where the trie says nothing.
struct Fib6Visit {
    std::function<void(FibBits bits, unsigned length, std::uint32_t leaf)> prefix;
    std::function<Status(std::uint32_t child, FibBits bits, unsigned length, std::uint32_t leaf)>
        trie;
};

/// The root itself, with its table, lies in the arena and was seen. `inherited`: the leaf of length 0.
Status walk_pages(CheckedArena& arena, const FibRoot& root, SeenUnits& seen,
                  std::uint32_t inherited, const Fib6Visit& visit);

Result<Fib6Answer> find_in_pages(CheckedArena& arena, const FibRoot& root, FibBits key);

}  // namespace wye::table
