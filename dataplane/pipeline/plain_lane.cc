#include "dataplane/pipeline/plain_lane.hh"

#include <algorithm>
#include <type_traits>

#include "dataplane/net/checksum.hh"
#include "dataplane/net/ethernet.hh"
#include "dataplane/pipeline/hash_flow.hh"
#include "dataplane/pipeline/ledger.hh"
#include "dataplane/pipeline/match_acl.hh"
#include "dataplane/pipeline/plain_headers.hh"
#include "dataplane/pipeline/resolve_leaf.hh"
#include "dataplane/pipeline/tunnel_steps.hh"
#include "dataplane/pipeline/validate_ipv4.hh"
#include "dataplane/pipeline/validate_ipv6.hh"
#include "dataplane/table/acl_key.hh"

namespace wye::pipeline {
namespace {

using table::Reason;

constexpr std::size_t kShortestFrame = sizeof(net::EthernetHeader) + PlainIpv4::kLeast;
/// Headers are written in pieces that may reach so far before the frame.
constexpr std::uint16_t kLeastHeadroom = TunnelExit::kHeader + Exit::kHeader;

template <class Family>
constexpr bool is_ipv4 = std::is_same_v<Family, PlainIpv4>;

bool is_ip(std::uint16_t ether_type) noexcept {
    return (ether_type == PlainIpv4::kEtherType) | (ether_type == PlainIpv6::kEtherType);
}

bool belongs_to(const PlainRun& run, const Frame& frame) noexcept {
    const auto tags = load<std::uint64_t>(frame.data + 2 * sizeof(net::MacAddress));
    const auto type = load<std::uint16_t>(frame.data + run.l3_offset - sizeof(Be16));
    return ((tags & run.tag_mask) == run.tags) & is_ip(type);
}

/// Source in the upper half.
template <class Family>
std::uint32_t ports_of(const std::byte* l3) noexcept {
    return byteswap(load<std::uint32_t>(l3 + Family::kHeader));
}

template <class Family>
std::uint32_t hash_of(const std::byte* l3) noexcept {
    constexpr std::size_t kBytes = is_ipv4<Family> ? 8 : 32;
    return hash_of_flow(Family::protocol(l3), ports_of<Family>(l3), l3 + Family::kAddresses,
                        kBytes);
}

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

/// The link header of `exit` before `l3`, which begins an IPv4 packet. Returns its first byte. Without
/// tags, 14 bytes and no more: what is before them would be another cache line to fetch.
std::byte* write_link(std::byte* l3, const Exit& exit) noexcept {
    const std::byte* const end = exit.header.data() + Exit::kHeader;
    store(l3 - 8, load<std::uint64_t>(end - 8));
    store(l3 - 14, load<std::uint64_t>(end - 14));
    if (exit.header_length > 14) store(l3 - 22, load<std::uint64_t>(end - 22));
    return l3 - exit.header_length;
}

/// What depends on the packet: the rest is as it was prepared.
void finish_outer(std::byte* outer, const TunnelExit& exit, std::uint32_t length,
                  std::uint8_t inner_class, std::uint32_t flow_hash) noexcept {
    const auto configured = static_cast<std::uint8_t>(exit.record->header[1]);
    const std::uint8_t tos =
        outer_traffic_class(configured, inner_class, exit.record->copy_dscp != 0);
    const std::uint32_t first = 0x45u | std::uint32_t{tos} << 8;
    const std::uint32_t swapped = byteswap(static_cast<std::uint16_t>(length));
    store(outer, first | swapped << 16);
    std::uint32_t sum = exit.checksum + first + swapped;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    store(outer + offsetof(net::Ipv4Header, checksum), static_cast<std::uint16_t>(~sum));
    std::byte* const udp = outer + sizeof(net::Ipv4Header);
    store(udp, byteswap(tunnel_source_port(flow_hash)));
    store(udp + offsetof(net::UdpHeader, length),
          byteswap(static_cast<std::uint16_t>(length - sizeof(net::Ipv4Header))));
}

}  // namespace

// ---- admit

[[gnu::noinline]] void PlainLane::admit(Context& context, std::span<Frame> frames,
                                        Live& unknown) noexcept {
    // Frames of the burst's first run enter at once, those of others when all their runs are found
    // together.
    std::array<Waiting, kMaxBurst> waiting;
    std::size_t count = 0;
    PlainRun* run = nullptr;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        Frame& frame = frames[i];
        if (frame.length < kShortestFrame || frame.headroom < kLeastHeadroom) [[unlikely]] {
            unknown.add(i);
            continue;
        }
        if (run == nullptr || !belongs_to(*run, frame)) [[unlikely]] {
            Waiting& next = waiting[count];
            next.frame = &frame;
            if (!runs_.identify(port_, frame, next.wanted)) {
                unknown.add(i);
                continue;
            }
            if (run != nullptr) {
                ++count;
                continue;
            }
            run = runs_.take(next.wanted);
            runs_.resolve(context);
        }
        if (!enter({&frame, run})) [[unlikely]]
            unknown.add(i);
    }
    if (count != 0) enter_waiting(context, std::span(waiting).first(count), unknown);
}

