// The worker-local parts by themselves: hold table, token bucket, tenant roots, flow hash.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "dataplane/pipeline/hash_flow.hh"
#include "dataplane/pipeline/hold.hh"
#include "dataplane/pipeline/port_output.hh"
#include "dataplane/pipeline/tenant_roots.hh"
#include "dataplane/pipeline/token_bucket.hh"
#include "test_router.hh"

namespace wye::pipeline::test {
namespace {

/// The same rules on a list: the oldest first.
struct NaiveHold {
    struct Entry {
        std::uint32_t id, neighbor, tenant;
    };
    std::deque<Entry> entries;
    const Limits& limits;

    std::size_t count(auto member, std::uint32_t value) const {
        std::size_t n = 0;
        for (const Entry& e : entries) n += (e.*member) == value ? 1 : 0;
        return n;
    }
    /// Which id went instead; the id itself: refused; none: there was room.
    std::optional<std::uint32_t> put(const Entry& entry) {
        const std::size_t of_neighbor = count(&Entry::neighbor, entry.neighbor);
        const bool full = entries.size() == limits.held_packets ||
                          count(&Entry::tenant, entry.tenant) >= limits.held_packets_of_tenant;
        std::optional<std::uint32_t> gone;
        if (of_neighbor >= limits.held_packets_of_neighbor || (full && of_neighbor != 0)) {
            const auto oldest = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) {
                return e.neighbor == entry.neighbor;
            });
            gone = oldest->id;
            entries.erase(oldest);
        } else if (full) {
            return entry.id;
        }
        entries.push_back(entry);
        return gone;
    }
};

TEST(HoldTable, EqualsANaiveList) {
    Limits limits;
    limits.held_packets = 48;
    limits.held_packets_of_tenant = 20;
    limits.held_packets_of_neighbor = 4;
    HoldTable table(limits);
    NaiveHold naive{{}, limits};
    std::mt19937 random(11);
    for (std::uint32_t id = 1; id < 200000; ++id) {
        if (random() % 3 == 0 && !naive.entries.empty()) {
            ASSERT_EQ(table.pop_oldest().flow_hash, naive.entries.front().id);
            naive.entries.pop_front();
        } else {
            // Few neighbours, so that the eight places of a key are never all taken.
            const auto neighbor = static_cast<std::uint32_t>(random() % 14);
            Packet packet;
            packet.flow_hash = id;
            packet.tenant_row = neighbor % 3;
            Packet evicted;
            const auto outcome = table.put(packet, {VportId{neighbor}, {}}, id, evicted);
            const auto expected = naive.put({id, neighbor, neighbor % 3});
            if (!expected) {
                ASSERT_EQ(outcome, HoldTable::Outcome::taken);
            } else if (*expected == id) {
                ASSERT_EQ(outcome, HoldTable::Outcome::refused);
            } else {
                ASSERT_EQ(outcome, HoldTable::Outcome::taken_instead);
                ASSERT_EQ(evicted.flow_hash, *expected);
            }
        }
        ASSERT_EQ(table.size(), naive.entries.size());
    }
}

TEST(HoldTable, AsksForANeighborOnceInAWhile) {
    HoldTable table{Limits{}};
    Packet evicted;
    const NeighborKey key{VportId{1}, *net::parse_ip("10.0.0.1")};
    EXPECT_FALSE(table.resolve_due(key, 100, 50));  // nobody waits
    (void)table.put(Packet{}, key, 100, evicted);
    EXPECT_TRUE(table.resolve_due(key, 100, 50));
    EXPECT_FALSE(table.resolve_due(key, 149, 50));
    (void)table.pop_oldest();  // also while no packet waits any more
    (void)table.put(Packet{}, key, 149, evicted);
    EXPECT_FALSE(table.resolve_due(key, 149, 50));
    EXPECT_TRUE(table.resolve_due(key, 150, 50));
    table.resolve_failed(key);
    EXPECT_TRUE(table.resolve_due(key, 151, 50));
}

