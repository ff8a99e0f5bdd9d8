#include "dataplane/table/acl_tree_builder.hh"

#include <algorithm>
#include <array>
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
    /// Builds anew the leaves of `tree` that any of `changed` reaches; `members`: all of the tree.
    void change_tree(std::size_t tree, Members members, std::span<const AclBits> changed);
    AclTrees trees;

  private:
    bool fill(std::uint32_t node, const Members& members, const AclRegion& region,
              std::uint32_t depth);
    void merge_small(std::vector<Members>& parts, const AclRegion& region, const AclCut& cut) const;
    bool cut(std::uint32_t node, const Members& members, const AclRegion& region, const AclCut& cut,
             std::uint32_t depth);
    void refill(std::uint32_t node, const Members& members, const AclRegion& region,
                std::uint32_t depth, std::span<const AclBits> changed);
    void make_leaf(std::uint32_t node, const Members& members);
    void prune(Members& members, const AclRegion& region) const;
    [[nodiscard]] std::vector<Members> distribute(const Members& members, const AclRegion& region,
                                                  const AclCut& cut) const;

    std::span<const AclBits> rules_;
    std::size_t port_word_;
    Effort effort_;
    std::size_t tree_ = 0;                                            // that is being worked on
    std::unordered_map<Members, std::uint32_t, MembersHash> leaves_;  // their first blocks
};

