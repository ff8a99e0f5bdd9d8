// Bursts of lookups in tables (fib_block.hh), in a variant for each instruction set. AVX-512 with
// gathers was tried and is no faster than AVX2 without (docs/performance.md).
//
// What a block says stands by itself; where there is no answer, or one below a branch,
// lookup_in_table looks for it, with an eye on erasures.
#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/table/fib.hh"
#include "dataplane/table/fib_block.hh"
#include "dataplane/table/fib_lookup.hh"

namespace wye::table {
namespace {

constinit const FibBlock kNoBlock{};

/// What a block says that is wide, or whose cover counts; none: it takes more than the block.
Leaf answer_of(const FibBlock& block, std::uint32_t word, unsigned slot) noexcept {
    if (word >= (kFibLeadsOn | kFibIsWide)) {
        const std::uint32_t item = block.items<std::uint32_t>()[block.item_of(slot)];
        if ((item & kFibLeadsOn) != 0) return Leaf::none();
        if (item != 0) return fib_leaf_of(item);
    }
    return Leaf{block.cover.load(std::memory_order_acquire)};
}

/// No branch depends on an address, and no lookup waits for another one: each loop with loads has so
/// few instructions that the CPU has those of the whole group under way at once. Arithmetic that
/// needs no load has loops of its own, which the compiler vectorises. What is not in a block reads
/// kNoBlock in its stead.
template <std::size_t kCount>
[[gnu::always_inline]] inline void lookup_group(ArenaView arena, const Ref<Fib4Root>* roots,
                                                const net::Ipv4Address* addresses,
                                                Leaf* leaves) noexcept {
    alignas(64) std::array<std::uint32_t, kCount> keys, slots, words, items, found;
    alignas(64) std::array<std::uintptr_t, kCount> blocks;
    for (std::size_t i = 0; i < kCount; ++i) {
        const std::uint32_t key = addresses[i].host();
        keys[i] = key >> (32 - kFibTableBits);
        slots[i] = key >> (32 - kFibBlockEnd) & (kFibSlots - 1);
    }
    std::uint32_t others = 0;
    for (std::size_t i = 0; i < kCount; ++i) others |= roots[i].unit ^ roots[0].unit;
    if (others == 0) {
        const FibTableWord* table = fib_table(*arena.at(roots[0]));
        for (std::size_t i = 0; i < kCount; ++i) {
            words[i] = table[keys[i]].load(std::memory_order_acquire);
        }
    } else {
        for (std::size_t i = 0; i < kCount; ++i) {
            words[i] = fib_table(*arena.at(roots[i]))[keys[i]].load(std::memory_order_acquire);
        }
    }
    const auto none = reinterpret_cast<std::uintptr_t>(&kNoBlock);
    const auto base = reinterpret_cast<std::uintptr_t>(arena.base());
    for (std::size_t i = 0; i < kCount; ++i) {
        const std::uintptr_t unit = words[i] & kFibUnitMask;
        const std::uintptr_t leads_on = std::uintptr_t{0} - (words[i] >> 31);
        blocks[i] = none ^ ((none ^ (base + unit * kUnit)) & leads_on);
    }
    for (std::size_t i = 0; i < kCount; ++i) {
        __builtin_prefetch(reinterpret_cast<const void*>(blocks[i]));
    }
    for (std::size_t i = 0; i < kCount; ++i) {
        const FibBlock& block = *reinterpret_cast<const FibBlock*>(blocks[i]);
        items[i] = block.items<std::uint16_t>()[block.item_of(slots[i])];
    }
    std::uint32_t unsettled = 0;
    for (std::size_t i = 0; i < kCount; ++i) {
        const std::uint32_t below = (items[i] & 0x7fff) | (items[i] & 0x8000) << 16;
        const std::uint32_t direct = (words[i] & kFibUnitMask) | (words[i] & kFibIsWide) << 1;
        const std::uint32_t leaf = words[i] >> 31 != 0 ? below : direct;
        found[i] = words[i] >= (kFibLeadsOn | kFibIsWide) ? 0 : leaf;
        unsettled |= found[i] == 0 ? 1u : 0u;
    }
    for (std::size_t i = 0; i < kCount; ++i) leaves[i] = Leaf{found[i]};
    if (unsettled == 0) return;
    for (std::size_t i = 0; i < kCount; ++i) {
        if (found[i] != 0) continue;
        const FibBlock& block = *reinterpret_cast<const FibBlock*>(blocks[i]);
        leaves[i] = answer_of(block, words[i], slots[i]);
        if (leaves[i].is_none()) leaves[i] = lookup_in_table(arena, roots[i], addresses[i]);
    }
}

[[gnu::always_inline]] inline void lookup_groups(ArenaView arena, const Ref<Fib4Root>* roots,
                                                 const net::Ipv4Address* addresses, Leaf* leaves,
                                                 std::size_t count) noexcept {
    std::size_t i = 0;
    for (; i + 32 <= count; i += 32) lookup_group<32>(arena, roots + i, addresses + i, leaves + i);
    for (; i + 8 <= count; i += 8) lookup_group<8>(arena, roots + i, addresses + i, leaves + i);
    for (; i < count; ++i) lookup_group<1>(arena, roots + i, addresses + i, leaves + i);
}

void lookup_baseline(ArenaView arena, const Ref<Fib4Root>* roots, const net::Ipv4Address* addresses,
                     Leaf* leaves, std::size_t count) noexcept {
    lookup_groups(arena, roots, addresses, leaves, count);
}

[[gnu::target("avx2,bmi,bmi2")]] void lookup_avx2(ArenaView arena, const Ref<Fib4Root>* roots,
                                                  const net::Ipv4Address* addresses, Leaf* leaves,
                                                  std::size_t count) noexcept {
    lookup_groups(arena, roots, addresses, leaves, count);
}

bool has_avx2() noexcept {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}
bool has_baseline() noexcept {
    return true;
}

constexpr FibVariant kVariants[] = {
    {"AVX2", has_avx2, lookup_avx2},
    {"x86-64-v2", has_baseline, lookup_baseline},
};

const FibVariant* fastest() noexcept {
    const FibVariant* variant = kVariants;
    while (!variant->is_supported()) ++variant;
    return variant;
}

const FibVariant* in_use = fastest();

}  // namespace

std::span<const FibVariant> fib_variants() noexcept {
    return kVariants;
}
void use_fib_variant(const FibVariant& variant) noexcept {
    in_use = &variant;
}
const FibVariant& fib_variant_in_use() noexcept {
    return *in_use;
}

}  // namespace wye::table
