// The matching of a burst, written once and compiled for each instruction set. Whoever includes it
// is one variant: it defines WYE_ACL_TARGET before, the attribute that the functions carry, and has
// a class `Simd` with
//
//   extract(key, mask)   the key's bits under the mask, close together (PEXT)
//   match_block(words, layer4, block, address_words)   a bit for each rule that matches
//
// Functions, not files, are compiled for another CPU: so what headers define inline remains
// baseline code, whichever file the linker takes it from.
//
// Stages over up to kAclBurst keys: begin all walks; take each a step, until the deepest tree's
// leaves; fetch the leaves' blocks; compare. The steps' loads of different keys overlap.
#pragma once

#include <algorithm>
#include <array>
#include <bit>

#include "dataplane/table/acl_match.hh"
#include "dataplane/table/acl_tree.hh"

#ifndef WYE_ACL_TARGET
#define WYE_ACL_TARGET  // the baseline
#endif

namespace wye::table {
namespace {

constexpr std::size_t kAclBurst = 32;

/// A burst on its way down one of its ACLs' trees: those that have so many.
struct AclWalks {
    std::size_t count = 0;
    std::uint32_t depth = 0;
    std::array<const AclNode*, kAclBurst> node;
    std::array<std::uint8_t, kAclBurst> owner;
};
using AclTreeWalks = std::array<AclWalks, kMaxAclTrees>;

template <std::size_t Words>
const AclSection& section_of(const Acl& acl) noexcept {
    if constexpr (Words == 3) return acl.ipv4;
    return acl.ipv6;
}

template <std::size_t Words>
WYE_ACL_TARGET inline void begin_walks(ArenaView arena, const AclQuery<Words>* queries,
                                       std::size_t count, AclTreeWalks& trees) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        const Acl& acl = *arena.at(queries[i].acl);
        const AclSection& section = section_of<Words>(acl);
        const auto* const nodes = acl.at<AclNode>(section.nodes);
        for (std::size_t tree = 0; tree < section.trees; ++tree) {
            AclWalks& walks = trees[tree];
            const std::uint32_t depth = section.depths[tree];
            walks.depth = depth > walks.depth ? depth : walks.depth;
            walks.node[walks.count] = nodes + section.roots[tree];
            walks.owner[walks.count++] = static_cast<std::uint8_t>(i);
        }
    }
}

template <class Simd, std::size_t Words>
WYE_ACL_TARGET inline void step(const AclQuery<Words>* queries, AclWalks& walks) noexcept {
    for (std::size_t w = 0; w < walks.count; ++w) {
        const AclNode& node = *walks.node[w];
        const std::uint64_t key = queries[walks.owner[w]].words[node.word];
        walks.node[w] = &node + node.next + Simd::extract(key, node.mask);
    }
}

/// Of the rules of a leaf: the count rules that match, in order, and what decides.
struct AclMatches {
    std::uint32_t decision = kNoAclAction;
    std::uint8_t counted = 0;
    std::array<std::uint32_t, kMaxCountRules> count_rules;

    /// Of a block; true: decided.
    bool take(const std::uint32_t* actions, unsigned rules) noexcept {
        for (; rules != 0; rules &= rules - 1) {
            const std::uint32_t word = actions[std::countr_zero(rules)];
            if ((word & 3u) != static_cast<std::uint32_t>(AclAction::count)) {
                decision = word;
                return true;
            }
            if (counted < kMaxCountRules) count_rules[counted++] = word >> 2;
        }
        return false;
    }
};

/// Where a leaf's rules lie.
struct AclLeaf {
    const std::uint64_t* block;
    const std::uint32_t* actions;
    std::size_t block_words;
    std::uint32_t blocks;
};

inline AclLeaf leaf_of(const Acl& acl, const AclSection& section, const AclNode& node) noexcept {
    const auto first = static_cast<std::uint32_t>(node.mask);
    const std::size_t units = acl_block_units(section.address_words);
    return {acl.at<std::uint64_t>(section.blocks) + first * units * (kUnit / 8),
            acl.at<std::uint32_t>(section.actions) + first * kAclBlockRules, units * (kUnit / 8),
            static_cast<std::uint32_t>(node.mask >> 32)};
}

/// The first matching rule of a leaf, where no rule only counts.
template <class Simd, std::size_t Words>
WYE_ACL_TARGET inline std::uint32_t decide(const AclQuery<Words>& query, AclLeaf leaf,
                                           std::uint32_t address_words) noexcept {
    const std::uint32_t columns = Words == 3 ? 1 : address_words;
    unsigned rules =
        Simd::match_block(query.words.data(), query.words[Words - 2], leaf.block, columns);
    while (rules == 0 && --leaf.blocks != 0) {
        leaf.block += leaf.block_words;
        leaf.actions += kAclBlockRules;
        rules = Simd::match_block(query.words.data(), query.words[Words - 2], leaf.block, columns);
    }
    // No branch: whether a rule matches is what nobody can foresee.
    const std::uint32_t action = leaf.actions[std::countr_zero(rules) & 7];
    return rules != 0 ? action : kNoAclAction;
}

