#include "dataplane/pipeline/plain_runs.hh"

#include <emmintrin.h>

#include <bit>

#include "dataplane/net/parse.hh"
#include "dataplane/pipeline/plain_headers.hh"
#include "dataplane/pipeline/tenant_roots.hh"
#include "dataplane/table/counters.hh"
#include "dataplane/table/tunnel.hh"
#include "dataplane/table/vport_key.hh"
#include "dataplane/table/vrf.hh"

namespace wye::pipeline {
namespace {

/// Of the eight bytes behind the addresses: the EtherTypes of tags, and their VLAN ids.
constexpr std::uint64_t tag_mask(unsigned tags) noexcept {
    constexpr std::uint64_t kTag = 0xff0f'ffff;
    return tags == 0 ? 0 : tags == 1 ? kTag : kTag | kTag << 32;
}

std::uint64_t as_loaded(const net::MacAddress& mac) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, mac.bytes.data(), mac.bytes.size());
    return word << 16;
}

// The stages of resolve(). `vport` is null where there is none.

void find_vport(const Context& context, PlainRun& run, const table::Vport*& vport) noexcept {
    const auto& header = context.arena.header();
    if (!run.tunnel.valid()) run.vport = table::find_vport(context.arena, run.tag_key);
    vport = nullptr;
    if (run.vport.value >= header.limits.vports) return;
    vport = &context.arena.record(header.vports, run.vport.value);
    __builtin_prefetch(vport);
}

void find_tenant(const Context& context, PlainRun& run, const table::Vport*& vport) noexcept {
    if (vport == nullptr) return;
    run.tenant = vport->tenant;
    run.rows.tenant = table::tenant_row(run.tenant);
    const auto& header = context.arena.header();
    if (run.tenant.value >= header.limits.tenants) return;
    __builtin_prefetch(&context.arena.record(header.tenants, run.tenant.value));
}

void find_policy(Context& context, PlainRun& run, const table::Vport*& vport) noexcept {
    if (vport == nullptr) return;
    run.policy = context.roots->find_unread(*vport);
    __builtin_prefetch(run.policy);
}

void read_policy(const Context& context, PlainRun& run, const table::Vport*& /*vport*/) noexcept {
    const table::VportPolicy* policy = run.policy;
    const auto& header = context.arena.header();
    if (policy == nullptr || policy->vport != run.vport || policy->admin_up == 0 ||
        policy->vrf.value >= header.limits.vrfs) {
        return;
    }
    run.mac = as_loaded(policy->mac);
    run.acl = policy->ingress_acl;
    run.vrf = policy->vrf;
    __builtin_prefetch(&context.arena.record(header.vrfs, run.vrf.value));
}

void read_vrf(const Context& context, PlainRun& run, const table::Vport*& /*vport*/) noexcept {
    if (!run.is_usable()) return;
    const table::Vrf& vrf = context.arena.record(context.arena.header().vrfs, run.vrf.value);
    run.is_underlay = vrf.underlay != 0;
    run.fib4 = vrf.fib4.load();
    run.fib6 = vrf.fib6.load();
    run.table4 = table::table_of(context.arena, run.fib4);
}

}  // namespace

void PlainRuns::begin_burst(const Context& context) noexcept {
    state_ = context.roots->state();
    spare_count_ = used_count_ = unresolved_count_ = 0;
}

inline std::uint32_t PlainRuns::set_of(std::uint32_t tag_key) noexcept {
    return table::vport_key_hash(tag_key) % (kPlaces / kWays);
}

PlainRun& PlainRuns::begin(PlainRun& run, std::uint32_t port_row) noexcept {
    run = PlainRun{};
    run.mac = PlainRun::kNoMac;
    run.rows.port = port_row;
    run.state = state_;
    used_[used_count_++] = &run;
    unresolved_[unresolved_count_++] = &run;
    return run;
}
PlainRun& PlainRuns::begin_spare(std::uint32_t port_row) noexcept {
    return begin(spare_[spare_count_++], port_row);
}

