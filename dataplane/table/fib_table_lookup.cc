// Bursts of lookups in tables (fib_table.hh), in a variant for each instruction set that pays:
// gathers of AVX-512 keep the loads of the whole burst under way with few instructions. AVX2's
// gathers are slower than scalar loads as soon as these miss the first cache (docs/performance.md).
//
// No branch depends on an address, but for the one that finds something out of the ordinary in a
// burst: a branch (a /24 with longer prefixes in it), or none.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/avx512.hh"
#include "dataplane/base/instruction_set.hh"
#include "dataplane/table/fib.hh"
#include "dataplane/table/fib_lookup.hh"
#include "dataplane/table/fib_table.hh"

namespace wye::table {
namespace {

/// What stands for none in a burst. Read before and after the pages: an answer by the default route
/// takes both loads, and only if nothing was erased in between do they belong together.
class Default {
  public:
    explicit Default(const FibRoot& root) noexcept
        : root_(root), erases_(root.erases.load(std::memory_order_acquire)) {
        // Gathers are plain loads to the compiler; the CPU keeps their order by itself.
        std::atomic_signal_fence(std::memory_order_acq_rel);
    }
    /// False: the two do not belong together.
    [[nodiscard]] bool read() noexcept {
        std::atomic_signal_fence(std::memory_order_acq_rel);
        leaf_ = root_.default_leaf.load(std::memory_order_acquire);
        return root_.erases.load(std::memory_order_acquire) == erases_;
    }
    [[nodiscard]] std::uint32_t leaf() const noexcept { return leaf_; }

  private:
    const FibRoot& root_;
    std::uint32_t erases_, leaf_ = 0;
};

/// For bursts in which something is none or leads on to a branch.
[[gnu::noinline]] std::uint64_t settle(Default& otherwise, Leaf* leaves,
                                       std::size_t count) noexcept {
    const bool is_sure = otherwise.read();
    std::uint64_t open = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t leaf = leaves[i].value;
        open |= std::uint64_t{fib_leads_on(leaf) || (leaf == 0 && !is_sure)} << i;
        leaves[i].value = leaf != 0 ? leaf : otherwise.leaf();
    }
    return open;
}

/// Loops with few instructions between their loads, so that the CPU has those of the whole burst
/// under way at once. Where a word is a leaf, it is loaded once more, and that is not looked at: it
/// may lead on by now.
FibSettled lookup_baseline(ArenaView arena, const Ref<Fib4Root>* roots,
                           const net::Ipv4Address* addresses, Leaf* leaves,
                           std::size_t count) noexcept {
    if (!are_one(std::span(roots, count))) return {0, false};
    std::array<const FibTableWord*, kFibBurst> places;
    std::array<std::uint32_t, kFibBurst> words;
    const FibTableWord* const table = fib_table(*arena.at(roots[0]));
    Default otherwise(*arena.at(roots[0]));
    std::uint32_t kinds = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t key = addresses[i].host();
        const FibTableWord* const own = table + (key >> (32 - kFibTableBits));
        const std::uint32_t word = own->load(std::memory_order_acquire);
        const unsigned pair = key >> (32 - kFibPageEnd) & (kFibPairs - 1);
        const FibTableWord* const below = arena.at(FibPageWord{word}.page()) + pair;
        places[i] = fib_leads_on(word) ? below : own;
        __builtin_prefetch(places[i]);
        words[i] = word;
        kinds |= word;
    }
    std::uint32_t none = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t content = places[i]->load(std::memory_order_acquire);
        const unsigned slot = addresses[i].host() >> 8 & (kFibSlots - 1);
        const std::uint32_t item = FibPageWord{kFibToNarrow}.item_of(content, slot);
        leaves[i].value = fib_leads_on(words[i]) ? item : words[i];
        none |= leaves[i].value == 0 ? 1u : 0u;
    }
    if ((kinds & kFibToWide) == 0 && none == 0) return {0, true};
    for (std::size_t i = 0; i < count; ++i) {
        if ((words[i] & kFibToWide) == 0) continue;
        const unsigned slot = addresses[i].host() >> 8 & (kFibSlots - 1);
        const FibTableWord* const page = arena.at(FibPageWord{words[i]}.page());
        leaves[i].value = page[slot].load(std::memory_order_acquire);
    }
    return {settle(otherwise, leaves, count), true};
}