[[gnu::noinline]] void PlainLane::enter_waiting(Context& context, std::span<const Waiting> waiting,
                                                Live& unknown) noexcept {
    std::array<PlainRun*, kMaxBurst> runs;
    PlainRun** next = runs.data();
    for (const Waiting& one : waiting) *next++ = runs_.take(one.wanted);
    runs_.resolve(context);
    for (PlainRun* const run : std::span(runs).first(waiting.size())) runs_.prefetch(context, *run);
    next = runs.data();
    for (const Waiting& one : waiting) {
        if (!enter({one.frame, *next++})) {
            unknown.add(static_cast<std::size_t>(one.frame - frames_.data()));
        }
    }
}

[[gnu::always_inline]] inline bool PlainLane::enter(const Entry& entry) noexcept {
    // What the vport is not known for has a MAC address that no frame has.
    if (load<std::uint64_t>(entry.frame->data) << 16 != entry.run->mac) [[unlikely]]
        return false;
    const auto type = load<std::uint16_t>(entry.l3() - sizeof(Be16));
    return type == PlainIpv4::kEtherType ? enter_as<PlainIpv4>(entry, ipv4_)
                                         : enter_as<PlainIpv6>(entry, ipv6_);
}

template <class Family>
[[gnu::always_inline]] inline bool PlainLane::enter_as(const Entry& entry,
                                                       List<Family>& list) noexcept {
    const std::uint32_t size = entry.length();
    if (size < Family::kLeast) [[unlikely]]
        return false;
    const std::byte* const l3 = entry.l3();
    const std::uint32_t length = Family::length(l3, size);
    if (length == 0) [[unlikely]]
        return false;
    PlainRun& run = *entry.run;
    ++(is_ipv4<Family> ? run.ipv4 : run.ipv6);
    run.bytes += entry.frame->length;
    if (length != size) entry.frame->trim_to(run.l3_offset + length);
    if constexpr (is_ipv4<Family>) table::prefetch_in_table(run.table4, Family::destination(l3));
    list.entries[list.count] = entry;
    list.destinations[list.count++] = Family::destination(l3);
    return true;
}

// ---- match

template <class Family>
void PlainLane::match(Context& context, List<Family>& list) noexcept {
    Burst& burst = *context.burst;
    auto& queries = [&burst]() -> auto& {
        if constexpr (is_ipv4<Family>) {
            return burst.acls4;
        } else {
            return burst.acls6;
        }
    }
    ();
    std::size_t asked = 0;
    for (const Entry& entry : list.all()) {
        if (entry.run->acl) fill<Family>(queries[asked++], entry.run->acl, entry.l3());
    }
    if (asked == 0) return;
    table::match_acls(context.arena, std::span(queries).first(asked));
    table::Ref<table::Acl> last;
    table::PacketsAndBytes* rules = nullptr;
    std::size_t answered = 0, kept = 0;
    for (std::size_t j = 0; j < list.count; ++j) {
        const Entry entry = list.entries[j];
        const table::Ref<table::Acl> acl = entry.run->acl;
        if (acl) {
            if (acl != last) {
                last = acl;
                rules = context.counters.rules + table::acl_counter_base(context.arena, acl);
            }
            if (!account_acl(rules, queries[answered++].verdict, entry.length())) [[unlikely]] {
                ++(is_ipv4<Family> ? entry.run->not_asked4 : entry.run->not_asked6);
                deny(context, entry);
                continue;
            }
        }
        if (kept != j) {
            list.entries[kept] = entry;
            list.destinations[kept] = list.destinations[j];
        }
        ++kept;
    }
    list.count = kept;
}

