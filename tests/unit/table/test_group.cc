#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "dataplane/table/group_builder.hh"

namespace wye::table {
namespace {

struct Groups {
    ArenaWriter arena;
    Ref<GroupTable> current;

    explicit Groups(std::uint64_t heap_bytes = 8 << 20) : arena(make(heap_bytes)) {}
    static ArenaWriter make(std::uint64_t heap_bytes) {
        ArenaLimits limits;
        limits.tenants = limits.vrfs = limits.vports = limits.tunnels = 16;
        limits.nexthops = limits.groups = 16;
        limits.heap_bytes = heap_bytes;
        return std::move(*ArenaWriter::create_anonymous(limits));
    }
    std::vector<std::uint32_t> change(const std::vector<GroupMemberSpec>& members) {
        const auto made = build_group_table(arena, members, current);
        EXPECT_TRUE(made);
        if (current) arena.discard(current, group_table_bytes(*arena.view().at(current)));
        current = made;
        return buckets();
    }
    [[nodiscard]] std::vector<std::uint32_t> buckets() const {
        const GroupTable& table = *arena.view().at(current);
        std::vector<std::uint32_t> list;
        for (std::uint32_t b = 0; b <= table.bucket_mask; ++b) {
            list.push_back(table.buckets()[b].value);
        }
        return list;
    }
};

std::vector<GroupMemberSpec> members_of(std::uint32_t count, std::uint32_t weight = 1) {
    std::vector<GroupMemberSpec> members;
    for (std::uint32_t i = 0; i < count; ++i) members.push_back({NextHopId{i + 10}, weight});
    return members;
}

std::map<std::uint32_t, double> counts_of(const std::vector<std::uint32_t>& buckets) {
    std::map<std::uint32_t, double> counts;
    for (const auto id : buckets) counts[id] += 1;
    return counts;
}

void expect_shares(const std::vector<std::uint32_t>& buckets,
                   const std::vector<GroupMemberSpec>& members, bool fresh) {
    const auto counts = counts_of(buckets);
    double total = 0;
    for (const auto& m : members) total += m.weight;
    ASSERT_EQ(counts.size(), members.size());  // everybody has one, and nobody else
    for (const auto& m : members) {
        ASSERT_TRUE(counts.contains(m.nexthop.value));
        const double share = static_cast<double>(buckets.size()) * m.weight / total;
        const double slack = fresh ? 1.0 : std::max(3.0, share / 6);
        ASSERT_NEAR(counts.at(m.nexthop.value), share, slack) << members.size() << " members";
    }
}

TEST(Group, SharesFollowWeights) {
    for (std::uint32_t count = 1; count <= 64; ++count) {
        Groups groups;
        const auto buckets = groups.change(members_of(count));
        EXPECT_EQ(buckets.size() & (buckets.size() - 1), 0u);
        EXPECT_GE(buckets.size(), 16 * count);
        expect_shares(buckets, members_of(count), true);
    }
    Groups groups;
    const std::vector<GroupMemberSpec> uneven{
        {NextHopId{1}, 255}, {NextHopId{2}, 1}, {NextHopId{3}, 64}};
    expect_shares(groups.change(uneven), uneven, true);
    Groups twice;
    const auto merged = twice.change({{NextHopId{1}, 1}, {NextHopId{2}, 2}, {NextHopId{1}, 1}});
    EXPECT_EQ(counts_of(merged).at(1), counts_of(merged).at(2));
    EXPECT_EQ(twice.arena.view().at(twice.current)->member_count, 2u);
}

TEST(Group, MembersAreListed) {
    Groups groups;
    groups.change(members_of(5));
    const GroupTable& table = *groups.arena.view().at(groups.current);
    ASSERT_EQ(table.member_count, 5u);
    for (std::uint32_t i = 0; i < 5; ++i) EXPECT_EQ(table.members()[i], NextHopId{i + 10});
}

TEST(Group, RemovingOneMovesOnlyItsBuckets) {
    std::mt19937 random(5);
    for (int round = 0; round < 300; ++round) {
        Groups groups;
        auto members = members_of(2 + static_cast<std::uint32_t>(random() % 63));
        if (round % 2 == 0) {
            for (auto& m : members) m.weight = 1 + static_cast<std::uint32_t>(random() % 10);
        }
        auto before = groups.change(members);
        while (members.size() > 1) {
            const auto gone = members.begin() + static_cast<long>(random() % members.size());
            const std::uint32_t id = gone->nexthop.value;
            members.erase(gone);
            const auto after = groups.change(members);
            ASSERT_EQ(after.size(), before.size());
            for (std::size_t b = 0; b < after.size(); ++b) {
                if (before[b] != id) {
                    ASSERT_EQ(after[b], before[b]);
                }
            }
            expect_shares(after, members, false);
            before = after;
        }
    }
}

TEST(Group, AddingOneMovesAboutItsShare) {
    std::mt19937 random(6);
    for (int round = 0; round < 50; ++round) {
        Groups groups;
        auto members = members_of(1);
        auto before = groups.change(members);
        for (std::uint32_t i = 1; i < 64; ++i) {
            members.push_back({NextHopId{1000 + i}, 1});
            std::shuffle(members.begin(), members.end(), random);
            const auto after = groups.change(members);
            std::size_t moved = 0;
            for (std::size_t b = 0; b < after.size(); ++b) {
                moved += after[b] == before[b % before.size()] ? 0u : 1u;
            }
            ASSERT_LE(static_cast<double>(moved),
                      static_cast<double>(after.size()) / (i + 1) * 1.3 + 3)
                << i + 1 << " members";
            expect_shares(after, members, false);
            before = after;
        }
    }
}

TEST(Group, RandomChangesKeepShares) {
    std::mt19937 random(7);
    Groups groups;
    auto members = members_of(4);
    groups.change(members);
    for (int i = 0; i < 2000; ++i) {
        const auto what = random() % 3;
        if (what == 0 && members.size() < 64) {
            members.push_back({NextHopId{static_cast<std::uint32_t>(5000 + i)},
                               1 + static_cast<std::uint32_t>(random() % 4)});
        } else if (what == 1 && members.size() > 1) {
            members.erase(members.begin() + static_cast<long>(random() % members.size()));
        } else {
            members[random() % members.size()].weight =
                1 + static_cast<std::uint32_t>(random() % 4);
        }
        expect_shares(groups.change(members), members, false);
    }
}

TEST(Group, TheSameMembersMoveNothing) {
    Groups groups;
    const auto members = members_of(7, 3);
    const auto before = groups.change(members);
    EXPECT_EQ(groups.change(members), before);
}

TEST(Group, AFullArenaIsSaid) {
    Groups groups(4096);
    EXPECT_FALSE(build_group_table(groups.arena, members_of(64), {}));
    EXPECT_EQ(groups.arena.used_bytes(), 0u);
}

}  // namespace
}  // namespace wye::table