bool TreeBuilder::add_tree(Members members) {
    const auto root = static_cast<std::uint32_t>(trees.nodes.size());
    trees.nodes.emplace_back();
    trees.roots.push_back(root);
    tree_ = trees.depths.size();
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
    trees.depths[tree_] = std::max(trees.depths[tree_], depth);
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

/// Some key of the region may match, as far as bits say.
bool meets(const AclBits& rule, const AclRegion& region) noexcept {
    for (std::size_t word = 0; word < kMaxKeyWords; ++word) {
        if (((rule.value[word] ^ region.value[word]) & rule.care[word] & region.known[word]) != 0) {
            return false;
        }
    }
    return true;
}

/// Nodes that are reached get children of their own: the former ones may be shared with siblings
/// that the change does not reach, as blocks may. What nothing leads to any more is left behind.
void TreeBuilder::refill(std::uint32_t node, const Members& members, const AclRegion& region,
                         std::uint32_t depth, std::span<const AclBits> changed) {
    if (trees.nodes[node].blocks != 0) {
        trees.nodes[node] = {};
        fill(node, members, region, depth);
        return;
    }
    const AclCut cut{trees.nodes[node].word, trees.nodes[node].mask, 0};
    const std::size_t children = std::size_t{1} << std::popcount(cut.mask);
    std::vector<Members> parts = distribute(members, region, cut);
    merge_small(parts, region, cut);
    const std::uint32_t former = trees.nodes[node].next;
    const auto first = static_cast<std::uint32_t>(trees.nodes.size());
    trees.nodes.resize(first + children);
    std::copy_n(trees.nodes.begin() + former, children, trees.nodes.begin() + first);
    trees.nodes[node].next = first;
    AclRegion child = region;
    child.known[cut.word] |= cut.mask;
    for (std::size_t i = 0; i < children; ++i) {
        child.value[cut.word] = region.value[cut.word] | deposit(i, cut.mask);
        const bool is_reached =
            std::any_of(changed.begin(), changed.end(),
                        [&](const AclBits& rule) { return meets(rule, child); });
        if (!is_reached) continue;
        refill(first + static_cast<std::uint32_t>(i), parts[i], child, depth + 1, changed);
    }
}

void TreeBuilder::change_tree(std::size_t tree, Members members, std::span<const AclBits> changed) {
    tree_ = tree;
    prune(members, AclRegion{});
    refill(trees.roots[tree], members, AclRegion{}, 0, changed);
}

unsigned bits_of(const AclBits& rule, net::IpFamily family, bool source) noexcept {
    if (family == net::IpFamily::ipv4) {
        return static_cast<unsigned>(
            std::popcount(rule.care[0] & (source ? 0xffffffffu : ~std::uint64_t{0xffffffffu})));
    }
    return static_cast<unsigned>(std::popcount(rule.care[source ? 0 : 1]) +
                                 std::popcount(rule.care[source ? 2 : 3]));
}

/// Which of its addresses say anything: bit 0 the source, bit 1 the destination.
unsigned class_of(const AclBits& rule, net::IpFamily family) noexcept {
    constexpr unsigned kEnough = 12;  // bits of a prefix that tell regions apart
    return (bits_of(rule, family, true) >= kEnough ? 1u : 0u) |
           (bits_of(rule, family, false) >= kEnough ? 2u : 0u);
}

/// Which class goes into which tree.
using Plan = std::array<std::uint8_t, 4>;

/// From one tree to four.
std::array<Plan, 4> plans_of(std::span<const AclBits> rules, net::IpFamily family) {
    std::array<std::size_t, 4> count{};
    for (const AclBits& rule : rules) ++count[class_of(rule, family)];
    const unsigned many = count[1] > count[2] ? 1 : 2, few = 3 - many;
    std::array<Plan, 4> plans{};
    plans[1][0] = plans[1][few] = 1;
    plans[2][many] = 1;
    plans[2][few] = plans[2][0] = 2;
    plans[3][many] = 1;
    plans[3][few] = 2;
    plans[3][0] = 3;
    return plans;
}

/// False: given up. Trees without a rule are not made.
bool build_plan(TreeBuilder& builder, const Plan& plan, net::IpFamily family,
                std::span<const AclBits> rules) {
    std::array<Members, kMaxAclTrees> members;
    for (std::uint32_t i = 0; i < rules.size(); ++i) {
        members[plan[class_of(rules[i], family)]].push_back(i);
    }
    AclTrees& trees = builder.trees;
    trees.tree_of.resize(rules.size());
    for (std::size_t tree = 0; tree < members.size(); ++tree) {
        if (members[tree].empty()) continue;
        const auto number = static_cast<std::uint8_t>(trees.roots.size());
        for (const std::uint32_t member : members[tree]) trees.tree_of[member] = number;
        for (std::size_t c = 0; c < plan.size(); ++c) {
            if (plan[c] == tree) trees.tree_of_class[c] = number;
        }
        if (!builder.add_tree(std::move(members[tree]))) return false;
    }
    trees.fresh_nodes = trees.nodes.size();
    trees.fresh_members = trees.members.size();
    return true;
}

AclTrees build_anew(std::span<const AclBits> rules, net::IpFamily family) {
    const auto plans = plans_of(rules, family);
    const std::size_t most = 2 * rules.size() + 512;
    for (std::size_t i = 0;; ++i) {
        const bool is_last = i + 1 == plans.size();
        const Effort effort =
            is_last ? Effort{1.2, kMaxAclDepth - 1, 8 * most, false} : Effort{1.35, 4, most, true};
        TreeBuilder builder(rules, family, effort);
        if (build_plan(builder, plans[i], family, rules)) return std::move(builder.trees);
    }
}

/// Between two versions of the rules: equal up to `begin`, and again behind the ends.
struct Change {
    std::size_t begin, former_end, end;
};

Change change_of(const std::vector<AclBits>& former, const std::vector<AclBits>& rules) {
    const std::size_t most = std::min(former.size(), rules.size());
    Change change{0, former.size(), rules.size()};
    while (change.begin < most && former[change.begin] == rules[change.begin]) ++change.begin;
    while (change.former_end > change.begin && change.end > change.begin &&
           former[change.former_end - 1] == rules[change.end - 1]) {
        --change.former_end;
        --change.end;
    }
    return change;
}

/// More rules than this change everything.
constexpr std::size_t kSmallChange = 32;

/// When so much is left behind by changes, it is left out.
bool is_wasteful(const AclTrees& trees) noexcept {
    return 2 * trees.nodes.size() > 3 * trees.fresh_nodes ||
           2 * trees.members.size() > 3 * trees.fresh_members;
}

bool is_small(const Change& change, const AclTrees& former) noexcept {
    const std::size_t rules = change.former_end + change.end - 2 * change.begin;
    return rules <= kSmallChange && !is_wasteful(former);
}

/// The former rules by their new numbers; those that went, nowhere.
void renumber(AclTrees& trees, const Change& change) {
    for (std::uint32_t& member : trees.members) {
        if (member == AclTrees::kNoMember || member < change.begin) continue;
        member = member < change.former_end
                     ? AclTrees::kNoMember
                     : static_cast<std::uint32_t>(member - change.former_end + change.end);
    }
}

/// Nodes and blocks that a root leads to, copied in a new order. What is shared stays shared.
class Compactor {
  public:
    explicit Compactor(const AclTrees& from) : from_(from) {}
    void copy_tree(std::uint32_t root) {
        const auto at = static_cast<std::uint32_t>(nodes.size());
        nodes.push_back(from_.nodes[root]);
        roots.push_back(at);
        follow(at);
    }
    std::vector<AclTrees::Node> nodes;
    std::vector<std::uint32_t> members, roots;

  private:
    void follow(std::uint32_t at) {
        const AclTrees::Node node = nodes[at];
        const bool is_leaf = node.blocks != 0;
        auto& known = is_leaf ? blocks_ : children_;
        const auto to =
            static_cast<std::uint32_t>(is_leaf ? members.size() / kAclBlockRules : nodes.size());
        const auto [place, is_new] = known.try_emplace(node.next, to);
        nodes[at].next = place->second;
        if (!is_new) return;
        if (is_leaf) {
            const auto first =
                from_.members.begin() + static_cast<std::ptrdiff_t>(node.next * kAclBlockRules);
            members.insert(members.end(), first,
                           first + static_cast<std::ptrdiff_t>(node.blocks * kAclBlockRules));
            return;
        }
        const std::size_t children = std::size_t{1} << std::popcount(node.mask);
        const auto first = from_.nodes.begin() + static_cast<std::ptrdiff_t>(node.next);
        nodes.insert(nodes.end(), first, first + static_cast<std::ptrdiff_t>(children));
        for (std::uint32_t i = 0; i < children; ++i) follow(to + i);
    }
    const AclTrees& from_;
    std::unordered_map<std::uint32_t, std::uint32_t> children_, blocks_;
};

void compact(AclTrees& trees) {
    Compactor compactor(trees);
    for (const std::uint32_t root : trees.roots) compactor.copy_tree(root);
    trees.nodes = std::move(compactor.nodes);
    trees.members = std::move(compactor.members);
    trees.roots = std::move(compactor.roots);
}

AclTrees build_change(std::span<const AclBits> rules, net::IpFamily family, const AclTrees& former,
                      const Change& change) {
    TreeBuilder builder(rules, family, Effort{1.2, kMaxAclDepth - 1, SIZE_MAX, false});
    AclTrees& trees = builder.trees;
    trees = former;
    renumber(trees, change);
    std::array<std::vector<AclBits>, kMaxAclTrees> changed;
    for (std::size_t i = change.begin; i < change.former_end; ++i) {
        changed[former.tree_of[i]].push_back(former.rules[i]);
    }
    std::vector<std::uint8_t> added;
    for (std::size_t i = change.begin; i < change.end; ++i) {
        added.push_back(trees.tree_of_class[class_of(rules[i], family)]);
        changed[added.back()].push_back(rules[i]);
    }
    const auto at = [&trees](std::size_t i) {
        return trees.tree_of.begin() + static_cast<std::ptrdiff_t>(i);
    };
    trees.tree_of.erase(at(change.begin), at(change.former_end));
    trees.tree_of.insert(at(change.begin), added.begin(), added.end());
    for (std::size_t tree = 0; tree < trees.roots.size(); ++tree) {
        if (changed[tree].empty()) continue;
        Members members;
        for (std::uint32_t i = 0; i < rules.size(); ++i) {
            if (trees.tree_of[i] == tree) members.push_back(i);
        }
        builder.change_tree(tree, std::move(members), changed[tree]);
    }
    if (is_wasteful(trees)) compact(trees);
    return std::move(trees);
}

}  // namespace

AclTrees build_acl_trees(std::vector<AclBits> rules, net::IpFamily family, const AclTrees* former) {
    AclTrees trees;
    bool done = false;
    if (former != nullptr && !former->roots.empty()) {
        const Change change = change_of(former->rules, rules);
        done = is_small(change, *former);
        if (done) trees = build_change(rules, family, *former, change);
    }
    if (!done) trees = build_anew(rules, family);
    trees.rules = std::move(rules);
    return trees;
}

}  // namespace wye::table
