#include "dataplane/table/acl_tree_builder.hh"

#include <algorithm>
#include <bit>
#include <iterator>
#include <unordered_map>

#include "dataplane/table/acl_cut.hh"
#include "dataplane/table/acl_tree.hh"

namespace wye::table {
namespace {

using Members = std::vector<std::uint32_t>;

/// How hard a plan tries, and what happens when a way to a leaf has more steps, or all leaves
/// together have more members.
struct Effort {
    double patience;
    std::uint32_t most_steps;
    std::size_t most_members;
    bool gives_up;  // so another plan is tried; else no more cuts are made
};

/// The low bits of `bits` go to where the mask has ones (PDEP).
std::uint64_t deposit(std::uint64_t bits, std::uint64_t mask) noexcept {
    std::uint64_t result = 0;
    for (; mask != 0; mask &= mask - 1, bits >>= 1) {
        if ((bits & 1) != 0) result |= mask & (~mask + 1);
    }
    return result;
}
std::uint64_t extract(std::uint64_t value, std::uint64_t mask) noexcept {
    std::uint64_t result = 0;
    for (unsigned at = 0; mask != 0; mask &= mask - 1, ++at) {
        if ((value & mask & (~mask + 1)) != 0) result |= std::uint64_t{1} << at;
    }
    return result;
}

struct MembersHash {
    std::size_t operator()(const Members& members) const noexcept {
        std::uint64_t h = members.size();
        for (const std::uint32_t member : members) h = (h ^ member ^ h >> 29) * 0x9e3779b97f4a7c15u;
        return h ^ h >> 32;
    }
};

class TreeBuilder {
  public:
    TreeBuilder(std::span<const AclBits> rules, net::IpFamily family, Effort effort)
        : rules_(rules), port_word_(acl_address_words(family)), effort_(effort) {}
    /// False: given up.
    bool add_tree(Members members);
    AclTrees trees;

  private:
    bool fill(std::uint32_t node, const Members& members, const AclRegion& region,
              std::uint32_t depth);
    void merge_small(std::vector<Members>& parts, const AclRegion& region, const AclCut& cut) const;
    bool cut(std::uint32_t node, const Members& members, const AclRegion& region, const AclCut& cut,
             std::uint32_t depth);
    void make_leaf(std::uint32_t node, const Members& members);
    void prune(Members& members, const AclRegion& region) const;
    [[nodiscard]] std::vector<Members> distribute(const Members& members, const AclRegion& region,
                                                  const AclCut& cut) const;

    std::span<const AclBits> rules_;
    std::size_t port_word_;
    Effort effort_;
    std::unordered_map<Members, std::uint32_t, MembersHash> leaves_;  // their first blocks
};

bool TreeBuilder::add_tree(Members members) {
    const auto root = static_cast<std::uint32_t>(trees.nodes.size());
    trees.nodes.emplace_back();
    trees.roots.push_back(root);
    trees.depths.push_back(0);
    prune(members, AclRegion{});
    return fill(root, members, AclRegion{}, 0);
}

/// Behind a rule that decides whatever reaches it no other is asked.
void TreeBuilder::prune(Members& members, const AclRegion& region) const {
    const auto last = std::find_if(members.begin(), members.end(), [&](std::uint32_t member) {
        return !rules_[member].only_counts && covers(rules_[member], region, port_word_);
    });
    if (last != members.end()) members.erase(last + 1, members.end());
}

bool TreeBuilder::fill(std::uint32_t node, const Members& members, const AclRegion& region,
                       std::uint32_t depth) {
    trees.depths.back() = std::max(trees.depths.back(), depth);
    const bool is_full = trees.members.size() > effort_.most_members || depth > effort_.most_steps;
    if (is_full && effort_.gives_up) return false;
    if (members.size() > kAclBlockRules && !is_full) {
        const AclCut best =
            choose_acl_cut(rules_, members, port_word_ + 1, region, effort_.patience);
        if (best.mask != 0) return cut(node, members, region, best, depth);
    }
    make_leaf(node, members);
    return true;
}

void TreeBuilder::make_leaf(std::uint32_t node, const Members& members) {
    const std::size_t blocks =
        std::max<std::size_t>(1, (members.size() + kAclBlockRules - 1) / kAclBlockRules);
    const auto [known, is_new] = leaves_.try_emplace(
        members, static_cast<std::uint32_t>(trees.members.size() / kAclBlockRules));
    if (is_new) {
        trees.members.insert(trees.members.end(), members.begin(), members.end());
        trees.members.resize((known->second + blocks) * kAclBlockRules, AclTrees::kNoMember);
    }
    trees.nodes[node].next = known->second;
    trees.nodes[node].blocks = static_cast<std::uint32_t>(blocks);
}

std::vector<Members> TreeBuilder::distribute(const Members& members, const AclRegion& region,
                                             const AclCut& cut) const {
    const std::size_t children = std::size_t{1} << std::popcount(cut.mask);
    std::vector<Members> parts(children);
    const bool by_port = cut.word == port_word_ && (cut.mask & 0xffffffff) != 0;
    AclRegion child = region;
    child.known[cut.word] |= cut.mask;
    for (const std::uint32_t member : members) {
        const AclBits& rule = rules_[member];
        const std::uint64_t base = extract(rule.value[cut.word], cut.mask);
        const std::uint64_t free = extract(~rule.care[cut.word], cut.mask);
        // All subsets of the bits that the rule leaves free.
        for (std::uint64_t subset = free;; subset = (subset - 1) & free) {
            const std::uint64_t index = base | subset;
            bool meets = true;
            if (by_port && rule.has_range) {
                child.value[cut.word] = region.value[cut.word] | deposit(index, cut.mask);
                meets = meets_ports(rule, child, port_word_);
            }
            if (meets) parts[index].push_back(member);
            if (subset == 0) break;
        }
    }
    return parts;
}

/// Leaves that fit into one block together become one: a leaf may hold rules of other regions, for
/// they are compared in full. Each joins that of the last few with which it shares most.
void TreeBuilder::merge_small(std::vector<Members>& parts, const AclRegion& region,
                              const AclCut& cut) const {
    constexpr std::size_t kOpen = 24;
    struct Open {
        Members members;
        std::vector<std::size_t> parts;
    };
    std::vector<Open> open;
    const auto close = [&parts](const Open& done) {
        for (const std::size_t part : done.parts) parts[part] = done.members;
    };
    AclRegion child = region;
    child.known[cut.word] |= cut.mask;
    Members joint, best;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        child.value[cut.word] = region.value[cut.word] | deposit(i, cut.mask);
        prune(parts[i], child);
        if (parts[i].size() > kAclBlockRules) continue;
        Open* into = nullptr;
        std::size_t least_growth = kAclBlockRules + 1;
        for (Open& other : open) {
            joint.clear();
            std::set_union(parts[i].begin(), parts[i].end(), other.members.begin(),
                           other.members.end(), std::back_inserter(joint));
            const std::size_t growth = joint.size() - other.members.size();
            if (joint.size() > kAclBlockRules || growth >= least_growth) continue;
            least_growth = growth;
            into = &other;
            best = joint;
        }
        if (into != nullptr) {
            into->members = best;
            into->parts.push_back(i);
            continue;
        }
        if (open.size() == kOpen) {
            close(open.front());
            open.erase(open.begin());
        }
        open.push_back({parts[i], {i}});
    }
    for (const Open& done : open) close(done);
}

bool TreeBuilder::cut(std::uint32_t node, const Members& members, const AclRegion& region,
                      const AclCut& cut, std::uint32_t depth) {
    std::vector<Members> parts = distribute(members, region, cut);
    merge_small(parts, region, cut);
    const auto first = static_cast<std::uint32_t>(trees.nodes.size());
    trees.nodes[node].mask = cut.mask;
    trees.nodes[node].word = cut.word;
    trees.nodes[node].next = first;
    trees.nodes.resize(trees.nodes.size() + parts.size());
    AclRegion child = region;
    child.known[cut.word] |= cut.mask;
    // Siblings with the same rules are the same node; not where ports are cut, as regions then
    // differ in what ranges cover.
    const bool may_share = cut.word != port_word_;
    std::unordered_map<Members, std::uint32_t, MembersHash> done;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto at = first + static_cast<std::uint32_t>(i);
        if (may_share) {
            const auto [known, is_new] = done.try_emplace(parts[i], at);
            if (!is_new) {
                trees.nodes[at] = trees.nodes[known->second];
                continue;
            }
        }
        child.value[cut.word] = region.value[cut.word] | deposit(i, cut.mask);
        if (!fill(at, parts[i], child, depth + 1)) return false;
    }
    return true;
}

