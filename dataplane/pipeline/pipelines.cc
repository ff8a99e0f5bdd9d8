#include "dataplane/pipeline/pipelines.hh"

#include <algorithm>

#include "dataplane/net/ethernet.hh"
#include "dataplane/pipeline/admit_packet.hh"
#include "dataplane/pipeline/burst.hh"
#include "dataplane/pipeline/classify_vport.hh"
#include "dataplane/pipeline/forward_packet.hh"
#include "dataplane/pipeline/hold.hh"
#include "dataplane/pipeline/icmp_error.hh"
#include "dataplane/pipeline/ledger.hh"
#include "dataplane/pipeline/look_up.hh"
#include "dataplane/pipeline/match_acl.hh"
#include "dataplane/pipeline/plain_lane.hh"
#include "dataplane/pipeline/punt.hh"
#include "dataplane/pipeline/receive_host.hh"
#include "dataplane/pipeline/resolve_leaf.hh"
#include "dataplane/pipeline/take_bfd.hh"
#include "dataplane/pipeline/tenant_roots.hh"
#include "dataplane/table/vrf.hh"

namespace wye::pipeline {
namespace {

using table::LedgerRow;
using table::Reason;

void discard(Context& context, const Packet& packet) noexcept {
    context.burst->discarded.add(packet.frame, *context.pool);
}

/// Ends what a verdict ends, in exactly one place of the ledger. A packet that goes on, or an ICMP
/// error that takes the place of the packet it is about, joins `next`.
[[gnu::noinline]] void settle_rare(Context& context, std::size_t index, Verdict verdict,
                                   Live& next) noexcept {
    Packet& packet = context.burst->packets[index];
    switch (verdict.fate()) {
        case Fate::go_on:
        case Fate::look_up_again:
            next.add(index);
            return;
        case Fate::drop:
            book_drop(context, packet, verdict.reason());
            if (make_icmp_error(context, packet, verdict.error())) {
                book(context, packet, &LedgerRow::generated);
                next.add(index);
                return;
            }
            discard(context, packet);
            return;
        case Fate::consume:
            book(context, packet, &LedgerRow::consumed);
            discard(context, packet);
            return;
        case Fate::admit_again:  // the passes admit it themselves
        case Fate::punt:
        case Fate::hold:
        case Fate::sent:
            return;
    }
}

inline void settle(Context& context, std::size_t index, Verdict verdict, Live& next) noexcept {
    if (verdict.goes_on()) [[likely]] {
        next.add(index);
    } else if (verdict.fate() != Fate::sent) {
        settle_rare(context, index, verdict, next);
    }
}

/// A frame that belongs to a vport: taken by the fast path, or punted, or dropped.
Verdict admit(Context& context, Packet& packet) noexcept {
    Verdict verdict = admit_packet(context, packet);
    if (verdict.fate() == Fate::punt) return punt_packet(context, packet, packet.in_vport);
    return verdict;
}

/// A packet that enters now.
Packet& begin_packet(Context& context, std::size_t index, const Frame& frame,
                     std::uint32_t port_row) noexcept {
    Packet& packet = context.burst->packets[index];
    packet = Packet{};
    packet.frame = frame;
    packet.port_row = port_row;
    packet.tenant_row = table::kNoTenantRow;
    return packet;
}

/// Pass 1, until the vport's policy: parse_link, classify_vport.
[[gnu::noinline, gnu::flatten]] void classify_pass(Context& context, PortId port,
                                                   std::span<const Frame> frames,
                                                   const Live& unknown, Live& live) noexcept {
    Classifier classifier(context, port);
    for (const std::size_t i : unknown) {
        Packet& packet = begin_packet(context, i, frames[i], table::port_row(port));
        settle(context, i, classifier.classify(packet), live);
    }
}

/// Pass 2, until the FIB: filter, validate, hash; then the ingress ACLs of all.
[[gnu::noinline, gnu::flatten]] void admit_pass(Context& context, const Live& live,
                                                Live& next) noexcept {
    Live admitted;
    for (const std::size_t i : live) {
        settle(context, i, admit(context, context.burst->packets[i]), admitted);
    }
    const Denied denied = match_ingress_acls(context, admitted);
    for (const std::size_t i : admitted) {
        const Verdict verdict =
            denied[i] ? Verdict::drop(Reason::acl_ingress_denied) : Verdict::go_on();
        settle(context, i, verdict, next);
    }
}

/// Between the passes, on its own cache misses: the lookups of all packets, then the choice of
/// members, with the next hops' records on their way.
void look_up_pass(Context& context, const Live& live,
                  std::array<NextHopId, kMaxBurst>& chosen) noexcept {
    look_up(context, live);
    for (const std::size_t i : live) {
        const Packet& packet = context.burst->packets[i];
        chosen[i] = choose_nexthop(context, packet.leaf, packet.flow_hash);
    }
}

/// Pass 3: forward. Packets that came out of tunnels are admitted behind it.
[[gnu::flatten]] void forward_pass(Context& context, const Live& live,
                                   const std::array<NextHopId, kMaxBurst>& chosen,
                                   Live& next) noexcept {
    Live again;
    for (const std::size_t i : live) {
        Packet& packet = context.burst->packets[i];
        const auto* nexthop = resolve_nexthop(context, packet.leaf, chosen[i], packet.flow_hash);
        const Verdict verdict = forward_packet(context, packet, nexthop);
        if (verdict.fate() == Fate::admit_again) {
            again.add(i);
        } else {
            settle(context, i, verdict, next);
        }
    }
    if (again.count != 0) admit_pass(context, again, next);
}

/// Until no packet is on its way. Ends: each round ends a packet, turns it into an ICMP error (of
/// which there is none about an error), or passes a tunnel, which is bounded.
void route(Context& context, Live live) noexcept {
    std::array<NextHopId, kMaxBurst> chosen;
    while (live.count != 0) {
        Live next;
        look_up_pass(context, live, chosen);
        forward_pass(context, live, chosen, next);
        live = next;
    }
}

/// A packet that waited. It has outlived grace periods: its VRF's id may be another tenant's by now.
Verdict resume(const Context& context, const Packet& packet, bool due) noexcept {
    const auto& header = context.arena.header();
    if (packet.vrf.value >= header.limits.vrfs) return Verdict::drop(Reason::no_route);
    const table::Vrf& vrf = context.arena.record(header.vrfs, packet.vrf.value);
    if (!vrf.tenant.valid() || vrf.generation != packet.vrf_generation) {
        return Verdict::drop(Reason::no_route);
    }
    // RFC 1812 3.3.2: unreachable only once the neighbour has not answered in time.
    return due ? Verdict::drop(Reason::neighbor_unresolved, ErrorKind::host_unreachable)
               : Verdict::go_on();
}

/// What was taken of one owner's frames.
void book_taken(Context& context, const PortOutput::Owner& owner,
                std::span<const Frame> frames) noexcept {
    if (frames.empty()) return;
    std::uint64_t bytes = 0;
    for (const Frame& frame : frames) bytes += frame.length;
    context.counters.ports[owner.rows.port].tx.add(frames.size());
    context.counters.tenants[owner.rows.tenant].tx.add(frames.size());
    table::PacketsAndBytes& tx = context.counters.vports[owner.vport.value].tx;
    tx.packets.add(frames.size());
    tx.bytes.add(bytes);
}

void book_refused(Context& context, const PortOutput::Owner& owner, std::size_t frames) noexcept {
    constexpr auto kFull = static_cast<std::size_t>(Reason::port_transmit_full);
    if (frames == 0) return;
    context.counters.ports[owner.rows.port].drops[kFull].add(frames);
    context.counters.tenants[owner.rows.tenant].drops[kFull].add(frames);
    context.counters.vports[owner.vport.value].drops.add(frames);
}

void begin(Context& context) noexcept {
    context.roots->begin_burst(context.arena, context.tables_epoch);
}
void finish(Context& context) noexcept {
    context.burst->discarded.flush(*context.pool);
}

}  // namespace

void run_from_port(Context& context, PortId port, std::span<Frame> frames) noexcept {
    begin(context);
    Live unknown, classified, admitted;
    if (context.arena && context.uses_lane) [[likely]] {
        context.lane->run(context, port, frames, unknown, admitted);
    } else {
        for (std::size_t i = 0; i < frames.size(); ++i) unknown.add(i);
    }
    if (unknown.count != 0) {
        classify_pass(context, port, frames, unknown, classified);
        admit_pass(context, classified, admitted);
    }
    route(context, admitted);
    finish(context);
}

void run_from_host(Context& context, std::span<HostFrame> frames) noexcept {
    begin(context);
    Live live;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        Packet& packet = begin_packet(context, i, frames[i].frame, table::kHostPortRow);
        packet.origin = Origin::router;
        const Verdict verdict = context.arena ? receive_host(context, frames[i], packet)
                                              : Verdict::drop(Reason::no_tables);
        book(context, packet, &LedgerRow::from_host);
        settle(context, i, verdict, live);
    }
    route(context, live);
    finish(context);
}

