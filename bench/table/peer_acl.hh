// DPDK's rte_acl as a peer of our ACLs, in the same program on the same rules and headers: the
// algorithm AVX512X32, one category. It holds pointers and is built anew for every change, so it
// cannot lie in the arena; here it says what a match may cost.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/table/acl.hh"

namespace wye::table {

class PeerAcl {
  public:
    /// Null: there is no EAL, no AVX-512, or the rules cannot be built. All of one family.
    static std::unique_ptr<PeerAcl> make(std::span<const AclRuleSpec> rules);
    ~PeerAcl();
    void set_keys(std::span<const AclKey> keys);
    /// `count` headers from number `at` on; afterwards `answers` has the number of the first
    /// matching rule, counted from 1, or 0.
    void classify(std::size_t at, std::size_t count);
    std::vector<std::uint32_t> answers;

  private:
    struct Impl;
    explicit PeerAcl(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace wye::table
