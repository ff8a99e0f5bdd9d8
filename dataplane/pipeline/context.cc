#include "dataplane/pipeline/context.hh"

#include "dataplane/pipeline/burst.hh"
#include "dataplane/pipeline/hold.hh"
#include "dataplane/pipeline/icmp_limiter.hh"
#include "dataplane/pipeline/plain_lane.hh"
#include "dataplane/pipeline/punt.hh"
#include "dataplane/pipeline/tenant_roots.hh"

namespace wye::pipeline {

Context::Context() : Context(Limits{}) {}

Context::Context(const Limits& chosen)
    : limits(chosen),
      hold(std::make_unique<HoldTable>(chosen)),
      policer(std::make_unique<PuntPolicer>()),
      icmp(std::make_unique<IcmpLimiter>()),
      roots(std::make_unique<TenantRoots>()),
      burst(std::make_unique<Burst>()),
      lane(std::make_unique<PlainLane>()) {}

Context::~Context() = default;

}  // namespace wye::pipeline