void run_from_bfd(Context& context, std::span<const bfd::Departure> departures) noexcept {
    begin(context);
    Live live;
    for (std::size_t i = 0; i < departures.size(); ++i) {
        Frame frame;
        // Where buffers have run out, peers that hear nothing are right.
        if (!context.pool->allocate(frame)) break;
        // Into the headroom, which every empty frame has; more than enough is left for tunnels.
        frame.prepend(bfd::datagram_length(departures[i]));
        (void)bfd::write_datagram(departures[i], frame.data);
        Packet& packet = begin_packet(context, i, frame, table::kHostPortRow);
        const Verdict verdict = send_bfd(context, departures[i].end, packet);
        book(context, packet, &LedgerRow::generated);
        settle(context, i, verdict, live);
    }
    route(context, live);
    finish(context);
}

void run_held(Context& context, bool all) noexcept {
    // As many as there are now: what is put back waits for the next time.
    std::size_t left = all ? context.hold->size() : SIZE_MAX;
    if (!context.arena) return;
    while (left != 0 && (all || context.hold->oldest_is_due(context.now_cycles))) {
        begin(context);
        Live live;
        for (std::size_t i = 0; i < kMaxBurst && left != 0; ++i, --left) {
            const bool due = context.hold->oldest_is_due(context.now_cycles);
            if (!all && !due) break;
            Packet& packet = context.burst->packets[i];
            packet = context.hold->pop_oldest();
            packet.in_policy = context.roots->find(packet.in_vport);
            book_released(context, packet);
            settle(context, i, resume(context, packet, due), live);
        }
        route(context, live);
        finish(context);
    }
}

void release_held(Context& context) noexcept {
    while (context.hold->size() > 0) {
        const Frame frame = context.hold->pop_oldest().frame;
        context.pool->release({&frame, 1});
    }
}

void book_transmitted(Context& context, PortId port, std::size_t taken) noexcept {
    PortOutput& output = (*context.outputs)[port.value];
    for (std::size_t i = 0; i < output.owner_count; ++i) {
        const PortOutput::Owner& owner = output.owners[i];
        const std::size_t end = output.end_of(i),
                          until = std::clamp(taken, std::size_t{owner.first}, end);
        book_taken(context, owner,
                   std::span(output.frames).subspan(owner.first, until - owner.first));
        book_refused(context, owner, end - until);
    }
    if (taken < output.count) {
        context.pool->release({output.frames.data() + taken, output.count - taken});
    }
    output.clear();
}

}  // namespace wye::pipeline
