#include "dataplane/table/fib_trie_writer.hh"

#include <algorithm>
#include <new>

#include "dataplane/base/check.hh"

namespace wye::table {
namespace {

using Word = FibTrieWriter::Word;

constexpr std::uint64_t slot_bit(unsigned slot) noexcept {
    return std::uint64_t{1} << slot;
}

/// The skip of a node whose parent's child begins at `from`, `groups` groups before it.
std::uint64_t make_skip(FibBits bits, unsigned from, unsigned groups) noexcept {
    if (groups == 0) return 0;
    const FibBits value = bits << from >> (128 - groups * kFibStride);
    return std::uint64_t{groups} << 58 | static_cast<std::uint64_t>(value);
}

unsigned skip_group(std::uint64_t skip, unsigned index) noexcept {
    const unsigned behind = (fib_skip_groups(skip) - index - 1) * kFibStride;
    return static_cast<unsigned>(fib_skip_value(skip) >> behind) & (kFibSlots - 1);
}

std::uint64_t first_groups(std::uint64_t skip, unsigned count) noexcept {
    const unsigned behind = (fib_skip_groups(skip) - count) * kFibStride;
    return std::uint64_t{count} << 58 | fib_skip_value(skip) >> behind;
}

std::uint64_t last_groups(std::uint64_t skip, unsigned count) noexcept {
    const std::uint64_t keep = slot_bit(count * kFibStride) - 1;
    return std::uint64_t{count} << 58 | (fib_skip_value(skip) & keep);
}

/// `upper`, then a slot, then `lower`.
std::uint64_t join_skips(std::uint64_t upper, unsigned slot, std::uint64_t lower) noexcept {
    const unsigned lower_groups = fib_skip_groups(lower);
    const std::uint64_t value = (fib_skip_value(upper) << kFibStride | slot)
                                    << (lower_groups * kFibStride) |
                                fib_skip_value(lower);
    return std::uint64_t{fib_skip_groups(upper) + 1 + lower_groups} << 58 | value;
}

}  // namespace

std::size_t FibTrieWriter::bytes_of(const FibNode& node) noexcept {
    return sizeof(FibNode) + sizeof(Word) * (fib_count(node.children) + fib_count(node.runs));
}

std::atomic<Word>& FibTrieWriter::child_word(Word ref, unsigned slot) {
    FibNode& parent = node(ref);
    return parent.words()[fib_count(parent.children & (slot_bit(slot) - 1))];
}

void FibTrieWriter::load(Word ref, Image& image) {
    const FibNode& from = node(ref);
    image.children = from.children;
    image.covered = from.covered;
    image.runs = from.runs;
    image.skip = from.skip;
    const unsigned children = fib_count(image.children);
    for (unsigned i = 0; i < children; ++i) {
        image.child_refs[i] = from.words()[i].load(std::memory_order_relaxed);
    }
    for (unsigned i = 0; i < fib_count(image.runs); ++i) {
        image.leaves[i] = from.words()[children + i].load(std::memory_order_relaxed);
    }
}

/// A block with the image's content; 0: the arena is full.
Word FibTrieWriter::store(const Image& image) {
    const unsigned children = fib_count(image.children);
    const unsigned runs = fib_count(image.runs);
    const auto ref = arena_.allocate<FibNode>(sizeof(FibNode) + sizeof(Word) * (children + runs));
    if (!ref) return 0;
    fresh_.push_back(ref.unit);
    FibNode& made =
        *new (arena_.writable(ref)) FibNode{image.children, image.covered, image.runs, image.skip};
    for (unsigned i = 0; i < children; ++i) {
        made.words()[i].store(image.child_refs[i], std::memory_order_relaxed);
    }
    for (unsigned i = 0; i < runs; ++i) {
        made.words()[children + i].store(image.leaves[i], std::memory_order_relaxed);
    }
    return ref.unit;
}

void FibTrieWriter::set_leaves(Image& image, const FibLeaves& leaves) noexcept {
    image.covered = image.runs = 0;
    unsigned runs = 0;
    Word before = 0;
    for (unsigned slot = 0; slot < kFibSlots; ++slot) {
        const Word leaf = leaves[slot];
        if (leaf != 0) {
            image.covered |= slot_bit(slot);
            if (leaf != before) {
                image.runs |= slot_bit(slot);
                image.leaves[runs++] = leaf;
            }
        }
        before = leaf;
    }
}

void FibTrieWriter::add_child(Image& image, unsigned slot, Word ref) noexcept {
    const unsigned at = fib_count(image.children & (slot_bit(slot) - 1));
    const unsigned count = fib_count(image.children);
    std::copy_backward(image.child_refs.begin() + at, image.child_refs.begin() + count,
                       image.child_refs.begin() + count + 1);
    image.child_refs[at] = ref;
    image.children |= slot_bit(slot);
}

void FibTrieWriter::remove_child(Image& image, unsigned slot) noexcept {
    const unsigned at = fib_count(image.children & (slot_bit(slot) - 1));
    std::copy(image.child_refs.begin() + at + 1,
              image.child_refs.begin() + fib_count(image.children), image.child_refs.begin() + at);
    image.children &= ~slot_bit(slot);
}

/// The node at `position` and, where it lies further below `from` than one skip reaches, nodes with
/// a single child above it.
Word FibTrieWriter::make_chain(FibBits bits, unsigned from, unsigned position,
                               const FibLeaves& leaves) {
    const auto skip_to = [&](unsigned at) {
        return std::min((at - from) / kFibStride, kFibMaxSkip);
    };
    Image bottom;
    set_leaves(bottom, leaves);
    unsigned groups = skip_to(position);
    unsigned top = position - groups * kFibStride;
    bottom.skip = make_skip(bits, top, groups);
    Word ref = store(bottom);
    while (ref != 0 && top > from) {
        const unsigned at = top - kFibStride;
        Image link;
        add_child(link, fib_group(bits, at), ref);
        groups = skip_to(at);
        top = at - groups * kFibStride;
        link.skip = make_skip(bits, top, groups);
        ref = store(link);
    }
    return ref;
}

/// A new node within the skip of node `ref`, `groups` groups into it, at bit `at`: there the wanted
/// position lies, or there the addresses part.
Word FibTrieWriter::split(Word ref, unsigned at, unsigned groups, FibBits bits, unsigned position,
                          const FibLeaves& leaves) {
    Image lower;
    load(ref, lower);
    const std::uint64_t skip = lower.skip;
    lower.skip = last_groups(skip, fib_skip_groups(skip) - groups - 1);
    const Word lower_ref = store(lower);
    if (lower_ref == 0) return 0;
    Image upper;
    upper.skip = first_groups(skip, groups);
    add_child(upper, skip_group(skip, groups), lower_ref);
    if (at == position) {
        set_leaves(upper, leaves);
    } else {
        const Word chain = make_chain(bits, at + kFibStride, position, leaves);
        if (chain == 0) return 0;
        add_child(upper, fib_group(bits, at), chain);
    }
    return store(upper);
}

void FibTrieWriter::forget_tried() {
    for (const Word ref : fresh_) arena_.discard(Ref<FibNode>{ref}, bytes_of(node(ref)));
    fresh_.clear();
    replaced_.clear();
}

/// Publishes what was made, or frees it if something is missing.
bool FibTrieWriter::replace(const Trie& trie, std::atomic<Word>& word, Word made) {
    if (made == 0) {
        forget_tried();
        return false;
    }
    swap_in(trie, word, made);
    return true;
}

void FibTrieWriter::swap_in(const Trie& trie, std::atomic<Word>& word, Word made) {
    word.store(made, std::memory_order_release);
    for (const Word ref : replaced_) release(ref, trie.published);
    fresh_.clear();
    replaced_.clear();
}

void FibTrieWriter::release(Word ref, bool published) {
    const std::size_t bytes = bytes_of(node(ref));
    if (published) {
        arena_.retire(Ref<FibNode>{ref}, bytes);
    } else {
        arena_.discard(Ref<FibNode>{ref}, bytes);
    }
}

bool FibTrieWriter::change(Trie trie, const FibRib& rib, const FibRib::Prefix& prefix,
                           bool erased) {
    const unsigned position = FibRib::position_of(prefix.length);
    FibLeaves leaves;
    rib.expand(prefix.bits, position, leaves);
    return erased ? shrink(trie, prefix.bits, position, leaves)
                  : put(trie, prefix.bits, position, leaves);
}

bool FibTrieWriter::put(Trie trie, FibBits bits, unsigned position, const FibLeaves& leaves) {
    std::atomic<Word>* word = &trie.word;
    unsigned from = trie.start;
    while (true) {
        const Word ref = word->load(std::memory_order_relaxed);
        if (ref == 0) return replace(trie, *word, make_chain(bits, from, position, leaves));
        const std::uint64_t skip = node(ref).skip;
        const unsigned groups = fib_skip_groups(skip);
        unsigned same = 0;
        while (same < groups && from < position &&
               fib_group(bits, from) == skip_group(skip, same)) {
            from += kFibStride;
            ++same;
        }
        if (same < groups) {
            replaced_.push_back(ref);
            return replace(trie, *word, split(ref, from, same, bits, position, leaves));
        }
        const unsigned slot = fib_group(bits, from);
        if (from != position && (node(ref).children & slot_bit(slot)) != 0) {
            word = &child_word(ref, slot);
            from += kFibStride;
            continue;
        }
        Image image;
        load(ref, image);
        if (from == position) {
            set_leaves(image, leaves);
        } else {
            const Word chain = make_chain(bits, from + kFibStride, position, leaves);
            if (chain == 0) return replace(trie, *word, 0);
            add_child(image, slot, chain);
        }
        replaced_.push_back(ref);
        return replace(trie, *word, store(image));
    }
}

void FibTrieWriter::find_path(Trie trie, FibBits bits, unsigned position) {
    path_.clear();
    std::atomic<Word>* word = &trie.word;
    unsigned from = trie.start;
    while (true) {
        const Word ref = word->load(std::memory_order_relaxed);
        WYE_CHECK(ref != 0, "a node with routes is in the trie");
        const unsigned at = from + fib_skip_groups(node(ref).skip) * kFibStride;
        path_.push_back({word, at});
        if (at == position) return;
        word = &child_word(ref, fib_group(bits, at));
        from = at + kFibStride;
    }
}

/// True, and `image` is the child's with a longer skip, if there is nothing else in the node and
/// the skips fit in one.
bool FibTrieWriter::join_with_only_child(Image& image) {
    if (image.covered != 0 || fib_count(image.children) != 1) return false;
    const Word only = image.child_refs[0];
    const std::uint64_t below = node(only).skip;
    if (fib_skip_groups(image.skip) + 1 + fib_skip_groups(below) > kFibMaxSkip) return false;
    const auto slot = static_cast<unsigned>(std::countr_zero(image.children));
    const std::uint64_t skip = join_skips(image.skip, slot, below);
    load(only, image);
    image.skip = skip;
    replaced_.push_back(only);
    return true;
}

bool FibTrieWriter::shrink(Trie trie, FibBits bits, unsigned position, const FibLeaves& leaves) {
    find_path(trie, bits, position);
    Image image;
    const auto take = [&](const Step& step) {
        const Word ref = step.word->load(std::memory_order_relaxed);
        load(ref, image);
        replaced_.push_back(ref);
    };
    take(path_.back());
    set_leaves(image, leaves);
    while (image.covered == 0 && image.children == 0) {
        path_.pop_back();
        if (path_.empty()) {
            swap_in(trie, trie.word, 0);
            return true;
        }
        take(path_.back());
        remove_child(image, fib_group(bits, path_.back().position));
    }
    join_with_only_child(image);
    return replace(trie, *path_.back().word, store(image));
}

void FibTrieWriter::drop(const std::atomic<std::uint32_t>& word, bool published) {
    const Word ref = word.load(std::memory_order_relaxed);
    if (ref == 0) return;
    const FibNode& top = node(ref);
    for (unsigned i = 0; i < fib_count(top.children); ++i) drop(top.words()[i], published);
    release(ref, published);
}

}  // namespace wye::table