[[gnu::noinline]] void PlainLane::deny(Context& context, const Entry& entry) const noexcept {
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
    auto& roots = [&burst]() -> auto& {
        if constexpr (is_ipv4<Family>) {
            return burst.roots4;
        } else {
            return burst.roots6;
        }
    }
    ();
    const auto root_of = [](const PlainRun& run) {
        if constexpr (is_ipv4<Family>) {
            return run.fib4;
        } else {
            return run.fib6;
        }
    };
    std::size_t asked = list.count;
    if (runs_.size() - outer_runs_ == 1) {
        // Often there is one flow, and one query is enough.
        const auto* const other =
            std::find_if(list.destinations.begin() + 1, list.destinations.begin() + list.count,
                         [&](const auto& to) { return !Family::same(to, list.destinations[0]); });
        if (other == list.destinations.begin() + list.count) asked = 1;
        std::fill_n(roots.begin(), asked, root_of(*list.entries[0].run));
    } else {
        for (std::size_t j = 0; j < asked; ++j) roots[j] = root_of(*list.entries[j].run);
    }
    look_up_all(context.arena, std::span(roots).first(asked),
                std::span(list.destinations).first(asked), std::span(leaves_).first(asked));
    if (asked != list.count) std::fill_n(leaves_.begin(), list.count, leaves_[0]);
}

// ---- leave

namespace {

void queue(PortOutput& output, const Frame& frame, std::byte* data, const PlainRun& run,
           VportId vport) noexcept {
    const std::size_t at = output.count++;
    output.frames[at] = frame.starting_at(data);
    output.owners[at].rows = run.rows;
    output.owners[at].vport = vport;
}

}  // namespace

template <class Family>
inline bool PlainLane::leave(Context& context, const Entry& entry, table::Leaf leaf) noexcept {
    std::byte* const l3 = entry.l3();
    if (leaf.is_group()) {
        leaf = table::Leaf::of(choose_nexthop(context, leaf, hash_of<Family>(l3)));
    }
    Exit& exit = exits_.find(context, leaf);
    if (entry.length() > exit.mtu || Family::ttl(l3) <= 1) [[unlikely]]
        return false;
    if (exit.kind != ExitKind::port) {
        return exit.kind == ExitKind::tunnel && encapsulate<Family>(context, entry, *exit.tunnel);
    }
    if (exit.output->count == PortOutput::kCapacity) [[unlikely]]
        return false;
    Family::decrement_ttl(l3);
    std::byte* const data = write_link(l3, exit);
    if constexpr (!is_ipv4<Family>) store(l3 - 2, Family::kEtherType);
    queue(*exit.output, *entry.frame, data, *entry.run, exit.vport);
    return true;
}

template <class Family>
inline bool PlainLane::encapsulate(Context& context, const Entry& entry,
                                   TunnelExit& exit) noexcept {
    std::byte* const l3 = entry.l3();
    const std::uint32_t flow_hash = hash_of<Family>(l3);
    table::Leaf leaf = exit.leaf;
    if (leaf.is_group()) leaf = table::Leaf::of(choose_nexthop(context, leaf, flow_hash));
    const Exit& way = underlay_exits_.find(context, leaf);
    const std::uint32_t length = entry.length();
    const std::uint32_t outer_length = length + exit.header_length;
    if (way.kind != ExitKind::port || outer_length > way.mtu ||
        way.output->count == PortOutput::kCapacity) [[unlikely]] {
        return false;
    }
    Family::decrement_ttl(l3);
    const std::uint8_t inner_class = Family::traffic_class(l3);
    std::memcpy(l3 - TunnelExit::kHeader, exit.header.data(), TunnelExit::kHeader);
    if constexpr (!is_ipv4<Family>) store(l3 - 2, Family::kEtherType);
    std::byte* const outer = l3 - exit.header_length;
    finish_outer(outer, exit, outer_length, inner_class, flow_hash);
    exits_.add(exit, length + static_cast<std::uint32_t>(sizeof(net::EthernetHeader)),
               outer_length);
    queue(*way.output, *entry.frame, write_link(outer, way), *entry.run, way.vport);
    return true;
}

