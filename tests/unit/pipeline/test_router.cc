#include "test_router.hh"

#include <cstdlib>
#include <cstring>

#include "dataplane/net/checksum.hh"
#include "dataplane/net/ethernet.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "dataplane/net/tcp.hh"
#include "dataplane/net/udp.hh"
#include "dataplane/pipeline/hold.hh"
#include "dataplane/pipeline/pipelines.hh"
#include "dataplane/table/tunnel_key_writer.hh"
#include "dataplane/table/vport_key_writer.hh"
#include "dataplane/table/vrf.hh"

namespace wye::pipeline::test {
namespace {

constexpr std::uint64_t kCyclesPerSecond = 1'000'000'000;
constexpr table::ArenaLimits kArenaLimits{16, 32, 1024, 1024, 1024, 64, 64u << 20};
constexpr table::CounterLimits kCounterLimits{1, 32, 16, 1024, 1024, 32, 4096};

template <class T>
void append(Bytes& to, const T& header) {
    const auto bytes = std::as_bytes(std::span(&header, 1));
    to.insert(to.end(), bytes.begin(), bytes.end());
}
void append_bytes(Bytes& to, const Bytes& more) {
    to.insert(to.end(), more.begin(), more.end());
}

Bytes bytes_of(const Frame& frame) {
    return {frame.data, frame.data + frame.length};
}

std::uint64_t sum_of_drops(const table::LedgerRow& row) {
    std::uint64_t sum = 0;
    for (const auto& cell : row.drops) sum += cell.get();
    return sum;
}

}  // namespace

Bytes from_hex(std::string_view text) {
    Bytes bytes;
    int high = -1;
    for (const char c : text) {
        if (c == ' ') continue;
        const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
        if (high < 0) {
            high = digit;
        } else {
            bytes.push_back(static_cast<std::byte>(high << 4 | digit));
            high = -1;
        }
    }
    return bytes;
}

std::string to_hex(const Bytes& bytes) {
    std::string text;
    for (const std::byte b : bytes) {
        text += "0123456789abcdef"[static_cast<unsigned>(b) >> 4];
        text += "0123456789abcdef"[static_cast<unsigned>(b) & 15];
    }
    return text;
}

bool MallocPool::allocate(Frame& frame) noexcept {
    frame = make({});
    return true;
}

Frame MallocPool::make(const Bytes& bytes, std::uint16_t headroom) {
    Frame frame;
    auto* base = static_cast<std::byte*>(std::malloc(headroom + bytes.size()));
    frame.buffer = base;
    frame.data = base + headroom;
    if (!bytes.empty()) std::memcpy(frame.data, bytes.data(), bytes.size());
    frame.length = static_cast<std::uint32_t>(bytes.size());
    frame.headroom = headroom;
    ++outstanding;
    return frame;
}

void MallocPool::release(std::span<const Frame> frames) noexcept {
    for (const Frame& frame : frames) std::free(frame.buffer);
    outstanding -= frames.size();
}

TestRouter::TestRouter(const Limits& limits)
    : context(limits),
      arena(std::move(*table::ArenaWriter::create_anonymous(kArenaLimits))),
      counters(std::move(*table::CounterFile::create_anonymous(kCounterLimits))),
      outputs_(std::make_unique<std::array<PortOutput, kMaxPorts>>()) {
    context.arena = arena.view();
    context.now_cycles = kCyclesPerSecond;
    context.cycles_per_second = kCyclesPerSecond;
    context.counters = counters.block(WorkerId{0});
    context.liveness = &liveness;
    context.pool = &pool;
    context.punt = &punt_ring_;
    context.resolve = &resolve_ring_;
    context.outputs = outputs_.get();
}

TestRouter::~TestRouter() {
    expect_balanced();
    // What still waits goes the way of everything that waits.
    advance_milliseconds(1'000'000);
    for (unsigned i = 0; i < 4 && context.hold->size() != 0; ++i) {
        run_held(false);
        advance_milliseconds(1'000'000);
    }
    expect_balanced();
    EXPECT_EQ(pool.outstanding, 0u) << "frames were lost";
}

void TestRouter::use(const Buffers& buffers) {
    buffers_ = &buffers;
    context.pool = &buffers.pool;
}

Frame TestRouter::make(const Bytes& bytes) {
    return buffers_ == nullptr ? pool.make(bytes) : buffers_->receive(bytes);
}

Bytes TestRouter::contents(const Frame& frame) const {
    return buffers_ == nullptr ? bytes_of(frame) : buffers_->send(frame);
}

TenantId TestRouter::add_tenant(std::uint32_t punt_packets_per_second) {
    const TenantId id{static_cast<std::uint32_t>(tenants_.size())};
    tenants_.emplace_back();
    EXPECT_TRUE(arena.back(arena.header().tenants, id.value));
    auto& root = arena.record(arena.header().tenants, id.value);
    root.punt_packets_per_second = punt_packets_per_second;
    publish(id);
    return id;
}

void TestRouter::publish(TenantId id) {
    ++context.tables_epoch;
    Tenant& tenant = tenants_[id.value];
    const std::size_t bytes =
        sizeof(table::TenantPolicy) + tenant.policies.size() * sizeof(table::VportPolicy);
    const auto ref = arena.allocate<table::TenantPolicy>(bytes);
    ASSERT_TRUE(ref);
    table::TenantPolicy* policy = arena.writable(ref);
    policy->vport_count = static_cast<std::uint32_t>(tenant.policies.size());
    std::copy(tenant.policies.begin(), tenant.policies.end(),
              reinterpret_cast<table::VportPolicy*>(policy + 1));
    arena.record(arena.header().tenants, id.value).policy.store(ref);
    tenant.published = ref;
}

VrfId TestRouter::add_vrf(TenantId tenant, bool underlay) {
    ++context.tables_epoch;
    const VrfId id{vrfs_++};
    EXPECT_TRUE(arena.back(arena.header().vrfs, id.value));
    table::Vrf& vrf = arena.record(arena.header().vrfs, id.value);
    vrf.tenant = tenant;
    vrf.underlay = underlay ? 1 : 0;
    return id;
}

VportId TestRouter::add_vport(VrfId vrf, const VportOptions& options) {
    ++context.tables_epoch;
    const VportId id{vports_++};
    const TenantId tenant = arena.record(arena.header().vrfs, vrf.value).tenant;
    auto& policies = tenants_[tenant.value].policies;
    EXPECT_TRUE(arena.back(arena.header().vports, id.value));
    table::Vport& vport = arena.record(arena.header().vports, id.value);
    vport.tenant = tenant;
    vport.slot = static_cast<std::uint32_t>(policies.size());
    vport.port = options.port;
    vport.vlan = options.vlan;
    vport.inner_vlan = options.inner_vlan;
    vport.tunnel = options.tunnel;
    vport.kind = options.tunnel.valid() ? VportKind::tunnel : VportKind::port;
    table::VportPolicy policy{};
    policy.vport = id;
    policy.vrf = vrf;
    policy.mac = *net::parse_mac(options.mac);
    policy.mtu = options.mtu;
    policy.admin_up = 1;
    if (!options.source4.empty()) policy.source4 = net::parse_ip(options.source4)->ipv4();
    if (!options.source6.empty()) policy.source6 = net::parse_ip(options.source6)->ipv6();
    policies.push_back(policy);
    publish(tenant);
    if (options.tunnel.valid()) {
        arena.record(arena.header().tunnels, options.tunnel.value).vport = id;
    } else {
        EXPECT_TRUE(table::VportKeyWriter(arena).insert(options.port, options.vlan,
                                                        options.inner_vlan, id));
    }
    return id;
}

void TestRouter::change_vport(VportId id, const std::function<void(table::VportPolicy&)>& change) {
    const table::Vport& vport = arena.record(arena.header().vports, id.value);
    change(tenants_[vport.tenant.value].policies[vport.slot]);
    publish(vport.tenant);
}

TunnelId TestRouter::add_tunnel(const TunnelOptions& options) {
    ++context.tables_epoch;
    const TunnelId id{tunnels_++};
    EXPECT_TRUE(arena.back(arena.header().tunnels, id.value));
    table::Tunnel& tunnel = arena.record(arena.header().tunnels, id.value);
    tunnel.key = {};
    tunnel.key.local = *net::parse_ip(options.local);
    tunnel.key.remote = *net::parse_ip(options.remote);
    tunnel.key.kind = options.kind;
    tunnel.key.vni = options.vni;
    tunnel.key.underlay = options.underlay;
    tunnel.vport = VportId{};
    tunnel.destination_port = table::default_tunnel_port(options.kind);
    tunnel.udp_checksum = table::fills_udp_checksum(tunnel.key.local.family, 0);
    table::OuterHeaderFields fields;
    fields.local = tunnel.key.local;
    fields.remote = tunnel.key.remote;
    fields.vni = options.vni;
    fields.kind = options.kind;
    const auto header = table::build_outer_header(fields);
    tunnel.header = header.bytes;
    tunnel.header_length = header.length;
    tunnel.in_use = 1;
    EXPECT_TRUE(table::TunnelKeyWriter(arena).insert(id));
    return id;
}

table::Ref<table::Acl> TestRouter::add_acl(std::span<const table::AclRuleSpec> rules,
                                           bool default_permit, std::uint32_t counter_base) {
    const auto image = table::build_acl(rules);
    EXPECT_TRUE(image.has_value());
    if (!image) return {};
    const auto ref = arena.allocate<std::byte>(image->bytes());
    EXPECT_TRUE(ref);
    EXPECT_TRUE(image->write(default_permit, counter_base, {arena.writable(ref), image->bytes()}));
    return {ref.unit};
}

NextHopId TestRouter::add_nexthop(NextHopKind kind, VportId vport, std::string_view gateway,
                                  std::string_view neighbor_mac) {
    ++context.tables_epoch;
    const NextHopId id{nexthops_++};
    EXPECT_TRUE(arena.back(arena.header().nexthops, id.value));
    table::NextHop& nexthop = arena.record(arena.header().nexthops, id.value);
    nexthop.kind = kind;
    nexthop.vport = vport;
    nexthop.gateway = *net::parse_ip(gateway);
    nexthop.active.store(table::Rewrite::incomplete);
    if (!neighbor_mac.empty()) set_neighbor(id, neighbor_mac);
    return id;
}

void TestRouter::set_neighbor(NextHopId id, std::string_view neighbor_mac) {
    ++context.tables_epoch;
    table::NextHop& nexthop = arena.record(arena.header().nexthops, id.value);
    if (neighbor_mac.empty()) return nexthop.active.store(table::Rewrite::incomplete);
    const table::Vport& vport = arena.record(arena.header().vports, nexthop.vport.value);
    Bytes header;
    append(header, *net::parse_mac(neighbor_mac));
    append(header, tenants_[vport.tenant.value].policies[vport.slot].mac);
    if (vport.kind == VportKind::port && vport.vlan != kNoVlan) {
        append(header,
               Be16{net::ether_type(vport.inner_vlan == kNoVlan ? net::EtherType::vlan
                                                                : net::EtherType::service_vlan)});
        append(header, Be16{vport.vlan});
        if (vport.inner_vlan != kNoVlan) {
            append(header, Be16{net::ether_type(net::EtherType::vlan)});
            append(header, Be16{vport.inner_vlan});
        }
    }
    const bool second = nexthop.active.load() == table::Rewrite::first;
    std::memcpy(nexthop.rewrite[second ? 1 : 0].data(), header.data(), header.size());
    nexthop.rewrite_length = static_cast<std::uint8_t>(header.size());
    nexthop.active.store(second ? table::Rewrite::second : table::Rewrite::first);
}

GroupId TestRouter::add_group(const std::vector<NextHopId>& members) {
    ++context.tables_epoch;
    const GroupId id{groups_++};
    constexpr std::uint32_t kBuckets = 64;
    const auto ref = arena.allocate<table::GroupTable>(
        sizeof(table::GroupTable) + (kBuckets + members.size()) * sizeof(NextHopId));
    EXPECT_TRUE(ref);
    table::GroupTable* group = arena.writable(ref);
    group->member_count = static_cast<std::uint32_t>(members.size());
    group->bucket_mask = kBuckets - 1;
    auto* ids = reinterpret_cast<NextHopId*>(group + 1);
    for (std::uint32_t i = 0; i < kBuckets; ++i) ids[i] = members[i % members.size()];
    std::copy(members.begin(), members.end(), ids + kBuckets);
    EXPECT_TRUE(arena.back(arena.header().groups, id.value));
    arena.record(arena.header().groups, id.value).table.store(ref);
    return id;
}

table::FibWriter& TestRouter::fib(VrfId id, net::IpFamily family) {
    const auto found = fibs_.find({id.value, family});
    if (found != fibs_.end()) return found->second;
    table::Vrf& vrf = arena.record(arena.header().vrfs, id.value);
    auto& root = family == net::IpFamily::ipv4 ? vrf.fib4.unit : vrf.fib6.unit;
    return fibs_.emplace(std::pair{id.value, family}, table::FibWriter(arena, family, root))
        .first->second;
}

void TestRouter::add_route(VrfId vrf, std::string_view text, table::Leaf leaf) {
    ++context.tables_epoch;
    const auto prefix = net::parse_prefix(text);
    ASSERT_TRUE(prefix) << text;
    ASSERT_TRUE(fib(vrf, prefix->address.family).insert(*prefix, leaf)) << text;
}

void TestRouter::delete_route(VrfId vrf, std::string_view text) {
    ++context.tables_epoch;
    const auto prefix = net::parse_prefix(text);
    ASSERT_TRUE(prefix && fib(vrf, prefix->address.family).erase(*prefix)) << text;
}

void TestRouter::receive(std::uint32_t port, const std::vector<Bytes>& packets) {
    for (std::size_t begin = 0; begin < packets.size(); begin += kMaxBurst) {
        std::array<Frame, kMaxBurst> frames;
        std::size_t n = 0;
        for (; n < kMaxBurst && begin + n < packets.size(); ++n) {
            frames[n] = make(packets[begin + n]);
        }
        run_from_port(context, PortId{port}, {frames.data(), n});
        transmit();
    }
}

void TestRouter::from_twin(VportId vport, const Bytes& frame) {
    HostFrame host{make(frame), vport, VrfId{}};
    run_from_host(context, {&host, 1});
    transmit();
}

void TestRouter::from_inject(VrfId vrf, const Bytes& packet) {
    HostFrame host{make(packet), VportId{}, vrf};
    run_from_host(context, {&host, 1});
    transmit();
}

void TestRouter::from_bfd(const bfd::Departure& departure) {
    run_from_bfd(context, {&departure, 1});
    transmit();
}

void TestRouter::run_held(bool all) {
    pipeline::run_held(context, all);
    transmit();
}

void TestRouter::advance_milliseconds(std::uint64_t n) {
    context.now_cycles += n * (kCyclesPerSecond / 1000);
}

void TestRouter::transmit() {
    for (std::uint32_t port = 0; port < kMaxPorts; ++port) {
        PortOutput& output = (*outputs_)[port];
        const std::size_t n = output.count;
        for (std::size_t i = 0; i < n; ++i) {
            sent.push_back(
                {port, output.owners[output.owner_index_of(i)].vport, contents(output.frames[i])});
        }
        const std::vector<Frame> frames(output.frames.begin(),
                                        output.frames.begin() + static_cast<std::ptrdiff_t>(n));
        book_transmitted(context, PortId{port}, n);
        context.pool->release(frames);
    }
    PuntedFrame frame;
    while (punt_ring_.pop({&frame, 1}) == 1) {
        punted.push_back({frame.vport, bytes_of(frame.frame)});
        context.pool->release({&frame.frame, 1});
    }
    ring::ResolveRequest request;
    while (resolve_ring_.pop({&request, 1}) == 1) resolves.push_back(request);
}

void TestRouter::clear_output() {
    sent.clear();
    punted.clear();
    resolves.clear();
}

std::uint64_t TestRouter::drops(table::Reason reason) const {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i <= kCounterLimits.ports; ++i) {
        sum += context.counters.ports[i].drops[static_cast<std::size_t>(reason)].get();
    }
    return sum;
}

