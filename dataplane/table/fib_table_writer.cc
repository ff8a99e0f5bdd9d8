#include "dataplane/table/fib_table_writer.hh"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "dataplane/base/check.hh"

namespace wye::table {
namespace {

constexpr std::uint64_t kAllSlots = ~std::uint64_t{0};

/// Of a page, or of the one page that it lies in.
FibRib::Slots slots_of(const FibRib::Prefix& prefix) noexcept {
    if (prefix.length <= kFibTableBits) return {0, kFibSlots};
    const unsigned first = fib_group(prefix.bits, kFibTableBits);
    return {first, first + (1u << (kFibPageEnd - prefix.length))};
}

std::uint64_t mask_of(FibRib::Slots slots) noexcept {
    return (kAllSlots >> (kFibSlots - (slots.end - slots.first))) << slots.first;
}

std::uint64_t covered_slots(const FibLeaves& leaves, FibRib::Slots among) noexcept {
    std::uint64_t covered = 0;
    for (unsigned slot = among.first; slot < among.end; ++slot) {
        covered |= std::uint64_t{leaves[slot] != 0} << slot;
    }
    return covered;
}

bool takes_wide_page(const std::array<std::uint32_t, kFibSlots>& items) noexcept {
    std::uint32_t bits = 0;
    for (const std::uint32_t item : items) bits |= item;
    return !fib_is_narrow(bits);
}

template <class Visit>
void each_slot(std::uint64_t slots, Visit visit) {
    for (; slots != 0; slots &= slots - 1) visit(static_cast<unsigned>(std::countr_zero(slots)));
}

/// What counts below a word for slots that no prefix longer than /18 answers for.
Leaf cover_of(const FibRib& rib, FibBits bits) {
    Leaf cover;
    rib.each_cover(bits, kFibTableBits, [&cover](std::uint32_t, Leaf leaf) { cover = leaf; });
    return cover;
}

}  // namespace

template <class T>
void FibTableWriter::release(Ref<T> ref, std::size_t bytes, bool published) {
    if (published) {
        arena_.retire(ref, bytes);
    } else {
        arena_.discard(ref, bytes);
    }
}

FibTableWriter::Word FibTableWriter::item_at(Word word, unsigned slot) {
    if (!fib_leads_on(word)) return word;
    const FibPageWord to{word};
    return to.item_of(page_at(word)[to.index_of(slot)].load(std::memory_order_relaxed), slot);
}

FibTableWriter::Word FibTableWriter::leaf_at(Word word, unsigned slot) {
    const Word item = item_at(word, slot);
    return fib_leads_on(item) ? branch_at(item).leaf.load(std::memory_order_relaxed) : item;
}

void FibTableWriter::load(Word word, Items& items) {
    for (unsigned slot = 0; slot < kFibSlots; ++slot) items[slot] = item_at(word, slot);
}

/// A word that leads to a new page; 0: the arena is full.
FibTableWriter::Word FibTableWriter::make_page(const Items& items, bool is_wide) {
    const Word kind = is_wide ? kFibToWide : kFibToNarrow;
    const auto ref = arena_.allocate<FibTableWord>(FibPageWord{kind}.bytes());
    if (!ref) return 0;
    auto* words = arena_.writable(ref);
    for (unsigned i = 0; i < (is_wide ? kFibSlots : kFibPairs); ++i) {
        const Word content = is_wide ? items[i]
                                     : fib_narrow_of(items[i]) | fib_narrow_of(items[i + kFibPairs])
                                                                     << 16;
        new (words + i) FibTableWord(content);
    }
    return kind | ref.unit;
}

void FibTableWriter::publish(FibTableWord& word, Word made, bool published) {
    const FibPageWord before{word.load(std::memory_order_relaxed)};
    word.store(made, std::memory_order_release);
    if (fib_leads_on(before.word)) release(before.page(), before.bytes(), published);
}

bool FibTableWriter::replace_page(FibTableWord& word, const Items& items, bool published) {
    const Word made = make_page(items, takes_wide_page(items));
    if (made != 0) publish(word, made, published);
    return made != 0;
}

/// In place; the page is wide if a leaf takes it.
void FibTableWriter::set_leaves(Word word, const Items& leaves, std::uint64_t slots) {
    const FibPageWord to{word};
    FibTableWord* const words = page_at(word);
    each_slot(slots, [&](unsigned slot) {
        FibTableWord* own = words + to.index_of(slot);
        const Word before = own->load(std::memory_order_relaxed);
        Word content = leaves[slot];
        if (!to.is_wide()) {
            const unsigned shift = fib_narrow_shift(slot);
            content = (before & ~(0xffffu << shift)) | fib_narrow_of(content) << shift;
        } else if (fib_leads_on(before)) {
            own = &branch_at(before).leaf;
        }
        own->store(content, std::memory_order_release);
    });
}

/// Gives up a page that has nothing of its own any more, and one that is wide for nothing, unless
/// there is no room for the narrow one: then it stays as it is and does no harm.
void FibTableWriter::settle(FibTableWord& word, std::uint64_t owned, bool published) {
    const Word now = word.load(std::memory_order_relaxed);
    const bool is_wide = FibPageWord{now}.is_wide();
    if (owned != 0 && !is_wide) return;
    Items items;
    load(now, items);
    const bool has_branches = std::any_of(items.begin(), items.end(), fib_leads_on);
    if (owned == 0 && !has_branches) {
        publish(word, items[0], published);
    } else if (is_wide && !takes_wide_page(items)) {
        (void)replace_page(word, items, published);
    }
}

/// Wide pages in the stead of narrow ones that shall get a leaf which they do not hold; none of them
/// if the arena is full.
bool FibTableWriter::widen_range(FibTableWord* table, const FibRib& rib,
                                 const FibRib::Prefix& prefix, bool published) {
    std::vector<std::pair<FibTableWord*, Word>> made;
    bool has_room = true;
    rib.each_cover(prefix.bits, prefix.length, [&](std::uint32_t index, Leaf leaf) {
        const Word now = table[index].load(std::memory_order_relaxed);
        if (!has_room || fib_is_narrow(leaf.value) || !fib_leads_on(now)) return;
        if (FibPageWord{now}.is_wide() || owned_[index] == kAllSlots) return;
        Items items;
        load(now, items);
        made.emplace_back(table + index, make_page(items, true));
        has_room = made.back().second != 0;
    });
    for (const auto& [word, page] : made) {
        if (has_room) {
            publish(*word, page, published);
        } else if (page != 0) {
            release(FibPageWord{page}.page(), FibPageWord{page}.bytes(), false);
        }
    }
    return has_room;
}

/// A prefix up to /18 has come or gone: each word below it, and each item that no longer prefix
/// answers for, gets the longest of these that covers it.
bool FibTableWriter::cover_range(FibRoot& root, const FibRib& rib, const FibRib::Prefix& prefix,
                                 bool published) {
    FibTableWord* const table = fib_table(root);
    if (rib.has_wide_leaf() && !widen_range(table, rib, prefix, published)) return false;
    rib.each_cover(prefix.bits, prefix.length, [&](std::uint32_t index, Leaf leaf) {
        const Word now = table[index].load(std::memory_order_relaxed);
        if (!fib_leads_on(now)) {
            table[index].store(leaf.value, std::memory_order_release);
            return;
        }
        Items leaves;
        leaves.fill(leaf.value);
        set_leaves(now, leaves, ~owned_[index]);
        if (FibPageWord{now}.is_wide()) settle(table[index], owned_[index], published);
    });
    return true;
}

/// A prefix from /19 to /24 has come or gone.
bool FibTableWriter::change_page(FibTableWord& word, std::uint64_t& owned, const FibRib& rib,
                                 const FibRib::Prefix& prefix, bool erased, bool published) {
    const Word now = word.load(std::memory_order_relaxed);
    if (fib_leads_on(now)) {
        const unsigned slot = fib_group(prefix.bits, kFibTableBits);
        __builtin_prefetch(page_at(now) + FibPageWord{now}.index_of(slot), 1);
    }
    const FibRib::Slots range = slots_of(prefix);
    const std::uint64_t slots = mask_of(range);
    Items leaves;
    rib.expand(prefix.bits, kFibTableBits, range, leaves);
    const std::uint64_t uncovered = slots & ~covered_slots(leaves, range);
    const std::uint64_t owned_now = (owned | slots) & ~uncovered;
    if (uncovered != 0) {
        const Word cover = owned == kAllSlots
                               ? cover_of(rib, prefix.bits).value
                               : leaf_at(now, static_cast<unsigned>(std::countr_one(owned)));
        each_slot(uncovered, [&](unsigned slot) { leaves[slot] = cover; });
    }
    if (fib_leads_on(now) && (FibPageWord{now}.is_wide() || !takes_wide_page(leaves))) {
        set_leaves(now, leaves, slots);
    } else {
        Items items;
        load(now, items);
        each_slot(slots, [&](unsigned slot) { items[slot] = leaves[slot]; });
        if (!replace_page(word, items, published)) return false;
    }
    owned = owned_now;
    if (erased || FibPageWord{now}.is_wide()) settle(word, owned, published);
    return true;
}

/// A branch for the /24 of `prefix`, and what leads to it.
bool FibTableWriter::add_branch(FibTableWord& word, const FibRib& rib, const FibRib::Prefix& prefix,
                                bool published) {
    const auto ref = arena_.allocate<FibBranch>(sizeof(FibBranch));
    if (!ref) return false;
    FibBranch& branch = *new (arena_.writable(ref)) FibBranch{};
    const unsigned slot = fib_group(prefix.bits, kFibTableBits);
    Items items;
    const Word now = word.load(std::memory_order_relaxed);
    load(now, items);
    branch.leaf.store(items[slot], std::memory_order_relaxed);
    items[slot] = kFibToWide | ref.unit;
    bool done = tries_.change({branch.child, kFibPageEnd, false}, rib, prefix, false);
    if (done && fib_leads_on(now) && FibPageWord{now}.is_wide()) {
        page_at(now)[slot].store(items[slot], std::memory_order_release);
    } else if (done) {
        done = replace_page(word, items, published);
    }
    if (!done) {
        tries_.drop(branch.child, false);
        arena_.discard(ref, sizeof(FibBranch));
    }
    return done;
}

/// A prefix longer than /24 has come, gone or changed its leaf.
bool FibTableWriter::change_branch(FibTableWord& word, std::uint64_t owned, const FibRib& rib,
                                   const FibRib::Prefix& prefix, bool erased, bool published) {
    const unsigned slot = fib_group(prefix.bits, kFibTableBits);
    const Word now = word.load(std::memory_order_relaxed);
    const Word item = item_at(now, slot);
    if (!fib_leads_on(item)) return add_branch(word, rib, prefix, published);
    FibBranch& branch = branch_at(item);
    if (!tries_.change({branch.child, kFibPageEnd, published}, rib, prefix, erased)) return false;
    if (branch.child.load(std::memory_order_relaxed) != 0) return true;
    page_at(now)[slot].store(branch.leaf.load(std::memory_order_relaxed),
                             std::memory_order_release);
    release(Ref<FibBranch>{item & kFibUnitMask}, sizeof branch, published);
    settle(word, owned, published);
    return true;
}

void FibTableWriter::prefetch(const FibRoot& root, const FibRib::Prefix& prefix,
                              FibStage stage) const noexcept {
    const auto index = static_cast<std::uint32_t>(prefix.bits >> (128 - kFibTableBits));
    const FibTableWord& word = fib_table(root)[index];
    if (stage == FibStage::node) {
        __builtin_prefetch(&word, 1);
        __builtin_prefetch(owned_.data() + index, 1);
        return;
    }
    const FibPageWord to{word.load(std::memory_order_relaxed)};
    if (stage != FibStage::routes || !fib_leads_on(to.word)) return;
    const unsigned slot = fib_group(prefix.bits, kFibTableBits);
    __builtin_prefetch(arena_.view().at(to.page()) + to.index_of(slot), 1);
}

bool FibTableWriter::change(FibRoot& root, const FibRib& rib, const FibRib::Prefix& prefix,
                            bool erased, bool published) {
    if (prefix.length <= kFibTableBits) return cover_range(root, rib, prefix, published);
    const auto index = static_cast<std::uint32_t>(prefix.bits >> (128 - kFibTableBits));
    FibTableWord& word = fib_table(root)[index];
    if (prefix.length <= kFibPageEnd) {
        return change_page(word, owned_[index], rib, prefix, erased, published);
    }
    return change_branch(word, owned_[index], rib, prefix, erased, published);
}

bool FibTableWriter::fill(FibRoot& root, const FibRib& rib) {
    WYE_CHECK(owned_.empty(), "one table at a time");
    owned_.assign(kFibTableEntries, 0);
    return cover_range(root, rib, {0, 0}, false) && rib.each_node([&](FibBits bits,
                                                                      unsigned position) {
        if (position < kFibTableBits) return true;
        const auto index = static_cast<std::uint32_t>(bits >> (128 - kFibTableBits));
        FibTableWord& word = fib_table(root)[index];
        // A prefix of the page's length, or any of the node's, stands for all in it: they
        // are read from the RIB.
        return position == kFibTableBits
                   ? change_page(word, owned_[index], rib, {bits, position}, false, false)
                   : change_branch(word, owned_[index], rib, {bits, position + 1}, false, false);
    });
}

void FibTableWriter::drop(FibRoot& root, bool published) {
    for (std::uint32_t i = 0; i < kFibTableEntries; ++i) {
        const FibPageWord to{fib_table(root)[i].load(std::memory_order_relaxed)};
        if (!fib_leads_on(to.word)) continue;
        for (unsigned slot = 0; to.is_wide() && slot < kFibSlots; ++slot) {
            const Word item = item_at(to.word, slot);
            if (!fib_leads_on(item)) continue;
            tries_.drop(branch_at(item).child, published);
            release(Ref<FibBranch>{item & kFibUnitMask}, sizeof(FibBranch), published);
        }
        release(to.page(), to.bytes(), published);
    }
    owned_ = {};
}

}  // namespace wye::table
