#include <gtest/gtest.h>

#include <algorithm>
#include <unordered_map>

#include "tests/unit/table/fib_fixture.hh"
#include "tests/unit/table/real_table.hh"

namespace wye::table {
namespace {

using net::IpAddress;
using net::IpFamily;
using net::IpPrefix;

IpPrefix prefix_of(const char* text) {
    return *net::parse_prefix(text);
}
IpAddress ip(const char* text) {
    return *net::parse_ip(text);
}
Leaf hop(std::uint32_t id) {
    return Leaf::of(NextHopId{id});
}

class Fib : public testing::TestWithParam<IpFamily> {};
INSTANTIATE_TEST_SUITE_P(Families, Fib, testing::Values(IpFamily::ipv4, IpFamily::ipv6),
                         [](const auto& families) {
                             return families.param == IpFamily::ipv4 ? "ipv4" : "ipv6";
                         });

// standards 28: any prefix length is a route like any other; no shortcut at /64.
TEST_P(Fib, EveryPrefixLengthIsARoute) {
    Crowd crowd(GetParam(), 1);
    const unsigned bits = net::address_bits(GetParam());
    for (int round = 0; round < 3; ++round) {
        FibUnderTest fib(GetParam());
        NaiveFib naive;
        const IpAddress address = crowd.address();
        for (unsigned length = 0; length <= bits; ++length) {
            const auto l = static_cast<std::uint8_t>(length);
            const IpPrefix prefix{net::mask(address, l), l};
            ASSERT_TRUE(fib.writer.insert(prefix, hop(length)));
            naive.routes[prefix] = hop(length);
            for (const auto& a : crowd.around(prefix)) ASSERT_EQ(fib.lookup(a), naive.lookup(a));
        }
        ASSERT_EQ(fib.lookup(address), hop(bits));
        for (unsigned length = 0; length <= bits; ++length) {
            const auto l = static_cast<std::uint8_t>(length);
            const IpPrefix prefix{net::mask(address, l), l};
            ASSERT_EQ(fib.writer.find(prefix), hop(length));
            ASSERT_TRUE(fib.writer.erase(prefix));
            naive.routes.erase(prefix);
            for (const auto& a : crowd.around(prefix)) ASSERT_EQ(fib.lookup(a), naive.lookup(a));
        }
        EXPECT_EQ(fib.root.load(), 0u);
        fib.reclaim();
        EXPECT_EQ(fib.arena.used_bytes(), 0u);
    }
}

TEST_P(Fib, RandomOperationsAgainstTheNaiveModel) {
    for (unsigned seed = 0; seed < 12; ++seed) {
        Crowd crowd(GetParam(), seed);
        FibUnderTest fib(GetParam());
        NaiveFib naive;
        const std::size_t crowding = 5u << seed % 7;  // about how many routes there are
        for (int i = 0; i < 2500; ++i) {
            IpPrefix prefix = crowd.prefix();
            const bool add = crowd.random() % (naive.routes.size() + crowding) < crowding;
            if (add) {
                const Leaf leaf = crowd.leaf();
                ASSERT_TRUE(fib.writer.insert(prefix, leaf));
                naive.routes[prefix] = leaf;
            } else {
                if (crowd.random() % 4 != 0) {
                    const auto skip = crowd.random() % naive.routes.size();
                    prefix = std::next(naive.routes.begin(), static_cast<long>(skip))->first;
                }
                ASSERT_EQ(fib.writer.erase(prefix), naive.routes.erase(prefix) == 1);
            }
            ASSERT_EQ(fib.writer.size(), naive.routes.size());
            const auto found = naive.routes.find(prefix);
            ASSERT_EQ(fib.writer.find(prefix),
                      found == naive.routes.end() ? std::nullopt : std::optional(found->second));
            auto addresses = crowd.around(prefix);
            for (int j = 0; j < 5; ++j) addresses.push_back(crowd.address());
            const auto leaves = fib.lookup_all(addresses);
            for (std::size_t j = 0; j < addresses.size(); ++j) {
                const Leaf expected = naive.lookup(addresses[j]);
                ASSERT_EQ(leaves[j], expected)
                    << net::to_string(addresses[j]) << " after " << net::to_string(prefix);
                ASSERT_EQ(fib.lookup(addresses[j]), expected);
            }
            if (i % 50 == 0) fib.reclaim();
        }
        fib.writer.clear();
        EXPECT_EQ(fib.writer.size(), 0u);
        EXPECT_TRUE(fib.lookup(crowd.address()).is_none());
        fib.reclaim();
        EXPECT_EQ(fib.arena.used_bytes(), 0u);
        ASSERT_TRUE(fib.writer.insert(crowd.prefix(), crowd.leaf()));  // goes on after clear()
    }
}

TEST_P(Fib, AFullArenaChangesNothing) {
    for (unsigned seed = 0; seed < 6; ++seed) {
        Crowd crowd(GetParam(), 100 + seed);
        FibUnderTest fib(GetParam(), 4096u << seed % 4);
        NaiveFib naive;
        unsigned refused = 0;
        for (int i = 0; i < 3000; ++i) {
            const IpPrefix prefix = crowd.prefix();
            if (crowd.random() % 5 != 0) {
                const Leaf leaf = crowd.leaf();
                if (fib.writer.insert(prefix, leaf)) {
                    naive.routes[prefix] = leaf;
                } else {
                    ++refused;
                }
            } else if (fib.writer.erase(prefix)) {
                ASSERT_EQ(naive.routes.erase(prefix), 1u);
            }
            ASSERT_EQ(fib.writer.size(), naive.routes.size());
            for (const auto& a : crowd.around(prefix)) ASSERT_EQ(fib.lookup(a), naive.lookup(a));
            if (crowd.random() % 20 == 0) fib.reclaim();
        }
        EXPECT_GT(refused, 0u);
        for (const auto& [prefix, leaf] : naive.routes) {
            ASSERT_EQ(fib.writer.find(prefix), leaf);
            ASSERT_EQ(fib.lookup(prefix.address), naive.lookup(prefix.address));
        }
        fib.writer.clear();
        fib.reclaim();
        EXPECT_EQ(fib.arena.used_bytes(), 0u);
    }
}

/// A map for each length: quick enough for large tables, and not the trie.
struct ModelByLength {
    std::vector<std::map<IpAddress, Leaf>> lengths{129};