std::uint64_t TestRouter::total(table::Counter table::LedgerRow::*cell) const {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i <= kCounterLimits.ports; ++i) {
        sum += (context.counters.ports[i].*cell).get();
    }
    return sum;
}

Bytes TestRouter::only_sent(std::uint32_t port) {
    EXPECT_EQ(sent.size(), 1u);
    if (sent.size() != 1) return {};
    EXPECT_EQ(sent[0].port, port);
    return sent[0].bytes;
}

void TestRouter::expect_balanced() const {
    const auto check = [](const table::LedgerRow& row, const char* what, std::uint32_t i) {
        EXPECT_EQ(row.rx.get() + row.from_host.get() + row.generated.get() + row.moved_in.get(),
                  row.tx.get() + sum_of_drops(row) + row.punted.get() + row.consumed.get() +
                      row.moved_out.get() + row.held.get())
            << what << " row " << i;
    };
    std::uint64_t held = 0;
    for (std::uint32_t i = 0; i <= kCounterLimits.ports; ++i) {
        check(context.counters.ports[i], "port", i);
        held += context.counters.ports[i].held.get();
    }
    for (std::uint32_t i = 0; i <= kCounterLimits.tenants; ++i) {
        check(context.counters.tenants[i], "tenant", i);
    }
    EXPECT_EQ(held, context.hold->size());
    if (buffers_ != nullptr) return;
    EXPECT_EQ(pool.outstanding, context.hold->size()) << "frames outside of hold slots";
}

