#include "dataplane/table/check_arena.hh"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>

#include "dataplane/table/acl_tree.hh"
#include "dataplane/table/arena_walk.hh"
#include "dataplane/table/tunnel.hh"
#include "dataplane/table/vport.hh"
#include "dataplane/table/vport_key.hh"
#include "dataplane/table/vrf.hh"

namespace wye::table {
namespace {

class Checker {
  public:
    Checker(CheckedArena& arena, const NameOf& name) : arena_(arena), name_(name) {}

    Result<ArenaReport> run() {
        for (std::uint32_t id = 0; id < arena_.limits().vrfs; ++id) {
            if (Status good = vrf(VrfId{id}); !good) return tl::unexpected(good.error());
        }
        for (std::uint32_t id = 0; id < arena_.limits().tenants; ++id) {
            if (Status good = tenant(TenantId{id}); !good) return tl::unexpected(good.error());
        }
        if (Status good = vport_keys(); !good) return tl::unexpected(good.error());
        if (Status good = tunnel_keys(); !good) return tl::unexpected(good.error());
        report_.bytes = seen_.bytes();
        return report_;
    }

  private:
    Status vrf(VrfId id);
    Status fib(net::IpFamily family, std::uint32_t root);
    Status tenant(TenantId id);
    Status policy(const VportPolicy& entry);
    Status acl(Ref<Acl> ref);
    Status vport_keys();
    Status tunnel_keys();