// standards 60, 64
TEST(TokenBucket, StartsFullAndDoesNotDrift) {
    constexpr std::uint64_t kCycles = 3'000'000'000;
    TokenBucket bucket;
    const TokenRate rate{1000, 16};
    std::uint64_t now = 12345 * kCycles;
    unsigned taken = 0;
    for (unsigned i = 0; i < 100; ++i) taken += bucket.take(rate, now, kCycles) ? 1u : 0u;
    EXPECT_EQ(taken, 16u);
    std::mt19937 random(4);
    const std::uint64_t begin = now;
    std::uint64_t granted = 0;
    while (now < begin + 100 * kCycles) {
        now += random() % (kCycles / 500);
        granted += bucket.take(rate, now, kCycles) ? 1u : 0u;
        granted += bucket.take(rate, now, kCycles) ? 1u : 0u;
    }
    EXPECT_NEAR(static_cast<double>(granted), 100'000, 100);
    now += 1000 * kCycles;  // a long rest fills it, and no more than that
    for (taken = 0; bucket.take(rate, now, kCycles);) ++taken;
    EXPECT_EQ(taken, 16u);
}

TEST(TenantRoots, AreReadOnceInAnEpoch) {
    TestRouter router;
    const VrfId vrf = router.add_vrf(router.add_tenant());
    const VportId vport = router.add_vport(vrf, {.mtu = 1000});
    TenantRoots roots;
    roots.begin_burst(router.arena.view(), 1);
    ASSERT_NE(roots.find(vport), nullptr);
    EXPECT_EQ(roots.find(vport)->mtu, 1000);
    router.change_vport(vport, [](auto& policy) { policy.mtu = 2000; });
    EXPECT_EQ(roots.find(vport)->mtu, 1000);  // this burst goes on with what it saw
    const std::uint64_t state = roots.state();
    roots.begin_burst(router.arena.view(), 1);
    EXPECT_EQ(roots.state(), state);
    EXPECT_EQ(roots.find(vport)->mtu, 1000);  // and so does the next, in the same epoch
    const VportId later = router.add_vport(vrf, {.port = 1});
    EXPECT_EQ(roots.find(later), nullptr);
    roots.begin_burst(router.arena.view(), 2);
    EXPECT_NE(roots.state(), state);
    EXPECT_EQ(roots.find(vport)->mtu, 2000);
    EXPECT_NE(roots.find(later), nullptr);
    EXPECT_EQ(roots.find(VportId{}), nullptr);
    EXPECT_EQ(roots.find(VportId{63}), nullptr);
}

TEST(HashFlow, SpreadsOverLowAndHighBits) {
    std::array<unsigned, 16> low{}, high{};
    for (unsigned flow = 0; flow < 16000; ++flow) {
        Bytes bytes =
            ip_packet({"10.0.0.9", "10.1.2.3"}, udp(static_cast<std::uint16_t>(flow), 80));
        Packet packet;
        packet.frame.data = bytes.data();
        packet.frame.length = static_cast<std::uint32_t>(bytes.size());
        net::IpLayout layout;
        ASSERT_EQ(net::parse_ipv4(bytes, layout), net::IpFault::none);
        apply_layout(packet, layout);
        hash_flow(packet);
        ++low[packet.flow_hash % 16];
        ++high[packet.flow_hash >> 28];
    }
    for (unsigned i = 0; i < 16; ++i) {
        EXPECT_NEAR(low[i], 1000, 150);
        EXPECT_NEAR(high[i], 1000, 150);
    }
}

/// Frames in random rows of owners, and some of them put behind the others: against a plain list of
/// both.
TEST(PortOutput, KeepsOwnersAsFramesMove) {
    struct Entry {
        std::uint32_t id, tenant;
        bool operator==(const Entry&) const = default;
    };
    auto output = std::make_unique<PortOutput>();
    std::mt19937 random(5);
    for (int round = 0; round < 3000; ++round) {
        output->clear();
        std::vector<Entry> naive;
        const auto count = static_cast<std::uint32_t>(1 + random() % 40);
        for (std::uint32_t id = 0; id < count; ++id) {
            const Entry entry{id, static_cast<std::uint32_t>(random() % 3)};
            Frame frame;
            frame.length = id;
            output->add(frame, {1, entry.tenant}, VportId{entry.tenant / 2});
            naive.push_back(entry);
        }
        for (std::size_t moves = random() % count; moves != 0; --moves) {
            const auto at = static_cast<std::ptrdiff_t>(random() % count);
            output->move_to_end(static_cast<std::size_t>(at));
            std::rotate(naive.begin() + at, naive.begin() + at + 1, naive.end());
        }
        std::vector<Entry> seen;
        for (std::size_t i = 0; i < output->owner_count; ++i) {
            const PortOutput::Owner& owner = output->owners[i];
            ASSERT_EQ(owner.vport, VportId{owner.rows.tenant / 2});
            ASSERT_LT(owner.first, output->end_of(i));
            for (std::size_t k = owner.first; k < output->end_of(i); ++k) {
                seen.push_back({output->frames[k].length, owner.rows.tenant});
                ASSERT_EQ(output->owner_index_of(k), i);
            }
        }
        ASSERT_EQ(seen, naive);
    }
}

}  // namespace
}  // namespace wye::pipeline::test
