// Builds the trees of one family's rules: which bits each node cuts on, and which rules its leaves
// hold. Private memory of the builder thread; acl_compile.cc lays the result out.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/table/acl_bits.hh"

namespace wye::table {

/// Nodes as they will lie, and the rules of the blocks. A leaf's blocks follow each other.
struct AclTrees {
    struct Node {
        std::uint64_t mask = 0;
        std::uint32_t word = 0;    // of the key
        std::uint32_t next = 0;    // index of the first child; a leaf: its first block
        std::uint32_t blocks = 0;  // 0: not a leaf
    };
    static constexpr std::uint32_t kNoMember = 0xffffffff;

    std::vector<Node> nodes;
    std::vector<std::uint32_t> members;  // eight for each block: index in the rules, or kNoMember
    std::vector<std::uint32_t> roots;    // indexes in nodes
    std::vector<std::uint32_t> depths;   // of each tree: steps to its deepest leaf

    // What a change starts from.
    std::vector<AclBits> rules;
    std::vector<std::uint8_t> tree_of;               // of each rule
    std::array<std::uint8_t, 4> tree_of_class{};     // by which addresses a rule looks at
    std::size_t fresh_nodes = 0, fresh_members = 0;  // when all was built anew
};

/// With the trees of a former version only what its leaves' rules differ in is built: where few
/// rules changed and not too much has been left behind by former changes; else all.
AclTrees build_acl_trees(std::vector<AclBits> rules, net::IpFamily family,
                         const AclTrees* former = nullptr);

}  // namespace wye::table