bool PlainRuns::identify(PortId port, const Frame& frame, Wanted& wanted) const noexcept {
    net::LinkLayout link;
    if (!net::parse_link(frame.bytes(), link)) return false;
    if (link.ether_type != net::ether_type(net::EtherType::ipv4) &&
        link.ether_type != net::ether_type(net::EtherType::ipv6)) {
        return false;
    }
    wanted.tag_mask = tag_mask(link.tags);
    wanted.tags = load<std::uint64_t>(frame.data + 2 * sizeof(net::MacAddress)) & wanted.tag_mask;
    wanted.tag_key =
        table::vport_key(static_cast<std::uint16_t>(port.value), link.vlan, link.inner_vlan);
    wanted.l3_offset = link.payload_offset;
    wanted.port_row = static_cast<std::uint16_t>(table::port_row(port));
    __builtin_prefetch(&sets_[set_of(wanted.tag_key)]);
    return true;
}

void PlainRuns::find_place(Wanted& wanted) const noexcept {
    const std::uint32_t set = set_of(wanted.tag_key);
    const auto* keys = reinterpret_cast<const __m128i*>(sets_[set].tag_keys.data());
    const __m128i key = _mm_set1_epi32(static_cast<int>(wanted.tag_key));
    const auto are_same = [&](std::size_t i) { return _mm_cmpeq_epi32(keys[i], key); };
    const __m128i low = _mm_packs_epi32(are_same(0), are_same(1)),
                  high = _mm_packs_epi32(are_same(2), are_same(3));
    const auto found = static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(low, high)));
    if (found == 0) {
        wanted.place = kNowhere;
        return;
    }
    wanted.place = set * kWays + static_cast<std::uint32_t>(std::countr_zero(found));
    const PlainRun& run = runs_[wanted.place];
    __builtin_prefetch(&run.state);
    __builtin_prefetch(&run);
}

inline bool PlainRuns::is_of(const PlainRun& run, const Wanted& wanted) const noexcept {
    return ((run.state ^ state_) | (run.tag_key ^ wanted.tag_key) | (run.tags ^ wanted.tags) |
            (run.tag_mask ^ wanted.tag_mask)) == 0;
}

inline void PlainRuns::use(PlainRun& run) noexcept {
    if (!run.is_taken) used_[used_count_++] = &run;
    run.is_taken = true;
}

PlainRun* PlainRuns::take(const Wanted& wanted) noexcept {
    if (wanted.place == kNowhere || !is_of(runs_[wanted.place], wanted)) return &begin(wanted);
    PlainRun& run = runs_[wanted.place];
    use(run);
    return &run;
}

/// Looks for its place again: since find_place() the burst may have begun the same run, or one that
/// took it.
[[gnu::noinline]] PlainRun& PlainRuns::begin(Wanted wanted) noexcept {
    find_place(wanted);
    if (wanted.place != kNowhere && is_of(runs_[wanted.place], wanted)) return runs_[wanted.place];
    const std::uint32_t set = set_of(wanted.tag_key);
    std::optional<std::uint32_t> place = wanted.place;
    if (place == kNowhere) place = find_victim(set);
    // The same tags with other EtherTypes: one of them has the place, others are spare.
    if (place && runs_[*place].is_taken) place.reset();
    if (place) sets_[set].tag_keys[*place % kWays] = wanted.tag_key;
    PlainRun& run = place ? begin(runs_[*place], wanted.port_row) : begin_spare(wanted.port_row);
    run.is_taken = true;
    run.tag_mask = wanted.tag_mask;
    run.tags = wanted.tags;
    run.tag_key = wanted.tag_key;
    run.l3_offset = wanted.l3_offset;
    return run;
}

