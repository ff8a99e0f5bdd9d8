#include "dataplane/table/fib6_walk.hh"

#include <algorithm>
#include <span>
#include <string>
#include <vector>

namespace wye::table {
namespace {

std::string at_unit(const char* what, std::uint32_t unit) {
    return std::string(what) + " at unit " + std::to_string(unit);
}

/// What lies behind a number of bits, by slot of equal size: a leaf's value, and a word that leads on
/// or 0. Where it leads on the leaf is what surely covers all of the slot, or none.
struct Slots {
    std::span<const std::uint32_t> leaves, words;
    [[nodiscard]] Slots half(std::size_t which) const {
        const std::size_t n = leaves.size() / 2;
        return {leaves.subspan(which * n, n), words.subspan(which * n, n)};
    }
    [[nodiscard]] bool are_one_leaf() const {
        return std::all_of(leaves.begin(), leaves.end(),
                           [this](std::uint32_t leaf) { return leaf == leaves.front(); });
    }
    [[nodiscard]] bool lead_on() const {
        return std::any_of(words.begin(), words.end(),
                           [](std::uint32_t word) { return word != 0; });
    }
};

/// A block, checked.
struct BlockImage {
    Fib6Form form = Fib6Form::narrow;
    std::uint64_t bytes = 0;
    std::uint32_t cover = 0;
    unsigned intervals = 1;
    std::array<std::uint32_t, kFib6Boundaries + 1> starts{};
    // By interval, or by slot of the form words.
    std::vector<std::uint32_t> leaves, branches;
};

Status read_words(const Fib6WideBlock& block, std::uint32_t unit, BlockImage& image) {
    for (std::size_t i = 0; i < image.leaves.size(); ++i) {
        const std::uint32_t word = block.words()[i].load(std::memory_order_acquire);
        if (fib6_kind(word) == Fib6Kind::leaf) {
            image.leaves[i] = fib6_leaf_of(word).value;
        } else if (fib6_kind(word) == Fib6Kind::branch) {
            image.branches[i] = word;
        } else {
            return fail(at_unit("the FIB block", unit) + " has a word of no known kind");
        }
    }
    return {};
}

Status read_block(CheckedArena& arena, std::uint32_t unit, BlockImage& image) {
    const auto* block = arena.extent(Ref<Fib6Block>{unit});
    if (block == nullptr) return fail(at_unit("a FIB block", unit) + " lies beyond the arena");
    image.form = block->form;
    if (image.form > Fib6Form::words) {
        return fail(at_unit("the FIB block", unit) + " has no known form");
    }
    image.bytes = fib6_block_bytes(image.form);
    if (arena.extent(Ref<Fib6Block>{unit}, image.bytes) == nullptr) {
        return fail(at_unit("the FIB block", unit) + " ends beyond the arena");
    }
    for (const std::uint16_t key : block->keys) {
        if (image.form == Fib6Form::words || key == 0xffff)
            break;  // a boundary there, or the filling: either way the last
        if (key <= image.starts[image.intervals - 1]) {
            return fail(at_unit("the FIB block", unit) + " has boundaries that do not ascend");
        }
        image.starts[image.intervals++] = key;
    }
    const bool has_last = image.intervals <= kFib6Boundaries && image.form != Fib6Form::words;
    if (has_last) image.starts[image.intervals++] = 0xffff;
    const std::size_t count = image.form == Fib6Form::words ? 256 : image.intervals;
    image.leaves.assign(count, 0);
    image.branches.assign(count, 0);
    if (image.form == Fib6Form::narrow) {
        image.cover = block->cover.load(std::memory_order_acquire);
        for (std::size_t i = 0; i < count; ++i) {
            // Of several fillings the last leaf counts, as for a lookup.
            const std::size_t from = has_last && i + 1 == count ? kFib6Boundaries : i;
            image.leaves[i] = fib6_leaf_of(block->leaves[from]).value;
        }
    } else {
        const auto& wide = static_cast<const Fib6WideBlock&>(*block);
        image.cover = wide.wide_cover.load(std::memory_order_acquire);
        if (Status read = read_words(wide, unit, image); !read) return read;
    }
    for (std::uint32_t& leaf : image.leaves) leaf = leaf != 0 ? leaf : image.cover;
    if (has_last && image.leaves.back() == image.leaves[count - 2] &&
        image.branches.back() == image.branches[count - 2]) {
        --image.intervals;
    }
    return {};
}

class PagesWalk {
  public:
    PagesWalk(CheckedArena& arena, SeenUnits& seen, const Fib6Visit& visit)
        : arena_(arena), seen_(seen), visit_(visit) {}

    Status table(const FibRoot& root, std::uint32_t inherited) {
        return words(fib_table(root), kFib6RootWords, 0, 0, inherited);
    }

