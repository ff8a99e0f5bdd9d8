#include "dataplane/table/fib_table_writer.hh"

#include <algorithm>
#include <new>

namespace wye::table {
namespace {

/// Branches have a unit of the arena to themselves.
constexpr std::uint32_t branch_word(std::uint32_t unit) noexcept {
    return kFibLeadsOn | unit;
}

/// The runs of an image: where they begin and what each holds.
struct Runs {
    std::uint64_t starts = 0;
    unsigned count = 0;
    bool is_wide = false;
    std::array<std::uint32_t, kFibSlots> words;  // each a wide block's item

    void add(unsigned slot, std::uint32_t word) noexcept {
        if (count != 0 && word == words[count - 1] && (word & kFibLeadsOn) == 0) return;
        if (slot != 0) starts |= std::uint64_t{1} << (slot - 1);
        if ((word & kFibLeadsOn) != 0 || !fib_is_narrow(fib_leaf_of(word))) is_wide = true;
        words[count++] = word;
    }
};

}  // namespace

template <class T>
void FibTableWriter::release(Ref<T> ref, std::size_t bytes, bool published) {
    if (published) {
        arena_.retire(ref, bytes);
    } else {
        arena_.discard(ref, bytes);
    }
}

void FibTableWriter::release_block(Word word, bool published) {
    if ((word & kFibLeadsOn) == 0) return;
    const std::size_t bytes =
        fib_block_bytes(block_at(word).item_count(), (word & kFibIsWide) != 0);
    release(Ref<FibBlock>{word & kFibUnitMask}, bytes, published);
}

/// Entries under a prefix no longer than the table's bits: each gets the longest such route.
void FibTableWriter::cover_range(FibRoot& root, const FibRib& rib, FibBits bits, unsigned length) {
    constexpr unsigned kLowest = kFibTableBits - kFibStride;
    const auto first = static_cast<std::uint32_t>(bits >> (128 - kFibTableBits));
    const std::uint32_t end = first + (1u << (kFibTableBits - length));
    FibLeaves top, middle, lowest;
    rib.expand(bits, 0, top);
    for (std::uint32_t base = first / kFibSlots * kFibSlots; base < end; base += kFibSlots) {
        const FibBits at = FibBits{base} << (128 - kFibTableBits);
        if (base % (kFibSlots * kFibSlots) == 0 || base <= first) {
            rib.expand(at, kFibStride, middle);
        }
        const Word above = middle[fib_group(at, kFibStride)];
        const Word otherwise = above != 0 ? above : top[fib_group(at, 0)];
        rib.expand(at, kLowest, lowest);
        for (std::uint32_t i = std::max(base, first); i < std::min(base + kFibSlots, end); ++i) {
            const Word own = lowest[i - base];
            const Leaf leaf{own != 0 ? own : otherwise};
            FibTableWord& word = fib_table(root)[i];
            const Word now = word.load(std::memory_order_relaxed);
            if ((now & kFibLeadsOn) != 0) {
                block_at(now).cover.store(leaf.value, std::memory_order_release);
            } else {
                word.store(fib_word_of(leaf), std::memory_order_release);
            }
        }
    }
}

/// `image.leaves` is left alone: they are the RIB's to say.
void FibTableWriter::load(Word word, Image& image) {
    if ((word & kFibLeadsOn) == 0) {
        image.cover = fib_leaf_of(word).value;
        return;
    }
    const FibBlock& block = block_at(word);
    image.cover = block.cover.load(std::memory_order_relaxed);
    if ((word & kFibIsWide) == 0) return;
    for (unsigned slot = 0; slot < kFibSlots; ++slot) {
        const Word item = block.items<Word>()[block.item_of(slot)];
        if ((item & kFibLeadsOn) != 0) image.branches[slot] = item & kFibUnitMask;
    }
}

/// A word for the image, with a block of its own if it takes one; kFibLeadsOn: the arena is full.
FibTableWriter::Word FibTableWriter::store(const Image& image) {
    Runs runs;
    for (unsigned slot = 0; slot < kFibSlots; ++slot) {
        const Word unit = image.branches[slot];
        runs.add(slot, unit != 0 ? branch_word(unit) : fib_word_of(Leaf{image.leaves[slot]}));
    }
    if (runs.count == 1 && runs.words[0] == 0) return fib_word_of(Leaf{image.cover});
    const auto ref = arena_.allocate<FibBlock>(fib_block_bytes(runs.count, runs.is_wide));
    if (!ref) return kFibLeadsOn;
    auto* made = new (arena_.writable(ref)) FibBlock{runs.starts, image.cover, 0};
    for (unsigned i = 0; i < runs.count; ++i) {
        if (runs.is_wide) {
            made->items<Word>()[i] = runs.words[i];
        } else {
            made->items<std::uint16_t>()[i] = fib_narrow_of(fib_leaf_of(runs.words[i]));
        }
    }
    return kFibLeadsOn | (runs.is_wide ? kFibIsWide : 0) | ref.unit;
}

bool FibTableWriter::replace(FibTableWord& word, const Image& image, bool published) {
    const Word made = store(image);
    if (made == kFibLeadsOn) return false;
    const Word before = word.load(std::memory_order_relaxed);
    for (unsigned slot = 0; slot < kFibSlots; ++slot) {
        if (image.branches[slot] == 0) continue;
        branch_at(image.branches[slot]).leaf.store(image.leaves[slot], std::memory_order_release);
    }
    word.store(made, std::memory_order_release);
    release_block(before, published);
    return true;
}

/// A branch for the /24 of `prefix`, and the block that leads to it.
bool FibTableWriter::add_branch(FibTableWord& word, Image& image, const FibRib& rib,
                                const FibRib::Prefix& prefix, bool published) {
    const auto ref = arena_.allocate<FibBranch>(sizeof(FibBranch));
    if (!ref) return false;
    FibBranch& branch = *new (arena_.writable(ref)) FibBranch{};
    const unsigned position = FibRib::position_of(prefix.length);
    FibLeaves leaves;
    rib.expand(prefix.bits, position, leaves);
    image.branches[fib_group(prefix.bits, kFibTableBits)] = ref.unit;
    if (tries_.put({branch.child, kFibBlockEnd, false}, prefix.bits, position, leaves) &&
        replace(word, image, published)) {
        return true;
    }
    tries_.drop(branch.child, false);
    arena_.discard(ref, sizeof(FibBranch));
    return false;
}

/// A prefix longer than the table's bits has come, gone or changed its leaf.
bool FibTableWriter::change_below(FibTableWord& word, const FibRib& rib,
                                  const FibRib::Prefix& prefix, bool erased, bool published) {
    Image image;
    load(word.load(std::memory_order_relaxed), image);
    rib.expand(prefix.bits, kFibTableBits, image.leaves);
    if (prefix.length <= kFibBlockEnd) return replace(word, image, published);
    const unsigned slot = fib_group(prefix.bits, kFibTableBits);
    const Word unit = image.branches[slot];
    if (unit == 0) return add_branch(word, image, rib, prefix, published);
    FibBranch& branch = branch_at(unit);
    const unsigned position = FibRib::position_of(prefix.length);
    FibLeaves leaves;
    rib.expand(prefix.bits, position, leaves);
    const FibTrieWriter::Trie trie{branch.child, kFibBlockEnd, published};
    if (!erased) return tries_.put(trie, prefix.bits, position, leaves);
    if (!tries_.shrink(trie, prefix.bits, position, leaves)) return false;
    if (branch.child.load(std::memory_order_relaxed) != 0) return true;
    image.branches[slot] = 0;
    // A branch without a trie does no harm: it stays until there is room for a block without it.
    if (replace(word, image, published)) release(Ref<FibBranch>{unit}, sizeof branch, published);
    return true;
}

bool FibTableWriter::change(FibRoot& root, const FibRib& rib, const FibRib::Prefix& prefix,
                            bool erased, bool published) {
    if (prefix.length <= kFibTableBits) {
        cover_range(root, rib, prefix.bits, prefix.length);
        return true;
    }
    FibTableWord& word = fib_table(root)[prefix.bits >> (128 - kFibTableBits)];
    return change_below(word, rib, prefix, erased, published);
}

bool FibTableWriter::fill(FibRoot& root, const FibRib& rib) {
    cover_range(root, rib, 0, 0);
    return rib.each_node([&](FibBits bits, unsigned position) {
        if (position < kFibTableBits) return true;
        // Any prefix of the node stands for all: they are read from the RIB.
        return change(root, rib, {bits, position + 1}, false, false);
    });
}

void FibTableWriter::drop(FibRoot& root, bool published) {
    for (std::uint32_t i = 0; i < kFibTableEntries; ++i) {
        const Word word = fib_table(root)[i].load(std::memory_order_relaxed);
        if ((word & kFibLeadsOn) == 0) continue;
        Image image;
        load(word, image);
        for (const Word unit : image.branches) {
            if (unit == 0) continue;
            tries_.drop(branch_at(unit).child, published);
            release(Ref<FibBranch>{unit}, sizeof(FibBranch), published);
        }
        release_block(word, published);
    }
}

}  // namespace wye::table