template <class Simd, std::size_t Words>
WYE_ACL_TARGET AclMatches decide_and_count(const AclQuery<Words>& query, AclLeaf leaf,
                                           std::uint32_t columns) noexcept {
    AclMatches matches;
    for (; leaf.blocks != 0; --leaf.blocks) {
        const unsigned rules =
            Simd::match_block(query.words.data(), query.words[Words - 2], leaf.block, columns);
        if (matches.take(leaf.actions, rules)) return matches;
        leaf.block += leaf.block_words;
        leaf.actions += kAclBlockRules;
    }
    return matches;
}

/// The matches of two trees: the count rules before the earlier decision, the first of them.
inline void merge(AclMatches& into, const AclMatches& other) noexcept {
    std::array<std::uint32_t, 2 * kMaxCountRules> all;
    auto* const end = std::merge(into.count_rules.begin(), into.count_rules.begin() + into.counted,
                                 other.count_rules.begin(),
                                 other.count_rules.begin() + other.counted, all.begin());
    into.decision = std::min(into.decision, other.decision);
    into.counted = 0;
    for (const std::uint32_t* rule = all.begin(); rule != end; ++rule) {
        if (into.counted == kMaxCountRules || *rule > into.decision >> 2) break;
        into.count_rules[into.counted++] = *rule;
    }
}

template <std::size_t Words>
inline void conclude(const Acl& acl, const AclMatches& matches, AclQuery<Words>& query) noexcept {
    AclVerdict& verdict = query.verdict;
    verdict.counted = matches.counted;
    for (std::size_t i = 0; i < matches.counted; ++i) {
        verdict.count_rules[i] = matches.count_rules[i];
    }
    if (matches.decision != kNoAclAction) {
        verdict.rule = matches.decision >> 2;
        verdict.permit = (matches.decision & 3u) == static_cast<std::uint32_t>(AclAction::permit);
        return;
    }
    verdict.rule = kNoRule;
    // RFC 7112 5, RFC 1858 3: a first fragment (or a whole packet) whose header chain is cut short
    // is not permitted by default where a rule would have looked at layer 4.
    const std::uint64_t state = query.words[Words - 2] >> 56;
    const bool is_cut_short = (state & 5u) == 0;  // neither has_ports nor is_later
    verdict.permit =
        acl.default_permit != 0 && !(is_cut_short && section_of<Words>(acl).has_layer4 != 0);
}

template <std::size_t Words>
WYE_ACL_TARGET inline void fetch_leaves(ArenaView arena, const AclQuery<Words>* queries,
                                        const AclWalks& walks) noexcept {
    for (std::size_t w = 0; w < walks.count; ++w) {
        const Acl& acl = *arena.at(queries[walks.owner[w]].acl);
        const AclLeaf leaf = leaf_of(acl, section_of<Words>(acl), *walks.node[w]);
        for (std::size_t word = 0; word < leaf.block_words; word += kUnit / 8) {
            __builtin_prefetch(leaf.block + word);
        }
    }
}

/// What the leaves to which the walks led say of their keys.
template <class Simd, std::size_t Words>
WYE_ACL_TARGET inline void compare(ArenaView arena, const AclQuery<Words>* queries,
                                   const AclWalks& walks, AclMatches* matches) noexcept {
    for (std::size_t w = 0; w < walks.count; ++w) {
        const std::size_t i = walks.owner[w];
        const Acl& acl = *arena.at(queries[i].acl);
        const AclSection& section = section_of<Words>(acl);
        const AclLeaf leaf = leaf_of(acl, section, *walks.node[w]);
        if (section.has_count == 0) {
            const std::uint32_t action = decide<Simd>(queries[i], leaf, section.address_words);
            matches[i].decision = std::min(matches[i].decision, action);
        } else {
            merge(matches[i], decide_and_count<Simd>(queries[i], leaf, section.address_words));
        }
    }
}

template <class Simd, std::size_t Words>
WYE_ACL_TARGET void match_burst(ArenaView arena, AclQuery<Words>* queries,
                                std::size_t count) noexcept {
    AclTreeWalks trees;
    begin_walks(arena, queries, count, trees);
    for (AclWalks& walks : trees) {
        for (std::uint32_t depth = 0; depth < walks.depth; ++depth) step<Simd>(queries, walks);
        fetch_leaves(arena, queries, walks);
    }
    std::array<AclMatches, kAclBurst> matches;
    for (const AclWalks& walks : trees) compare<Simd>(arena, queries, walks, matches.data());
    for (std::size_t i = 0; i < count; ++i) {
        conclude(*arena.at(queries[i].acl), matches[i], queries[i]);
    }
}

template <class Simd, std::size_t Words>
void match_all(ArenaView arena, std::span<AclQuery<Words>> queries) noexcept {
    for (std::size_t at = 0; at < queries.size(); at += kAclBurst) {
        match_burst<Simd>(arena, queries.data() + at, std::min(kAclBurst, queries.size() - at));
    }
}

template <class Simd>
constexpr AclMatcher acl_matcher(const char* name) noexcept {
    return {name, match_all<Simd, 3>, match_all<Simd, 6>};
}

}  // namespace
}  // namespace wye::table