template <class Family>
void PlainLane::leave_all(Context& context, const List<Family>& list) noexcept {
    for (const table::Leaf leaf : std::span(leaves_).first(list.count)) exits_.prefetch(leaf);
    const table::Leaf* leaf = leaves_.data();
    for (const Entry& entry : list.all()) {
        const table::Leaf to = *leaf++;
        if (leave<Family>(context, entry, to)) [[likely]]
            continue;
        ++(is_ipv4<Family> ? entry.run->not_asked4 : entry.run->not_asked6);
        if (is_ipv4<Family> && outer_runs_ == 0 && entry.run->is_underlay && !to.is_group() &&
            exits_.find(context, to).kind == ExitKind::local) {
            ends_[end_count_++] = entry;
        } else {
            give_up(context, entry);
        }
    }
}

/// As the general passes know a packet that was admitted.
[[gnu::noinline]] void PlainLane::give_up(Context& context, const Entry& entry) noexcept {
    const auto index = static_cast<std::size_t>(entry.frame - frames_.data());
    const PlainRun& run = *entry.run;
    Packet& packet = context.burst->packets[index];
    packet = Packet{};
    packet.frame = *entry.frame;
    packet.l3_offset = run.l3_offset;
    packet.in_vport = run.vport;
    packet.in_policy = run.policy;
    packet.tenant = run.tenant;
    packet.tenant_row = run.rows.tenant;
    packet.port_row = run.rows.port;
    packet.vrf = run.vrf;
    packet.recirculations = run.recirculations;
    const auto type = load<std::uint16_t>(packet.l3() - sizeof(Be16));
    (void)(type == PlainIpv4::kEtherType ? validate_ipv4(packet) : validate_ipv6(packet));
    hash_flow(packet);
    admitted_->add(index);
}

// ---- decapsulate

/// Over IPv4, without a checksum over the payload and without options: else the general steps see.
[[gnu::noinline]] void PlainLane::decapsulate(Context& context) noexcept {
    std::array<PlainRun*, kMaxBurst> inner;
    std::size_t found = 0;
    for (std::size_t j = 0; j < end_count_; ++j) {
        const Entry entry = ends_[j];
        inner[found] = find_end(context, entry);
        if (inner[found] != nullptr) {
            ends_[found++] = entry;
        } else {
            give_up(context, entry);
        }
    }
    end_count_ = 0;
    runs_.resolve(context);
    for (std::size_t j = 0; j < found; ++j) {
        const Entry& entry = ends_[j];
        if (strip(entry, *inner[j])) [[likely]] {
            --entry.run->not_asked4;
        } else {
            give_up(context, entry);
        }
    }
}

