// The reader's side of the FIB: see fib_trie.hh for the structure.
#include "dataplane/table/fib.hh"

#include <array>
#include <bit>
#include <cstring>

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

template <class Key>
void enter(const FibRoot& root, Walk<Key>& walk) noexcept {
    walk.erases = root.erases.load(std::memory_order_acquire);
    walk.leaf = root.default_leaf.load(std::memory_order_acquire);
    if (root.is_direct == 0) {
        walk.child = root.child.load(std::memory_order_acquire);
        return;
    }
    const FibDirectEntry& entry = root.direct()[walk.key.top() >> (64 - kFibDirectBits)];
    const std::uint32_t leaf = entry.leaf.load(std::memory_order_acquire);
    walk.leaf = leaf != 0 ? leaf : walk.leaf;
    walk.child = entry.child.load(std::memory_order_acquire);
    walk.key.drop(kFibDirectBits);
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
        enter(root, walk);
        while (walk.child != 0) descend(arena, walk);
        leaf = finish(walk);
        if (root.erases.load(std::memory_order_acquire) == walk.erases) break;
    }
    return leaf;
}

constexpr std::size_t kBurst = 64;

/// All walks go one node down in turn, each prefetching the node that it visits next.
template <class Key, class Query>
void lookup_burst(ArenaView arena, Query* queries, std::size_t count) noexcept {
    std::array<const FibRoot*, kBurst> roots;
    std::array<std::uint8_t, kBurst> active;
    alignas(64) std::byte storage[kBurst * sizeof(Walk<Key>)];
    auto* walks = reinterpret_cast<Walk<Key>*>(storage);
    for (std::size_t i = 0; i < count; ++i) {
        new (walks + i) Walk<Key>(Key(queries[i].address));
        roots[i] = queries[i].root ? arena.at(queries[i].root) : nullptr;
        if (roots[i] != nullptr && roots[i]->is_direct != 0) {
            __builtin_prefetch(roots[i]->direct() + (walks[i].key.top() >> (64 - kFibDirectBits)));
        }
    }
    std::size_t live = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (roots[i] != nullptr) enter(*roots[i], walks[i]);
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
        queries[i].leaf = finish(walks[i]);
        if (roots[i] != nullptr &&
            roots[i]->erases.load(std::memory_order_acquire) != walks[i].erases) [[unlikely]] {
            queries[i].leaf = lookup_one(arena, *roots[i], Key(queries[i].address));
        }
    }
}

template <class Key, class Query>
void lookup_all(ArenaView arena, std::span<Query> queries) noexcept {
    for (std::size_t first = 0; first < queries.size(); first += kBurst) {
        lookup_burst<Key>(arena, queries.data() + first, std::min(kBurst, queries.size() - first));
    }
}

}  // namespace

void lookup_fib4(ArenaView arena, std::span<Fib4Query> queries) noexcept {
    lookup_all<Key4>(arena, queries);
}

void lookup_fib6(ArenaView arena, std::span<Fib6Query> queries) noexcept {
    lookup_all<Key6>(arena, queries);
}

Leaf lookup_fib4(ArenaView arena, Ref<Fib4Root> root, net::Ipv4Address address) noexcept {
    return root ? lookup_one(arena, *arena.at(root), Key4(address)) : Leaf::none();
}

Leaf lookup_fib6(ArenaView arena, Ref<Fib6Root> root, const net::Ipv6Address& address) noexcept {
    return root ? lookup_one(arena, *arena.at(root), Key6(address)) : Leaf::none();
}

}  // namespace wye::table