  private:
    Status words(const Fib6Word* from, std::size_t count, FibBits bits, unsigned length,
                 std::uint32_t inherited);
    Status slots(Slots of, FibBits bits, unsigned length, std::uint32_t inherited);
    Status follow(std::uint32_t word, FibBits bits, unsigned at, std::uint32_t inherited);
    Status page(std::uint32_t unit, FibBits bits, unsigned at, std::uint32_t inherited);
    Status block(std::uint32_t unit, FibBits bits, unsigned at, std::uint32_t inherited);
    Status intervals(const BlockImage& image, std::uint32_t first, std::uint32_t size, FibBits bits,
                     unsigned length, std::uint32_t inherited);
    Status branch(std::uint32_t unit, FibBits bits, std::uint32_t inherited);
    std::uint32_t say(FibBits bits, unsigned length, std::uint32_t leaf, std::uint32_t inherited) {
        if (leaf == 0 || leaf == inherited) return inherited;
        visit_.prefix(bits, length, leaf);
        return leaf;
    }

    CheckedArena& arena_;
    SeenUnits& seen_;
    const Fib6Visit& visit_;
};

Status PagesWalk::words(const Fib6Word* from, std::size_t count, FibBits bits, unsigned length,
                        std::uint32_t inherited) {
    std::vector<std::uint32_t> leaves(count), leading(count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t word = from[i].load(std::memory_order_acquire);
        if (fib6_kind(word) == Fib6Kind::leaf) {
            leaves[i] = fib6_leaf_of(word).value;
            continue;
        }
        leading[i] = word;
        if (fib6_kind(word) != Fib6Kind::block) continue;
        BlockImage image;
        if (Status read = read_block(arena_, fib6_unit(word), image); !read) return read;
        leaves[i] = image.cover;
    }
    return slots({leaves, leading}, bits, length, inherited);
}

/// One prefix where all slots have one leaf.
Status PagesWalk::slots(Slots of, FibBits bits, unsigned length, std::uint32_t inherited) {
    if (of.are_one_leaf()) {
        inherited = say(bits, length, of.leaves.front(), inherited);
        if (!of.lead_on()) return {};
    }
    if (of.leaves.size() == 1) return follow(of.words.front(), bits, length, inherited);
    if (Status done = slots(of.half(0), bits, length + 1, inherited); !done) return done;
    return slots(of.half(1), bits | FibBits{1} << (127 - length), length + 1, inherited);
}

Status PagesWalk::follow(std::uint32_t word, FibBits bits, unsigned at, std::uint32_t inherited) {
    const std::uint32_t unit = fib6_unit(word);
    switch (fib6_kind(word)) {
        case Fib6Kind::page:
            if (at <= kFib6NarrowAt) return page(unit, bits, at, inherited);
            break;
        case Fib6Kind::block:
            if (at == 32 || at == kFib6NarrowAt) return block(unit, bits, at, inherited);
            break;
        case Fib6Kind::branch:
            if (at == kFib6End) return branch(unit, bits, inherited);
            break;
        case Fib6Kind::leaf:
            break;
    }
    return fail("a FIB has a word that leads to " + std::to_string(unit) + " where none may");
}

Status PagesWalk::page(std::uint32_t unit, FibBits bits, unsigned at, std::uint32_t inherited) {
    const std::uint64_t bytes = fib6_page_bytes(at);
    const std::size_t count = fib6_page_words(at);
    const auto* first = arena_.extent(Ref<Fib6Word>{unit}, bytes);
    if (first == nullptr) {
        return fail(at_unit("a FIB page", unit) + " does not lie in the arena");
    }
    if (!seen_.add(unit, bytes)) return fail(at_unit("the FIB page", unit) + " is used twice");
    if (at != kFib6NarrowAt) return words(first, count, bits, at, inherited);
    const auto* narrow = arena_.extent(Ref<Fib6Narrow>{unit}, bytes);
    std::vector<std::uint32_t> leaves(count);
    const std::vector<std::uint32_t> none(count);
    for (std::size_t i = 0; i < count; ++i) {
        leaves[i] = fib6_leaf_of(narrow[i].load(std::memory_order_acquire)).value;
    }
    return slots({leaves, none}, bits, at, inherited);
}

Status PagesWalk::block(std::uint32_t unit, FibBits bits, unsigned at, std::uint32_t inherited) {
    BlockImage image;
    if (Status read = read_block(arena_, unit, image); !read) return read;
    if (!seen_.add(unit, image.bytes)) {
        return fail(at_unit("the FIB block", unit) + " is used twice");
    }
    if (image.form != Fib6Form::words) return intervals(image, 0, 1u << 16, bits, at, inherited);
    if (at != kFib6NarrowAt) return fail(at_unit("the FIB block", unit) + " stands too high");
    return slots({image.leaves, image.branches}, bits, at, inherited);
}

/// The part of a block's 16 bits from `first` on.
Status PagesWalk::intervals(const BlockImage& image, std::uint32_t first, std::uint32_t size,
                            FibBits bits, unsigned length, std::uint32_t inherited) {
    const auto begin = image.starts.begin();
    const auto end = begin + image.intervals;
    auto from = static_cast<std::size_t>(std::upper_bound(begin, end, first) - begin) - 1;
    const auto to = static_cast<std::size_t>(std::lower_bound(begin, end, first + size) - begin);
    const Slots part{std::span(image.leaves).subspan(from, to - from),
                     std::span(image.branches).subspan(from, to - from)};
    if (!part.lead_on()) {
        if (part.are_one_leaf()) {
            say(bits, length, part.leaves.front(), inherited);
            return {};
        }
    } else if (part.leaves.size() == 1 && length == kFib6End) {
        return branch(fib6_unit(part.words.front()), bits, inherited);
    } else if (length >= kFib6End) {
        return fail("a FIB has a branch that is no /48");
    }
    if (size == 1) return fail("a FIB block tells apart what is one");
    const FibBits upper = FibBits{1} << (127 - length);
    const std::uint32_t half = size / 2;
    Status done = intervals(image, first, half, bits, length + 1, inherited);
    if (!done) return done;
    return intervals(image, first + half, half, bits | upper, length + 1, inherited);
}

Status PagesWalk::branch(std::uint32_t unit, FibBits bits, std::uint32_t inherited) {
    const auto* branch = arena_.extent(Ref<Fib6Branch>{unit});
    if (branch == nullptr) return fail(at_unit("a FIB branch", unit) + " lies beyond the arena");
    if (!seen_.add(unit, sizeof(Fib6Branch))) {
        return fail(at_unit("the FIB branch", unit) + " is used twice");
    }
    inherited = say(bits, kFib6End, branch->leaf.load(std::memory_order_acquire), inherited);
    return visit_.trie(branch->child.load(std::memory_order_acquire), bits, kFib6End, inherited);
}

Result<Fib6Answer> answer_of(CheckedArena& arena, std::uint32_t unit, std::uint32_t key) {
    BlockImage image;
    if (Status read = read_block(arena, unit, image); !read) return tl::unexpected(read.error());
    const auto begin = image.starts.begin();
    const auto interval =
        static_cast<std::size_t>(std::upper_bound(begin, begin + image.intervals, key) - begin) - 1;
    const std::size_t index = image.form == Fib6Form::words ? key >> 8 : interval;
    if (image.branches[index] == 0) return Fib6Answer{image.leaves[index]};
    const std::uint32_t branch_unit = fib6_unit(image.branches[index]);
    const auto* branch = arena.extent(Ref<Fib6Branch>{branch_unit});
    if (branch == nullptr) {
        return fail(at_unit("a FIB branch", branch_unit) + " lies beyond the arena");
    }
    const std::uint32_t leaf = branch->leaf.load(std::memory_order_acquire);
    return Fib6Answer{leaf, branch->child.load(std::memory_order_acquire)};
}

}  // namespace

Status walk_pages(CheckedArena& arena, const FibRoot& root, SeenUnits& seen,
                  std::uint32_t inherited, const Fib6Visit& visit) {
    return PagesWalk(arena, seen, visit).table(root, inherited);
}

Result<Fib6Answer> find_in_pages(CheckedArena& arena, const FibRoot& root, FibBits key) {
    std::uint32_t word =
        fib_table(root)[static_cast<std::size_t>(key >> (128 - kFib6RootBits))].load(
            std::memory_order_acquire);
    unsigned at = kFib6RootBits;
    for (; fib6_kind(word) == Fib6Kind::page; at = fib6_page_end(at)) {
        const std::uint32_t unit = fib6_unit(word);
        if (at > kFib6NarrowAt || !arena.extent(Ref<std::byte>{unit}, fib6_page_bytes(at))) {
            return fail(at_unit("a FIB page", unit) + " does not lie in the arena");
        }
        const auto index =
            static_cast<std::size_t>(key >> (128 - fib6_page_end(at))) & (fib6_page_words(at) - 1);
        if (at == kFib6NarrowAt) {
            const auto* narrow = arena.view().at(Ref<Fib6Narrow>{unit});
            return Fib6Answer{fib6_leaf_of(narrow[index].load(std::memory_order_acquire)).value};
        }
        word = arena.view().at(Ref<Fib6Word>{unit})[index].load(std::memory_order_acquire);
    }
    if (fib6_kind(word) == Fib6Kind::leaf) return Fib6Answer{fib6_leaf_of(word).value};
    if (fib6_kind(word) == Fib6Kind::branch || (at != 32 && at != kFib6NarrowAt)) {
        return fail("a FIB has a word that leads to " + std::to_string(fib6_unit(word)) +
                    " where none may");
    }
    return answer_of(arena, fib6_unit(word), static_cast<std::uint16_t>(key >> (112 - at)));
}

}  // namespace wye::table
