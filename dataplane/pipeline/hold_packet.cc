#include "dataplane/pipeline/hold_packet.hh"

#include "dataplane/pipeline/burst.hh"
#include "dataplane/pipeline/hold.hh"
#include "dataplane/pipeline/ledger.hh"
#include "dataplane/table/vrf.hh"

namespace wye::pipeline {

using table::Reason;

Verdict hold_packet(Context& context, Packet& packet, VportId vport,
                    const net::IpAddress& neighbor) noexcept {
    const std::uint64_t millisecond = context.cycles_per_second / 1000;
    if (packet.hold_until == 0) {
        packet.hold_until = context.now_cycles + millisecond * context.limits.hold_milliseconds;
    }
    packet.vrf_generation =
        context.arena.record(context.arena.header().vrfs, packet.vrf.value).generation;
    const NeighborKey key{vport, neighbor};
    Packet evicted;
    const auto outcome = context.hold->put(packet, key, context.now_cycles, evicted);
    if (outcome == HoldTable::Outcome::refused) return Verdict::drop(Reason::hold_full);
    book_held(context, packet);
    if (outcome == HoldTable::Outcome::taken_instead) {
        book_released(context, evicted);
        book_drop(context, evicted, Reason::hold_full);
        context.burst->discarded.add(evicted.frame, *context.pool);
    }
    if (context.resolve != nullptr &&
        context.hold->resolve_due(key, context.now_cycles,
                                  millisecond * context.limits.resolve_interval_milliseconds) &&
        !context.resolve->push({vport, neighbor})) {
        context.hold->resolve_failed(key);
    }
    return Verdict::hold();
}

}  // namespace wye::pipeline
