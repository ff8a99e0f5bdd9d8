// The arena is full at every point of every kind of change: the change is refused and nothing has
// changed, neither an answer nor the memory in use; or it stands, if what was refused was only a
// better form of the table. Later it succeeds.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "tests/unit/table/fib_fixture.hh"

namespace wye::table {
namespace {

using net::IpAddress;
using net::IpFamily;
using net::IpPrefix;

constexpr std::uint64_t kForGood = std::numeric_limits<std::uint64_t>::max();

/// Routes by length and prefix; fast enough for thousands of them.
struct Model {
    std::vector<std::map<IpAddress, Leaf>> lengths{129};

    void set(const IpPrefix& prefix, Leaf leaf) {
        if (leaf.is_none()) {
            lengths[prefix.length].erase(prefix.address);
        } else {
            lengths[prefix.length][prefix.address] = leaf;
        }
    }
    [[nodiscard]] Leaf find(const IpPrefix& prefix) const {
        const auto& of_length = lengths[prefix.length];
        const auto found = of_length.find(prefix.address);
        return found == of_length.end() ? Leaf::none() : found->second;
    }
    [[nodiscard]] Leaf lookup(const IpAddress& address) const {
        for (std::size_t length = lengths.size(); length-- > 0;) {
            if (lengths[length].empty()) continue;
            const Leaf leaf = find({net::mask(address, static_cast<std::uint8_t>(length)),
                                    static_cast<std::uint8_t>(length)});
            if (!leaf.is_none()) return leaf;
        }
        return Leaf::none();
    }
};

/// `leaf` none: erased.
struct Change {
    IpPrefix prefix;
    Leaf leaf;
};

/// From few prefixes that crowd together to thousands all over the address space, and back to none.
std::vector<Change> story(IpFamily family, std::size_t routes) {
    Crowd crowd(family, 11);
    std::vector<Change> changes;
    std::map<IpPrefix, Leaf> present;
    const auto leaf = [&] { return crowd.leaf(); };
    while (present.size() < routes) {
        IpPrefix prefix = crowd.prefix();
        if (present.size() > 100 && crowd.random() % 4 != 0) {
            prefix.address = crowd.address();
            for (auto& byte : prefix.address.bytes) {
                if (&byte - prefix.address.bytes.data() < (family == IpFamily::ipv4 ? 4 : 16)) {
                    byte = static_cast<std::uint8_t>(crowd.random());
                }
            }
            prefix.length =
                static_cast<std::uint8_t>(8 + crowd.random() % (net::address_bits(family) - 7u));
            prefix.address = net::mask(prefix.address, prefix.length);
        }
        const Leaf wanted = leaf();
        if (const auto was = present.find(prefix); was != present.end() && was->second == wanted) {
            continue;
        }
        present[prefix] = wanted;
        changes.push_back({prefix, wanted});
    }
    std::vector<IpPrefix> order;
    for (const auto& [prefix, standing] : present) order.push_back(prefix);
    std::shuffle(order.begin(), order.end(), crowd.engine());
    for (const IpPrefix& prefix : order) changes.push_back({prefix, Leaf::none()});
    return changes;
}

class Subject {
  public:
    explicit Subject(IpFamily family) : fib_(family), crowd_(family, 5) {
        fib_.arena.inject(&faults_);
    }
    void apply(const Change& change) {
        ASSERT_TRUE(perform(change));
        fib_.reclaim();
    }
    /// With memory refused after `passes` allocations. True if none was refused: the change is made.
    bool apply_with_faults(const Change& change, std::uint64_t passes, std::uint64_t failures) {
        const Change undo{change.prefix, model_.find(change.prefix)};
        watch(change.prefix);
        const std::size_t used = fib_.arena.used_bytes();
        faults_ = {passes, failures, 0};
        const bool made = perform(change);
        faults_.failures = 0;
        fib_.reclaim();
        check();
        if (faults_.refused == 0) {
            EXPECT_TRUE(made);
            return true;
        }
        if (!made) {
            EXPECT_EQ(fib_.arena.used_bytes(), used);
            return false;
        }
        if (undo.leaf != change.leaf) {
            EXPECT_TRUE(perform(undo)) << "back again";
        }
        fib_.reclaim();
        check();
        return false;
    }
    /// Every allocation of the change is refused in turn, alone and with all after it.
    void apply_with_all_faults(const Change& change) {
        for (const std::uint64_t failures : {std::uint64_t{1}, kForGood}) {
            for (std::uint64_t passes = 0;; passes += 1 + passes / 8) {
                const bool done = apply_with_faults(change, passes, failures);
                if (testing::Test::HasFailure()) {
                    FAIL() << net::to_string(change.prefix) << " to leaf " << change.leaf.value
                           << ", " << passes << " allocations and then "
                           << (failures == 1 ? "one refused" : "all refused") << ", "
                           << fib_.writer.size() << " routes";
                }
                if (!done) continue;
                if (failures == kForGood) return;
                // Once more, the other way.
                ASSERT_TRUE(perform({change.prefix, before_}));
                fib_.reclaim();
                break;
            }
        }
    }
    [[nodiscard]] std::uint32_t root() const { return fib_.root.load(); }
    [[nodiscard]] std::size_t used() const { return fib_.arena.used_bytes(); }