#define WYE_FIB_TARGET [[gnu::target("avx512f,avx512bw")]]

/// Sixteen addresses. Every mask register that is written costs as much as three vectors: few have
/// their places in flight, and gathers write some of their own. So narrow items are unpacked by
/// shifts that are 0 elsewhere, and what is out of the ordinary is looked for in all lanes at once.
struct Lanes {
    __m512i keys, items;  // first the table's words, then what pages have where those lead to one

    WYE_FIB_TARGET void load_keys(__m512i addresses) noexcept {
        const __m512i swap = _mm512_broadcast_i32x4(
            _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
        keys = _mm512_shuffle_epi8(addresses, swap);
    }
    WYE_FIB_TARGET void read_words(const FibTableWord* table) noexcept {
        items = _mm512_i32gather_epi32(_mm512_srli_epi32(keys, 32 - kFibTableBits), table, 4);
    }
    /// `middle`: of the arena, from which 32 bits with a sign reach all words (kMaxArenaBytes).
    WYE_FIB_TARGET void read_items(const FibTableWord* middle) noexcept {
        static_assert(kUnit / sizeof(FibTableWord) == 16 && kFibUnitMask >> 28 == 0);
        static_assert(kFibPairs == 32 && kFibPageEnd == 24 && kFibToNarrow >> 30 == 1);
        const __m512i words = items;
        const __mmask16 lead_on = _mm512_test_epi32_mask(words, all(kFibLeadsOn));
        const __m512i is_narrow = _mm512_srai_epi32(_mm512_slli_epi32(words, 1), 31);
        // The slot, and the sign bit that makes it count from the middle on: (a & b) | c.
        const __m512i slot = _mm512_ternarylogic_epi32(_mm512_srli_epi32(keys, 8),
                                                       all(kFibSlots - 1), all(0x80000000), 0xea);
        // In a narrow page the upper half of the slots is in the upper halves: a & ~(b & c).
        const __m512i offset = _mm512_ternarylogic_epi32(slot, is_narrow, all(kFibPairs), 0x70);
        const __m512i index = _mm512_add_epi32(_mm512_slli_epi32(words, 4), offset);
        const __m512i content = _mm512_mask_i32gather_epi32(words, lead_on, index, middle, 4);
        // A narrow item goes to the upper half, by ~a & b & c, and down again but for its group bit.
        const __m512i up =
            _mm512_ternarylogic_epi32(_mm512_srli_epi32(keys, 9), is_narrow, all(16), 0x08);
        const __m512i down = _mm512_and_si512(is_narrow, all(16));
        const __m512i item = _mm512_srav_epi32(_mm512_sllv_epi32(content, up), down);
        items = _mm512_ternarylogic_epi32(item, is_narrow, all(0x80007fff), 0xb0);  // a & (~b | c)
    }
    /// Gives those that are none the default; which are open still.
    [[nodiscard]] WYE_FIB_TARGET std::uint32_t settle(__m512i default_leaf, bool is_sure,
                                                      Leaf* leaves) const noexcept {
        const __mmask16 none = _mm512_testn_epi32_mask(items, items);
        const __mmask16 lead_on = _mm512_test_epi32_mask(items, all(kFibLeadsOn));
        _mm512_mask_storeu_epi32(leaves, none, default_leaf);
        return lead_on | (is_sure ? 0u : none);
    }
};

WYE_FIB_TARGET inline bool is_zero(__m512i value) noexcept {
    const __m256i folded =
        _mm256_or_si256(_mm512_castsi512_si256(value), _mm512_extracti64x4_epi64(value, 1));
    return _mm256_testz_si256(folded, folded) != 0;
}

/// Whether something is none or leads on.
WYE_FIB_TARGET inline bool is_open(__m512i low, __m512i high) noexcept {
    // Bit 31 of (a - 1) & ~a says that a is 0.
    const __m512i least = _mm512_min_epu32(low, high);
    const __m512i none =
        _mm512_ternarylogic_epi32(_mm512_sub_epi32(least, all(1)), least, all(0x80000000), 0x20);
    const __m512i any =
        _mm512_ternarylogic_epi32(none, _mm512_or_si512(low, high), all(kFibToWide), 0xf8);
    return !is_zero(any);
}

[[gnu::noinline]] FibSettled lookup_short(ArenaView arena, const Ref<Fib4Root>* roots,
                                          const net::Ipv4Address* addresses, Leaf* leaves,
                                          std::size_t count) noexcept;

/// In bursts of 32: so many gathers fit into what the CPU has under way.
WYE_FIB_TARGET FibSettled lookup_avx512(ArenaView arena, const Ref<Fib4Root>* roots,
                                        const net::Ipv4Address* addresses, Leaf* leaves,
                                        std::size_t count) noexcept {
    if (count != 32) return lookup_short(arena, roots, addresses, leaves, count);
    const __m512i unit = all(roots[0].unit);
    const __m512i differ = _mm512_ternarylogic_epi32(
        _mm512_xor_si512(_mm512_loadu_si512(roots), unit), _mm512_loadu_si512(roots + 16), unit,
        0xf6);  // a | (b ^ c)
    if (!is_zero(differ)) return {0, false};
    const FibTableWord* const table = fib_table(*arena.at(roots[0]));
    const FibTableWord* const middle = arena.at(Ref<FibTableWord>{(kFibUnitMask + 1) / 2});
    Default otherwise(*arena.at(roots[0]));
    Lanes low, high;
    low.load_keys(_mm512_loadu_si512(addresses));
    high.load_keys(_mm512_loadu_si512(addresses + 16));
    low.read_words(table);
    high.read_words(table);
    low.read_items(middle);
    high.read_items(middle);
    _mm512_storeu_si512(leaves, low.items);
    _mm512_storeu_si512(leaves + 16, high.items);
    if (!is_open(low.items, high.items)) [[likely]]
        return {0, true};
    return {settle(otherwise, leaves, 32), true};
}

/// Another number than 32: filled up to that with the first.
FibSettled lookup_short(ArenaView arena, const Ref<Fib4Root>* roots,
                        const net::Ipv4Address* addresses, Leaf* leaves,
                        std::size_t count) noexcept {
    if (!are_one(std::span(roots, count))) return {0, false};
    std::array<Ref<Fib4Root>, 32> same;
    same.fill(roots[0]);
    std::uint64_t open = 0;
    for (std::size_t first = 0; first < count; first += 32) {
        std::array<net::Ipv4Address, 32> some;
        std::array<Leaf, 32> found;
        const std::size_t here = std::min(count - first, some.size());
        some.fill(addresses[first]);
        std::copy_n(addresses + first, here, some.begin());
        const auto settled = lookup_avx512(arena, same.data(), some.data(), found.data(), 32);
        open |= (settled.open & ((std::uint64_t{1} << here) - 1)) << first;
        std::copy_n(found.begin(), here, leaves + first);
    }
    return {open, true};
}

bool has_avx512() noexcept {
    return instruction_set() >= InstructionSet::avx512;
}
bool has_baseline() noexcept {
    return true;
}

constexpr FibVariant kVariants[] = {
    {"AVX-512", has_avx512, lookup_avx512},
    {"x86-64-v2", has_baseline, lookup_baseline},
};

}  // namespace

LookupVariants<LookupTable> fib_variants{kVariants};

const void* table_of(ArenaView arena, Ref<Fib4Root> root) noexcept {
    static_assert(kFibTableBits == 18 && sizeof(FibTableWord) == sizeof(std::uint32_t));
    if (!root || arena.at(root)->form != FibForm::table) return nullptr;
    return fib_table(*arena.at(root));
}

}  // namespace wye::table
