// The engine: 256 sessions on a virtual clock, silent deaths, stalls, losses, and what it refuses.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "tests/unit/bfd/engine_rig.hh"

namespace wye::bfd {
namespace {

using net::BfdState;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using table::BfdDrop;

constexpr std::uint32_t kSessions = 256;

Parameters fast(std::uint8_t multiplier = 3) {
    Parameters parameters;
    parameters.desired_min_tx = 10'000;
    parameters.required_min_rx = 10'000;
    parameters.detect_multiplier = multiplier;
    return parameters;
}

/// Two routers with as many sessions between them, and a wire of which a test says what it loses.
struct Pair {
    explicit Pair(std::uint32_t sessions = kSessions, std::uint8_t a_multiplier = 3) {
        for (std::uint32_t slot = 0; slot < sessions; ++slot) {
            a.add(slot, 2, fast(a_multiplier));
            b.add(slot, 1, fast());
        }
    }
    void run(Nanoseconds time, Nanoseconds step = microseconds(200)) {
        for (const Nanoseconds end = now + time; now < end; now += step) {
            if (now >= a_sleeps_until) a.turn(now);
            b.turn(now);
            if (now >= a_sleeps_until) deliver(a, b);
            deliver(b, a);
        }
    }
    void deliver(Router& from, Router& to) {
        for (const Departure& departure : from.sent) {
            if (!lost(from, departure)) (void)to.inbox.push(arrival(departure));
        }
    }
    [[nodiscard]] static std::uint32_t count(const Router& router, BfdState state) {
        std::uint32_t sum = 0;
        for (std::uint32_t slot = 0; slot < kSessions; ++slot) sum += router.state(slot) == state;
        return sum;
    }
    Router a{1}, b{2};
    Nanoseconds now = std::chrono::hours(1), a_sleeps_until{0};
    std::function<bool(const Router&, const Departure&)> lost =
        [](const Router&, const Departure&) { return false; };
};

TEST(Engine, AllComeUpAndStayUp) {
    Pair pair;
    pair.run(std::chrono::seconds(5));
    EXPECT_EQ(Pair::count(pair.a, BfdState::up), kSessions);
    EXPECT_EQ(Pair::count(pair.b, BfdState::up), kSessions);
    const std::uint64_t before = pair.a.file.record(0).packets_out.get();
    pair.run(std::chrono::seconds(10));
    const std::uint64_t sent = pair.a.file.record(0).packets_out.get() - before;
    // 10 ms with 0 to 25 % off: 8.75 ms, and the wheel's tick on top.
    EXPECT_GT(sent, 1050u);
    EXPECT_LT(sent, 1200u);
    for (std::uint32_t slot = 0; slot < kSessions; ++slot) {
        EXPECT_EQ(pair.a.file.record(slot).ups.get(), 1u);
        EXPECT_EQ(pair.a.file.record(slot).downs.get(), 0u);
        EXPECT_EQ(pair.b.file.record(slot).downs.get(), 0u);
        EXPECT_TRUE(pair.a.alive(slot));
    }
    EXPECT_EQ(pair.a.file.record(0).transmit_interval.load(), 10'000u);
    EXPECT_EQ(pair.a.file.record(0).detection_time.load(), 30'000u);
    EXPECT_EQ(pair.a.file.record(0).polling.load(), 0u);
}

TEST(Engine, ASilentDeathIsOneWrite) {
    Pair pair;
    pair.run(std::chrono::seconds(5));
    pair.lost = [&](const Router& from, const Departure& departure) {
        return &from == &pair.b && departure.end.local == address(20'000 + 17);
    };
    const std::uint64_t writes = pair.a.liveness.changes();
    const Nanoseconds died = pair.now;
    while (pair.a.state(17) == BfdState::up) pair.run(microseconds(200));
    EXPECT_GE(pair.now - died, milliseconds(20));
    EXPECT_LE(pair.now - died, milliseconds(31));
    EXPECT_FALSE(pair.a.alive(17));
    EXPECT_EQ(pair.a.liveness.changes(), writes + 1);
    EXPECT_EQ(Pair::count(pair.a, BfdState::up), kSessions - 1);
    EXPECT_EQ(static_cast<net::BfdDiagnostic>(pair.a.file.record(17).last_down_diagnostic.load()),
              net::BfdDiagnostic::detection_expired);
    pair.run(milliseconds(100));
    EXPECT_EQ(pair.b.file.record(17).downs.get(), 1u);  // it was told
    pair.lost = [](const Router&, const Departure&) { return false; };
    pair.run(std::chrono::seconds(4));
    EXPECT_EQ(pair.a.state(17), BfdState::up);
    EXPECT_TRUE(pair.a.alive(17));
    EXPECT_EQ(pair.a.liveness.changes(), writes + 2);
}

TEST(Engine, OneOfThreeIsEnough) {
    Pair pair;
    pair.run(std::chrono::seconds(5));
    // Every second packet of each session.
    pair.lost = [sent = std::vector<std::uint32_t>(30'000)](const Router&,
                                                            const Departure& departure) mutable {
        return sent[departure.end.local.ipv4().host()]++ % 2 == 1;
    };
    pair.run(std::chrono::seconds(10));
    for (std::uint32_t slot = 0; slot < kSessions; ++slot) {
        EXPECT_EQ(pair.a.file.record(slot).downs.get(), 0u);
        EXPECT_EQ(pair.b.file.record(slot).downs.get(), 0u);
    }
}

/// The worker of A is not run for half a second, 16 detection times. B waits patiently for it (A's
/// multiplier is large); of what B sent meanwhile most is lost, for want of room.
TEST(Engine, AStallOfItsOwnIsNotThePeersFault) {
    Pair pair(kSessions, 100);
    pair.run(std::chrono::seconds(5));
    ASSERT_EQ(Pair::count(pair.a, BfdState::up), kSessions);
    for (int stall = 0; stall < 5; ++stall) {
        pair.a_sleeps_until = pair.now + milliseconds(500);
        pair.run(std::chrono::seconds(1));
    }
    EXPECT_EQ(Pair::count(pair.a, BfdState::up), kSessions);
    for (std::uint32_t slot = 0; slot < kSessions; ++slot) {
        ASSERT_EQ(pair.a.file.record(slot).downs.get(), 0u);
    }
    EXPECT_EQ(pair.a.file.totals().stalls.get(), 5u);
    EXPECT_GT(pair.a.file.totals().stalled_nanoseconds.get(), 2'400'000'000u);
}

/// A peer that died during the stall is found out, with the time that the worker ran.
TEST(Engine, ADeathDuringAStallIsFoundAfterIt) {
    Pair pair(kSessions, 100);
    pair.run(std::chrono::seconds(5));
    pair.lost = [&](const Router& from, const Departure&) { return &from == &pair.b; };
    pair.a_sleeps_until = pair.now + milliseconds(500);
    const Nanoseconds awake = pair.a_sleeps_until;
    pair.run(milliseconds(500));
    while (Pair::count(pair.a, BfdState::up) > 0) pair.run(microseconds(200));
    EXPECT_LE(pair.now - awake, milliseconds(32));
}

/// Stalls that come again and again do not hide a death: the time between them counts.
TEST(Engine, ADeathAmongManyStallsIsFound) {
    Pair pair(kSessions, 100);
    pair.run(std::chrono::seconds(5));
    pair.lost = [&](const Router& from, const Departure&) { return &from == &pair.b; };
    for (int i = 0; i < 8; ++i) {
        pair.a_sleeps_until = pair.now + milliseconds(10);
        pair.run(milliseconds(17));  // of which it runs seven
    }
    EXPECT_EQ(Pair::count(pair.a, BfdState::up), 0u);
}

class Refusals : public ::testing::Test {
  protected:
    void SetUp() override {
        pair.run(std::chrono::seconds(4));
        ASSERT_EQ(pair.a.state(0), BfdState::up);
        good.vrf = kVrf;
        good.vport = kVport;
        good.source = address(20'000);
        good.destination = address(10'000);
        good.hop_limit = 255;
        good.length = 24;
        control.state = BfdState::down;  // if it were believed, the session would go down
        control.detect_multiplier = 3;
        control.my_discriminator = 20'001;
        control.your_discriminator = 10'001;
        control.desired_min_tx = control.required_min_rx = 10'000;
        header = net::make_bfd(control);
    }
    void expect(BfdDrop reason) {
        std::memcpy(good.payload.data(), &header, sizeof header);
        const std::uint64_t before = pair.a.dropped(reason);
        (void)pair.a.inbox.push(good);
        pair.a.turn(pair.now);
        EXPECT_EQ(pair.a.dropped(reason), before + 1) << table::bfd_drop_name(reason);
        EXPECT_EQ(pair.a.state(0), BfdState::up) << table::bfd_drop_name(reason);
    }
    Pair pair{1};
    Datagram good;
    net::BfdControl control;
    net::BfdHeader header{};
};

TEST_F(Refusals, OfRfc5880) {
    header.version_diagnostic = 0x40;
    expect(BfdDrop::version);
    header = net::make_bfd(control);
    header.length = 23;
    expect(BfdDrop::length);
    header.length = 25;
    expect(BfdDrop::length);
    header = net::make_bfd(control);
    header.detect_multiplier = 0;
    expect(BfdDrop::multiplier);
    header = net::make_bfd(control);
    header.state_flags |= 1;
    expect(BfdDrop::multipoint);
    header = net::make_bfd(control);
    header.my_discriminator = std::uint32_t{0};
    expect(BfdDrop::my_discriminator);
    header = net::make_bfd(control);
    header.your_discriminator = std::uint32_t{0};
    header.state_flags = 3 << 6;
    expect(BfdDrop::your_discriminator);
    header = net::make_bfd(control);
    header.your_discriminator = std::uint32_t{5};
    expect(BfdDrop::unknown_session);
}

TEST_F(Refusals, Authentication) {
    header.state_flags |= 0x04;
    header.length = 24 + 24;  // keyed MD5
    good.length = 48;
    expect(BfdDrop::authentication);
    header.length = 25;  // too short for a section
    expect(BfdDrop::length);
}

TEST_F(Refusals, AnotherPlace) {
    const Datagram before = good;
    good.vrf = VrfId{4};  // another tenant that knows the discriminator
    expect(BfdDrop::other_place);
    good = before;
    good.vport = VportId{6};
    expect(BfdDrop::other_place);
    good = before;
    good.source = address(20'001);
    expect(BfdDrop::other_place);
    good = before;
    good.multihop = true;
    expect(BfdDrop::other_place);
    good = before;
    good.source = address(1);
    header.your_discriminator = std::uint32_t{0};
    expect(BfdDrop::unknown_session);
}

TEST_F(Refusals, TheGoodOneIsTaken) {
    std::memcpy(good.payload.data(), &header, sizeof header);
    (void)pair.a.inbox.push(good);
    pair.a.turn(pair.now);
    EXPECT_EQ(pair.a.state(0), BfdState::down);
    EXPECT_FALSE(pair.a.alive(0));
}

TEST(Engine, MultihopCountsHops) {
    Router router(1);
    Order order;
    order.kind = Order::Kind::add;
    order.slot = 9;
    order.discriminator = 77;
    order.end.vrf = kVrf;
    order.end.local = address(1);
    order.end.remote = address(2);
    order.end.least_hop_limit = 250;
    order.parameters = fast();
    ASSERT_TRUE(router.orders.push(order));
    router.turn(milliseconds(1));
    Datagram datagram;
    datagram.vrf = kVrf;
    datagram.vport = VportId{1};  // whichever
    datagram.source = address(2);
    datagram.destination = address(1);
    datagram.multihop = true;
    datagram.hop_limit = 249;
    datagram.length = 24;
    net::BfdControl control;
    control.detect_multiplier = 3;
    control.my_discriminator = 5;
    const auto header = net::make_bfd(control);
    std::memcpy(datagram.payload.data(), &header, sizeof header);
    ASSERT_TRUE(router.inbox.push(datagram));
    router.turn(milliseconds(2));
    EXPECT_EQ(router.dropped(BfdDrop::hop_limit), 1u);
    datagram.hop_limit = 250;
    ASSERT_TRUE(router.inbox.push(datagram));
    router.turn(milliseconds(3));
    EXPECT_EQ(router.state(9), BfdState::init);
}

TEST(Engine, RemovedAndAddedAgainInTheSameSlot) {
    Pair pair(4);
    pair.run(std::chrono::seconds(4));
    pair.lost = [&](const Router& from, const Departure&) { return &from == &pair.b; };
    pair.run(milliseconds(50));
    EXPECT_FALSE(pair.a.alive(2));
    Order order;
    order.kind = Order::Kind::remove;
    order.slot = 2;
    ASSERT_TRUE(pair.a.orders.push(order));
    pair.run(milliseconds(1));
    EXPECT_TRUE(pair.a.alive(2));  // nobody says anything of it any more
    EXPECT_EQ(pair.a.engine.sessions(), 3u);
    pair.lost = [](const Router&, const Departure&) { return false; };
    pair.a.add(2, 2, fast());
    pair.run(std::chrono::seconds(4));
    EXPECT_EQ(pair.a.state(2), BfdState::up);
    EXPECT_EQ(pair.a.engine.sessions(), 4u);
}

/// Everything is ordered, received and fired at random; nothing may be out of bounds, and the lists stay
/// consistent (sanitizers look on in such a build).
TEST(Engine, RandomOrdersAndPackets) {
    std::mt19937 chooser(11);
    Router a(1), b(2);
    Nanoseconds now{0};
    for (int step = 0; step < 200'000; ++step) {
        const auto slot = static_cast<std::uint32_t>(chooser() % 8);
        Router& which = chooser() % 2 == 0 ? a : b;
        if (chooser() % 50 == 0) {
            which.add(slot, &which == &a ? 2 : 1,
                      fast(static_cast<std::uint8_t>(1 + chooser() % 4)));
        } else if (chooser() % 100 == 0) {
            Order order;
            order.kind = chooser() % 2 == 0 ? Order::Kind::remove : Order::Kind::change;
            order.slot = slot;
            order.parameters = fast(static_cast<std::uint8_t>(1 + chooser() % 4));
            order.parameters.admin_down = chooser() % 4 == 0;
            order.parameters.desired_min_tx = static_cast<std::uint32_t>(chooser() % 100'000);
            ASSERT_TRUE(which.orders.push(order));
        }
        now += microseconds(chooser() % 2000);
        which.turn(now);
        Router& other = &which == &a ? b : a;
        for (const Departure& departure : which.sent) {
            Datagram datagram = arrival(departure);
            if (chooser() % 20 == 0) {
                datagram.payload[chooser() % 26] = static_cast<std::byte>(chooser());
            }
            (void)other.inbox.push(datagram);
        }
        std::array<std::uint32_t, 64> events;
        (void)which.events.pop(events);
    }
}

}  // namespace
}  // namespace wye::bfd
