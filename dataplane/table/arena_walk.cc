#include "dataplane/table/arena_walk.hh"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "dataplane/table/fib6_walk.hh"
#include "dataplane/table/fib_rib.hh"
#include "dataplane/table/fib_table.hh"
#include "dataplane/table/fib_trie.hh"
#include "dataplane/table/vport.hh"
#include "dataplane/table/vrf.hh"

namespace wye::table {
namespace {

std::string at_unit(std::uint32_t unit) {
    return " at unit " + std::to_string(unit);
}

net::IpPrefix to_prefix(net::IpFamily family, FibBits bits, unsigned length) {
    net::IpPrefix prefix;
    prefix.address.family = family;
    for (std::size_t i = 0; i < 16; ++i) {
        prefix.address.bytes[i] = static_cast<std::uint8_t>(bits >> (120 - 8 * i));
    }
    prefix.length = static_cast<std::uint8_t>(length);
    return prefix;
}

constexpr std::uint64_t slot_bit(unsigned slot) noexcept {
    return std::uint64_t{1} << slot;
}

/// A node taken apart: by slot, 0 for none.
struct NodeImage {
    std::array<std::uint32_t, kFibSlots> leaves{};
    std::array<std::uint32_t, kFibSlots> children{};
    unsigned position = 0;  // of the address bit that its slots begin with
    FibBits skipped = 0;    // address bits between parent and node, in their place
};

/// Bytes of the words behind a node, or why it cannot be one.
Result<std::uint64_t> check_bitmaps(const FibNode& node, std::uint32_t unit) {
    if ((node.runs & ~node.covered) != 0) {
        return fail("FIB node" + at_unit(unit) + " begins a run in a slot that has no leaf");
    }
    // A slot that is covered without a slot before it that is, begins a run.
    if ((node.covered & ~(node.covered << 1) & ~node.runs) != 0) {
        return fail("FIB node" + at_unit(unit) + " has a leaf in no run");
    }
    return sizeof(FibNode) +
           sizeof(std::uint32_t) * std::uint64_t{fib_count(node.children) + fib_count(node.runs)};
}

Status read_words(const FibNode& node, std::uint64_t children, std::uint64_t covered,
                  std::uint64_t runs, std::uint32_t unit, NodeImage& image) {
    const std::atomic<std::uint32_t>* child = node.words();
    const std::atomic<std::uint32_t>* leaf = child + fib_count(children);
    std::uint32_t current = 0;
    for (unsigned slot = 0; slot < kFibSlots; ++slot) {
        if ((children & slot_bit(slot)) != 0) {
            image.children[slot] = (child++)->load(std::memory_order_acquire);
            if (image.children[slot] == 0)
                return fail("FIB node" + at_unit(unit) + " lacks a child");
        }
        if ((runs & slot_bit(slot)) != 0) {
            current = (leaf++)->load(std::memory_order_relaxed);
            if (current == 0) return fail("FIB node" + at_unit(unit) + " has an empty leaf");
        }
        if ((covered & slot_bit(slot)) != 0) image.leaves[slot] = current;
    }
    return {};
}

/// The node at `unit`, whose parent's slot ends at bit `from`.
Status read_node(CheckedArena& arena, std::uint32_t unit, unsigned from, unsigned address_bits,
                 NodeImage& image, std::uint64_t& bytes) {
    const auto* first = arena.extent(Ref<FibNode>{unit});
    if (first == nullptr) return fail("a FIB node" + at_unit(unit) + " lies beyond the arena");
    // Copied, so that what is checked is what is used.
    const FibNode node = *first;
    const auto size = check_bitmaps(node, unit);
    if (!size) return tl::unexpected(size.error());
    bytes = *size;
    if (arena.extent(Ref<FibNode>{unit}, bytes) == nullptr) {
        return fail("a FIB node" + at_unit(unit) + " ends beyond the arena");
    }
    const unsigned skipped = fib_skip_groups(node.skip) * kFibStride;
    image.position = from + skipped;
    if (fib_skip_groups(node.skip) > kFibMaxSkip || image.position >= address_bits ||
        (fib_skip_value(node.skip) >> skipped) != 0) {
        return fail("FIB node" + at_unit(unit) + " skips more than an address has");
    }
    image.skipped = skipped == 0 ? 0 : FibBits{fib_skip_value(node.skip)} << (128 - image.position);
    return read_words(*first, node.children, node.covered, node.runs, unit, image);
}

/// A page of a table taken apart: by slot, 0 for none.
struct PageImage {
    std::array<std::uint32_t, kFibSlots> leaves{};
    std::array<std::uint32_t, kFibSlots> branches{};
    std::array<std::uint32_t, kFibSlots> children{};  // of the branches
};

/// The branch that a page's item leads to.
Status read_branch(CheckedArena& arena, std::uint32_t item, unsigned slot, PageImage& image) {
    const std::uint32_t unit = item & kFibUnitMask;
    const auto* branch = arena.extent(Ref<FibBranch>{unit});
    if (branch == nullptr) return fail("a FIB branch" + at_unit(unit) + " lies beyond the arena");
    const std::uint32_t leaf = branch->leaf.load(std::memory_order_acquire);
    if (!fib_holds(Leaf{leaf})) return fail("FIB branch" + at_unit(unit) + " has no leaf");
    image.leaves[slot] = leaf;
    image.branches[slot] = unit;
    image.children[slot] = branch->child.load(std::memory_order_acquire);
    return {};
}

/// The page that a table's word leads to.
Status read_page(CheckedArena& arena, FibPageWord word, PageImage& image) {
    const std::uint32_t kind = word.word & ~kFibUnitMask;
    if (kind != kFibToNarrow && kind != kFibToWide) {
        return fail("a FIB's table leads to a page of no known kind" + at_unit(word.page().unit));
    }
    const auto* page = arena.extent(word.page(), word.bytes());
    if (page == nullptr) {
        return fail("a FIB page" + at_unit(word.page().unit) + " does not lie in the arena");
    }
    for (unsigned slot = 0; slot < kFibSlots; ++slot) {
        const std::uint32_t item =
            word.item_of(page[word.index_of(slot)].load(std::memory_order_acquire), slot);
        if (!fib_leads_on(item)) {
            image.leaves[slot] = item;
            continue;
        }
        if ((item & ~kFibUnitMask) != kFibToWide) {
            return fail("FIB page" + at_unit(word.page().unit) + " has an item of no known kind");
        }
        if (Status read = read_branch(arena, item, slot, image); !read) return read;
    }
    return {};
}

/// The leaf that stands for a page among its neighbours, so that what covers them all can be told as
/// one prefix: what most items have, if any; none where an item is none, which no prefix can say.
std::uint32_t leaf_of_most(const PageImage& image) noexcept {
    std::uint32_t candidate = 0, lead = 0;
    for (const std::uint32_t leaf : image.leaves) {
        if (leaf == 0) return 0;
        if (lead == 0) candidate = leaf;
        lead = leaf == candidate ? lead + 1 : lead - 1;
    }
    return candidate;
}

bool is_form_of(FibForm form, net::IpFamily family) noexcept {
    const FibForm large = family == net::IpFamily::ipv4 ? FibForm::table : FibForm::pages;
    return form == FibForm::trie || form == large;
}

std::uint64_t root_bytes(FibForm form) noexcept {
    switch (form) {
        case FibForm::pages:
            return sizeof(FibRoot) + kFib6RootWords * sizeof(Fib6Word);
        case FibForm::table:
            return sizeof(FibRoot) + kFibTableEntries * sizeof(FibTableWord);
        default:
            return sizeof(FibRoot);
    }
}

class FibWalk {
  public:
    FibWalk(CheckedArena& arena, net::IpFamily family, SeenUnits& seen, const VisitRoute& visit)
        : arena_(arena), family_(family), seen_(seen), visit_(visit) {}

