// Chooses the bits that a node of an ACL tree cuts on.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/table/acl_bits.hh"

namespace wye::table {

struct AclCut {
    std::uint32_t word = 0;
    std::uint64_t mask = 0;  // none: no cut is worth it
    double cost = 0;         // of the children together; a node's own is its rules' number squared
};

/// `patience`: how much a cut may cost, as a share of what the rules cost without it. Above 1, rules
/// may be repeated in many children so that each has few.
AclCut choose_acl_cut(std::span<const AclBits> rules, std::span<const std::uint32_t> members,
                      std::size_t words, const AclRegion& region, double patience);

}  // namespace wye::table
