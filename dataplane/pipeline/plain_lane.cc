#include "dataplane/pipeline/plain_lane.hh"

#include <algorithm>

#include "dataplane/pipeline/hash_flow.hh"
#include "dataplane/pipeline/ledger.hh"
#include "dataplane/pipeline/match_acl.hh"
#include "dataplane/pipeline/plain_lists.hh"
#include "dataplane/pipeline/tenant_roots.hh"
#include "dataplane/pipeline/validate_ipv4.hh"
#include "dataplane/pipeline/validate_ipv6.hh"
#include "dataplane/table/acl_key.hh"

namespace wye::pipeline {

using table::Reason;

// ---- match

namespace {

template <class Family, class Query>
void fill(Query& query, table::Ref<table::Acl> acl, const std::byte* l3) noexcept {
    query.acl = acl;
    const std::byte* const layer4 = l3 + Family::kHeader;
    const std::uint8_t protocol = Family::protocol(l3);
    const std::uint32_t ports = ports_of<Family>(l3);
    const bool tcp = protocol == net::protocol::tcp;
    // Behind a UDP header there may be nothing.
    const std::uint8_t flags = tcp ? net::header<net::TcpHeader>(layer4).flags : std::uint8_t{0};
    const std::uint64_t word = table::acl_layer4_word(ports >> 16, ports & 0xffff, protocol, flags,
                                                      Family::traffic_class(l3) >> 2u,
                                                      table::acl_state(true, false, false));
    if constexpr (is_ipv4<Family>) {
        query.words = {load<std::uint64_t>(l3 + Family::kAddresses), word, 0};
    } else {
        const auto& ip = net::header<net::Ipv6Header>(l3);
        table::pack_acl_addresses(ip.source, ip.destination, query);
        query.words[4] = word;
        query.words[5] = 0;
    }
}

}  // namespace

template <class Family>
void PlainLane::match(Context& context, List<Family>& list) noexcept {
    Burst& burst = *context.burst;
    auto& queries = of_family<Family>(burst.acls4, burst.acls6);
    std::size_t asked = 0;
    for (const Entry& entry : list.all()) {
        if (entry.run->acl) fill<Family>(queries[asked++], entry.run->acl, entry.l3());
    }
    if (asked == 0) return;
    table::match_acls(context.arena, std::span(queries).first(asked));
    table::Ref<table::Acl> last;
    table::PacketsAndBytes* rules = context.counters.rules;
    std::size_t answered = 0, kept = 0;
    for (std::size_t j = 0; j < list.count; ++j) {
        const Entry& entry = list.entries[j];
        const table::Ref<table::Acl> acl = entry.run->acl;
        if (acl) {
            if (acl != last) {
                last = acl;
                rules = context.counters.rules + table::acl_counter_base(context.arena, acl);
            }
            if (!account_acl(rules, queries[answered++].verdict, list.lengths[j])) [[unlikely]] {
                deny<Family>(context, entry);
                continue;
            }
        }
        if (kept != j) {
            list.entries[kept] = entry;
            list.lengths[kept] = list.lengths[j];
            list.destinations[kept] = list.destinations[j];
        }
        ++kept;
    }
    list.count = kept;
}

template <class Family>
[[gnu::noinline]] void PlainLane::deny(Context& context, const Entry& entry) const noexcept {
    ++of_family<Family>(entry.run->not_asked4, entry.run->not_asked6);
    Packet packet;
    packet.in_vport = entry.run->vport;
    packet.port_row = entry.run->rows.port;
    packet.tenant_row = entry.run->rows.tenant;
    book_drop(context, packet, Reason::acl_ingress_denied);
    context.burst->discarded.add(*entry.frame, *context.pool);
}

// ---- look up

namespace {

void look_up_all(table::ArenaView arena, std::span<const table::Ref<table::Fib4Root>> roots,
                 std::span<const net::Ipv4Address> addresses,
                 std::span<table::Leaf> leaves) noexcept {
    table::lookup_fib4(arena, roots, addresses, leaves);
}
void look_up_all(table::ArenaView arena, std::span<const table::Ref<table::Fib6Root>> roots,
                 std::span<const net::Ipv6Address> addresses,
                 std::span<table::Leaf> leaves) noexcept {
    table::lookup_fib6(arena, roots, addresses, leaves);
}

}  // namespace

template <class Family>
void PlainLane::look_up(Context& context, const List<Family>& list) noexcept {
    Burst& burst = *context.burst;
    auto& roots = of_family<Family>(burst.roots4, burst.roots6);
    const auto root_of = [](const PlainRun& run) { return of_family<Family>(run.fib4, run.fib6); };
    if (runs_.size() == 1) {
        std::fill_n(roots.begin(), list.count, root_of(*list.entries[0].run));
    } else {
        for (std::size_t j = 0; j < list.count; ++j) roots[j] = root_of(*list.entries[j].run);
    }
    // Often there is one flow, and one query is enough.
    std::size_t same = 1;
    while (same < list.count && Family::same(list.destinations[same], list.destinations[0]) &&
           roots[same] == roots[0]) {
        ++same;
    }
    const std::size_t asked = same == list.count ? 1 : list.count;
    look_up_all(context.arena, std::span(roots).first(asked),
                std::span(list.destinations).first(asked), std::span(leaves_).first(asked));
    if (asked != list.count) std::fill_n(leaves_.begin(), list.count, leaves_[0]);
}
/// As the general passes know a packet that was admitted.
[[gnu::noinline]] void PlainLane::give_up(Context& context, const Entry& entry) noexcept {
    const auto index = static_cast<std::size_t>(entry.frame - frames_.data());
    PlainRun& run = *entry.run;
    Packet& packet = context.burst->packets[index];
    packet = Packet{};
    packet.frame = entry.frame->starting_at(entry.l3() - run.l3_offset);
    packet.l3_offset = run.l3_offset;
    packet.in_vport = run.vport;
    packet.in_policy = run.policy;
    packet.tenant = run.tenant;
    packet.tenant_row = run.rows.tenant;
    packet.port_row = run.rows.port;
    packet.vrf = run.vrf;
    packet.recirculations = run.recirculations;
    const auto type = load<std::uint16_t>(packet.l3() - sizeof(Be16));
    const bool ipv4 = type == PlainIpv4::kEtherType;
    (void)(ipv4 ? validate_ipv4(packet) : validate_ipv6(packet));
    ++(ipv4 ? run.not_asked4 : run.not_asked6);
    hash_flow(packet);
    admitted_->add(index);
}
// ---- the lane

template <class Family>
[[gnu::flatten]] void PlainLane::pass(Context& context, List<Family>& list) noexcept {
    if (list.count == 0) return;
    match<Family>(context, list);
    if (list.count == 0) return;
    look_up<Family>(context, list);
    leave_all<Family>(context, list);
    list.count = 0;
}

void PlainLane::run(Context& context, PortId port, std::span<Frame> frames, Live& unknown,
                    Live& admitted) noexcept {
    frames_ = frames;
    port_ = port;
    admitted_ = &admitted;
    // Both only grow. Read before the exits read them: what is concluded of newer ones is then taken for
    // older, never the other way round.
    state_ = context.roots->state() + context.liveness->changes();
    runs_.begin_burst(context);
    exits_.begin_burst(context);
    underlay_exits_.begin_burst(context);
    admit(context, frames, unknown);
    pass(context, ipv4_);
    pass(context, ipv6_);
    if (end_count_ != 0) {
        decapsulate(context);
        pass(context, ipv4_);
        pass(context, ipv6_);
    }
    runs_.count(context);
    exits_.count(context);
}

}  // namespace wye::pipeline
