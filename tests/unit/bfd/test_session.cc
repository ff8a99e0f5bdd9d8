// The state machine, clause by clause of RFC 5880, and two sessions that talk over a lossy wire.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "dataplane/bfd/session.hh"

namespace wye::bfd {
namespace {

using net::BfdControl;
using net::BfdDiagnostic;
using net::BfdState;
using std::chrono::milliseconds;

Parameters fast(std::uint32_t tx = 10'000, std::uint32_t rx = 10'000, std::uint8_t multiplier = 3) {
    Parameters parameters;
    parameters.desired_min_tx = tx;
    parameters.required_min_rx = rx;
    parameters.detect_multiplier = multiplier;
    return parameters;
}

BfdControl from_peer(BfdState state, std::uint32_t your = 1) {
    BfdControl packet;
    packet.state = state;
    packet.detect_multiplier = 3;
    packet.my_discriminator = 99;
    packet.your_discriminator = your;
    packet.desired_min_tx = 10'000;
    packet.required_min_rx = 10'000;
    return packet;
}

Session up_session(const Parameters& parameters = fast()) {
    Session session(1, parameters);
    (void)session.receive(from_peer(BfdState::down, 0));
    (void)session.receive(from_peer(BfdState::init));
    BfdControl final = from_peer(BfdState::up);
    final.final = true;
    (void)session.receive(final);
    EXPECT_EQ(session.state(), BfdState::up);
    EXPECT_FALSE(session.polling());
    return session;
}

TEST(Session, ThreeWayHandshake) {  // RFC 5880 6.2, 6.8.6
    Session session(1, fast());
    EXPECT_EQ(session.state(), BfdState::down);
    EXPECT_TRUE(session.receive(from_peer(BfdState::down, 0)).changed);
    EXPECT_EQ(session.state(), BfdState::init);
    EXPECT_EQ(session.remote_discriminator(), 99u);
    (void)session.receive(from_peer(BfdState::down, 0));
    EXPECT_EQ(session.state(), BfdState::init);
    EXPECT_TRUE(session.receive(from_peer(BfdState::init)).changed);
    EXPECT_EQ(session.state(), BfdState::up);
    EXPECT_EQ(session.diagnostic(), BfdDiagnostic::none);
}

TEST(Session, UpFromDownOnlyByInit) {
    Session session(1, fast());
    (void)session.receive(from_peer(BfdState::up));
    EXPECT_EQ(session.state(), BfdState::down);
    (void)session.receive(from_peer(BfdState::init));
    EXPECT_EQ(session.state(), BfdState::up);
}

TEST(Session, SlowWhileNotUp) {  // RFC 5880 6.8.3
    Session session(1, fast());
    EXPECT_EQ(session.packet(false).desired_min_tx, 1'000'000u);
    EXPECT_EQ(session.transmit_interval(), milliseconds(1000));
    session = up_session();
    EXPECT_EQ(session.packet(false).desired_min_tx, 10'000u);
    EXPECT_EQ(session.transmit_interval(), milliseconds(10));
    (void)session.detection_expired();
    EXPECT_EQ(session.transmit_interval(), milliseconds(1000));
    EXPECT_EQ(Session(1, fast(2'000'000)).transmit_interval(), milliseconds(2000));
}

TEST(Session, DetectionTime) {  // RFC 5880 6.8.4: the peer's multiplier, the slower of both
    Session session = up_session(fast(10'000, 50'000));
    BfdControl packet = from_peer(BfdState::up);
    packet.detect_multiplier = 5;
    (void)session.receive(packet);
    EXPECT_EQ(session.detection_time(), milliseconds(250));
    packet.desired_min_tx = 80'000;
    (void)session.receive(packet);
    EXPECT_EQ(session.detection_time(), milliseconds(400));
}

TEST(Session, Expires) {  // RFC 5880 6.8.4
    Session session = up_session();
    EXPECT_FALSE(session.path_failed());
    EXPECT_TRUE(session.detection_expired());
    EXPECT_EQ(session.state(), BfdState::down);
    EXPECT_EQ(session.diagnostic(), BfdDiagnostic::detection_expired);
    EXPECT_EQ(session.remote_discriminator(), 0u);
    EXPECT_EQ(session.packet(false).your_discriminator, 0u);
    EXPECT_EQ(session.detection_time(), std::nullopt);
    EXPECT_TRUE(session.path_failed());
    EXPECT_FALSE(session.detection_expired());
    (void)session.receive(from_peer(BfdState::down, 0));
    EXPECT_TRUE(session.path_failed());  // until it is Up
    (void)session.receive(from_peer(BfdState::init));
    EXPECT_FALSE(session.path_failed());
}

TEST(Session, NeighborSignalsDown) {  // RFC 5880 6.8.6
    Session session = up_session();
    EXPECT_TRUE(session.receive(from_peer(BfdState::down)).changed);
    EXPECT_EQ(session.state(), BfdState::down);
    EXPECT_EQ(session.diagnostic(), BfdDiagnostic::neighbor_down);
    EXPECT_TRUE(session.path_failed());
}

TEST(Session, AdministratorsSayNothingOfThePath) {  // RFC 5882 4.2, RFC 5880 6.8.16
    Session session = up_session();
    (void)session.receive(from_peer(BfdState::admin_down));
    EXPECT_EQ(session.state(), BfdState::down);
    EXPECT_FALSE(session.path_failed());

    session = up_session();
    Parameters parameters = fast();
    parameters.admin_down = true;
    session.configure(parameters);
    EXPECT_EQ(session.state(), BfdState::admin_down);
    EXPECT_EQ(session.diagnostic(), BfdDiagnostic::administratively_down);
    EXPECT_FALSE(session.path_failed());
    EXPECT_FALSE(session.receive(from_peer(BfdState::down)).heard);  // discarded
    EXPECT_EQ(session.state(), BfdState::admin_down);
    session.configure(fast());
    EXPECT_EQ(session.state(), BfdState::down);
    EXPECT_FALSE(session.path_failed());
}

TEST(Session, NeverUpIsNotFailed) {  // RFC 5882 4.1
    Session session(1, fast());
    (void)session.receive(from_peer(BfdState::down, 0));
    EXPECT_TRUE(session.detection_expired());  // from Init
    EXPECT_FALSE(session.path_failed());
}

TEST(Session, PollIsAnsweredOnce) {  // RFC 5880 6.5
    Session session = up_session();
    BfdControl poll = from_peer(BfdState::up);
    poll.poll = true;
    EXPECT_TRUE(session.receive(poll).answer);
    const BfdControl answer = session.packet(true);
    EXPECT_TRUE(answer.final);
    EXPECT_FALSE(answer.poll);
    EXPECT_FALSE(session.packet(false).final);
}

TEST(Session, SlowerTransmissionWaitsForTheEndOfThePoll) {  // RFC 5880 6.8.3
    Session session = up_session();
    session.configure(fast(100'000));
    EXPECT_TRUE(session.packet(false).poll);
    EXPECT_EQ(session.packet(false).desired_min_tx, 100'000u);
    EXPECT_EQ(session.transmit_interval(), milliseconds(10));
    BfdControl final = from_peer(BfdState::up);
    final.final = true;
    (void)session.receive(final);
    EXPECT_FALSE(session.packet(false).poll);
    EXPECT_EQ(session.transmit_interval(), milliseconds(100));
    session.configure(fast(20'000));  // faster: at once
    EXPECT_TRUE(session.polling());
    EXPECT_EQ(session.transmit_interval(), milliseconds(20));
}

TEST(Session, ShorterDetectionWaitsForTheEndOfThePoll) {  // RFC 5880 6.8.3
    Session session = up_session(fast(10'000, 100'000));
    EXPECT_EQ(session.detection_time(), milliseconds(300));
    session.configure(fast(10'000, 10'000));
    EXPECT_EQ(session.detection_time(), milliseconds(300));
    BfdControl final = from_peer(BfdState::up);
    final.final = true;
    (void)session.receive(final);
    EXPECT_EQ(session.detection_time(), milliseconds(30));
    session.configure(fast(10'000, 200'000));  // longer: at once
    EXPECT_EQ(session.detection_time(), milliseconds(600));
}

TEST(Session, WhenNothingIsSent) {  // RFC 5880 6.8.7
    Parameters passive = fast();
    passive.passive = true;
    Session session(1, passive);
    EXPECT_EQ(session.transmit_interval(), std::nullopt);
    (void)session.receive(from_peer(BfdState::down, 0));
    EXPECT_NE(session.transmit_interval(), std::nullopt);

    session = up_session();
    BfdControl packet = from_peer(BfdState::up);
    packet.required_min_rx = 0;
    (void)session.receive(packet);
    EXPECT_EQ(session.transmit_interval(), std::nullopt);

    session = up_session();
    packet = from_peer(BfdState::up);
    packet.demand = true;
    (void)session.receive(packet);
    EXPECT_EQ(session.transmit_interval(), std::nullopt);
    session.configure(fast(20'000));  // a poll is sent nevertheless
    EXPECT_NE(session.transmit_interval(), std::nullopt);
}

TEST(Session, JitterOnlyShortens) {  // RFC 5880 6.8.7
    std::mt19937 chooser(1);
    for (const std::uint8_t multiplier : {std::uint8_t{1}, std::uint8_t{3}}) {
        const Session session = up_session(fast(10'000, 10'000, multiplier));
        Nanoseconds least = milliseconds(99), most{0};
        for (int i = 0; i < 100'000; ++i) {
            const auto interval = session.jittered_interval(static_cast<std::uint32_t>(chooser()));
            least = std::min(least, *interval);
            most = std::max(most, *interval);
        }
        EXPECT_GE(least, std::chrono::microseconds(7500));
        EXPECT_LT(least, std::chrono::microseconds(7550));
        const auto limit = std::chrono::microseconds(multiplier == 1 ? 9000 : 10'000);
        EXPECT_LE(most, limit);
        EXPECT_GT(most, limit - std::chrono::microseconds(50));
    }
}

/// Two of them and a wire that loses: the intervals are those of RFC 5880 6.8.2 whenever both are Up,
/// nobody is Up alone for longer than a detection time, and both come Up when the wire is good.
TEST(Session, TwoOverALossyWire) {
    std::mt19937 chooser(7);
    for (int round = 0; round < 200; ++round) {
        std::array<Session, 2> ends{Session(1, fast(10'000, 20'000)),
                                    Session(2, fast(30'000, 5'000))};
        const auto loss = chooser() % 60;
        for (int step = 0; step < 400; ++step) {
            const std::size_t from = chooser() % 2;
            if (step < 300 && chooser() % 100 < loss) continue;
            if (step < 300 && chooser() % 40 == 0) (void)ends[from].detection_expired();
            const auto received = ends[1 - from].receive(ends[from].packet(false));
            if (received.answer) (void)ends[from].receive(ends[1 - from].packet(true));
        }
        ASSERT_EQ(ends[0].state(), BfdState::up);
        ASSERT_EQ(ends[1].state(), BfdState::up);
        ASSERT_FALSE(ends[0].polling() || ends[1].polling());
        ASSERT_EQ(ends[0].transmit_interval(), milliseconds(10));  // max(10, 5)
        ASSERT_EQ(ends[1].transmit_interval(), milliseconds(30));  // max(30, 20)
        ASSERT_EQ(ends[0].detection_time(), milliseconds(90));
        ASSERT_EQ(ends[1].detection_time(), milliseconds(30));
        ASSERT_FALSE(ends[0].path_failed() || ends[1].path_failed());
    }
}

}  // namespace
}  // namespace wye::bfd
