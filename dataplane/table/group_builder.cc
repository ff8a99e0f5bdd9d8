#include "dataplane/table/group_builder.hh"

#include <algorithm>
#include <bit>
#include <cmath>
#include <new>
#include <vector>

#include "dataplane/base/check.hh"

namespace wye::table {
namespace {

struct Member {
    NextHopId nexthop;
    std::uint64_t weight;
    double share = 0;         // buckets it should have
    std::uint32_t count = 0;  // buckets it has
    [[nodiscard]] double missing() const noexcept { return share - count; }
};

constexpr std::uint32_t kNobody = 0xffffffff;

std::vector<Member> merge(std::span<const GroupMemberSpec> specs) {
    std::vector<Member> members;
    for (const GroupMemberSpec& spec : specs) {
        const std::uint64_t weight = std::max(spec.weight, 1u);
        const auto same = std::find_if(members.begin(), members.end(),
                                       [&](const Member& m) { return m.nexthop == spec.nexthop; });
        if (same != members.end()) {
            same->weight += weight;
        } else {
            members.push_back({spec.nexthop, weight});
        }
    }
    return members;
}

/// Enough for each member, and two for the lightest where weights are uneven.
std::uint32_t bucket_count(const std::vector<Member>& members, const GroupTable* old) {
    std::uint64_t total = 0, lightest = ~std::uint64_t{0};
    for (const Member& m : members) {
        total += m.weight;
        lightest = std::min(lightest, m.weight);
    }
    const std::uint64_t wanted =
        std::max<std::uint64_t>(members.size() * kBucketsPerMember, 2 * total / lightest);
    const std::uint32_t before = old != nullptr ? old->bucket_mask + 1 : 1;
    const std::uint64_t enough = std::bit_ceil(std::min<std::uint64_t>(wanted, kMaxBuckets));
    return std::max({static_cast<std::uint32_t>(enough), before,
                     std::bit_ceil(static_cast<std::uint32_t>(members.size()))});
}

/// Buckets by member index, or kNobody.
class Buckets {
  public:
    Buckets(std::vector<Member>& members, std::uint32_t count)
        : members_(members), owners_(count, kNobody) {
        std::uint64_t total = 0;
        for (const Member& m : members) total += m.weight;
        for (Member& m : members) {
            m.share = static_cast<double>(count) * static_cast<double>(m.weight) /
                      static_cast<double>(total);
        }
    }
    void inherit(const GroupTable& old);
    void fill();
    void relieve();
    [[nodiscard]] NextHopId at(std::uint32_t bucket) const {
        return members_[owners_[bucket]].nexthop;
    }

  private:
    void give(std::uint32_t bucket, std::uint32_t member) {
        if (owners_[bucket] != kNobody) --members_[owners_[bucket]].count;
        owners_[bucket] = member;
        ++members_[member].count;
    }
    [[nodiscard]] std::uint32_t neediest() const {
        const auto most = std::max_element(
            members_.begin(), members_.end(),
            [](const Member& a, const Member& b) { return a.missing() < b.missing(); });
        return static_cast<std::uint32_t>(most - members_.begin());
    }

    std::vector<Member>& members_;
    std::vector<std::uint32_t> owners_;
};

/// A member keeps what it had, up to its share rounded up.
void Buckets::inherit(const GroupTable& old) {
    for (std::uint32_t b = 0; b < owners_.size(); ++b) {
        const NextHopId before = old.buckets()[b & old.bucket_mask];
        const auto same = std::find_if(members_.begin(), members_.end(),
                                       [before](const Member& m) { return m.nexthop == before; });
        if (same == members_.end() || same->count >= std::max(1.0, std::ceil(same->share)))
            continue;
        give(b, static_cast<std::uint32_t>(same - members_.begin()));
    }
}

void Buckets::fill() {
    for (std::uint32_t b = 0; b < owners_.size(); ++b) {
        if (owners_[b] == kNobody) give(b, neediest());
    }
}

/// Takes buckets from who has most too many for members that have none or far too few: a new
/// member, or one whose weight grew. Each step moves one bucket, so this ends.
void Buckets::relieve() {
    for (std::size_t moved = 0; moved < owners_.size(); ++moved) {
        std::uint32_t to = kNobody;
        for (std::uint32_t m = 0; m < members_.size(); ++m) {
            const Member& member = members_[m];
            const bool needs =
                member.count == 0 || member.missing() >= std::max(2.0, member.share / 8);
            if (needs && (to == kNobody || member.missing() > members_[to].missing())) to = m;
        }
        if (to == kNobody) return;
        std::uint32_t from = kNobody;
        for (std::uint32_t b = 0; b < owners_.size(); ++b) {
            const Member& owner = members_[owners_[b]];
            if (owner.count > 1 &&
                (from == kNobody || owner.missing() < members_[owners_[from]].missing())) {
                from = b;
            }
        }
        if (from == kNobody) return;
        give(from, to);
    }
}

}  // namespace

std::size_t group_table_bytes(const GroupTable& table) noexcept {
    return sizeof(GroupTable) +
           sizeof(NextHopId) * (std::size_t{table.bucket_mask} + 1 + table.member_count);
}

Ref<GroupTable> build_group_table(ArenaWriter& arena, std::span<const GroupMemberSpec> specs,
                                  Ref<GroupTable> old) {
    WYE_CHECK(!specs.empty(), "a group has members");
    std::vector<Member> members = merge(specs);
    const GroupTable* before = old ? arena.view().at(old) : nullptr;
    const std::uint32_t count = bucket_count(members, before);
    const auto member_count = static_cast<std::uint32_t>(members.size());
    const auto made = arena.allocate<GroupTable>(
        sizeof(GroupTable) + sizeof(NextHopId) * (std::size_t{count} + member_count));
    if (!made) return made;
    Buckets buckets(members, count);
    if (before != nullptr) buckets.inherit(*before);
    buckets.fill();
    buckets.relieve();
    auto* table = new (arena.writable(made)) GroupTable{member_count, count - 1, {}};
    auto* slots = reinterpret_cast<NextHopId*>(table + 1);
    for (std::uint32_t b = 0; b < count; ++b) slots[b] = buckets.at(b);
    for (std::uint32_t m = 0; m < member_count; ++m) slots[count + m] = members[m].nexthop;
    return made;
}

}  // namespace wye::table
