// IcmpLimiter: a token bucket for the ICMP errors of each VRF (RFC 1812 4.3.2.8, RFC 4443 2.4(f)).
// Worker-local.
#pragma once

#include <cstdint>
#include <memory>

#include "dataplane/base/ids.hh"
#include "dataplane/pipeline/token_bucket.hh"

namespace wye::pipeline {

class IcmpLimiter {
  public:
    bool take(VrfId vrf, TokenRate rate, std::uint64_t now, std::uint64_t per_second) noexcept {
        return buckets_[vrf.value % kBuckets].take(rate, now, per_second);
    }

  private:
    static constexpr std::uint32_t kBuckets = 1u << 16;  // more than there are VRFs
    std::unique_ptr<TokenBucket[]> buckets_ = std::make_unique<TokenBucket[]>(kBuckets);
};

}  // namespace wye::pipeline
