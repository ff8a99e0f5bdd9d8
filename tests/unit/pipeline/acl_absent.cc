// Stands in for the compiled ACLs as long as there are none: no test here uses one.
#include <cstdlib>

#include "dataplane/table/acl.hh"

namespace wye::table {

AclVerdict match_acl(ArenaView, Ref<Acl>, const AclKey&) noexcept {
    std::abort();
}
std::uint32_t acl_counter_base(ArenaView, Ref<Acl>) noexcept {
    std::abort();
}
Result<std::size_t> measure_acl(std::span<const AclRuleSpec>) {
    return fail("no ACLs");
}
Status compile_acl(std::span<const AclRuleSpec>, bool, std::uint32_t, std::span<std::byte>) {
    return fail("no ACLs");
}

}  // namespace wye::table