Bytes ip_packet(const Ip& ip, const Bytes& payload) {
    const net::IpAddress source = *net::parse_ip(ip.source);
    const net::IpAddress destination = *net::parse_ip(ip.destination);
    Bytes bytes;
    if (source.is_ipv4()) {
        net::Ipv4Header header{};
        const std::size_t length = sizeof header + ip.options.size();
        header.version_ihl = static_cast<std::uint8_t>(0x40 | length / 4);
        header.total_length = static_cast<std::uint16_t>(length + payload.size());
        header.flags_offset = ip.flags_offset;
        header.tos = ip.tos;
        header.ttl = ip.ttl;
        header.protocol = ip.protocol;
        header.source = source.ipv4();
        header.destination = destination.ipv4();
        append(bytes, header);
        append_bytes(bytes, ip.options);
        net::header<net::Ipv4Header>(bytes.data()).checksum = net::checksum(bytes);
    } else {
        net::Ipv6Header header{};
        header.version_class_flow = std::uint32_t{0x60000000};
        header.payload_length = static_cast<std::uint16_t>(payload.size());
        header.next_header = ip.protocol;
        header.hop_limit = ip.ttl;
        header.source = source.ipv6();
        header.destination = destination.ipv6();
        append(bytes, header);
    }
    append_bytes(bytes, payload);
    return bytes;
}

