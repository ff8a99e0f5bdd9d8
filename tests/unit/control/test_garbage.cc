// Commands made of random bytes: nothing crashes, each is answered, and what stood stands.
#include <cstring>
#include <random>

#include "tests/unit/control/garbage.hh"
#include "tests/unit/control/rig.hh"

namespace wye::control::test {
namespace {

class Garbage : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(Garbage, IsAnsweredAndHarmsNobody) {
    Rig rig;
    std::mt19937 random(GetParam());
    for (int session = 0; session < 6; ++session) {
        Programmer p = rig.connect();
        declare_victim(p);
        for (int i = 0; i < 4000; ++i) {
            std::array<std::uint8_t, kGarbageBytes> bytes;
            for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
            post_garbage(p, bytes);
            if (random() % 64 == 0) p.settle();
            if (random() % 500 == 0) rig.control->set_port_link(PortId{0}, random() % 2 == 0);
        }
        p.settle();
        rig.rest();
        expect_victim_unharmed(rig);
        if (::testing::Test::HasFailure()) return;
    }
    // It got past the first checks often enough to mean something.
    const Status busy = rig.control->status();
    EXPECT_GT(busy.commands, busy.refusals + busy.commands / 20);
    Programmer p = rig.connect();
    p.begin_replay();
    p.end_replay();
    rig.rest();
    const Status status = rig.control->status();
    EXPECT_EQ(status.tenants + status.vrfs + status.vports + status.tunnels + status.acls, 0u);
    EXPECT_EQ(status.nexthops + status.groups + status.routes + status.neighbors, 0u);
    EXPECT_EQ(status.arena_used, 0u);
    EXPECT_EQ(status.arena_retired, 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Garbage, ::testing::Range(1u, 7u));

}  // namespace
}  // namespace wye::control::test
