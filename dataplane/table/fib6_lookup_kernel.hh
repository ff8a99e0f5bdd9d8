// Bursts of lookups in large IPv6 FIBs (fib6_page.hh), written once and compiled for each instruction
// set. Whoever includes it is one variant: it defines WYE_FIB6_TARGET before, the attribute that the
// functions carry, kFib6Lanes (2 or 4), how many addresses go in one vector, and
// skip_boundaries(keys, key): two for each of a block's 13 keys that is not above `key`.
// The baseline defines nothing.
//
// All addresses take the same steps, and no branch depends on one: what is not in a page or a block
// reads zeros in its stead. The addresses of loads are computed in vectors, the loads are scalar:
// gathers are slower. A loop with loads has so few instructions that the CPU has those of many
// addresses under way at once; where the next one has more, they are fetched ahead.
#pragma once

#include <immintrin.h>

#include <array>
#include <bit>
#include <cstring>

#include "dataplane/table/fib6_lookup.hh"

#ifndef WYE_FIB6_TARGET
#define WYE_FIB6_TARGET

// The baseline has SSE4.1: a block's keys are two registers.
namespace wye::table {
namespace {

constexpr std::size_t kFib6Lanes = 2;

[[gnu::always_inline]] inline std::uint64_t skip_boundaries(const void* keys,
                                                            std::uint16_t key) noexcept {
    const auto* half = static_cast<const __m128i*>(keys);
    const __m128i wanted = _mm_set1_epi16(static_cast<short>(key));
    const __m128i first = _mm_load_si128(half), second = _mm_load_si128(half + 1);
    const auto low = static_cast<unsigned>(
        _mm_movemask_epi8(_mm_cmpeq_epi16(_mm_min_epu16(first, wanted), first)));
    const auto high = static_cast<unsigned>(
        _mm_movemask_epi8(_mm_cmpeq_epi16(_mm_min_epu16(second, wanted), second)));
    return static_cast<unsigned>(std::popcount((low | high << 16) & 0x03ffffffu));
}

}  // namespace
}  // namespace wye::table
#endif

namespace wye::table {
namespace {

#define WYE_FIB6_INLINE WYE_FIB6_TARGET [[gnu::always_inline]] inline

using Lanes64 [[gnu::vector_size(8 * kFib6Lanes)]] = std::uint64_t;
using Lanes32 [[gnu::vector_size(4 * kFib6Lanes)]] = std::uint32_t;
using Lanes16 [[gnu::vector_size(2 * kFib6Lanes)]] = std::uint16_t;
using LaneBytes [[gnu::vector_size(8 * kFib6Lanes)]] = std::uint8_t;

alignas(64) constinit const std::array<std::uint32_t, 16> kZeros{};

template <class T>
WYE_FIB6_INLINE T load(std::uint64_t address) noexcept {
    return __atomic_load_n(reinterpret_cast<const T*>(address), __ATOMIC_ACQUIRE);
}

/// What lies at kFib6Lanes addresses.
template <class T, class Narrow>
WYE_FIB6_INLINE Lanes64 load_all(const std::uint64_t* at) noexcept {
    if constexpr (kFib6Lanes == 2) {
        return __builtin_convertvector((Narrow{load<T>(at[0]), load<T>(at[1])}), Lanes64);
    } else {
        return __builtin_convertvector(
            (Narrow{load<T>(at[0]), load<T>(at[1]), load<T>(at[2]), load<T>(at[3])}), Lanes64);
    }
}

/// The first halves of kFib6Lanes addresses, most significant bit first.
WYE_FIB6_INLINE Lanes64 high_halves(const net::Ipv6Address* addresses) noexcept {
    Lanes64 first, second, evens;
    LaneBytes swap;
    std::memcpy(&first, addresses, sizeof first);
    std::memcpy(&second, addresses + kFib6Lanes / 2, sizeof second);
    for (unsigned i = 0; i < kFib6Lanes; ++i) evens[i] = 2 * i;
    for (unsigned i = 0; i < 8 * kFib6Lanes; ++i) swap[i] = static_cast<std::uint8_t>(i ^ 7);
    return reinterpret_cast<Lanes64>(__builtin_shuffle(
        reinterpret_cast<LaneBytes>(__builtin_shuffle(first, second, evens)), swap));
}

/// All ones where the word is of that kind.
WYE_FIB6_INLINE Lanes64 are(Lanes64 words, Fib6Kind kind) noexcept {
    return reinterpret_cast<Lanes64>((words & 3) == static_cast<std::uint64_t>(kind));
}

/// Addresses on their way down, kCount of them.
template <std::size_t kCount>
struct Fib6Group {
    static constexpr std::size_t kVectors = kCount / kFib6Lanes;
    alignas(64) std::array<Lanes64, kVectors> high, words, in_page40;
    alignas(64) std::array<std::uint64_t, kCount> at;     // the next load
    alignas(64) std::array<std::uint64_t, kCount> block;  // what a block says, else zeros
    alignas(64) std::array<std::uint16_t, kCount> keys;

