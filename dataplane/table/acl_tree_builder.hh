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
};

AclTrees build_acl_trees(std::span<const AclBits> rules, net::IpFamily family);

}  // namespace wye::table
