// VRFs: two FIB roots and what a lookup in them needs.
#pragma once

#include <cstdint>

#include "dataplane/base/ids.hh"
#include "dataplane/table/arena.hh"

namespace wye::table {

struct Fib4Root;  // dataplane/table/fib_trie.hh: opaque here
struct Fib6Root;

/// One record an id. control: rw; workers: ro. An empty VRF has two null roots and costs 32 bytes.
struct alignas(32) Vrf {
    std::uint32_t generation;
    TenantId tenant;  // invalid: free
    AtomicRef<Fib4Root> fib4;
    AtomicRef<Fib6Root> fib6;
    std::uint32_t vni;
    std::uint8_t has_vni;
    std::uint8_t underlay;  // tunnels may end here
    std::uint8_t reserved[2];
    std::uint32_t padding[2];
};
static_assert(sizeof(Vrf) == 32);

}  // namespace wye::table
