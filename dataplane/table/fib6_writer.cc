#include "dataplane/table/fib6_writer.hh"

#include <algorithm>
#include <new>

namespace wye::table {
namespace {

using Word = std::uint32_t;

/// No word: the arena is full.
constexpr Word kFull = fib6_word_of(Fib6Kind::branch, 0);
/// A page with so few boundaries left is made a block again: far enough below what a block holds.
constexpr unsigned kFewBoundaries = 6;

constexpr FibBits keep_first(FibBits bits, unsigned count) noexcept {
    return bits >> (128 - count) << (128 - count);
}
/// The bits of the address from `from` to before `to`.
constexpr std::uint32_t index_in(FibBits bits, unsigned from, unsigned to) noexcept {
    return static_cast<std::uint32_t>(bits << from >> (128 - (to - from)));
}
constexpr FibBits with_index(FibBits bits, std::uint32_t index, unsigned to) noexcept {
    return bits | FibBits{index} << (128 - to);
}

/// Whether there are more than `most` places in a page where a boundary must be: between two words
/// that differ, or within one that leads on.
template <class T>
bool differ_more(const std::atomic<T>* words, std::size_t count, unsigned most) noexcept {
    const auto leads_on = [](T word) {
        return sizeof(T) == sizeof(Word) &&
               (fib6_kind(word) == Fib6Kind::page || fib6_kind(word) == Fib6Kind::block);
    };
    T before = words[0].load(std::memory_order_relaxed);
    unsigned boundaries = leads_on(before) ? 1 : 0;
    for (std::size_t i = 1; i < count && boundaries <= most; ++i) {
        const T now = words[i].load(std::memory_order_relaxed);
        if (leads_on(now) || (now != before && !leads_on(before))) ++boundaries;
        before = now;
    }
    return boundaries > most;
}

}  // namespace

struct Fib6Writer::Sketch {
    struct Interval {
        std::uint32_t first, end;  // in the block's 16 bits
        std::uint32_t leaf;
    };
    static constexpr unsigned kMaxRoutes = 2 * kFib6Boundaries + 1;  // nested or apart
    std::array<Interval, kMaxRoutes> routes;
    std::array<Interval, kFib6Boundaries + 1> branches;  // without leaves
    unsigned route_count = 0, branch_count = 0, boundary_count = 0;
    std::array<std::uint16_t, kFib6Boundaries> boundaries;

    [[nodiscard]] bool is_empty() const { return route_count == 0 && branch_count == 0; }

