// The compiled ACL: trees that cut on chosen bits of the packed key, over blocks of eight rules that
// are compared at once (after HiCuts: Gupta, McKeown 1999; bits instead of ranges as in BitCuts:
// Liu, Gao et al. 2018; rules apart by what they leave free as in EffiCuts: Vamanan et al. 2010).
//
// Each family has a section. A key is packed into 64-bit words: addresses as they lie in the packet,
// then one word of ports and the rest (pack_acl_key). A node takes the bits of one word that its
// mask says (PEXT) as the index of its child. A leaf names the blocks that hold the rules of its
// region, in order. It is a node, too, whose child is itself, so that all walks of a burst take the
// same number of steps without a branch. Rules that would lie in too many leaves of one tree are
// put into a tree of their own: a key walks up to kMaxAclTrees trees, and the first rule of all
// their leaves' matches decides.
//
// A block compares one key with eight rules: (key ^ value) & care == 0 for addresses; for the last
// word, four lanes of 16 bits, first <= (key & care) <= last. Lanes without a rule match nothing.
//
// Nodes lead to nodes by distance from themselves, all else is an offset in units of 64 bytes from
// the Acl: position-independent, immutable. Writer: the builder thread. Readers: workers, under RCU.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/table/acl.hh"

namespace wye::table {

constexpr std::size_t kMaxAclTrees = 4;
constexpr std::size_t kAclBlockRules = 8;
/// The longest way from a root to a leaf.
constexpr std::uint32_t kMaxAclDepth = 32;

struct AclNode {
    std::uint64_t mask;  // a leaf: its first block, and on top how many
    std::int32_t next;   // distance to the first child, in nodes; a leaf: 0
    std::uint32_t word;  // of the key; a leaf: the one that is zero
};
static_assert(sizeof(AclNode) == 16);

/// Words of a block, eight rules side by side in each: value and care of each address word that
/// any rule looks at, then care, first and last of the word of ports.
constexpr std::uint32_t acl_block_units(std::uint32_t address_words) noexcept {
    return 2 * address_words + 3;
}

struct AclSection {
    std::uint32_t rules;
    std::uint8_t trees;
    std::uint8_t address_words;  // those of the front that any rule looks at; IPv4: 1
    std::uint8_t has_layer4;     // a rule looks at ports, ICMP or TCP flags
    std::uint8_t has_count;      // a rule only counts
    std::array<std::uint8_t, kMaxAclTrees> depths;  // steps to the deepest leaf of each tree
    std::uint32_t blocks;  // where the first one lies, in units from the Acl
    std::uint32_t block_count;
    std::uint32_t nodes;  // in units from the Acl
    std::uint32_t node_count;
    std::uint32_t actions;  // in units from the Acl; acl_action_word of each rule of each block
    std::array<std::uint32_t, kMaxAclTrees> roots;  // indexes of nodes
};

constexpr std::uint32_t acl_action_word(std::uint32_t rule, AclAction action) noexcept {
    return rule << 2 | static_cast<std::uint32_t>(action);
}
/// What has matched nothing; every action word is less.
constexpr std::uint32_t kNoAclAction = 0xffffffff;
static_assert(kMaxAclRules <= 1u << 24);

struct alignas(64) Acl {
    std::uint32_t counter_base;
    std::uint32_t default_permit;
    AclSection ipv4, ipv6;

    template <class T>
    [[nodiscard]] const T* at(std::uint32_t units) const noexcept {
        return reinterpret_cast<const T*>(reinterpret_cast<const std::byte*>(this) +
                                          std::size_t{units} * kUnit);
    }
};

/// A compiled ACL beyond this is refused.
constexpr std::size_t kMaxAclBytes = std::size_t{256} << 20;

}  // namespace wye::table
