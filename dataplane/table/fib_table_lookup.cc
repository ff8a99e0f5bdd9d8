// Bursts of lookups in tables (fib_block.hh), in a variant for each instruction set.
//
// What a block says stands by itself; where there is no answer, or one below a branch,
// lookup_in_table looks for it, with an eye on erasures.
#include <immintrin.h>

#include <array>
#include <bit>
#include <cstdint>

#include "dataplane/table/fib_block.hh"
#include "dataplane/table/fib_lookup.hh"

// GCC 12 takes _mm512_undefined_*() of its own headers for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

namespace wye::table {
namespace {

constinit const FibBlock kNoBlock{};

/// The block that a word leads to, or kNoBlock: chosen without a branch.
[[gnu::always_inline]] inline const FibBlock& block_of(ArenaView arena,
                                                       std::uint32_t word) noexcept {
    const auto none = reinterpret_cast<std::uintptr_t>(&kNoBlock);
    const auto block = reinterpret_cast<std::uintptr_t>(arena.base()) +
                       std::uintptr_t{word & kFibUnitMask} * kUnit;
    const std::uintptr_t leads_on = std::uintptr_t{0} - (word >> 31);
    return *reinterpret_cast<const FibBlock*>(none ^ ((none ^ block) & leads_on));
}

/// No branch depends on an address, and no lookup waits for another one: the CPU has the whole
/// burst's loads under way at once. What is not in a block reads kNoBlock in its stead.
/// Arithmetic that needs no load has a loop of its own, which the compiler vectorises.
template <std::size_t kCount>
[[gnu::always_inline]] inline void lookup_group(ArenaView arena, const Ref<Fib4Root>* roots,
                                                const net::Ipv4Address* addresses,
                                                Leaf* leaves) noexcept {
    std::array<std::uint32_t, kCount> words, items, covers, found;
    for (std::size_t i = 0; i < kCount; ++i) {
        const std::uint32_t address = addresses[i].host();
        const std::uint32_t word =
            fib_table(*arena.at(roots[i]))[address >> 14].load(std::memory_order_acquire);
        const FibBlock& block = block_of(arena, word);
        words[i] = word;
        items[i] = block.items<std::uint16_t>()[block.item_of(address >> 8 & 63)];
        covers[i] = block.cover.load(std::memory_order_acquire);
    }
    std::uint32_t unsettled = 0;
    for (std::size_t i = 0; i < kCount; ++i) {
        const std::uint32_t narrow = (items[i] & 0x7fff) | (items[i] & 0x8000) << 16;
        const std::uint32_t below = narrow != 0 ? narrow : covers[i];
        const std::uint32_t direct = fib_leaf_of(words[i]).value;
        const std::uint32_t leaf = words[i] >> 31 != 0 ? below : direct;
        const bool is_wide = words[i] >= (kFibLeadsOn | kFibIsWide);
        found[i] = is_wide ? 0 : leaf;
        unsettled |= found[i] == 0 ? 1u : 0u;
    }
    for (std::size_t i = 0; i < kCount; ++i) leaves[i] = Leaf{found[i]};
    if (unsettled == 0) return;
    for (std::size_t i = 0; i < kCount; ++i) {
        if (found[i] == 0) leaves[i] = lookup_in_table(arena, roots[i], addresses[i]);
    }
}

[[gnu::always_inline]] inline void lookup_groups(ArenaView arena, const Ref<Fib4Root>* roots,
                                                 const net::Ipv4Address* addresses, Leaf* leaves,
                                                 std::size_t count) noexcept {
    std::size_t i = 0;
    for (; i + 16 <= count; i += 16) lookup_group<16>(arena, roots + i, addresses + i, leaves + i);
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

#define WYE_AVX512 [[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq,bmi,bmi2")]]

/// The 16-bit items of 8 blocks, each in the upper half of a lane.
WYE_AVX512 inline __m256i gather_items(const std::byte* base, __m512i offsets, __m256i slots,
                                       __mmask8 lanes) noexcept {
    const __m512i starts =
        _mm512_mask_i64gather_epi64(_mm512_setzero_si512(), lanes, offsets, base, 1);
    const __m512i up_to =
        _mm512_sub_epi64(_mm512_sllv_epi64(_mm512_set1_epi64(2), _mm512_cvtepu32_epi64(slots)),
                         _mm512_set1_epi64(1));
    const __m512i item = _mm512_popcnt_epi64(_mm512_and_si512(starts, up_to));
    const __m512i at = _mm512_add_epi64(offsets, _mm512_add_epi64(item, item));
    // From two bytes before, so that nothing behind the block is read.
    return _mm512_mask_i64gather_epi32(_mm256_setzero_si256(), lanes, at,
                                       base + offsetof(FibBlock, first_items) - 2, 1);
}

WYE_AVX512 inline __m256i gather_covers(const std::byte* base, __m512i offsets,
                                        __mmask8 lanes) noexcept {
    return _mm512_mask_i64gather_epi32(_mm256_setzero_si256(), lanes, offsets,
                                       base + offsetof(FibBlock, cover), 1);
}

WYE_AVX512 inline __m512i join(__m256i low, __m256i high) noexcept {
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}
WYE_AVX512 inline __m256i low_half(__m512i all) noexcept {
    return _mm512_castsi512_si256(all);
}
WYE_AVX512 inline __m256i high_half(__m512i all) noexcept {
    return _mm512_extracti64x4_epi64(all, 1);
}
WYE_AVX512 inline __m512i offsets_of(__m256i units) noexcept {
    return _mm512_slli_epi64(_mm512_cvtepu32_epi64(units), 6);
}

/// 16 lookups below one root.
WYE_AVX512 inline void lookup_16(ArenaView arena, Ref<Fib4Root> root,
                                 const net::Ipv4Address* addresses, Leaf* leaves) noexcept {
    const FibTableWord* table = fib_table(*arena.at(root));
    const __m512i swap = _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
    const __m512i keys = _mm512_shuffle_epi8(_mm512_loadu_si512(addresses), swap);
    const __m512i words =
        _mm512_i32gather_epi32(_mm512_srli_epi32(keys, 32 - kFibTableBits), table, 4);
    const __mmask16 leads_on = _mm512_movepi32_mask(words);
    const __mmask16 wide =
        static_cast<__mmask16>(leads_on & _mm512_movepi32_mask(_mm512_slli_epi32(words, 1)));
    const __m512i units = _mm512_and_si512(words, _mm512_set1_epi32(kFibUnitMask));
    const __m512i slots = _mm512_and_si512(_mm512_srli_epi32(keys, 8), _mm512_set1_epi32(63));
    const __m512i low = offsets_of(low_half(units));
    const __m512i high = offsets_of(high_half(units));
    const std::byte* base = arena.base();
    const __m512i items =
        join(gather_items(base, low, low_half(slots), static_cast<__mmask8>(leads_on)),
             gather_items(base, high, high_half(slots), static_cast<__mmask8>(leads_on >> 8)));
    // Bit 15 of an item, now 31 of the lane, stays; the others move down.
    const __m512i sign = _mm512_set1_epi32(static_cast<int>(0x80000000u));
    const __m512i narrow = _mm512_or_si512(_mm512_and_si512(items, sign),
                                           _mm512_srli_epi32(_mm512_andnot_si512(sign, items), 16));
    const __m512i direct =
        _mm512_or_si512(units, _mm512_and_si512(_mm512_slli_epi32(words, 1), sign));
    __m512i found = _mm512_mask_mov_epi32(direct, leads_on, narrow);
    const __mmask16 covered = _mm512_mask_testn_epi32_mask(leads_on, found, found);
    if (covered != 0) {
        const __m512i covers = join(gather_covers(base, low, static_cast<__mmask8>(covered)),
                                    gather_covers(base, high, static_cast<__mmask8>(covered >> 8)));
        found = _mm512_mask_mov_epi32(found, covered, covers);
    }
    _mm512_storeu_si512(leaves, found);
    std::uint32_t unsettled = _mm512_testn_epi32_mask(found, found) | static_cast<unsigned>(wide);
    for (; unsettled != 0; unsettled &= unsettled - 1) {
        const int i = std::countr_zero(unsettled);
        leaves[i] = lookup_in_table(arena, root, addresses[i]);
    }
}

WYE_AVX512 void lookup_avx512(ArenaView arena, const Ref<Fib4Root>* roots,
                              const net::Ipv4Address* addresses, Leaf* leaves,
                              std::size_t count) noexcept {
    std::size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m512i first = _mm512_set1_epi32(static_cast<int>(roots[i].unit));
        if (_mm512_cmpneq_epi32_mask(_mm512_loadu_si512(roots + i), first) == 0) {
            lookup_16(arena, roots[i], addresses + i, leaves + i);
        } else {
            lookup_group<16>(arena, roots + i, addresses + i, leaves + i);
        }
    }
    for (; i < count; ++i) lookup_group<1>(arena, roots + i, addresses + i, leaves + i);
}

bool has_avx512() noexcept {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("bmi2");
}
bool has_avx2() noexcept {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}
bool has_baseline() noexcept {
    return true;
}

constexpr FibVariant kVariants[] = {
    {"AVX-512", has_avx512, lookup_avx512},
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