    WYE_FIB6_INLINE void put(std::array<std::uint64_t, kCount>& to, std::size_t v,
                             Lanes64 values) noexcept {
        std::memcpy(&to[v * kFib6Lanes], &values, sizeof values);
    }
    WYE_FIB6_INLINE Lanes64 get(const std::array<std::uint64_t, kCount>& from,
                                std::size_t v) const noexcept {
        Lanes64 values;
        std::memcpy(&values, &from[v * kFib6Lanes], sizeof values);
        return values;
    }
    WYE_FIB6_INLINE void prefetch(const std::array<std::uint64_t, kCount>& from) const noexcept {
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kCount; ++i) {
            __builtin_prefetch(reinterpret_cast<const void*>(from[i]));
        }
    }
    /// The words that `at` leads to, for those whose words were of pages.
    WYE_FIB6_INLINE Lanes64 step(std::size_t v, Lanes64 were_pages) noexcept {
        const Lanes64 found = load_all<std::uint32_t, Lanes32>(&at[v * kFib6Lanes]);
        words[v] = were_pages ? found : words[v];
        return words[v];
    }

    WYE_FIB6_INLINE void descend(ArenaView arena, const Ref<Fib6Root>* roots,
                                 const net::Ipv6Address* addresses) noexcept;
    WYE_FIB6_INLINE void enter_blocks(ArenaView arena) noexcept;
    WYE_FIB6_INLINE bool finish(Leaf* leaves) noexcept;
};

/// Down to 32 bits; then to the page or the block there.
template <std::size_t kCount>
WYE_FIB6_INLINE void Fib6Group<kCount>::descend(ArenaView arena, const Ref<Fib6Root>* roots,
                                                const net::Ipv6Address* addresses) noexcept {
    const auto start = reinterpret_cast<std::uint64_t>(arena.base());
    const Lanes64 base = Lanes64{} + start;
    const Lanes64 zeros = Lanes64{} + reinterpret_cast<std::uint64_t>(kZeros.data());
    for (std::size_t v = 0; v < kVectors; ++v) {
        Lanes32 units;
        std::memcpy(&units, roots + v * kFib6Lanes, sizeof units);
        high[v] = high_halves(addresses + v * kFib6Lanes);
        const Lanes64 tables =
            base + sizeof(FibRoot) + __builtin_convertvector(units, Lanes64) * kUnit;
        put(at, v, tables + (high[v] >> 48) * 4);
    }
    for (std::size_t v = 0; v < kVectors; ++v) {
        const Lanes64 now = step(v, ~Lanes64{});
        const Lanes64 next = base + (now >> 2) * kUnit + (high[v] >> 38 & 1023) * 4;
        put(at, v, are(now, Fib6Kind::page) ? next : zeros);
    }
    for (std::size_t v = 0; v < kVectors; ++v) {
        const Lanes64 now = step(v, are(words[v], Fib6Kind::page));
        const Lanes64 next = base + (now >> 2) * kUnit + (high[v] >> 32 & 63) * 4;
        put(at, v, are(now, Fib6Kind::page) ? next : zeros);
    }
    prefetch(at);
    for (std::size_t v = 0; v < kVectors; ++v) {
        const Lanes64 now = step(v, are(words[v], Fib6Kind::page));
        in_page40[v] = are(now, Fib6Kind::page);
        const Lanes64 page = (high[v] >> 24 & 255) * 4 & in_page40[v];
        put(at, v, (now & 3) != 0 ? base + (now >> 2) * kUnit + page : zeros);
    }
    prefetch(at);
}

/// From the pages at 32 bits on: the block or the narrow page at last.
template <std::size_t kCount>
WYE_FIB6_INLINE void Fib6Group<kCount>::enter_blocks(ArenaView arena) noexcept {
    const auto start = reinterpret_cast<std::uint64_t>(arena.base());
    const Lanes64 base = Lanes64{} + start;
    const Lanes64 zeros = Lanes64{} + reinterpret_cast<std::uint64_t>(kZeros.data());
    for (std::size_t v = 0; v < kVectors; ++v) {
        const Lanes64 now = step(v, in_page40[v]);
        const Lanes64 key = high[v] >> (in_page40[v] ? Lanes64{} + 8 : Lanes64{} + 16) & 0xffff;
        const Lanes16 narrow_key = __builtin_convertvector(key, Lanes16);
        std::memcpy(&keys[v * kFib6Lanes], &narrow_key, sizeof narrow_key);
        const Lanes64 target = base + (now >> 2) * kUnit;
        put(block, v, are(now, Fib6Kind::block) ? target : zeros);
        const Lanes64 narrow = (key >> 8) * 2 & are(now, Fib6Kind::page);
        put(at, v, (now & 3) != 0 ? target + narrow : zeros);
    }
    prefetch(at);
}

/// False: some have no leaf yet.
template <std::size_t kCount>
WYE_FIB6_INLINE bool Fib6Group<kCount>::finish(Leaf* leaves) noexcept {
    Lanes64 missing{};
    for (std::size_t v = 0; v < kVectors; ++v) {
        alignas(64) std::array<std::uint64_t, kFib6Lanes> skipped, places;
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kFib6Lanes; ++i) {
            skipped[i] = skip_boundaries(reinterpret_cast<const void*>(block[v * kFib6Lanes + i]),
                                         keys[v * kFib6Lanes + i]);
        }
        Lanes64 bytes;
        std::memcpy(&bytes, skipped.data(), sizeof bytes);
        const Lanes64 in_block = are(words[v], Fib6Kind::block);
        const Lanes64 place = get(at, v) + ((offsetof(Fib6Block, leaves) + bytes) & in_block);
        std::memcpy(places.data(), &place, sizeof place);
        const Lanes64 own = load_all<std::uint16_t, Lanes16>(places.data());
        const Lanes64 cover_place = get(block, v) + offsetof(Fib6Block, cover);
        std::memcpy(places.data(), &cover_place, sizeof place);
        const Lanes64 cover = load_all<std::uint32_t, Lanes32>(places.data());
        const Lanes64 narrow = (own & 0x7fff) | (own & 0x8000) << 16;
        const Lanes64 direct = (words[v] & 0x80000000u) | (words[v] >> 2 & 0x1fffffff);
        const Lanes64 below = own != 0 ? narrow : cover;
        const Lanes64 leaf = (words[v] & 3) != 0 ? below : direct;
        missing |= reinterpret_cast<Lanes64>(leaf == 0);
        const Lanes32 found = __builtin_convertvector(leaf, Lanes32);
        std::memcpy(static_cast<void*>(leaves + v * kFib6Lanes), &found, sizeof found);
    }
    std::uint64_t any = 0;
    for (unsigned i = 0; i < kFib6Lanes; ++i) any |= missing[i];
    return any == 0;
}