Bytes udp(std::uint16_t source_port, std::uint16_t destination_port, const Bytes& payload) {
    Bytes bytes;
    append(bytes,
           net::UdpHeader{
               source_port, destination_port, static_cast<std::uint16_t>(8 + payload.size()), {}});
    append_bytes(bytes, payload);
    return bytes;
}

Bytes tcp(std::uint16_t source_port, std::uint16_t destination_port, std::uint8_t flags) {
    net::TcpHeader header{};
    header.source_port = source_port;
    header.destination_port = destination_port;
    header.data_offset = 0x50;
    header.flags = flags;
    Bytes bytes;
    append(bytes, header);
    return bytes;
}

Bytes ethernet(const Link& link, const Bytes& packet) {
    Bytes bytes;
    append(bytes, *net::parse_mac(link.destination));
    append(bytes, *net::parse_mac(link.source));
    for (std::size_t i = 0; i < link.vlans.size(); ++i) {
        const bool service = link.vlans.size() == 2 && i == 0;
        append(bytes, Be16{net::ether_type(service ? net::EtherType::service_vlan
                                                   : net::EtherType::vlan)});
        append(bytes, Be16{link.vlans[i]});
    }
    std::uint16_t type = link.type;
    if (type == 0 && !packet.empty()) {
        type = static_cast<unsigned>(packet[0]) >> 4 == 6 ? 0x86dd : 0x0800;
    }
    append(bytes, Be16{type});
    append_bytes(bytes, packet);
    return bytes;
}

}  // namespace wye::pipeline::test
