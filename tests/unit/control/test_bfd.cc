// BFD sessions by command: identity, next hops, what outlives a shim, and what a session's end is for the
// routes by its neighbour, however many there are.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>

#include "dataplane/base/clock.hh"
#include "tests/unit/control/rig.hh"

namespace wye::control::test {
namespace {

using bfd::Order;
using wye::testing::ip;

ring::Command bfd_set(const Basics& at, Handle session, std::uint32_t discriminator,
                      std::string_view remote = "192.0.2.2") {
    ring::Command command = make_command(Opcode::bfd_set);
    ring::BfdSet& body = command.body.bfd;
    body.session = session;
    body.vrf = at.vrf;
    body.vport = at.vport;
    body.discriminator = discriminator;
    body.desired_min_tx = body.required_min_rx = 10'000;
    body.local = ip("192.0.2.1");
    body.remote = ip(remote);
    body.detect_multiplier = 3;
    return command;
}

class Bfd : public ::testing::Test {
  protected:
    Bfd() : p(rig.connect()) {
        p.begin_replay();
        at = make_basics(p);
    }
    std::vector<Order> orders() {
        std::vector<Order> all;
        Order order;
        while (rig.bfd_orders.pop({&order, 1}) == 1) all.push_back(order);
        return all;
    }
    Rig rig;
    Programmer p;
    Basics at{};
};

TEST_F(Bfd, ASessionHasItsNeighborsNextHop) {
    p.route(at.vrf, "10.0.0.0/8", p.group(p.adjacency(at.vport, "192.0.2.2")));
    const ring::Completion done = p.call(bfd_set(at, 1, 77));
    ASSERT_EQ(done.outcome, Outcome::accepted);
    const auto made = orders();
    ASSERT_EQ(made.size(), 1u);
    EXPECT_EQ(made[0].kind, Order::Kind::add);
    EXPECT_EQ(made[0].slot, done.detail);
    EXPECT_EQ(made[0].discriminator, 77u);
    EXPECT_EQ(made[0].end.vrf, rig.vrf("v"));
    EXPECT_EQ(made[0].end.vport, rig.vport("a"));
    EXPECT_GE(made[0].end.source_port, net::kBfdFirstSourcePort);
    EXPECT_EQ(made[0].end.nexthop, rig.lookup("v", "10.1.1.1").nexthop());
    EXPECT_TRUE(rig.bfd_vrfs.contains(rig.vrf("v")));
    const table::BfdRecord& record = rig.bfd_file.record(done.detail);
    EXPECT_EQ(record.discriminator.load(), 77u);
    EXPECT_EQ(record.vrf.view(), "v");
    EXPECT_EQ(record.vport.view(), "a");
    // The route goes; the next hop stays for the session.
    const NextHopId id = made[0].end.nexthop;
    p.delete_route(at.vrf, "10.0.0.0/8");
    p.remove(Opcode::bfd_delete, 1);
    EXPECT_EQ(orders().at(0).kind, Order::Kind::remove);
    EXPECT_EQ(record.discriminator.load(), 0u);
    EXPECT_FALSE(rig.bfd_vrfs.contains(rig.vrf("v")));
    EXPECT_TRUE(id.valid());
}

TEST_F(Bfd, MultihopHasNone) {
    ring::Command command = bfd_set(at, 1, 5, "198.51.100.1");
    command.body.bfd.vport = ring::kNoHandle;
    command.body.bfd.least_hop_limit = 250;
    ASSERT_EQ(p.call(command).outcome, Outcome::accepted);
    const auto made = orders();
    ASSERT_EQ(made.size(), 1u);
    EXPECT_TRUE(made[0].end.multihop());
    EXPECT_FALSE(made[0].end.nexthop.valid());
    EXPECT_EQ(made[0].end.least_hop_limit, 250);
}

TEST_F(Bfd, WhatIsRefused) {
    ASSERT_EQ(p.call(bfd_set(at, 1, 5)).outcome, Outcome::accepted);
    EXPECT_EQ(p.call(bfd_set(at, 2, 5, "192.0.2.3")).outcome, Outcome::duplicate);  // discriminator
    EXPECT_EQ(p.call(bfd_set(at, 1, 6, "192.0.2.3")).outcome, Outcome::duplicate);  // handle
    ring::Command command = bfd_set(at, 3, 7);
    command.body.bfd.local = ip("192.0.2.9");  // a second one over the same next hop
    EXPECT_EQ(p.call(command).outcome, Outcome::duplicate);
    command = bfd_set(at, 3, 7, "192.0.2.7");
    command.body.bfd.vrf = 999;
    EXPECT_EQ(p.call(command).outcome, Outcome::unknown_handle);
    command = bfd_set(at, 3, 7, "192.0.2.7");
    command.body.bfd.vport = 999;
    EXPECT_EQ(p.call(command).outcome, Outcome::unknown_handle);
    for (const auto& spoil : std::vector<void (*)(ring::BfdSet&)>{
             [](ring::BfdSet& b) { b.session = 0; }, [](ring::BfdSet& b) { b.discriminator = 0; },
             [](ring::BfdSet& b) { b.desired_min_tx = 0; },
             [](ring::BfdSet& b) { b.detect_multiplier = 0; },
             [](ring::BfdSet& b) { b.remote = ip("224.0.0.1"); },
             [](ring::BfdSet& b) { b.remote = ip("2001:db8::1"); },
             [](ring::BfdSet& b) { b.passive = 2; }, [](ring::BfdSet& b) { b.reserved = 1; }}) {
        command = bfd_set(at, 3, 7, "192.0.2.7");
        spoil(command.body.bfd);
        EXPECT_EQ(p.call(command).outcome, Outcome::malformed);
    }
    EXPECT_EQ(orders().size(), 1u);
    EXPECT_EQ(p.call(bfd_set(at, 3, 7, "192.0.2.7")).outcome, Outcome::accepted);
}

TEST_F(Bfd, RunsOnWhenTheShimGoes) {
    ASSERT_EQ(p.call(bfd_set(at, 1, 77)).outcome, Outcome::accepted);
    ASSERT_EQ(p.call(bfd_set(at, 2, 78, "192.0.2.3")).outcome, Outcome::accepted);
    ASSERT_EQ(p.call(bfd_set(at, 3, 79, "192.0.2.4")).outcome, Outcome::accepted);
    p.end_replay();
    (void)orders();
    Programmer next = rig.connect();
    next.begin_replay();
    const Basics again = make_basics(next);
    ASSERT_EQ(next.call(make_command(Opcode::barrier)).outcome, Outcome::accepted);
    next.end_replay();  // no replay touches sessions
    next.remove(Opcode::bfd_begin, again.vrf);
    // The same under another handle and another discriminator, of a bfdd that was restarted: it stands.
    EXPECT_EQ(next.call(bfd_set(again, 8, 1000)).outcome, Outcome::accepted);
    ring::Command changed = bfd_set(again, 9, 1001, "192.0.2.3");
    changed.body.bfd.detect_multiplier = 5;
    EXPECT_EQ(next.call(changed).outcome, Outcome::accepted);
    next.remove(Opcode::bfd_end, again.vrf);
    const auto made = orders();
    ASSERT_EQ(made.size(), 2u);
    EXPECT_EQ(made[0].kind, Order::Kind::change);
    EXPECT_EQ(made[0].parameters.detect_multiplier, 5);
    EXPECT_EQ(made[0].discriminator, 78u);
    EXPECT_EQ(made[1].kind, Order::Kind::remove);
    EXPECT_EQ(made[1].discriminator, 79u);
}

TEST_F(Bfd, EndsWithItsVport) {
    ASSERT_EQ(p.call(bfd_set(at, 1, 77)).outcome, Outcome::accepted);
    (void)orders();
    p.remove(Opcode::vport_delete, at.vport);
    const auto made = orders();
    ASSERT_EQ(made.size(), 1u);
    EXPECT_EQ(made[0].kind, Order::Kind::remove);
    EXPECT_FALSE(rig.bfd_vrfs.contains(rig.vrf("v")));
    EXPECT_EQ(p.call(make_command(Opcode::bfd_delete)).outcome, Outcome::unknown_handle);
}

TEST_F(Bfd, TellsTheShim) {
    const ring::Completion done = p.call(bfd_set(at, 1, 77));
    rig.bfd_file.record(done.detail).state.store(3);
    ASSERT_TRUE(rig.bfd_events.push(done.detail));
    ASSERT_TRUE(rig.bfd_events.push(900));  // of no session
    rig.poll();
    auto events = p.take_events();
    std::erase_if(events, [](const ring::Event& event) {
        return event.kind != ring::EventKind::bfd_changed;
    });
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, ring::EventKind::bfd_changed);
    EXPECT_EQ(events[0].object, 1u);
    EXPECT_EQ(events[0].value, done.detail);
    EXPECT_NE(rig.bfd_file.record(done.detail).changed_at.load(), 0u);
}

/// Prefix-independent convergence: whatever leads by a neighbour, its session's end is one write, by the
/// data plane alone, in force for all of it at once. From the turn in which the detection time is found to
/// be over until the lookup of a prefix finds the other next hop: under a millisecond, for any number.
class Convergence : public ::testing::TestWithParam<std::uint32_t> {
  protected:
    static table::ArenaLimits limits() {
        table::ArenaLimits limits = small_limits();
        limits.heap_bytes = std::size_t{1} << 30;
        return limits;
    }
    void hear(net::BfdState state) {
        net::BfdControl packet;
        packet.detect_multiplier = 3;
        packet.my_discriminator = 5;
        packet.desired_min_tx = packet.required_min_rx = 10'000;
        packet.state = state;
        packet.your_discriminator = 77;
        packet.final = state == net::BfdState::up;
        const net::BfdHeader header = net::make_bfd(packet);
        bfd::Datagram datagram;
        datagram.vrf = rig.vrf("v");
        datagram.vport = rig.vport("a");
        datagram.source = ip("192.0.2.2");
        datagram.destination = ip("192.0.2.1");
        datagram.hop_limit = 255;
        datagram.length = sizeof header;
        std::memcpy(datagram.payload.data(), &header, sizeof header);
        ASSERT_TRUE(inbox.push(datagram));
    }
    /// Of the group that a prefix leads to, as a worker would find them.
    [[nodiscard]] std::size_t alive_members() const {
        const auto view = rig.view();
        const table::Leaf leaf = rig.lookup("v", "16.0.0.1");
        const auto& group =
            *view.at(view.record(view.header().groups, leaf.group().value).table.load());
        std::size_t alive = 0;
        for (std::uint32_t i = 0; i < group.member_count; ++i) {
            const NextHopId id = group.members()[i];
            const auto& nexthop = view.record(view.header().nexthops, id.value);
            if (rig.liveness.alive(id, nexthop.generation)) ++alive;
        }
        return alive;
    }
    Rig rig{test_options(), limits()};
    bfd::Inbox inbox{16};
    bfd::Engine engine{{rig.bfd_orders, {&inbox}, rig.bfd_events, rig.liveness, rig.bfd_file}};
};

TEST_P(Convergence, IsOneWrite) {
    Programmer p = rig.connect();
    p.begin_replay();
    const Basics at = make_basics(p);
    const Handle first = p.adjacency(at.vport, "192.0.2.2");
    const Handle second = p.adjacency(at.vport, "192.0.2.3");
    const Handle group = p.group(std::vector<ring::GroupMember>{{first, 1}, {second, 1}});
    for (std::uint32_t i = 0; i < GetParam(); ++i) {
        const auto network = net::Ipv4Address::from_host(0x10000000u + (i << 8));
        p.route(at.vrf, net::to_string(network) + "/24", group);
    }
    ASSERT_EQ(p.call(bfd_set(at, 1, 77)).outcome, Outcome::accepted);
    p.reach();
    std::array<bfd::Departure, 32> out;
    Nanoseconds now = std::chrono::seconds(1);
    (void)engine.turn(now, out);
    hear(net::BfdState::down);
    hear(net::BfdState::init);
    hear(net::BfdState::up);
    (void)engine.turn(now += std::chrono::milliseconds(1), out);
    const std::uint64_t epoch = rig.control->status().epoch;
    const std::uint64_t changes = rig.liveness.changes();
    ASSERT_EQ(alive_members(), 2u);
    Nanoseconds took{0};
    while (rig.liveness.changes() == changes) {
        ASSERT_LT(now, std::chrono::milliseconds(1050));
        const Nanoseconds begun = monotonic_now();
        (void)engine.turn(now += std::chrono::milliseconds(1), out);
        EXPECT_EQ(alive_members(), rig.liveness.changes() == changes ? 2u : 1u);
        took = monotonic_now() - begun;
    }
    EXPECT_EQ(rig.liveness.changes(), changes + 1);
    EXPECT_EQ(rig.control->status().epoch, epoch);  // no command, no change of the tables
    std::printf("%u prefixes: 1 write, %lld ns\n", GetParam(),
                static_cast<long long>(took.count()));
    EXPECT_LT(took, std::chrono::milliseconds(1));
    // A command does not revive it.
    p.change_group(group, {{first, 3}, {second, 1}});
    (void)p.adjacency(at.vport, "192.0.2.2");
    EXPECT_EQ(rig.liveness.changes(), changes + 1);
}

INSTANTIATE_TEST_SUITE_P(Prefixes, Convergence, ::testing::Values(1u, 10'000u, 900'000u));

}  // namespace
}  // namespace wye::control::test