template <std::size_t kCount>
WYE_FIB6_INLINE std::uint64_t lookup_group(ArenaView arena, const Ref<Fib6Root>* roots,
                                           const net::Ipv6Address* addresses,
                                           Leaf* leaves) noexcept {
    Fib6Group<kCount> group;
    group.descend(arena, roots, addresses);
    group.enter_blocks(arena);
    if (group.finish(leaves)) [[likely]]
        return 0;
    std::uint64_t unsettled = 0;
    for (std::size_t i = 0; i < kCount; ++i) {
        unsettled |= std::uint64_t{leaves[i].is_none()} << i;
    }
    return unsettled;
}

WYE_FIB6_TARGET std::uint64_t lookup_pages(ArenaView arena, const Ref<Fib6Root>* roots,
                                           const net::Ipv6Address* addresses, Leaf* leaves,
                                           std::size_t count) noexcept {
    std::uint64_t unsettled = 0;
    std::size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        unsettled |= lookup_group<32>(arena, roots + i, addresses + i, leaves + i) << i;
    }
    for (; i + 8 <= count; i += 8) {
        unsettled |= lookup_group<8>(arena, roots + i, addresses + i, leaves + i) << i;
    }
    if (i == count) return unsettled;
    std::array<Ref<Fib6Root>, 8> last_roots;
    std::array<net::Ipv6Address, 8> last_addresses;
    std::array<Leaf, 8> last_leaves;
    for (std::size_t j = 0; j < 8; ++j) {
        last_roots[j] = roots[i + j < count ? i + j : i];
        last_addresses[j] = addresses[i + j < count ? i + j : i];
    }
    (void)lookup_group<8>(arena, last_roots.data(), last_addresses.data(), last_leaves.data());
    for (std::size_t j = 0; i + j < count; ++j) {
        leaves[i + j] = last_leaves[j];
        unsettled |= std::uint64_t{last_leaves[j].is_none()} << (i + j);
    }
    return unsettled;
}

}  // namespace
}  // namespace wye::table