    bool add_boundary(std::uint32_t at, unsigned most) {
        if (at == 0 || at > 0xffff) return true;
        const auto end = boundaries.begin() + boundary_count;
        const auto place = std::lower_bound(boundaries.begin(), end, at);
        if (place != end && *place == at) return true;
        if (boundary_count == most) return false;
        std::copy_backward(place, end, end + 1);
        *place = static_cast<std::uint16_t>(at);
        ++boundary_count;
        return true;
    }
    [[nodiscard]] static Interval interval_of(FibBits bits, unsigned length, unsigned at) {
        const std::uint32_t first = index_in(bits, at, at + 16);
        return {first, first + (1u << (at + 16 - length)), 0};
    }
    /// False: there are more than `most` boundaries.
    bool collect(const FibRib& rib, FibBits bits, unsigned at, unsigned most) {
        const bool all =
            rib.each_route(bits, at, kFib6End, [&](FibBits start, unsigned length, Leaf leaf) {
                if (route_count == kMaxRoutes) return false;
                Interval& route = routes[route_count++];
                route = interval_of(start, length, at);
                route.leaf = leaf.value;
                return add_boundary(route.first, most) && add_boundary(route.end, most);
            });
        return all && rib.each_longer(bits, at, kFib6End, [&](FibBits start) {
            if (branch_count == branches.size()) return false;
            Interval& branch = branches[branch_count++];
            branch = interval_of(start, kFib6End, at);
            return add_boundary(branch.first, most) && add_boundary(branch.end, most);
        });
    }
    [[nodiscard]] std::uint32_t start_of(unsigned interval) const {
        return interval == 0 ? 0 : boundaries[interval - 1];
    }
    /// By interval; the last one's for what is behind it.
    [[nodiscard]] std::array<Leaf, kFib6Boundaries + 1> leaves() const {
        std::array<Leaf, kFib6Boundaries + 1> own{};
        for (unsigned i = 0; i < own.size(); ++i) {
            const std::uint32_t start = start_of(std::min(i, boundary_count));
            for (unsigned r = 0; r < route_count; ++r) {
                if (routes[r].first <= start && start < routes[r].end)
                    own[i] = Leaf{routes[r].leaf};
            }
        }
        return own;
    }
};

void Fib6Writer::free_units(Word unit, std::size_t bytes) {
    if (is_published_) {
        arena_.retire(Ref<std::byte>{unit}, bytes);
    } else {
        arena_.discard(Ref<std::byte>{unit}, bytes);
    }
}

/// All that `word` at bit `at` leads to but the branches.
void Fib6Writer::release(Word word, unsigned at) {
    if (fib6_kind(word) == Fib6Kind::block) {
        free_units(fib6_unit(word), fib6_block_bytes(block_of(word)->form));
    } else if (fib6_kind(word) == Fib6Kind::page) {
        for (Word i = 0; at != kFib6NarrowAt && i < fib6_page_words(at); ++i) {
            release(page_of(word)[i].load(std::memory_order_relaxed), fib6_page_end(at));
        }
        free_units(fib6_unit(word), fib6_page_bytes(at));
    }
}

void Fib6Writer::release_branch(Word unit) {
    tries_.drop(at_unit<Fib6Branch>(unit)->child, is_published_);
    free_units(unit, sizeof(Fib6Branch));
}

/// visit(unit, bits) for all branches that `word` leads to.
template <class Visit>
void Fib6Writer::each_branch(Word word, FibBits bits, unsigned at, Visit visit) {
    if (fib6_kind(word) == Fib6Kind::page && at != kFib6NarrowAt) {
        const unsigned end = fib6_page_end(at);
        for (Word i = 0; i < fib6_page_words(at); ++i) {
            const Word below = page_of(word)[i].load(std::memory_order_relaxed);
            if (below % 4 != 0) each_branch(below, with_index(bits, i, end), end, visit);
        }
    }
    if (fib6_kind(word) != Fib6Kind::block) return;
    Fib6WideBlock& block = *block_of(word);
    if (block.form == Fib6Form::narrow) return;
    // A wide block's last leaf is repeated, but a branch at the end is none that is.
    Word last = 0;
    for (Word i = 0; i < fib6_block_words(block.form); ++i) {
        const Word own = block.words()[i].load(std::memory_order_relaxed);
        if (fib6_kind(own) != Fib6Kind::branch || own == last) continue;
        last = own;
        const FibBits start = block.form == Fib6Form::words ? with_index(bits, i, kFib6End)
                              : i == 0                      ? bits
                                       : with_index(bits, block.keys[i - 1], at + 16);
        visit(fib6_unit(own), start);
    }
}

/// The branch that the address has, below a word at bit `at`; 0: none.
Word Fib6Writer::find_branch(Word word, FibBits bits, unsigned at) {
    if (fib6_kind(word) != Fib6Kind::block || block_of(word)->form == Fib6Form::narrow) return 0;
    if (is_words(word)) {
        const Word own =
            block_of(word)->words()[index_in(bits, at, kFib6End)].load(std::memory_order_relaxed);
        return fib6_kind(own) == Fib6Kind::branch ? fib6_unit(own) : 0;
    }
    Word found = 0;
    each_branch(word, keep_first(bits, at), at, [&](Word unit, FibBits start) {
        if (start == keep_first(bits, kFib6End)) found = unit;
    });
    return found;
}

/// The leaf of each slot of `to` bits under the first `from` of `bits`.
std::vector<Leaf> Fib6Writer::paint(FibBits bits, unsigned from, unsigned to, Leaf base) const {
    std::vector<Leaf> leaves(std::size_t{1} << (to - from), base);
    rib_.each_route(bits, from, to, [&](FibBits start, unsigned length, Leaf leaf) {
        std::fill_n(leaves.begin() + index_in(start, from, to), 1u << (to - length), leaf);
        return true;
    });
    return leaves;
}

/// A word for all that the RIB has under the first `at` of `bits`, `cover` being the leaf of what is
/// no longer than that. kFull: what was made is free again, but for the branches.
Word Fib6Writer::make(FibBits bits, unsigned at, Leaf cover) {
    if (at < 32) {
        return rib_.has_longer(bits, at) ? make_page(bits, at, cover) : fib6_word_of(cover);
    }
    Sketch sketch;
    if (sketch.collect(rib_, bits, at, kFib6Boundaries)) {
        return sketch.is_empty() ? fib6_word_of(cover) : make_block(sketch, bits, at, cover);
    }
    return at == kFib6NarrowAt ? make_last(bits, cover) : make_page(bits, at, cover);
}

Word Fib6Writer::make_page(FibBits bits, unsigned at, Leaf cover) {
    const auto ref = arena_.allocate<Fib6Word>(fib6_page_bytes(at));
    if (!ref) return kFull;
    const Word made = fib6_word_of(Fib6Kind::page, ref.unit);
    const unsigned end = fib6_page_end(at);
    const std::vector<Leaf> leaves = paint(bits, at, end, cover);
    for (Word i = 0; i < leaves.size(); ++i) {
        page_of(made)[i].store(fib6_word_of(leaves[i]), std::memory_order_relaxed);
    }
    const bool all = rib_.each_longer(bits, at, end, [&](FibBits below) {
        const Word i = index_in(below, at, end);
        const Word word = make(below, end, leaves[i]);
        if (word != kFull) page_of(made)[i].store(word, std::memory_order_relaxed);
        return word != kFull;
    });
    if (all) return made;
    const bool was_published = std::exchange(is_published_, false);
    release(made, at);
    is_published_ = was_published;
    return kFull;
}

/// A page of narrow leaves, or a block of words where these do not fit or there are branches.
Word Fib6Writer::make_last(FibBits bits, Leaf cover) {
    const std::vector<Leaf> leaves = paint(bits, kFib6NarrowAt, kFib6End, cover);
    const bool has_branches =
        !rib_.each_longer(bits, kFib6NarrowAt, kFib6End, [](FibBits) { return false; });
    if (!has_branches && std::all_of(leaves.begin(), leaves.end(), fib6_is_narrow)) {
        const auto ref = arena_.allocate<Fib6Narrow>(fib6_page_bytes(kFib6NarrowAt));
        if (!ref) return kFull;
        for (std::size_t i = 0; i < leaves.size(); ++i) {
            arena_.writable(ref)[i].store(fib6_narrow_of(leaves[i]), std::memory_order_relaxed);
        }
        return fib6_word_of(Fib6Kind::page, ref.unit);
    }
    const auto ref = arena_.allocate<Fib6WideBlock>(fib6_block_bytes(Fib6Form::words));
    if (!ref) return kFull;
    Fib6WideBlock& block = *arena_.writable(ref);
    block.form = Fib6Form::words;
    for (std::size_t i = 0; i < leaves.size(); ++i) {
        block.words()[i].store(fib6_word_of(leaves[i]), std::memory_order_relaxed);
    }
    const bool all = rib_.each_longer(bits, kFib6NarrowAt, kFib6End, [&](FibBits start) {
        const Word unit = take_branch(start);
        block.words()[index_in(start, kFib6NarrowAt, kFib6End)].store(
            fib6_word_of(Fib6Kind::branch, unit), std::memory_order_relaxed);
        return unit != 0;
    });
    if (all) return fib6_word_of(Fib6Kind::block, ref.unit);
    arena_.discard(ref, fib6_block_bytes(Fib6Form::words));
    return kFull;
}

Word Fib6Writer::make_block(const Sketch& sketch, FibBits bits, unsigned at, Leaf cover) {
    const auto leaves = sketch.leaves();
    const bool is_narrow =
        sketch.branch_count == 0 && std::all_of(leaves.begin(), leaves.end(), fib6_is_narrow);
    const Fib6Form form = is_narrow ? Fib6Form::narrow : Fib6Form::wide;
    const auto ref = arena_.allocate<Fib6WideBlock>(fib6_block_bytes(form));
    if (!ref) return kFull;
    Fib6WideBlock& block = *arena_.writable(ref);
    block.form = form;
    block.keys.fill(0xffff);
    std::copy_n(sketch.boundaries.begin(), sketch.boundary_count, block.keys.begin());
    (is_narrow ? block.cover : block.wide_cover).store(cover.value, std::memory_order_relaxed);
    for (std::size_t i = 0; is_narrow && i < leaves.size(); ++i) {
        block.leaves[i] = fib6_narrow_of(leaves[i]);
    }
    for (std::size_t i = 0; !is_narrow && i < leaves.size(); ++i) {
        block.words()[i].store(fib6_word_of(leaves[i]), std::memory_order_relaxed);
    }
    for (unsigned b = 0; b < sketch.branch_count; ++b) {
        const std::uint32_t first = sketch.branches[b].first;
        const Word unit = take_branch(with_index(bits, first, at + 16));
        if (unit == 0) {
            arena_.discard(ref, fib6_block_bytes(form));
            return kFull;
        }
        for (unsigned i = 0; i < leaves.size(); ++i) {
            if (sketch.start_of(std::min(i, sketch.boundary_count)) != first) continue;
            block.words()[i].store(fib6_word_of(Fib6Kind::branch, unit), std::memory_order_relaxed);
        }
    }
    return fib6_word_of(Fib6Kind::block, ref.unit);
}

/// The branch of a /48, the one that was there if any. 0: the arena is full.
Word Fib6Writer::take_branch(FibBits bits) {
    for (HeldBranch& held : held_) {
        if (held.bits != bits) continue;
        held.is_used = true;
        return held.unit;
    }
    const auto ref = arena_.allocate<Fib6Branch>(sizeof(Fib6Branch));
    if (!ref) return 0;
    held_.push_back({bits, ref.unit, true, true});
    auto& branch = *new (arena_.writable(ref)) Fib6Branch{};
    const bool all = rib_.each_node_in(bits, kFib6End, [&](FibBits place, unsigned position) {
        return tries_.add_node({branch.child, kFib6End, false}, rib_, place, position);
    });
    return all ? ref.unit : 0;
}

/// What the RIB has under the first `at` of `bits` takes the place of what `word` leads to.
bool Fib6Writer::replace(Fib6Word& word, FibBits bits, unsigned at, Leaf cover) {
    const Word before = word.load(std::memory_order_relaxed);
    held_.clear();
    each_branch(before, bits, at, [this](Word unit, FibBits start) {
        held_.push_back({start, unit, false, false});
    });
    const Word made = make(bits, at, cover);
    const bool was_published = is_published_;
    for (const HeldBranch& held : held_) {
        if (made == kFull) {
            is_published_ = false;
            if (held.is_fresh) release_branch(held.unit);
            is_published_ = was_published;
        } else if (held.is_used) {
            at_unit<Fib6Branch>(held.unit)->leaf.store(rib_.longest(held.bits, kFib6End).value,
                                                       std::memory_order_release);
        }
    }
    if (made == kFull) return false;
    word.store(made, std::memory_order_release);
    release(before, at);
    for (const HeldBranch& held : held_) {
        if (!held.is_used) release_branch(held.unit);
    }
    return true;
}

bool Fib6Writer::rebuild(Fib6Word& word, FibBits bits, unsigned at) {
    const FibBits own = keep_first(bits, at);
    return replace(word, own, at, rib_.longest(own, at));
}

/// visit(index, bits) for each slot of `to` bits under the first `length` of `bits` that no longer
/// route up to `to` covers, counted from the first; false ends it.
template <class Visit>
bool Fib6Writer::each_open(FibBits bits, unsigned length, unsigned to, Visit visit) const {
    if (length == to) return visit(0, bits);
    std::vector<bool> is_covered(std::size_t{1} << (to - length));
    rib_.each_route(bits, length, to, [&](FibBits start, unsigned own, Leaf) {
        std::fill_n(is_covered.begin() + index_in(start, length, to), 1u << (to - own), true);
        return true;
    });
    for (Word i = 0; i < is_covered.size(); ++i) {
        if (!is_covered[i] && !visit(i, with_index(bits, i, to))) return false;
    }
    return true;
}

/// `words`: the page of bits `from` to `to` that `prefix` lies in.
void Fib6Writer::flow(Fib6Word* words, unsigned from, unsigned to, const FibRib::Prefix& prefix,
                      Leaf leaf) {
    Fib6Word* const first = words + index_in(prefix.bits, from, to);
    each_open(prefix.bits, prefix.length, to, [&](Word i, FibBits bits) {
        flow_into(first[i], bits, to, leaf);
        return true;
    });
}

void Fib6Writer::flow_into(Fib6Word& word, FibBits bits, unsigned at, Leaf leaf) {
    const Word now = word.load(std::memory_order_relaxed);
    const auto update_branch = [this](Word unit, FibBits start) {
        at_unit<Fib6Branch>(unit)->leaf.store(rib_.longest(start, kFib6End).value,
                                              std::memory_order_release);
    };
    switch (fib6_kind(now)) {
        case Fib6Kind::leaf:
            word.store(fib6_word_of(leaf), std::memory_order_release);
            return;
        case Fib6Kind::branch:
            update_branch(fib6_unit(now), bits);
            return;
        case Fib6Kind::page:
            if (at == kFib6NarrowAt) return flow_narrow(narrow_of(now), {bits, at}, leaf);
            return flow(page_of(now), at, fib6_page_end(at), {bits, at}, leaf);
        case Fib6Kind::block:
            break;
    }
    Fib6WideBlock& block = *block_of(now);
    switch (block.form) {
        case Fib6Form::narrow:
            block.cover.store(leaf.value, std::memory_order_release);
            return;
        case Fib6Form::wide:
            block.wide_cover.store(leaf.value, std::memory_order_release);
            return each_branch(now, bits, at, update_branch);
        case Fib6Form::words:
            return flow(block.words(), at, kFib6End, {bits, at}, leaf);
    }
}

/// The leaf is narrow.
void Fib6Writer::flow_narrow(Fib6Narrow* page, const FibRib::Prefix& prefix, Leaf leaf) {
    Fib6Narrow* const first = page + index_in(prefix.bits, kFib6NarrowAt, kFib6End);
    each_open(prefix.bits, prefix.length, kFib6End, [&](Word i, FibBits) {
        first[i].store(fib6_narrow_of(leaf), std::memory_order_release);
        return true;
    });
}

/// Makes sure that any leaf can flow: no narrow page is in its way. False: the arena is full. What
/// addresses are answered does not change.
bool Fib6Writer::widen(Fib6Word* words, unsigned from, unsigned to, const FibRib::Prefix& prefix) {
    Fib6Word* const first = words + index_in(prefix.bits, from, to);
    return each_open(prefix.bits, prefix.length, to, [&](Word i, FibBits bits) {
        const Word now = first[i].load(std::memory_order_relaxed);
        if (fib6_kind(now) != Fib6Kind::page) return true;
        if (to == kFib6NarrowAt) return widen_page(first[i]);
        return widen(page_of(now), to, fib6_page_end(to), {bits, to});
    });
}

bool Fib6Writer::widen_page(Fib6Word& word) {
    const auto ref = arena_.allocate<Fib6WideBlock>(fib6_block_bytes(Fib6Form::words));
    if (!ref) return false;
    Fib6WideBlock& block = *arena_.writable(ref);
    block.form = Fib6Form::words;
    const Word before = word.load(std::memory_order_relaxed);
    for (Word i = 0; i < fib6_block_words(Fib6Form::words); ++i) {
        const Leaf leaf = fib6_leaf_of(narrow_of(before)[i].load(std::memory_order_relaxed));
        block.words()[i].store(fib6_word_of(leaf), std::memory_order_relaxed);
    }
    word.store(fib6_word_of(Fib6Kind::block, ref.unit), std::memory_order_release);
    release(before, kFib6NarrowAt);
    return true;
}

/// A prefix longer than 48 bits, in a branch that is there.
bool Fib6Writer::change_branch(Fib6Word& word, unsigned at, Word unit, const FibRib::Prefix& prefix,
                               bool erased) {
    Fib6Branch& branch = *at_unit<Fib6Branch>(unit);
    if (!tries_.change({branch.child, kFib6End, is_published_}, rib_, prefix, erased)) return false;
    // A branch without a trie does no harm: it stays until there is room for a block without it.
    if (branch.child.load(std::memory_order_relaxed) == 0) (void)rebuild(word, prefix.bits, at);
    return true;
}

/// A prefix longer than 40 bits, where there is a page down to that.
bool Fib6Writer::change_last(Fib6Word& word, const FibRib::Prefix& prefix, bool erased) {
    const Word now = word.load(std::memory_order_relaxed);
    if (const Word unit = find_branch(now, prefix.bits, kFib6NarrowAt);
        unit != 0 && prefix.length > kFib6End) {
        return change_branch(word, kFib6NarrowAt, unit, prefix, erased);
    }
    if (prefix.length > kFib6End) return rebuild(word, prefix.bits, kFib6NarrowAt);
    const Leaf leaf = rib_.longest(prefix.bits, prefix.length);
    if (is_words(now)) {
        flow(block_of(now)->words(), kFib6NarrowAt, kFib6End, prefix, leaf);
        return true;
    }
    if (fib6_kind(now) == Fib6Kind::page && fib6_is_narrow(leaf)) {
        flow_narrow(narrow_of(now), prefix, leaf);
        return true;
    }
    return rebuild(word, prefix.bits, kFib6NarrowAt);
}

bool Fib6Writer::change_in(FibRoot& root, const FibRib::Prefix& prefix, bool erased) {
    Fib6Word* words = fib_table(root);
    unsigned from = 0;
    for (const unsigned to : kFib6Stops) {
        if (prefix.length <= to) {
            const Leaf leaf = rib_.longest(prefix.bits, prefix.length);
            if (!fib6_is_narrow(leaf) && !widen(words, from, to, prefix)) return false;
            flow(words, from, to, prefix, leaf);
            return true;
        }
        Fib6Word& word = words[index_in(prefix.bits, from, to)];
        if (to == kFib6NarrowAt) return change_last(word, prefix, erased);
        const Word now = word.load(std::memory_order_relaxed);
        if (fib6_kind(now) != Fib6Kind::page) {
            const Word unit = find_branch(now, prefix.bits, to);
            if (unit == 0 || prefix.length <= kFib6End) return rebuild(word, prefix.bits, to);
            return change_branch(word, to, unit, prefix, erased);
        }
        words = page_of(now);
        from = to;
    }
    return false;  // not reached: the last stop but one ends it
}

/// Whether a page, or a block of words, at bit `at` has so little in it that a leaf or a block would do.
bool Fib6Writer::is_bare(FibBits bits, unsigned at) const {
    if (at < 32) return !rib_.has_longer(bits, at);
    Sketch sketch;
    return sketch.collect(rib_, bits, at, kFewBoundaries);
}

/// Whether one seen alone shows that it is not: there may be more boundaries than are seen, between two
/// words of the same leaf and below one that leads on.
bool Fib6Writer::is_full(Word word, unsigned at) {
    const unsigned few = at < 32 ? 0 : kFewBoundaries;
    if (is_words(word)) {
        return differ_more(block_of(word)->words(), fib6_block_words(Fib6Form::words), few);
    }
    if (at == kFib6NarrowAt) return differ_more(narrow_of(word), fib6_page_words(at), few);
    return differ_more(page_of(word), fib6_page_words(at), few);
}

/// After an erasure: a page with nothing or little left in it gives way to a leaf or a block. Where
/// there is no room for that it stays. One with enough in it keeps those above it, so that most
/// erasures look at the lowest alone, and not at the RIB.
void Fib6Writer::tidy(FibRoot& root, FibBits bits) {
    std::array<Fib6Word*, kFib6Stops.size()> pages;  // on the way down
    std::size_t depth = 0;
    Fib6Word* words = fib_table(root);
    unsigned from = 0;
    for (const unsigned at : kFib6Stops) {
        if (at == kFib6End) break;
        Fib6Word& word = words[index_in(bits, from, at)];
        const Word now = word.load(std::memory_order_relaxed);
        const bool is_page = fib6_kind(now) == Fib6Kind::page;
        if (!is_page && !is_words(now)) break;
        pages[depth++] = &word;
        if (at == kFib6NarrowAt) break;
        words = page_of(now);
        from = at;
    }
    if (depth == 0) return;
    const Word lowest = pages[depth - 1]->load(std::memory_order_relaxed);
    if (is_full(lowest, kFib6Stops[depth - 1])) return;
    std::size_t bare = depth;
    while (bare != 0 && is_bare(keep_first(bits, kFib6Stops[bare - 1]), kFib6Stops[bare - 1])) {
        --bare;
    }
    if (bare != depth) (void)rebuild(*pages[bare], bits, kFib6Stops[bare]);
}

/// Down the pages to those at 26, 32 and 40 bits, or the blocks there; all above are near, mostly.
void Fib6Writer::prefetch(const FibRoot& root, const FibRib::Prefix& prefix,
                          FibStage stage) const noexcept {
    static_assert(kFib6Stops[1] == 26 && kFib6Stops[3] == kFib6NarrowAt);
    const std::size_t last = 1 + static_cast<std::size_t>(stage);
    const Fib6Word* words = fib_table(root);
    unsigned from = 0;
    for (std::size_t i = 0; i < last; ++i) {
        const unsigned at = kFib6Stops[i];
        const Word word = words[index_in(prefix.bits, from, at)].load(std::memory_order_relaxed);
        const Word unit = fib6_unit(word);
        if (fib6_kind(word) == Fib6Kind::block) {
            if (i + 1 == last) __builtin_prefetch(arena_.view().at(Ref<Fib6Block>{unit}), 1);
            return;
        }
        if (fib6_kind(word) != Fib6Kind::page) return;
        words = arena_.view().at(Ref<Fib6Word>{unit});
        from = at;
    }
    const std::uint32_t index = index_in(prefix.bits, from, fib6_page_end(from));
    if (from == kFib6NarrowAt) {
        __builtin_prefetch(reinterpret_cast<const Fib6Narrow*>(words) + index, 1);
    } else {
        __builtin_prefetch(words + index, 1);
    }
}

bool Fib6Writer::change(FibRoot& root, const FibRib::Prefix& prefix, bool erased, bool published) {
    is_published_ = published;
    if (!change_in(root, prefix, erased)) return false;
    if (erased && prefix.length > kFib6RootBits) tidy(root, prefix.bits);
    return true;
}

bool Fib6Writer::fill(FibRoot& root) {
    is_published_ = false;
    const std::vector<Leaf> leaves = paint(0, 0, kFib6RootBits, Leaf::none());
    for (Word i = 0; i < leaves.size(); ++i) {
        fib_table(root)[i].store(fib6_word_of(leaves[i]), std::memory_order_relaxed);
    }
    return rib_.each_longer(0, 0, kFib6RootBits, [&](FibBits bits) {
        const Word i = index_in(bits, 0, kFib6RootBits);
        return replace(fib_table(root)[i], bits, kFib6RootBits, leaves[i]);
    });
}

void Fib6Writer::drop(FibRoot& root, bool published) {
    is_published_ = published;
    for (Word i = 0; i < kFib6RootWords; ++i) {
        const Word word = fib_table(root)[i].load(std::memory_order_relaxed);
        if (fib6_kind(word) == Fib6Kind::leaf) continue;
        const FibBits bits = with_index(0, i, kFib6RootBits);
        each_branch(word, bits, kFib6RootBits,
                    [this](Word unit, FibBits) { release_branch(unit); });
        release(word, kFib6RootBits);
    }
}

}  // namespace wye::table