unsigned bits_of(const AclBits& rule, net::IpFamily family, bool source) noexcept {
    if (family == net::IpFamily::ipv4) {
        return static_cast<unsigned>(
            std::popcount(rule.care[0] & (source ? 0xffffffffu : ~std::uint64_t{0xffffffffu})));
    }
    return static_cast<unsigned>(std::popcount(rule.care[source ? 0 : 1]) +
                                 std::popcount(rule.care[source ? 2 : 3]));
}

/// Rules by which of their addresses say anything: bit 0 the source, bit 1 the destination.
std::array<Members, 4> classes_of(std::span<const AclBits> rules, net::IpFamily family) {
    constexpr unsigned kEnough = 12;  // bits of a prefix that tell regions apart
    std::array<Members, 4> classes;
    for (std::uint32_t i = 0; i < rules.size(); ++i) {
        const bool source = bits_of(rules[i], family, true) >= kEnough;
        const bool destination = bits_of(rules[i], family, false) >= kEnough;
        classes[(source ? 1u : 0u) | (destination ? 2u : 0u)].push_back(i);
    }
    return classes;
}

Members merged(const std::array<Members, 4>& classes, std::initializer_list<unsigned> which) {
    Members members;
    for (const unsigned i : which) {
        members.insert(members.end(), classes[i].begin(), classes[i].end());
    }
    std::sort(members.begin(), members.end());
    return members;
}

/// Ways to put the classes into trees, from one tree to four.
std::vector<std::vector<Members>> plans_of(const std::array<Members, 4>& classes) {
    const bool more_sources = classes[1].size() > classes[2].size();
    const unsigned many = more_sources ? 1 : 2, few = more_sources ? 2 : 1;
    return {{merged(classes, {0, 1, 2, 3})},
            {merged(classes, {3, many}), merged(classes, {0, few})},
            {merged(classes, {3}), merged(classes, {many}), merged(classes, {0, few})},
            {classes[3], classes[many], classes[few], classes[0]}};
}

}  // namespace

AclTrees build_acl_trees(std::span<const AclBits> rules, net::IpFamily family) {
    const auto plans = plans_of(classes_of(rules, family));
    const std::size_t most = 2 * rules.size() + 512;
    for (std::size_t i = 0;; ++i) {
        const bool is_last = i + 1 == plans.size();
        const Effort effort =
            is_last ? Effort{1.2, kMaxAclDepth - 1, 8 * most, false} : Effort{1.35, 4, most, true};
        TreeBuilder builder(rules, family, effort);
        const bool built = std::all_of(plans[i].begin(), plans[i].end(), [&](const Members& tree) {
            return tree.empty() || builder.add_tree(tree);
        });
        if (built) return std::move(builder.trees);
    }
}

}  // namespace wye::table
