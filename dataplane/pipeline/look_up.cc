#include "dataplane/pipeline/look_up.hh"

#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "dataplane/table/fib.hh"
#include "dataplane/table/vrf.hh"

namespace wye::pipeline {

void look_up(Context& context, const Live& live) noexcept {
    Burst& burst = *context.burst;
    const auto vrfs = context.arena.header().vrfs;
    std::array<std::uint8_t, kMaxBurst> of4, of6;
    std::size_t n4 = 0, n6 = 0;
    for (const std::size_t i : live) {
        Packet& packet = burst.packets[i];
        const table::Vrf& vrf = context.arena.record(vrfs, packet.vrf.value);
        table::VrfCounters& counters = context.counters.vrfs[packet.vrf.value];
        if (packet.family == net::IpFamily::ipv4) {
            counters.lookups_ipv4.add(1);
            burst.roots4[n4] = vrf.fib4.load();
            burst.addresses4[n4] = net::header<net::Ipv4Header>(packet.l3()).destination;
            of4[n4++] = static_cast<std::uint8_t>(i);
        } else {
            counters.lookups_ipv6.add(1);
            burst.roots6[n6] = vrf.fib6.load();
            burst.addresses6[n6] = net::header<net::Ipv6Header>(packet.l3()).destination;
            of6[n6++] = static_cast<std::uint8_t>(i);
        }
    }
    if (n4 != 0) {
        table::lookup_fib4(context.arena, std::span(burst.roots4).first(n4),
                           std::span(burst.addresses4).first(n4),
                           std::span(burst.leaves).first(n4));
        for (std::size_t k = 0; k < n4; ++k) burst.packets[of4[k]].leaf = burst.leaves[k];
    }
    if (n6 != 0) {
        table::lookup_fib6(context.arena, std::span(burst.roots6).first(n6),
                           std::span(burst.addresses6).first(n6),
                           std::span(burst.leaves).first(n6));
        for (std::size_t k = 0; k < n6; ++k) burst.packets[of6[k]].leaf = burst.leaves[k];
    }
}

}  // namespace wye::pipeline
