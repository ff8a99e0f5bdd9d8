#include "dataplane/pipeline/look_up.hh"

#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "dataplane/table/fib.hh"
#include "dataplane/table/vrf.hh"

namespace wye::pipeline {
namespace {

/// Packets of one VRF in a row: its roots are read, and the lookups counted, once for all of them.
class RunOfVrf {
  public:
    explicit RunOfVrf(Context& context) noexcept : context_(context) {}
    table::Ref<table::Fib4Root> fib4(VrfId vrf) noexcept {
        enter(vrf);
        ++lookups4_;
        return fib4_;
    }
    table::Ref<table::Fib6Root> fib6(VrfId vrf) noexcept {
        enter(vrf);
        ++lookups6_;
        return fib6_;
    }
    void count() noexcept {
        if (lookups4_ + lookups6_ == 0) return;
        table::VrfCounters& counters = context_.counters.vrfs[vrf_.value];
        counters.lookups_ipv4.add(lookups4_);
        counters.lookups_ipv6.add(lookups6_);
        lookups4_ = lookups6_ = 0;
    }

  private:
    void enter(VrfId id) noexcept {
        if (id == vrf_) [[likely]]
            return;
        count();
        vrf_ = id;
        const table::Vrf& vrf = context_.arena.record(context_.arena.header().vrfs, id.value);
        fib4_ = vrf.fib4.load();
        fib6_ = vrf.fib6.load();
    }

    Context& context_;
    VrfId vrf_;
    table::Ref<table::Fib4Root> fib4_;
    table::Ref<table::Fib6Root> fib6_;
    std::uint64_t lookups4_ = 0, lookups6_ = 0;
};

}  // namespace

void look_up(Context& context, const Live& live) noexcept {
    Burst& burst = *context.burst;
    // Packets in a row to the same place share a query: those of one flow, and all that enter the
    // same tunnel.
    std::array<std::uint8_t, kMaxBurst> query;
    std::size_t n4 = 0, n6 = 0;
    RunOfVrf run(context);
    for (const std::size_t i : live) {
        const Packet& packet = burst.packets[i];
        if (packet.family == net::IpFamily::ipv4) {
            const auto root = run.fib4(packet.vrf);
            const auto address = net::header<net::Ipv4Header>(packet.l3()).destination;
            if (n4 == 0 || burst.addresses4[n4 - 1] != address || burst.roots4[n4 - 1] != root) {
                burst.roots4[n4] = root;
                burst.addresses4[n4++] = address;
            }
            query[i] = static_cast<std::uint8_t>(n4 - 1);
        } else {
            const auto root = run.fib6(packet.vrf);
            const auto& address = net::header<net::Ipv6Header>(packet.l3()).destination;
            if (n6 == 0 || burst.addresses6[n6 - 1] != address || burst.roots6[n6 - 1] != root) {
                burst.roots6[n6] = root;
                burst.addresses6[n6++] = address;
            }
            query[i] = static_cast<std::uint8_t>(n6 - 1);
        }
    }
    run.count();
    // The answers of IPv4 first, those of IPv6 behind them.
    const std::span leaves = std::span(burst.leaves).first(n4 + n6);
    if (n4 != 0) {
        table::lookup_fib4(context.arena, std::span(burst.roots4).first(n4),
                           std::span(burst.addresses4).first(n4), leaves.first(n4));
    }
    if (n6 != 0) {
        table::lookup_fib6(context.arena, std::span(burst.roots6).first(n6),
                           std::span(burst.addresses6).first(n6), leaves.last(n6));
    }
    for (const std::size_t i : live) {
        Packet& packet = burst.packets[i];
        packet.leaf = leaves[packet.family == net::IpFamily::ipv4 ? query[i] : n4 + query[i]];
    }
}

}  // namespace wye::pipeline
