// The reader's side of the FIB: see fib_trie.hh for the structure.
#include "dataplane/table/fib.hh"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <type_traits>

#include "dataplane/table/fib6_lookup.hh"
#include "dataplane/table/fib_lookup.hh"
#include "dataplane/table/fib_table.hh"
#include "dataplane/table/fib_trie.hh"

namespace wye::table {
namespace {

/// An address in a register, most significant bit first; what was looked at is shifted out.
struct Key4 {
    std::uint64_t bits;
    explicit Key4(net::Ipv4Address address) noexcept : bits(std::uint64_t{address.host()} << 32) {}
    [[nodiscard]] std::uint64_t top() const noexcept { return bits; }
    void drop(unsigned count) noexcept { bits <<= count; }
};

struct Key6 {
    std::uint64_t high, low;
    explicit Key6(const net::Ipv6Address& address) noexcept {
        Be64 halves[2];
        std::memcpy(halves, address.bytes.data(), 16);
        high = halves[0].host();
        low = halves[1].host();
    }
    [[nodiscard]] std::uint64_t top() const noexcept { return high; }
    /// 1 <= count <= 60.
    void drop(unsigned count) noexcept {
        high = high << count | low >> (64 - count);
        low <<= count;
    }
};

template <class Key>
struct Walk {
    Key key;
    std::uint32_t child;  // node to visit next; 0: done
    std::uint32_t leaf;   // the best match so far, unless `best` is set
    std::uint32_t erases;
    const FibNode* best = nullptr;
    std::uint64_t best_slot = 0;

    explicit Walk(const Key& k) noexcept : key(k), child(0), leaf(0), erases(0) {}
};

/// Down the table of a large IPv4 FIB as far as it goes.
void enter_table(ArenaView arena, const FibRoot& root, Walk<Key4>& walk) noexcept {
    std::uint32_t leaf =
        fib_table(root)[walk.key.top() >> (64 - kFibTableBits)].load(std::memory_order_acquire);
    if (fib_leads_on(leaf)) {
        const FibPageWord to{leaf};
        walk.key.drop(kFibTableBits);
        const auto slot = static_cast<unsigned>(walk.key.top() >> (64 - kFibStride));
        walk.key.drop(kFibStride);
        const FibTableWord& word = arena.at(to.page())[to.index_of(slot)];
        leaf = to.item_of(word.load(std::memory_order_acquire), slot);
    }
    if (fib_leads_on(leaf)) {
        const FibBranch& branch = *arena.at(Ref<FibBranch>{leaf & kFibUnitMask});
        leaf = branch.leaf.load(std::memory_order_acquire);
        walk.child = branch.child.load(std::memory_order_acquire);
    }
    if (leaf != 0) walk.leaf = leaf;
}

template <class Key>
void enter(ArenaView arena, const FibRoot& root, Walk<Key>& walk) noexcept {
    walk.erases = root.erases.load(std::memory_order_acquire);
    walk.leaf = root.default_leaf.load(std::memory_order_acquire);
    if constexpr (std::is_same_v<Key, Key4>) {
        if (root.form == FibForm::table) return enter_table(arena, root, walk);
    } else if (root.form == FibForm::pages) {
        const Fib6Answer found = find_in_pages(arena, root, walk.key.top());
        if (found.leaf != 0) walk.leaf = found.leaf;
        walk.child = found.child;
        walk.key.drop(kFib6End);
        return;
    }
    walk.child = root.child.load(std::memory_order_acquire);
}

/// One node down.
template <class Key>
void descend(ArenaView arena, Walk<Key>& walk) noexcept {
    const FibNode& node = *arena.at(Ref<FibNode>{walk.child});
    std::uint64_t top = walk.key.top();
    const unsigned skipped = fib_skip_groups(node.skip) * kFibStride;
    if (skipped != 0) {
        if (top >> (64 - skipped) != fib_skip_value(node.skip)) {
            walk.child = 0;
            return;
        }
        top <<= skipped;
    }
    const std::uint64_t slot = std::uint64_t{1} << (top >> (64 - kFibStride));
    if ((node.covered & slot) != 0) {
        walk.best = &node;
        walk.best_slot = slot;
    }
    if ((node.children & slot) == 0) {
        walk.child = 0;
        return;
    }
    walk.child =
        node.words()[fib_count(node.children & (slot - 1))].load(std::memory_order_acquire);
    walk.key.drop(skipped + kFibStride);
}

template <class Key>
const std::atomic<std::uint32_t>* leaf_word(const Walk<Key>& walk) noexcept {
    const FibNode& node = *walk.best;
    const std::uint64_t up_to = walk.best_slot | (walk.best_slot - 1);
    return node.words() + fib_count(node.children) + fib_count(node.runs & up_to) - 1;
}

template <class Key>
Leaf finish(const Walk<Key>& walk) noexcept {
    if (walk.best == nullptr) return Leaf{walk.leaf};
    return Leaf{leaf_word(walk)->load(std::memory_order_relaxed)};
}

/// A lookup that erasures keep overtaking ends after this many tries with an answer that may be
/// that of a route erased meanwhile: a worker never waits for the writer.
constexpr int kTries = 8;

template <class Key>
Leaf lookup_one(ArenaView arena, const FibRoot& root, const Key& key) noexcept {
    Leaf leaf;
    for (int i = 0; i < kTries; ++i) {
        Walk<Key> walk(key);
        enter(arena, root, walk);
        while (walk.child != 0) descend(arena, walk);
        leaf = finish(walk);
        if (root.erases.load(std::memory_order_acquire) == walk.erases) break;
    }
    return leaf;
}

constexpr std::size_t kBurst = kFibBurst;

/// Which queries of a burst are meant.
struct Selection {
    std::array<std::uint8_t, kBurst> index;
    std::size_t count = 0;
    void add(std::size_t i) noexcept { index[count++] = static_cast<std::uint8_t>(i); }
};

/// All walks go one node down in turn, each prefetching the node that it visits next. No root is
/// null.
template <class Key, class Root, class Address>
void walk_burst(ArenaView arena, std::span<const Ref<Root>> root_of,
                std::span<const Address> addresses, std::span<Leaf> leaves) noexcept {
    std::array<const FibRoot*, kBurst> roots;
    std::array<std::uint8_t, kBurst> active;
    alignas(64) std::byte storage[kBurst * sizeof(Walk<Key>)];
    auto* walks = reinterpret_cast<Walk<Key>*>(storage);
    const std::size_t count = addresses.size();
    for (std::size_t i = 0; i < count; ++i) {
        new (walks + i) Walk<Key>(Key(addresses[i]));
        roots[i] = arena.at(root_of[i]);
    }
    std::size_t live = 0;
    for (std::size_t i = 0; i < count; ++i) {
        enter(arena, *roots[i], walks[i]);
        if (walks[i].child == 0) continue;
        __builtin_prefetch(arena.at(Ref<FibNode>{walks[i].child}));
        active[live++] = static_cast<std::uint8_t>(i);
    }
    while (live != 0) {
        std::size_t still = 0;
        for (std::size_t j = 0; j < live; ++j) {
            Walk<Key>& walk = walks[active[j]];
            descend(arena, walk);
            if (walk.child != 0) {
                __builtin_prefetch(arena.at(Ref<FibNode>{walk.child}));
                active[still++] = active[j];
            } else if (walk.best != nullptr) {
                __builtin_prefetch(leaf_word(walk));
            }
        }
        live = still;
    }
    for (std::size_t i = 0; i < count; ++i) {
        Leaf& leaf = leaves[i];
        leaf = finish(walks[i]);
        if (roots[i]->erases.load(std::memory_order_acquire) != walks[i].erases) [[unlikely]] {
            leaf = lookup_one(arena, *roots[i], Key(addresses[i]));
        }
    }
}

/// Those selected of a mixed burst, drawn together so that they go in one burst.
template <class Root, class Address>
struct Drawn {
    std::array<Ref<Root>, kBurst> roots;
    std::array<Address, kBurst> addresses;
    std::array<Leaf, kBurst> leaves;

