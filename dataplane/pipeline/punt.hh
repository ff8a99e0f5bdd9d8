// Punting: handing a packet to the host stack, by the twin of the vport that it entered by.
//
// PuntPolicer bounds what one tenant, and what all of them together, can send to the kernel
// (RFC 6192): a token bucket for each tenant (its rate from TenantRoot) and one for the worker.
#pragma once

#include <cstdint>
#include <memory>

#include "dataplane/base/ids.hh"
#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/pipeline/token_bucket.hh"
#include "dataplane/pipeline/verdict.hh"

namespace wye::pipeline {

class PuntPolicer {
  public:
    /// A tenant over its rate takes nothing from the common bucket.
    bool take(TenantId tenant, TokenRate tenant_rate, TokenRate total_rate, std::uint64_t now,
              std::uint64_t per_second) noexcept {
        return tenants_[tenant.value % kBuckets].take(tenant_rate, now, per_second) &&
               total_.take(total_rate, now, per_second);
    }

  private:
    static constexpr std::uint32_t kBuckets = 1u << 16;  // more than there are tenants
    TokenBucket total_;
    std::unique_ptr<TokenBucket[]> tenants_ = std::make_unique<TokenBucket[]>(kBuckets);
};

/// To the twin of `vport`, as an untagged Ethernet frame; books it. A packet without a link header
/// (it came from inject, or is our own) gets one from the vport to itself; one that entered by another
/// vport, which has no twin, is addressed to it.
/// Verdict: punt, or a drop; BFD packets may be consumed instead (take_bfd.hh).
[[gnu::noinline]] Verdict punt_packet(Context& context, Packet& packet, VportId vport) noexcept;

}  // namespace wye::pipeline
