#include "tests/unit/control/rig.hh"

#include <unistd.h>

#include <cstring>

namespace wye::control::test {

using wye::testing::ip;
using wye::testing::object_name;

table::ArenaLimits small_limits() {
    table::ArenaLimits limits;
    limits.tenants = 64;
    limits.vrfs = 128;
    limits.vports = 256;
    limits.tunnels = 64;
    limits.nexthops = 1024;
    limits.groups = 256;
    limits.heap_bytes = 8u << 20;
    return limits;
}

table::CounterLimits small_counters() {
    table::CounterLimits limits;
    limits.workers = 1;
    limits.tenants = 64;
    limits.vports = 256;
    limits.tunnels = 64;
    limits.vrfs = 128;
    limits.rules = 4096;
    return limits;
}

Options test_options() {
    Options options;
    options.builder_thread = false;
    options.hung_after = std::chrono::milliseconds(20);
    return options;
}

Rig::Rig(Options options, table::ArenaLimits limits, table::CounterLimits counter_limits)
    : counters(*table::CounterFile::create_anonymous(counter_limits)), liveness(limits.nexthops) {
    Wiring wiring{counters, published, epochs, liveness, {}, {&resolve}, nullptr};
    wiring.bfd = &bfd_desk;
    wiring.ports.push_back({object_name("p0"), PortId{0}, true});
    wiring.ports.push_back({object_name("p1"), PortId{1}, true});
    auto arena = table::ArenaWriter::create_anonymous(limits);
    arena->inject(&faults);
    control = std::make_unique<Control>(std::move(*arena), std::move(wiring), options);
    epochs.register_reader(0);
}

Rig::~Rig() {
    epochs.unregister_reader(0);
}

Programmer Rig::connect() {
    disconnect();
    channel_ = std::move(*ring::Channel::create({1024, 2048, 512}));
    control->open_session(*channel_);
    auto shim_end = ring::Channel::attach(dup(channel_->memfd()), dup(channel_->control_wakeup()),
                                          dup(channel_->shim_wakeup()));
    return Programmer(std::move(*shim_end), [this] { poll(); });
}

void Rig::disconnect() {
    control->close_session();
    channel_.reset();
}

void Rig::poll() {
    control->poll();
    if (!hung_) epochs.quiescent(0);
}

void Rig::rest() {
    for (int i = 0; i < 100000 && (control->poll() || control->pending()); ++i) {
        if (!hung_) epochs.quiescent(0);
    }
}

std::uint64_t Rig::digest() const {
    const table::ArenaView arena = control->arena();
    const std::byte* const begin = arena.base() + sizeof(table::ArenaHeader);
    const std::byte* const end = arena.base() + arena.header().size.load();
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const std::byte* p = begin; p + 8 <= end; p += 8) {
        std::uint64_t word;
        std::memcpy(&word, p, 8);
        hash = (hash ^ word) * 0x100000001b3u;
    }
    return hash;
}

VrfId Rig::vrf(std::string_view name) const {
    return VrfId{counters.find(table::SlotKind::vrf, name).value_or(VrfId::kNone)};
}
VportId Rig::vport(std::string_view name) const {
    return VportId{counters.find(table::SlotKind::vport, name).value_or(VrfId::kNone)};
}
TenantId Rig::tenant(std::string_view name) const {
    return TenantId{counters.find(table::SlotKind::tenant, name).value_or(VrfId::kNone)};
}
TunnelId Rig::tunnel(std::string_view name) const {
    return TunnelId{counters.find(table::SlotKind::tunnel, name).value_or(VrfId::kNone)};
}

table::Leaf Rig::lookup(std::string_view vrf_name, std::string_view text) const {
    const auto& record = view().record(view().header().vrfs, vrf(vrf_name).value);
    const net::IpAddress address = ip(text);
    if (address.is_ipv4()) return lookup_fib4(view(), record.fib4.load(), address.ipv4());
    return lookup_fib6(view(), record.fib6.load(), address.ipv6());
}

const table::NextHop* Rig::nexthop(table::Leaf leaf) const {
    EXPECT_FALSE(leaf.is_none());
    EXPECT_FALSE(leaf.is_group());
    if (leaf.is_none() || leaf.is_group()) return nullptr;
    return &view().record(view().header().nexthops, leaf.nexthop().value);
}

const table::VportPolicy* Rig::policy(std::string_view vport_name) const {
    const VportId id = vport(vport_name);
    if (!id.valid()) return nullptr;
    const auto& record = view().record(view().header().vports, id.value);
    const auto& root = view().record(view().header().tenants, record.tenant.value);
    const auto ref = root.policy.load();
    if (!ref) return nullptr;
    const table::TenantPolicy* const policy = view().at(ref);
    if (record.slot >= policy->vport_count) return nullptr;
    const table::VportPolicy& slot = policy->vports()[record.slot];
    return slot.vport == id ? &slot : nullptr;
}

std::vector<std::uint8_t> Rig::rewrite(const table::NextHop& nexthop) const {
    const auto active = nexthop.active.load();
    if (active == table::Rewrite::incomplete) return {};
    const auto& bytes = nexthop.rewrite[active == table::Rewrite::first ? 0 : 1];
    return {bytes.begin(), bytes.begin() + nexthop.rewrite_length};
}

Basics make_basics(Programmer& p) {
    Basics made{};
    made.tenant = p.tenant("t");
    made.vrf = p.vrf(made.tenant, "v");
    made.port = p.port("p0");
    made.vport = p.vport(made.tenant, made.vrf, made.port, "a", kMacA);
    return made;
}

}  // namespace wye::control::test
