// The variants of match_acls, by what of the CPU they use. All give the same answers.
#pragma once

#include <span>

#include "dataplane/table/acl.hh"

namespace wye::table {

struct AclMatcher {
    const char* name;
    void (*match4)(ArenaView arena, std::span<Acl4Query> queries) noexcept;
    void (*match6)(ArenaView arena, std::span<Acl6Query> queries) noexcept;
};

/// Those that this CPU can run, the fastest first; the last runs on any x86-64-v2.
std::span<const AclMatcher> acl_matchers() noexcept;

extern const AclMatcher kAclMatcherAvx512;    // F, BW, DQ, VL, and BMI2
extern const AclMatcher kAclMatcherAvx2;      // and BMI2
extern const AclMatcher kAclMatcherBaseline;  // SSE 4.1

}  // namespace wye::table