    Status root(std::uint32_t unit);

  private:
    struct Slots {
        std::span<const std::uint32_t> leaves, children;  // a power of two
        [[nodiscard]] Slots half(std::size_t which) const {
            const std::size_t n = leaves.size() / 2;
            return {leaves.subspan(which * n, n), children.subspan(which * n, n)};
        }
    };
    [[nodiscard]] unsigned address_bits() const { return net::address_bits(family_); }
    /// Reads what a child leads to; behind `from` bits.
    using Follow = Status (FibWalk::*)(std::uint32_t child, FibBits bits, unsigned from,
                                       std::uint32_t inherited);
    Status pages(const FibRoot& root, std::uint32_t inherited);
    Status table(const FibRoot& root, std::uint32_t inherited);
    Status page(std::uint32_t word, FibBits bits, unsigned from, std::uint32_t inherited);
    Status node(std::uint32_t unit, FibBits bits, unsigned from, std::uint32_t inherited);
    Status block(Slots slots, FibBits bits, unsigned length, std::uint32_t inherited,
                 Follow follow = &FibWalk::node);

    CheckedArena& arena_;
    net::IpFamily family_;
    SeenUnits& seen_;
    const VisitRoute& visit_;
};

Status FibWalk::root(std::uint32_t unit) {
    if (unit == 0) return {};
    const auto* record = arena_.extent(Ref<FibRoot>{unit});
    if (record == nullptr) return fail("a FIB's root" + at_unit(unit) + " lies beyond the arena");
    const FibForm form = record->form;
    if (!is_form_of(form, family_))
        return fail("a FIB's root" + at_unit(unit) + " has no known form");
    const std::uint64_t bytes = root_bytes(form);
    if (arena_.extent(Ref<FibRoot>{unit}, bytes) == nullptr) {
        return fail("a FIB's root" + at_unit(unit) + " ends beyond the arena");
    }
    if (!seen_.add(unit, bytes)) return fail("the FIB's root" + at_unit(unit) + " is used twice");
    const std::uint32_t leaf = record->default_leaf.load(std::memory_order_acquire);
    if (leaf != 0) visit_(to_prefix(family_, 0, 0), Leaf{leaf});
    if (form == FibForm::pages) return pages(*record, leaf);
    if (form == FibForm::table) return table(*record, leaf);
    return node(record->child.load(std::memory_order_acquire), 0, 0, leaf);
}

Status FibWalk::pages(const FibRoot& root, std::uint32_t inherited) {
    const Fib6Visit visit{[this](FibBits bits, unsigned length, std::uint32_t leaf) {
                              visit_(to_prefix(family_, bits, length), Leaf{leaf});
                          },
                          [this](std::uint32_t child, FibBits bits, unsigned length,
                                 std::uint32_t leaf) { return node(child, bits, length, leaf); }};
    return walk_pages(arena_, root, seen_, inherited, visit);
}

Status FibWalk::table(const FibRoot& root, std::uint32_t inherited) {
    std::vector<std::uint32_t> leaves(kFibTableEntries), words(kFibTableEntries);
    for (std::size_t i = 0; i < kFibTableEntries; ++i) {
        const std::uint32_t word = fib_table(root)[i].load(std::memory_order_acquire);
        if (!fib_leads_on(word)) {
            leaves[i] = word;
            continue;
        }
        PageImage image;
        if (Status read = read_page(arena_, FibPageWord{word}, image); !read) return read;
        leaves[i] = leaf_of_most(image);
        words[i] = word;
    }
    return block({leaves, words}, 0, 0, inherited, &FibWalk::page);
}

Status FibWalk::page(std::uint32_t word, FibBits bits, unsigned from, std::uint32_t inherited) {
    if (word == 0) return {};
    const FibPageWord to{word};
    PageImage image;
    if (Status read = read_page(arena_, to, image); !read) return read;
    const std::uint32_t unit = to.page().unit;
    if (!seen_.add(unit, to.bytes()))
        return fail("the FIB page" + at_unit(unit) + " is used twice");
    for (const std::uint32_t branch : image.branches) {
        if (branch != 0 && !seen_.add(branch, sizeof(FibBranch))) {
            return fail("the FIB branch" + at_unit(branch) + " is used twice");
        }
    }
    return block({image.leaves, image.children}, bits, from, inherited);
}

Status FibWalk::node(std::uint32_t unit, FibBits bits, unsigned from, std::uint32_t inherited) {
    if (unit == 0) return {};
    NodeImage image;
    std::uint64_t bytes = 0;
    if (Status read = read_node(arena_, unit, from, address_bits(), image, bytes); !read)
        return read;
    // Each block belongs to one place, so a walk ends whatever the children say.
    if (!seen_.add(unit, bytes)) return fail("the FIB node" + at_unit(unit) + " is used twice");
    return block({image.leaves, image.children}, bits | image.skipped, image.position, inherited);
}

/// Slots that begin behind `length` bits of the address: one prefix where all have one leaf.
Status FibWalk::block(Slots slots, FibBits bits, unsigned length, std::uint32_t inherited,
                      Follow follow) {
    const std::uint32_t leaf = slots.leaves.front();
    const auto is_same = [leaf](std::uint32_t other) { return other == leaf; };
    const bool has_child =
        std::any_of(slots.children.begin(), slots.children.end(), [](auto c) { return c != 0; });
    if (std::all_of(slots.leaves.begin(), slots.leaves.end(), is_same)) {
        if (leaf != 0 && leaf != inherited) {
            if (length > address_bits()) return fail("a FIB has a prefix longer than an address");
            visit_(to_prefix(family_, bits, length), Leaf{leaf});
            inherited = leaf;
        }
        if (!has_child) return {};
    }
    if (slots.leaves.size() == 1) {
        return (this->*follow)(slots.children.front(), bits, length, inherited);
    }
    // Beyond the address's end there is nothing to tell slots apart.
    if (length >= address_bits()) return fail("a FIB tells apart what is beyond an address");
    const FibBits upper = FibBits{1} << (127 - length);
    if (Status done = block(slots.half(0), bits, length + 1, inherited, follow); !done) return done;
    return block(slots.half(1), bits | upper, length + 1, inherited, follow);
}

/// Sets `leaf` to what the table of a large IPv4 FIB says; the trie below the address's /24, or 0.
Result<std::uint32_t> enter_table(CheckedArena& arena, const FibRoot& root, FibBits key,
                                  std::uint32_t& leaf) {
    const std::uint32_t word =
        fib_table(root)[static_cast<std::size_t>(key >> (128 - kFibTableBits))].load(
            std::memory_order_acquire);
    PageImage image;
    const unsigned slot = fib_group(key, kFibTableBits);
    if (!fib_leads_on(word)) {
        image.leaves[slot] = word;
    } else if (Status read = read_page(arena, FibPageWord{word}, image); !read) {
        return tl::unexpected(read.error());
    }
    if (image.leaves[slot] != 0) leaf = image.leaves[slot];
    return image.children[slot];
}

}  // namespace

bool SeenUnits::add(std::uint32_t unit, std::uint64_t bytes) {
    const std::uint64_t end = unit + (bytes + kUnit - 1) / kUnit;
    if (end > seen_.size()) seen_.resize(std::max<std::uint64_t>(end, seen_.size() * 2));
    for (std::uint64_t i = unit; i < end; ++i) {
        if (seen_[i]) return false;
        seen_[i] = true;
        ++count_;
    }
    return true;
}

Status walk_fib(CheckedArena& arena, net::IpFamily family, std::uint32_t root, SeenUnits& seen,
                const VisitRoute& visit) {
    return FibWalk(arena, family, seen, visit).root(root);
}

Result<Leaf> find_leaf(CheckedArena& arena, net::IpFamily family, std::uint32_t root,
                       const net::IpAddress& address) {
    if (root == 0) return Leaf::none();
    const auto* record = arena.extent(Ref<FibRoot>{root});
    if (record == nullptr) return fail("a FIB's root" + at_unit(root) + " lies beyond the arena");
    const FibBits key = FibRib::prefix_of({address, net::address_bits(family)}).bits;
    std::uint32_t leaf = record->default_leaf.load(std::memory_order_acquire);
    std::uint32_t unit = record->child.load(std::memory_order_acquire);
    unsigned from = 0;
    if (!is_form_of(record->form, family)) {
        return fail("a FIB's root" + at_unit(root) + " has no known form");
    }
    if (arena.extent(Ref<FibRoot>{root}, root_bytes(record->form)) == nullptr) {
        return fail("a FIB's root" + at_unit(root) + " ends beyond the arena");
    }
    if (record->form == FibForm::pages) {
        const auto found = find_in_pages(arena, *record, key);
        if (!found) return tl::unexpected(found.error());
        leaf = found->leaf != 0 ? found->leaf : leaf;
        unit = found->child;
        from = kFib6End;
    } else if (record->form == FibForm::table) {
        const auto entered = enter_table(arena, *record, key, leaf);
        if (!entered) return tl::unexpected(entered.error());
        unit = *entered;
        from = kFibPageEnd;
    }
    while (unit != 0) {
        NodeImage image;
        std::uint64_t bytes = 0;
        const Status read = read_node(arena, unit, from, net::address_bits(family), image, bytes);
        if (!read) return tl::unexpected(read.error());
        const FibBits above = image.position == from
                                  ? 0
                                  : (key << from >> (128 - (image.position - from)))
                                        << (128 - image.position);
        if (above != image.skipped) break;
        const unsigned slot = fib_group(key, image.position);
        if (image.leaves[slot] != 0) leaf = image.leaves[slot];
        unit = image.children[slot];
        from = image.position + kFibStride;
    }
    return Leaf{leaf};
}

bool is_used(const Vrf& vrf) noexcept {
    return vrf.generation != 0 && vrf.tenant.valid();
}

Result<GroupMembers> read_group(CheckedArena& arena, GroupId id) {
    const std::string name = "group " + std::to_string(id.value);
    const Group* const group = arena.group(id);
    if (group == nullptr) return fail(name + " is beyond the arena's limit");
    const Ref<GroupTable> ref = group->table.load();
    if (!ref) return fail(name + " has no members");
    const auto* table = arena.extent(ref);
    if (table == nullptr) return fail("the table of " + name + " lies beyond the arena");
    const std::uint64_t buckets = std::uint64_t{table->bucket_mask} + 1;
    const std::uint64_t count = table->member_count;
    if (!std::has_single_bit(buckets) || count == 0 || count > buckets) {
        return fail("the table of " + name + " has " + std::to_string(count) + " members in " +
                    std::to_string(buckets) + " buckets");
    }
    const std::uint64_t bytes = sizeof(GroupTable) + (buckets + count) * sizeof(NextHopId);
    if (arena.extent(ref, bytes) == nullptr) {
        return fail("the table of " + name + " ends beyond the arena");
    }
    const NextHopId* const first = table->buckets();
    GroupMembers out;
    out.members.assign(first + buckets, first + buckets + count);
    out.buckets = static_cast<std::uint32_t>(buckets);
    out.bytes = bytes;
    for (std::uint64_t i = 0; i < buckets; ++i) {
        if (std::find(out.members.begin(), out.members.end(), first[i]) == out.members.end()) {
            return fail("bucket " + std::to_string(i) + " of " + name + " leads to no member");
        }
    }
    return out;
}

Result<const NextHop*> read_nexthop(CheckedArena& arena, NextHopId id) {
    const std::string name = "next hop " + std::to_string(id.value);
    const NextHop* const nexthop = arena.nexthop(id);
    if (nexthop == nullptr) return fail(name + " is beyond the arena's limit");
    const NextHopKind kind = nexthop->kind;
    if (kind == NextHopKind::none) return fail(name + " is free, and something leads to it");
    if (kind > NextHopKind::prohibit) return fail(name + " is of no known kind");
    if (kind == NextHopKind::blackhole || kind == NextHopKind::unreachable ||
        kind == NextHopKind::prohibit) {
        return nexthop;
    }
    const Vport* const vport = arena.vport(nexthop->vport);
    if (vport == nullptr) return fail(name + " is on a vport beyond the arena's limit");
    if (vport->kind == VportKind::none) return fail(name + " is on a vport that is not there");
    const net::IpFamily family = nexthop->gateway.family;
    if (kind == NextHopKind::adjacency && family != net::IpFamily::ipv4 &&
        family != net::IpFamily::ipv6) {
        return fail(name + " has a gateway of no known family");
    }
    return nexthop;
}

Status check_leaf(CheckedArena& arena, Leaf leaf) {
    if (leaf.is_none()) return {};
    if (!leaf.is_group()) {
        const auto nexthop = read_nexthop(arena, leaf.nexthop());
        return nexthop ? Status{} : tl::unexpected(nexthop.error());
    }
    const auto group = read_group(arena, leaf.group());
    if (!group) return tl::unexpected(group.error());
    for (const NextHopId member : group->members) {
        const auto nexthop = read_nexthop(arena, member);
        if (!nexthop) {
            return fail("group " + std::to_string(leaf.group().value) + ": " +
                        nexthop.error().text);
        }
    }
    return {};
}

}  // namespace wye::table