/// The run of what lies inside; null: the general steps see.
inline PlainRun* PlainLane::find_end(Context& context, const Entry& entry) noexcept {
    const std::uint32_t length = entry.length();
    const std::byte* const l3 = entry.l3();
    if (PlainIpv4::protocol(l3) != net::protocol::udp || length < kTunnelHeaders + kShortestFrame) {
        return nullptr;
    }
    const auto udp = load<std::uint64_t>(l3 + sizeof(net::Ipv4Header));
    const std::uint32_t udp_length = byteswap(static_cast<std::uint16_t>(udp >> 32));
    if (udp >> 48 != 0 || udp_length + sizeof(net::Ipv4Header) != length) return nullptr;
    const auto port = static_cast<std::uint16_t>(udp >> 16);
    const auto header = load<std::uint64_t>(l3 + kTunnelOuter);
    const auto addresses = load<std::uint64_t>(l3 + PlainIpv4::kAddresses);
    const std::uint64_t hash = __builtin_ia32_crc32di(header >> 32 & 0x00ff'ffff, addresses);
    TunnelEnd& end = tunnel_ends_[hash % kTunnelEnds];
    const bool same = addresses == end.addresses && (header & end.mask) == end.header &&
                      port == end.port && entry.run->rows == end.outer_rows &&
                      entry.run->vrf == end.outer_vrf;
    return same && runs_.take_again(end.run) ? &end.run : begin_end(context, entry, end);
}

/// A tunnel's end that is not known, or no more.
[[gnu::noinline]] PlainRun* PlainLane::begin_end(Context& context, const Entry& entry,
                                                 TunnelEnd& end) noexcept {
    const std::byte* const l3 = entry.l3();
    const auto& ip = net::header<net::Ipv4Header>(l3);
    const auto& udp = net::header<net::UdpHeader>(l3 + sizeof ip);
    table::TunnelKey key{};
    key.remote = ip.source;
    key.local = ip.destination;
    const auto match = find_tunnel_end(context.arena, entry.run->vrf, udp.destination_port.host(),
                                       net::header<net::VxlanHeader>(l3 + kTunnelOuter).vni(), key);
    if (!match || !match->tunnel.valid()) return nullptr;
    // VXLAN: the flag that there is a VNI. GENEVE: version 0, no options, no control, Ethernet.
    const bool vxlan = match->kind == TunnelKind::vxlan;
    constexpr std::uint64_t kVni = std::uint64_t{0x00ff'ffff} << 32;
    const std::uint64_t mask = kVni | (vxlan ? net::kVxlanFlagVni : 0xffff'80ffu);
    const auto header = load<std::uint64_t>(l3 + kTunnelOuter) & mask;
    if ((header & ~kVni) != (vxlan ? net::kVxlanFlagVni : 0x5865'0000u)) return nullptr;
    PlainRun& inner = runs_.begin(context, match->tunnel, *entry.run, end.run);
    if (&inner == &end.run) {
        end.addresses = load<std::uint64_t>(l3 + PlainIpv4::kAddresses);
        end.mask = mask;
        end.header = header;
        end.port = udp.destination_port.raw();
        end.outer_rows = entry.run->rows;
        end.outer_vrf = entry.run->vrf;
    }
    return &inner;
}

inline bool PlainLane::strip(const Entry& outer, PlainRun& inner) noexcept {
    const std::byte* const link = outer.l3() + kTunnelHeaders;
    if (load<std::uint64_t>(link) << 16 != inner.mac) [[unlikely]]
        return false;
    const auto type = load<std::uint16_t>(link + inner.l3_offset - sizeof(Be16));
    if (type == PlainIpv4::kEtherType) return strip_as<PlainIpv4>(outer, inner, ipv4_);
    return type == PlainIpv6::kEtherType && strip_as<PlainIpv6>(outer, inner, ipv6_);
}

template <class Family>
[[gnu::always_inline]] inline bool PlainLane::strip_as(const Entry& outer, PlainRun& inner,
                                                       List<Family>& list) noexcept {
    const std::byte* const l3 = outer.l3() + kTunnelHeaders + inner.l3_offset;
    const net::Ecn ecn = net::ecn_of(Family::traffic_class(l3));
    if (net::decapsulate_ecn(ecn, net::ecn_of(PlainIpv4::traffic_class(outer.l3()))) != ecn) {
        return false;
    }
    const auto stripped = static_cast<std::uint16_t>(outer.run->l3_offset + kTunnelHeaders);
    outer.frame->strip(stripped);
    if (!enter_as<Family>({outer.frame, &inner}, list)) [[unlikely]] {
        outer.frame->prepend(stripped);
        return false;
    }
    return true;
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
    outer_runs_ = 0;
    runs_.begin_burst(context);
    exits_.begin_burst(context);
    underlay_exits_.begin_burst(context);
    admit(context, frames, unknown);
    pass(context, ipv4_);
    pass(context, ipv6_);
    if (end_count_ != 0) {
        outer_runs_ = runs_.size();
        decapsulate(context);
        pass(context, ipv4_);
        pass(context, ipv6_);
    }
    runs_.count(context);
    exits_.count(context);
}

}  // namespace wye::pipeline