    [[nodiscard]] Leaf lookup(const IpAddress& address) const {
        for (std::size_t length = lengths.size(); length-- > 0;) {
            if (lengths[length].empty()) continue;
            const auto found =
                lengths[length].find(net::mask(address, static_cast<std::uint8_t>(length)));
            if (found != lengths[length].end()) return found->second;
        }
        return Leaf::none();
    }
};

void compare(const FibUnderTest& fib, const ModelByLength& model,
             const std::vector<IpAddress>& addresses) {
    const auto leaves = fib.lookup_all(addresses);
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        ASSERT_EQ(leaves[i], model.lookup(addresses[i])) << net::to_string(addresses[i]);
    }
}

// The real table, every 16th prefix: it is large enough for a direct-indexed root and goes back to
// a small one.
TEST_P(Fib, ThePublicTableAgainstAModel) {
    auto routes = read_real_table(GetParam(), 16);
    ASSERT_GT(routes.size(), 10000u) << "bench/data/bgp-prefixes.txt.gz cannot be read: needs zcat";
    Crowd crowd(GetParam(), 7);
    std::shuffle(routes.begin(), routes.end(), crowd.engine());
    FibUnderTest fib(GetParam(), 256 << 20);
    ModelByLength model;
    std::vector<IpAddress> addresses;
    const auto check_around = [&](const IpPrefix& prefix) {
        for (const auto& a : crowd.around(prefix)) addresses.push_back(a);
    };
    ASSERT_TRUE(fib.writer.insert({net::mask(routes[0].prefix.address, 0), 0}, hop(7777)));
    model.lengths[0].emplace(net::mask(routes[0].prefix.address, 0), hop(7777));
    for (std::size_t i = 0; i < routes.size(); ++i) {
        const auto& [prefix, leaf] = routes[i];
        ASSERT_TRUE(fib.writer.insert(prefix, leaf));
        model.lengths[prefix.length].insert_or_assign(prefix.address, leaf);
        if (i % 64 == 0) fib.reclaim();
        if (i % 16 == 0) check_around(prefix);
    }
    compare(fib, model, addresses);
    // Short ones come and go over the direct-indexed root.
    for (int i = 0; i < 200; ++i) {
        const auto length = static_cast<std::uint8_t>(crowd.random() % 20);
        const IpPrefix prefix{net::mask(crowd.address(), length), length};
        if (i % 2 == 0) {
            ASSERT_TRUE(fib.writer.insert(prefix, hop(5000)));
            model.lengths[length].insert_or_assign(prefix.address, hop(5000));
        } else {
            ASSERT_EQ(fib.writer.erase(prefix), model.lengths[length].erase(prefix.address) == 1);
        }
        compare(fib, model, crowd.around(prefix));
    }
    compare(fib, model, addresses);
    for (std::size_t i = 0; i < routes.size(); ++i) {
        ASSERT_EQ(fib.writer.erase(routes[i].prefix),
                  model.lengths[routes[i].prefix.length].erase(routes[i].prefix.address) == 1);
        if (i % 64 == 0) fib.reclaim();
        if (i % 8192 == 0 || i + 1500 == routes.size()) compare(fib, model, addresses);
    }
    compare(fib, model, addresses);
    fib.writer.clear();
    fib.reclaim();
    EXPECT_EQ(fib.arena.used_bytes(), 0u);
}

// A direct-indexed root that does not fit, or fits but not the nodes below it, is done without.
TEST_P(Fib, AnArenaTooSmallForADirectRoot) {
    const auto routes = read_real_table(GetParam(), GetParam() == IpFamily::ipv4 ? 90 : 15);
    ASSERT_GT(routes.size(), 10000u);
    Crowd crowd(GetParam(), 8);
    for (std::uint64_t heap_bytes = 512 << 10; heap_bytes < 8 << 20; heap_bytes += 448 << 10) {
        FibUnderTest fib(GetParam(), heap_bytes);
        ModelByLength model;
        std::vector<IpAddress> addresses;
        for (std::size_t i = 0; i < routes.size(); ++i) {
            const auto& [prefix, leaf] = routes[i];
            if (fib.writer.insert(prefix, leaf)) {
                model.lengths[prefix.length].insert_or_assign(prefix.address, leaf);
            }
            fib.reclaim();
            if (i % 40 != 0) continue;
            for (const auto& a : crowd.around(prefix)) addresses.push_back(a);
        }
        compare(fib, model, addresses);
        fib.writer.clear();
        fib.reclaim();
        ASSERT_EQ(fib.arena.used_bytes(), 0u);
    }
}

TEST(FibSize, ASmallVrfIsCheap) {
    FibUnderTest fib4(IpFamily::ipv4), fib6(IpFamily::ipv6);
    EXPECT_EQ(fib4.arena.used_bytes() + fib6.arena.used_bytes(), 0u);  // empty: nothing at all
    for (const char* text : {"0.0.0.0/0", "10.0.0.0/24", "10.0.0.1/32", "10.0.1.0/24",
                             "10.0.0.2/32", "192.168.0.0/16", "192.168.7.0/31"}) {
        ASSERT_TRUE(fib4.writer.insert(prefix_of(text), hop(1)));
    }
    for (const char* text : {"::/0", "2001:db8::/64", "2001:db8::1/128", "2001:db8:1::/64",
                             "2001:db8::2/128", "fd00::/8", "fd00::7:0/127"}) {
        ASSERT_TRUE(fib6.writer.insert(prefix_of(text), hop(2)));
    }
    fib4.reclaim();
    fib6.reclaim();
    EXPECT_LT(fib4.arena.used_bytes() + fib6.arena.used_bytes(), 4096u);
    EXPECT_EQ(fib6.lookup(ip("2001:db8::1")), hop(2));
}

// standards 17: both addresses of a /31 are hosts; /32 and /0 are routes. standards 28: /127.
TEST(FibRoutes, PointToPointPrefixes) {
    FibUnderTest fib4(IpFamily::ipv4), fib6(IpFamily::ipv6);
    ASSERT_TRUE(fib4.writer.insert(prefix_of("0.0.0.0/0"), hop(1)));
    ASSERT_TRUE(fib4.writer.insert(prefix_of("192.0.2.0/31"), hop(2)));
    ASSERT_TRUE(fib4.writer.insert(prefix_of("192.0.2.1/32"), hop(3)));
    EXPECT_EQ(fib4.lookup(ip("192.0.2.0")), hop(2));
    EXPECT_EQ(fib4.lookup(ip("192.0.2.1")), hop(3));
    EXPECT_EQ(fib4.lookup(ip("192.0.2.2")), hop(1));
    EXPECT_EQ(fib4.lookup(ip("255.255.255.255")), hop(1));
    ASSERT_TRUE(fib6.writer.insert(prefix_of("2001:db8::/127"), hop(4)));
    EXPECT_EQ(fib6.lookup(ip("2001:db8::")), hop(4));
    EXPECT_EQ(fib6.lookup(ip("2001:db8::1")), hop(4));
    EXPECT_TRUE(fib6.lookup(ip("2001:db8::2")).is_none());
    EXPECT_FALSE(fib6.writer.erase(prefix_of("192.0.2.0/31")));  // of the other family
    EXPECT_FALSE(fib6.writer.erase(prefix_of("2001:db8::/126")));
}

TEST(FibRoutes, ABurstMayHaveSeveralRootsAndNone) {
    FibUnderTest fib(IpFamily::ipv4);
    std::atomic<std::uint32_t> other_root{0};
    FibWriter other(fib.arena, IpFamily::ipv4, other_root);
    ASSERT_TRUE(fib.writer.insert(prefix_of("10.0.0.0/8"), hop(1)));
    ASSERT_TRUE(other.insert(prefix_of("10.0.0.0/8"), hop(2)));
    std::vector<Fib4Query> queries;
    const std::uint32_t roots[] = {fib.root.load(), other_root.load(), 0};
    for (int i = 0; i < 150; ++i) {  // more than one burst
        queries.push_back({Ref<Fib4Root>{roots[i % 3]}, ip("10.1.2.3").ipv4(), hop(99)});
    }
    lookup_fib4(fib.arena.view(), queries);
    for (int i = 0; i < 150; ++i) {
        EXPECT_EQ(queries[static_cast<std::size_t>(i)].leaf, i % 3 == 0   ? hop(1)
                                                             : i % 3 == 1 ? hop(2)
                                                                          : Leaf::none());
    }
    lookup_fib4(fib.arena.view(), std::span<Fib4Query>{});
}

}  // namespace
}  // namespace wye::table
