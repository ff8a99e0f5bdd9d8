// A worker reads while the control thread writes: every link header it sees is whole, every lookup
// has an answer that stood at some time, and ACLs come from the builder thread. Also under TSan.
#include <atomic>
#include <thread>

#include "tests/unit/control/rig.hh"

namespace wye::control::test {
namespace {

using wye::testing::any_rule;
using wye::testing::make_command;
using wye::testing::prefix;

/// What a worker does for a packet to 10.0.0.1; false: something that never stood.
bool forward_once(const Rig& rig, VrfId vrf, std::uint32_t flow_hash) {
    const table::ArenaView arena = rig.view();
    const auto root = arena.record(arena.header().vrfs, vrf.value).fib4.load();
    table::Leaf leaf = lookup_fib4(arena, root, wye::testing::ip("10.0.0.1").ipv4());
    if (leaf.is_none()) return false;
    NextHopId id = leaf.is_group() ? NextHopId{} : leaf.nexthop();
    if (leaf.is_group()) {
        const auto& group = arena.record(arena.header().groups, leaf.group().value);
        const auto ref = group.table.load();
        if (!ref) return false;
        id = arena.at(ref)->buckets()[flow_hash & arena.at(ref)->bucket_mask];
    }
    const auto& nexthop = arena.record(arena.header().nexthops, id.value);
    if (nexthop.kind != NextHopKind::adjacency) return false;
    const auto active = nexthop.active.load(std::memory_order_acquire);
    if (active == table::Rewrite::incomplete) return true;
    const auto copy = nexthop.rewrite[active == table::Rewrite::first ? 0 : 1];
    for (int i = 2; i < 6; ++i) {
        if (copy[static_cast<std::size_t>(i)] != copy[1]) return false;  // torn
    }
    return true;
}

TEST(Concurrent, AWorkerNeverSeesAHalf) {
    Options options = test_options();
    options.builder_thread = true;
    options.hung_after = std::chrono::seconds(20);
    Rig rig(options);
    Programmer p = rig.connect();
    p.begin_replay();
    const Basics made = make_basics(p);
    const Handle one = p.adjacency(made.vport, "192.0.2.1");
    const Handle two = p.adjacency(made.vport, "192.0.2.2");
    const Handle groups[] = {p.group(one), p.group({{one, 1}, {two, 2}}), p.group(two)};
    p.route(made.vrf, "10.0.0.0/8", groups[0]);
    const VrfId vrf = rig.vrf("v");
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> wrong{0}, looked{0};
    std::thread worker([&] {
        rig.epochs.register_reader(1);
        while (!stop.load()) {
            for (std::uint32_t i = 0; i < 32; ++i) wrong += forward_once(rig, vrf, i) ? 0u : 1u;
            looked.fetch_add(32);
            rig.epochs.quiescent(1);
        }
        rig.epochs.unregister_reader(1);
    });
    for (int i = 0; i < 600; ++i) {
        auto neighbor = make_command(Opcode::neighbor_set);
        const auto byte = static_cast<std::uint8_t>(i);
        const net::MacAddress address{{2, byte, byte, byte, byte, byte}};
        neighbor.body.neighbor = {made.vport, wye::testing::ip("192.0.2.1"), address, {}};
        p.post(neighbor);
        auto route = make_command(Opcode::route_set);
        route.body.route = {made.vrf, groups[i % 3], prefix("10.0.0.0/8"), 0, {}};
        p.post(route);
        route.body.route.prefix = prefix(i % 2 == 0 ? "10.0.0.0/24" : "10.0.0.0/30");
        p.post(route);
        auto gone = make_command(Opcode::route_delete);
        gone.body.route_delete = {made.vrf, route.body.route.prefix};
        p.post(gone);
        if (i % 50 == 0) {
            p.acl(made.tenant, "acl" + std::to_string(i), {any_rule(AclAction::permit)});
            p.reach();
        }
    }
    EXPECT_EQ(p.settle(), 0u);
    p.reach();
    while (looked.load() < 1000) std::this_thread::yield();
    stop = true;
    worker.join();
    EXPECT_EQ(wrong.load(), 0u);
    rig.rest();
    EXPECT_EQ(rig.control->status().acls, 12u);
}

}  // namespace
}  // namespace wye::control::test
