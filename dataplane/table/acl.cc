// The reader's side of ACLs: which variant matches, and how keys are packed. See acl_tree.hh.
#include "dataplane/table/acl.hh"

#include <array>
#include <cstddef>

#include "dataplane/base/instruction_set.hh"
#include "dataplane/table/acl_key.hh"
#include "dataplane/table/acl_match.hh"
#include "dataplane/table/acl_tree.hh"

namespace wye::table {
namespace {

struct Matchers {
    std::array<AclMatcher, 3> all{};
    std::size_t count = 0;
    Matchers() noexcept {
        if (has_fast_pext() && instruction_set() >= InstructionSet::avx512) {
            all[count++] = kAclMatcherAvx512;
        }
        if (has_fast_pext()) all[count++] = kAclMatcherAvx2;
        all[count++] = kAclMatcherBaseline;
    }
};

/// Found out when the program is loaded: nothing is to be waited for later.
const Matchers kMatchers;

template <class Query>
AclVerdict match_one(ArenaView arena, Ref<Acl> acl, const AclKey& key) noexcept {
    Query query;
    query.acl = acl;
    pack_acl_key(key, query);
    match_acls(arena, std::span(&query, 1));
    return query.verdict;
}

}  // namespace

std::span<const AclMatcher> acl_matchers() noexcept {
    return std::span(kMatchers.all).first(kMatchers.count);
}

void pack_acl_key(const AclKey& key, Acl4Query& query) noexcept {
    pack_acl_addresses(key.source, key.destination, query);
    query.words[1] = acl_layer4_word(key);
    query.words[2] = 0;
}

void pack_acl_key(const AclKey& key, Acl6Query& query) noexcept {
    pack_acl_addresses(key.source, key.destination, query);
    query.words[4] = acl_layer4_word(key);
    query.words[5] = 0;
}

void match_acls(ArenaView arena, std::span<Acl4Query> queries) noexcept {
    acl_matchers().front().match4(arena, queries);
}

void match_acls(ArenaView arena, std::span<Acl6Query> queries) noexcept {
    acl_matchers().front().match6(arena, queries);
}

AclVerdict match_acl(ArenaView arena, Ref<Acl> acl, const AclKey& key) noexcept {
    return key.source.is_ipv4() ? match_one<Acl4Query>(arena, acl, key)
                                : match_one<Acl6Query>(arena, acl, key);
}

std::uint32_t acl_counter_base(ArenaView arena, Ref<Acl> acl) noexcept {
    return arena.at(acl)->counter_base;
}

}  // namespace wye::table