    CheckedArena& arena_;
    const NameOf& name_;
    SeenUnits seen_;
    ArenaReport report_;
};

Status Checker::vrf(VrfId id) {
    const Vrf& record = *arena_.vrf(id);
    if (!is_used(record)) return {};
    ++report_.vrfs;
    Status good = fib(net::IpFamily::ipv4, record.fib4.load().unit);
    if (good) good = fib(net::IpFamily::ipv6, record.fib6.load().unit);
    if (good && record.tenant.value >= arena_.limits().tenants) {
        good = fail("its tenant is beyond the arena's limit");
    }
    return good ? good : fail("VRF " + name_(SlotKind::vrf, id.value) + ": " + good.error().text);
}

Status Checker::fib(net::IpFamily family, std::uint32_t root) {
    Status leaves;
    const auto visit = [&](const net::IpPrefix& prefix, Leaf leaf) {
        ++report_.routes;
        if (!leaves) return;
        if (Status good = check_leaf(arena_, leaf); !good) {
            leaves = fail(net::to_string(prefix) + ": " + good.error().text);
        }
    };
    const Status walked = walk_fib(arena_, family, root, seen_, visit);
    return walked ? leaves : walked;
}

Status Checker::tenant(TenantId id) {
    const Ref<TenantPolicy> ref = arena_.tenant(id)->policy.load();
    if (!ref) return {};
    const std::string name = "tenant " + name_(SlotKind::tenant, id.value);
    const auto* const policies = arena_.extent(ref);
    if (policies == nullptr) return fail(name + ": its policy lies beyond the arena");
    const std::uint64_t count = policies->vport_count;
    const std::uint64_t bytes = sizeof(TenantPolicy) + count * sizeof(VportPolicy);
    if (arena_.extent(ref, bytes) == nullptr) {
        return fail(name + ": its policy ends beyond the arena");
    }
    if (!seen_.add(ref.unit, bytes)) return fail(name + ": its policy is used twice");
    for (std::uint64_t i = 0; i < count; ++i) {
        if (Status good = policy(policies->vports()[i]); !good) {
            return fail(name + ": " + good.error().text);
        }
    }
    return {};
}

Status Checker::policy(const VportPolicy& entry) {
    if (!entry.vport.valid()) return {};
    ++report_.vports;
    const Vport* const vport = arena_.vport(entry.vport);
    if (vport == nullptr) return fail("a vport is beyond the arena's limit");
    const std::string name = "vport " + name_(SlotKind::vport, entry.vport.value);
    if (vport->kind == VportKind::none) return fail(name + " is not there");
    if (entry.vrf.value >= arena_.limits().vrfs) {
        return fail("the VRF of " + name + " is beyond the arena's limit");
    }
    for (const Ref<Acl> ref : {entry.ingress_acl, entry.egress_acl}) {
        if (Status good = acl(ref); !good) return fail("an ACL of " + name + good.error().text);
    }
    return {};
}

/// That the parts of the compiled form which are found by offset lie in the arena.
Status Checker::acl(Ref<Acl> ref) {
    if (!ref) return {};
    const Acl* const compiled = arena_.extent(ref);
    if (compiled == nullptr) return fail(" lies beyond the arena");
    const auto reaches = [&](std::uint32_t units, std::uint64_t bytes) {
        return arena_.extent(ref, std::uint64_t{units} * kUnit + bytes) != nullptr;
    };
    for (const AclSection* section : {&compiled->ipv4, &compiled->ipv6}) {
        const std::uint64_t blocks = section->block_count;
        const std::uint64_t block_bytes = acl_block_units(section->address_words) * kUnit;
        if (section->rules > kMaxAclRules || section->trees > kMaxAclTrees ||
            !reaches(section->nodes, section->node_count * sizeof(AclNode)) ||
            !reaches(section->blocks, blocks * block_bytes) ||
            !reaches(section->actions, blocks * kAclBlockRules * 4)) {
            return fail(" has a section that ends beyond the arena");
        }
        for (std::size_t tree = 0; tree < section->trees; ++tree) {
            if (section->roots[tree] >= section->node_count ||
                section->depths[tree] > kMaxAclDepth) {
                return fail(" has a tree without a root");
            }
        }
    }
    return {};
}

Status Checker::vport_keys() {
    const auto* const slots = reinterpret_cast<const std::atomic<std::uint64_t>*>(
        arena_.view().base() + arena_.offsets().vport_keys);
    for (std::uint32_t i = 0; i < arena_.offsets().vport_key_slots; ++i) {
        const std::uint64_t word = slots[i].load(std::memory_order_acquire);
        if (word == kVportKeyEmpty || word == kVportKeyTombstone) continue;
        const Vport* const vport = arena_.vport(VportId{static_cast<std::uint32_t>(word) - 2});
        if (vport == nullptr || vport->kind == VportKind::none) {
            return fail("slot " + std::to_string(i) + " of the vports' hash leads to no vport");
        }
    }
    return {};
}

Status Checker::tunnel_keys() {
    const auto* const slots = reinterpret_cast<const std::atomic<std::uint32_t>*>(
        arena_.view().base() + arena_.offsets().tunnel_keys);
    for (std::uint32_t i = 0; i < arena_.offsets().tunnel_key_slots; ++i) {
        const std::uint32_t word = slots[i].load(std::memory_order_acquire);
        if (word == kTunnelKeyEmpty || word == kTunnelKeyTombstone) continue;
        const Tunnel* const tunnel = arena_.tunnel(TunnelId{word - 1});
        if (tunnel == nullptr || tunnel->in_use == 0) {
            return fail("slot " + std::to_string(i) + " of the tunnels' hash leads to no tunnel");
        }
    }
    return {};
}

/// Records of a fixed array that are in use, read rather than looked at in the mapping.
template <class T, class InUse>
std::uint64_t count_in(int descriptor, std::uint64_t offset, std::uint64_t records, InUse in_use) {
    constexpr std::size_t kAtOnce = 4096;
    const auto buffer = std::make_unique<T[]>(kAtOnce);
    std::uint64_t count = 0;
    for (std::uint64_t first = 0; first < records; first += kAtOnce) {
        const std::size_t wanted = std::min<std::uint64_t>(kAtOnce, records - first);
        const ssize_t got = pread(descriptor, static_cast<void*>(buffer.get()), wanted * sizeof(T),
                                  static_cast<off_t>(offset + first * sizeof(T)));
        if (got <= 0) break;
        const std::size_t whole = static_cast<std::size_t>(got) / sizeof(T);
        for (std::size_t i = 0; i < whole; ++i) {
            if (in_use(buffer[i])) ++count;
        }
    }
    return count;
}

}  // namespace

Result<ArenaReport> check_arena(CheckedArena& arena, const NameOf& name) {
    return Checker(arena, name).run();
}

RecordCounts count_records(const CheckedArena& arena, int descriptor) {
    const ArenaLimits& limits = arena.limits();
    const ArenaOffsets& at = arena.offsets();
    RecordCounts counts;
    counts.tenants =
        count_in<TenantRoot>(descriptor, at.tenants, limits.tenants,
                             [](const auto& root) { return bool{root.policy.load()}; });
    counts.vrfs = count_in<Vrf>(descriptor, at.vrfs, limits.vrfs,
                                [](const auto& vrf) { return is_used(vrf); });
    counts.vports = count_in<Vport>(descriptor, at.vports, limits.vports,
                                    [](const auto& v) { return v.kind != VportKind::none; });
    counts.tunnels = count_in<Tunnel>(descriptor, at.tunnels, limits.tunnels,
                                      [](const auto& tunnel) { return tunnel.in_use != 0; });
    counts.nexthops =
        count_in<NextHop>(descriptor, at.nexthops, limits.nexthops,
                          [](const auto& nexthop) { return nexthop.kind != NextHopKind::none; });
    counts.groups = count_in<Group>(descriptor, at.groups, limits.groups,
                                    [](const auto& group) { return bool{group.table.load()}; });
    return counts;
}

}  // namespace wye::table
