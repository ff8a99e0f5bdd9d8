// One lookup in a large IPv6 FIB, and the list of the variants of bursts.
#include "dataplane/table/fib6_lookup.hh"

namespace wye::table {
namespace {

Fib6Answer answer_of(ArenaView arena, const Fib6Block& block, std::uint64_t bits) noexcept {
    const auto key = static_cast<std::uint16_t>(bits >> 48);
    unsigned interval = 0;
    while (interval < kFib6Boundaries && block.keys[interval] <= key) ++interval;
    // A key of all ones is not above the filling, whose leaves are the last interval's.
    if (block.form == Fib6Form::narrow) {
        const Leaf own = fib6_leaf_of(block.leaves[interval]);
        return {own.is_none() ? block.cover.load(std::memory_order_acquire) : own.value};
    }
    const auto& wide = static_cast<const Fib6WideBlock&>(block);
    const unsigned index = block.form == Fib6Form::words ? key >> 8 : interval;
    const std::uint32_t word = wide.words()[index].load(std::memory_order_acquire);
    if (fib6_kind(word) == Fib6Kind::branch) {
        const Fib6Branch& branch = *arena.at(Ref<Fib6Branch>{fib6_unit(word)});
        const std::uint32_t leaf = branch.leaf.load(std::memory_order_acquire);
        return {leaf, branch.child.load(std::memory_order_acquire)};
    }
    const Leaf own = fib6_leaf_of(word);
    return {own.is_none() ? wide.wide_cover.load(std::memory_order_acquire) : own.value};
}

// Copies: those of the other files are constants, so that they are there before these.
const Fib6Variant kVariants[] = {kFib6Avx2, kFib6Baseline};

}  // namespace

Fib6Answer find_in_pages(ArenaView arena, const FibRoot& root, std::uint64_t high) noexcept {
    std::uint32_t word =
        fib_table(root)[high >> (64 - kFib6RootBits)].load(std::memory_order_acquire);
    unsigned at = kFib6RootBits;
    for (; fib6_kind(word) == Fib6Kind::page; at = fib6_page_end(at)) {
        const std::uint64_t index = high >> (64 - fib6_page_end(at)) & (fib6_page_words(at) - 1);
        if (at == kFib6NarrowAt) {
            const auto* narrow = arena.at(Ref<Fib6Narrow>{fib6_unit(word)});
            return {fib6_leaf_of(narrow[index].load(std::memory_order_acquire)).value};
        }
        word = arena.at(Ref<Fib6Word>{fib6_unit(word)})[index].load(std::memory_order_acquire);
    }
    if (fib6_kind(word) == Fib6Kind::leaf) return {fib6_leaf_of(word).value};
    return answer_of(arena, *arena.at(Ref<Fib6Block>{fib6_unit(word)}), high << at);
}

LookupVariants<LookupPages> fib6_variants{kVariants};

}  // namespace wye::table