  private:
    bool perform(const Change& change) {
        const Leaf was = model_.find(change.prefix);
        if (was == change.leaf) return true;
        const bool made = change.leaf.is_none() ? fib_.writer.erase(change.prefix)
                                                : fib_.writer.insert(change.prefix, change.leaf);
        if (made) {
            before_ = was;
            model_.set(change.prefix, change.leaf);
        }
        return made;
    }
    void watch(const IpPrefix& prefix) {
        for (const IpAddress& address : crowd_.around(prefix)) addresses_.push_back(address);
        if (addresses_.size() > 400) addresses_.erase(addresses_.begin(), addresses_.begin() + 5);
    }
    void check() const {
        const auto leaves = fib_.lookup_all(addresses_);
        for (std::size_t i = 0; i < addresses_.size(); ++i) {
            ASSERT_EQ(leaves[i], model_.lookup(addresses_[i])) << net::to_string(addresses_[i]);
        }
    }

    AllocationFaults faults_;
    FibUnderTest fib_;
    Crowd crowd_;
    Model model_;
    Leaf before_;
    std::vector<IpAddress> addresses_;
};

class FibFaults : public testing::TestWithParam<IpFamily> {};
INSTANTIATE_TEST_SUITE_P(Families, FibFaults, testing::Values(IpFamily::ipv4, IpFamily::ipv6),
                         [](const auto& families) {
                             return families.param == IpFamily::ipv4 ? "ipv4" : "ipv6";
                         });

TEST_P(FibFaults, ARefusedChangeHasChangedNothing) {
    const std::vector<Change> changes = story(GetParam(), 9000);
    Subject subject(GetParam());
    for (std::size_t i = 0; i < changes.size(); ++i) {
        const bool few = i < 200 || i + 200 >= changes.size();
        if (few || i % 61 == 0) {
            subject.apply_with_all_faults(changes[i]);
        } else {
            subject.apply(changes[i]);
        }
        if (HasFailure()) return;
    }
    EXPECT_EQ(subject.used(), 0u);
}

/// A new root is a new form of the table. A writer that could not make it does not try at once
/// again: each number of allocations gets a table of its own.
TEST_P(FibFaults, AFormThatCannotBeMadeIsNotMissed) {
    const std::vector<Change> changes = story(GetParam(), 9000);
    std::vector<std::size_t> turns;
    Subject scout(GetParam());
    for (std::size_t i = 0; i < changes.size(); ++i) {
        const std::uint32_t root = scout.root();
        scout.apply(changes[i]);
        if (root != 0 && scout.root() != 0 && scout.root() != root) turns.push_back(i);
    }
    EXPECT_GE(turns.size(), 2u) << "there and back";
    for (const std::size_t turn : turns) {
        bool done = false;
        for (std::uint64_t passes = 0; !done; passes += 1 + passes / 2) {
            for (const std::uint64_t failures : {std::uint64_t{1}, kForGood}) {
                Subject subject(GetParam());
                for (std::size_t i = 0; i < turn; ++i) subject.apply(changes[i]);
                done = subject.apply_with_faults(changes[turn], passes, failures);
                if (!done) subject.apply(changes[turn]);
                for (std::size_t i = turn + 1; i < std::min(turn + 50, changes.size()); ++i) {
                    subject.apply_with_faults(changes[i], 0, 0);
                }
                if (HasFailure()) {
                    FAIL() << "change " << turn << ", " << passes << " allocations";
                }
            }
        }
    }
}

}  // namespace
}  // namespace wye::table