    template <class Lookup>
    void look_up(ArenaView arena, std::span<const Ref<Root>> from,
                 std::span<const Address> addresses_from, std::span<Leaf> to,
                 const Selection& selected, Lookup lookup) noexcept {
        const std::size_t count = selected.count;
        if (count == 0) return;
        for (std::size_t j = 0; j < count; ++j) {
            roots[j] = from[selected.index[j]];
            addresses[j] = addresses_from[selected.index[j]];
        }
        lookup(arena, std::span<const Ref<Root>>(roots).first(count),
               std::span<const Address>(addresses).first(count), std::span(leaves).first(count));
        for (std::size_t j = 0; j < count; ++j) to[selected.index[j]] = leaves[j];
    }
};

/// What tables and pages did not settle.
template <class Key, class Root, class Address>
[[gnu::noinline]] void walk_open(ArenaView arena, std::span<const Ref<Root>> roots,
                                 std::span<const Address> addresses, std::span<Leaf> leaves,
                                 std::uint64_t open) noexcept {
    Selection selected;
    for (; open != 0; open &= open - 1) {
        selected.add(static_cast<std::size_t>(std::countr_zero(open)));
    }
    Drawn<Root, Address> drawn;
    drawn.look_up(arena, roots, addresses, leaves, selected, walk_burst<Key, Root, Address>);
}

/// False: the roots are not all the same table, and nothing was done.
bool lookup_table(ArenaView arena, std::span<const Ref<Fib4Root>> roots,
                  std::span<const net::Ipv4Address> addresses, std::span<Leaf> leaves) noexcept {
    const FibSettled settled = fib_variants.in_use().look_up(arena, roots.data(), addresses.data(),
                                                             leaves.data(), roots.size());
    if (settled.open != 0) [[unlikely]] {
        walk_open<Key4>(arena, roots, addresses, leaves, settled.open);
    }
    return settled.has_one_root;
}

/// Of a table's addresses in a mixed burst: fewer than these are walked with those of tries.
constexpr std::size_t kWorthATable = 4;

/// Several roots, of any form, or none.
void lookup_mixed(ArenaView arena, std::span<const Ref<Fib4Root>> roots,
                  std::span<const net::Ipv4Address> addresses, std::span<Leaf> leaves) noexcept {
    Drawn<Fib4Root, net::Ipv4Address> drawn;
    Selection others;
    std::uint64_t done = 0;
    const std::size_t count = roots.size();
    for (std::size_t i = 0; i < count; ++i) {
        if ((done >> i & 1) != 0) continue;
        if (!roots[i]) {
            leaves[i] = Leaf::none();
            continue;
        }
        Selection same;
        if (arena.at(roots[i])->form == FibForm::table) {
            for (std::size_t j = i; j < count; ++j) {
                if (roots[j] == roots[i]) same.add(j);
            }
        }
        if (same.count < kWorthATable) {
            others.add(i);
            continue;
        }
        for (std::size_t j = 0; j < same.count; ++j) done |= std::uint64_t{1} << same.index[j];
        drawn.look_up(arena, roots, addresses, leaves, same, lookup_table);
    }
    drawn.look_up(arena, roots, addresses, leaves, others,
                  walk_burst<Key4, Fib4Root, net::Ipv4Address>);
}

/// Pages, of one root or of several.
void lookup_pages(ArenaView arena, std::span<const Ref<Fib6Root>> roots,
                  std::span<const net::Ipv6Address> addresses, std::span<Leaf> leaves) noexcept {
    const std::uint64_t open = fib6_variants.in_use().look_up(arena, roots.data(), addresses.data(),
                                                              leaves.data(), roots.size());
    if (open != 0) [[unlikely]] {
        walk_open<Key6>(arena, roots, addresses, leaves, open);
    }
}

void lookup_mixed(ArenaView arena, std::span<const Ref<Fib6Root>> roots,
                  std::span<const net::Ipv6Address> addresses, std::span<Leaf> leaves) noexcept {
    Selection large, small;
    const std::size_t count = roots.size();
    for (std::size_t i = 0; i < count; ++i) {
        if (!roots[i]) {
            leaves[i] = Leaf::none();
        } else if (arena.at(roots[i])->form == FibForm::pages) {
            large.add(i);
        } else {
            small.add(i);
        }
    }
    Drawn<Fib6Root, net::Ipv6Address> drawn;
    drawn.look_up(arena, roots, addresses, leaves, large, lookup_pages);
    drawn.look_up(arena, roots, addresses, leaves, small,
                  walk_burst<Key6, Fib6Root, net::Ipv6Address>);
}

}  // namespace

void lookup_fib4(ArenaView arena, std::span<const Ref<Fib4Root>> roots,
                 std::span<const net::Ipv4Address> addresses, std::span<Leaf> leaves) noexcept {
    if (roots.empty()) return;
    if (roots[0]) {
        if (arena.at(roots[0])->form == FibForm::table) {
            if (lookup_table(arena, roots, addresses, leaves)) return;
        } else if (are_one(roots)) {
            return walk_burst<Key4>(arena, roots, addresses, leaves);
        }
    }
    lookup_mixed(arena, roots, addresses, leaves);
}

void lookup_fib6(ArenaView arena, std::span<const Ref<Fib6Root>> roots,
                 std::span<const net::Ipv6Address> addresses, std::span<Leaf> leaves) noexcept {
    if (roots.empty()) return;
    if (!roots[0] || !are_one(roots)) return lookup_mixed(arena, roots, addresses, leaves);
    if (arena.at(roots[0])->form == FibForm::trie) {
        return walk_burst<Key6>(arena, roots, addresses, leaves);
    }
    lookup_pages(arena, roots, addresses, leaves);
}

Leaf lookup_fib4(ArenaView arena, Ref<Fib4Root> root, net::Ipv4Address address) noexcept {
    return root ? lookup_one(arena, *arena.at(root), Key4(address)) : Leaf::none();
}

Leaf lookup_fib6(ArenaView arena, Ref<Fib6Root> root, const net::Ipv6Address& address) noexcept {
    return root ? lookup_one(arena, *arena.at(root), Key6(address)) : Leaf::none();
}

std::string_view fib_variant() noexcept {
    return fib_variants.in_use().name;
}

std::string_view fib6_variant() noexcept {
    return fib6_variants.in_use().name;
}

}  // namespace wye::table