/// What is of an older state gives way first.
std::optional<std::uint32_t> PlainRuns::find_victim(std::uint32_t set) const noexcept {
    std::optional<std::uint32_t> victim;
    for (std::uint32_t place = set * kWays; place < (set + 1) * kWays; ++place) {
        if (runs_[place].is_taken) continue;
        victim = place;
        if (runs_[place].state != state_) break;
    }
    return victim;
}

PlainRun& PlainRuns::begin(const Context& context, TunnelId tunnel, const PlainRun& outer,
                           PlainRun& place) noexcept {
    PlainRun& run = place.is_taken ? begin_spare(outer.rows.port) : begin(place, outer.rows.port);
    run.is_taken = true;
    run.tunnel = tunnel;
    run.vport = context.arena.record(context.arena.header().tunnels, tunnel.value).vport;
    run.l3_offset = sizeof(net::EthernetHeader);
    run.recirculations = static_cast<std::uint8_t>(outer.recirculations + 1);
    run.from_tenant_row = outer.rows.tenant;
    return run;
}

bool PlainRuns::take_again(PlainRun& run) noexcept {
    if (run.state != state_) return false;
    use(run);
    return true;
}

void PlainRuns::resolve(Context& context) noexcept {
    if (unresolved_count_ == 0) return;
    const std::span runs = std::span(unresolved_).first(unresolved_count_);
    for (const PlainRun* run : runs) {
        if (!run->tunnel.valid()) table::prefetch_vport(context.arena, run->tag_key);
    }
    std::array<const table::Vport*, kMost> vports;
    const auto each = [&](auto stage) {
        for (std::size_t i = 0; i < runs.size(); ++i) stage(context, *runs[i], vports[i]);
    };
    each(find_vport);
    each(find_tenant);
    each(find_policy);
    each(read_policy);
    each(read_vrf);
    unresolved_count_ = 0;
}

void PlainRuns::prefetch(const Context& context, const PlainRun& run) noexcept {
    if (!run.is_usable()) return;
    __builtin_prefetch(context.arena.at(run.fib4));
    __builtin_prefetch(context.arena.at(run.fib6));
    __builtin_prefetch(&context.counters.vports[run.vport.value], 1);
    __builtin_prefetch(&context.counters.tenants[run.rows.tenant], 1);
    __builtin_prefetch(&context.counters.vrfs[run.vrf.value], 1);
}

namespace {

void book(table::CounterBlock& counters, const PlainRun& run) noexcept {
    const std::uint32_t packets = run.ipv4 + run.ipv6;
    if (packets == 0) return;
    table::LedgerRow& tenant = counters.tenants[run.rows.tenant];
    if (run.tunnel.valid()) {
        counters.tenants[run.from_tenant_row].moved_out.add(packets);
        tenant.moved_in.add(packets);
        // Of the outer IP packet: what was taken off is the same for all of them.
        table::PacketsAndBytes& tunnel = counters.tunnels[run.tunnel.value].decapsulated;
        tunnel.packets.add(packets);
        tunnel.bytes.add(run.bytes + packets * kTunnelHeaders);
    } else {
        counters.ports[run.rows.port].rx.add(packets);
        tenant.rx.add(packets);
    }
    table::PacketsAndBytes& rx = counters.vports[run.vport.value].rx;
    rx.packets.add(packets);
    rx.bytes.add(run.bytes);
    table::VrfCounters& vrf = counters.vrfs[run.vrf.value];
    vrf.lookups_ipv4.add(run.ipv4 - run.not_asked4);
    vrf.lookups_ipv6.add(run.ipv6 - run.not_asked6);
}

}  // namespace

void PlainRuns::count(Context& context) noexcept {
    for (PlainRun* run : std::span(used_).first(used_count_)) {
        book(context.counters, *run);
        run->ipv4 = run->ipv6 = run->not_asked4 = run->not_asked6 = 0;
        run->bytes = 0;
        run->is_taken = false;
    }
}

}  // namespace wye::pipeline
