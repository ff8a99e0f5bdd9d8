#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "dataplane/table/fib6_lookup.hh"
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

/// Every variant of the lookups goes through all tests.
struct Case {
    IpFamily family;
    const char* name;
    const FibVariant* variant4 = nullptr;
    const Fib6Variant* variant6 = nullptr;
};

std::vector<Case> cases() {
    std::vector<Case> all;
    for (const FibVariant& variant : fib_variants.all()) {
        if (variant.is_supported())
            all.push_back({IpFamily::ipv4, variant.name, &variant, nullptr});
    }
    for (const Fib6Variant& variant : fib6_variants.all()) {
        if (variant.is_supported())
            all.push_back({IpFamily::ipv6, variant.name, nullptr, &variant});
    }
    return all;
}

class Fib : public testing::TestWithParam<Case> {
  protected:
    Fib() {
        if (GetParam().variant4 != nullptr) fib_variants.use(*GetParam().variant4);
        if (GetParam().variant6 != nullptr) fib6_variants.use(*GetParam().variant6);
    }
    ~Fib() override {
        fib_variants.use(before4_);
        fib6_variants.use(before6_);
    }
    static IpFamily family() { return GetParam().family; }

  private:
    const FibVariant& before4_ = fib_variants.in_use();
    const Fib6Variant& before6_ = fib6_variants.in_use();
};
INSTANTIATE_TEST_SUITE_P(Cases, Fib, testing::ValuesIn(cases()), [](const auto& with) {
    std::string name = with.param.family == IpFamily::ipv4 ? "ipv4_" : "ipv6_";
    for (const char c : std::string(with.param.name)) name += c == '-' ? '_' : c;
    return name;
});

// standards 28: any prefix length is a route like any other; no shortcut at /64.
TEST_P(Fib, EveryPrefixLengthIsARoute) {
    Crowd crowd(family(), 1);
    const unsigned bits = net::address_bits(family());
    for (int round = 0; round < 3; ++round) {
        FibUnderTest fib(family());
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
        Crowd crowd(family(), seed);
        FibUnderTest fib(family());
        NaiveFib naive;
        const std::size_t crowding = 5u << seed % 7;  // about how many routes there are
        for (int i = 0; i < 2500; ++i) {
            IpPrefix prefix = crowd.prefix();
            fib.ask_ahead(prefix);
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
        Crowd crowd(family(), 100 + seed);
        FibUnderTest fib(family(), 4096u << seed % 4);
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
    auto routes = read_real_table(family(), 16);
    ASSERT_GT(routes.size(), 10000u) << "bench/data/bgp-prefixes.txt.gz cannot be read: needs zcat";
    Crowd crowd(family(), 7);
    std::shuffle(routes.begin(), routes.end(), crowd.engine());
    FibUnderTest fib(family(), 256 << 20);
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

/// Company that makes a FIB large, apart from where a crowd is.
void make_large(FibUnderTest& fib, ModelByLength& model) {
    for (std::uint32_t i = 0; i < 8300; ++i) {
        IpAddress address = ip("100.64.0.0");
        if (fib.family == IpFamily::ipv6) address = ip("6440::");
        address.bytes[2] = static_cast<std::uint8_t>(i >> 8);
        address.bytes[3] = static_cast<std::uint8_t>(i);
        const IpPrefix prefix{address, 32};
        ASSERT_TRUE(fib.writer.insert(prefix, hop(i % 7)));
        model.lengths[32].insert_or_assign(address, hop(i % 7));
        if (i % 64 == 0) fib.reclaim();
    }
    ASSERT_NE(fib.form(), FibForm::trie);
}

// All lengths nested, each with a leaf of its own, of which some take a wide page; shortest first and
// longest first.
TEST_P(Fib, EveryPrefixLengthInALargeFib) {
    Crowd crowd(family(), 9);
    FibUnderTest fib(family());
    ModelByLength model;
    make_large(fib, model);
    const unsigned bits = net::address_bits(family());
    for (unsigned round = 0; round < 6; ++round) {
        const IpAddress address = crowd.address();
        std::vector<IpPrefix> prefixes;
        for (unsigned length = 0; length <= bits; ++length) {
            const auto l = static_cast<std::uint8_t>(length);
            prefixes.push_back({net::mask(address, l), l});
        }
        const auto check = [&](const IpPrefix& prefix) {
            auto addresses = crowd.around(prefix);
            addresses.push_back(address);
            compare(fib, model, addresses);
        };
        if (round % 2 != 0) std::reverse(prefixes.begin(), prefixes.end());
        for (const IpPrefix& prefix : prefixes) {
            const Leaf leaf = hop(prefix.length + (prefix.length % 5 == round ? 50000u : 100u));
            ASSERT_TRUE(fib.writer.insert(prefix, leaf));
            model.lengths[prefix.length].insert_or_assign(prefix.address, leaf);
            check(prefix);
        }
        if (round % 3 != 0) std::reverse(prefixes.begin(), prefixes.end());
        for (const IpPrefix& prefix : prefixes) {
            ASSERT_TRUE(fib.writer.erase(prefix));
            model.lengths[prefix.length].erase(prefix.address);
            check(prefix);
        }
        fib.reclaim();
    }
    fib.writer.clear();
    fib.reclaim();
    EXPECT_EQ(fib.arena.used_bytes(), 0u);
}

// Of any length from /0 on: what was there before it has gone from the arena again.
TEST_P(Fib, ARouteThatWentLeavesNothingInALargeFib) {
    Crowd crowd(family(), 10);
    FibUnderTest fib(family());
    ModelByLength model;
    make_large(fib, model);
    fib.reclaim();
    const std::size_t before = fib.arena.used_bytes();
    for (int i = 0; i < 1500; ++i) {
        std::vector<IpPrefix> some;
        for (int j = 0; j < 4; ++j) {
            const IpPrefix prefix = crowd.prefix();
            if (fib.writer.find(prefix)) continue;
            ASSERT_TRUE(fib.writer.insert(prefix, crowd.leaf()));
            some.push_back(prefix);
        }
        std::shuffle(some.begin(), some.end(), crowd.engine());
        for (const IpPrefix& prefix : some) ASSERT_TRUE(fib.writer.erase(prefix));
        fib.reclaim();
        ASSERT_EQ(fib.arena.used_bytes(), before);
    }
}

TEST_P(Fib, RandomOperationsInALargeFib) {
    for (unsigned seed = 0; seed < 3; ++seed) {
        Crowd crowd(family(), 200 + seed);
        // The second and third are full now and then: nothing has changed then.
        FibUnderTest fib(family(), 16 << 20);
        ModelByLength model;
        make_large(fib, model);
        fib.reclaim();
        std::vector<Ref<std::byte>> ballast;
        while (seed != 0) {
            const auto held = fib.arena.allocate<std::byte>(64);
            if (!held) break;
            ballast.push_back(held);
        }
        for (unsigned i = 0; i < seed * 256; ++i) {
            fib.arena.discard(ballast.back(), 64);
            ballast.pop_back();
        }
        std::vector<IpPrefix> there;
        unsigned refused = 0;
        for (int i = 0; i < 6000; ++i) {
            IpPrefix prefix = crowd.prefix();
            fib.ask_ahead(prefix);
            auto& routes = model.lengths[prefix.length];
            if (prefix.length < 8 && i % 32 != 0) continue;
            if (crowd.random() % 5 < (i / 2000 % 2 == 0 ? 3u : 1u)) {
                const Leaf leaf = crowd.leaf();
                if (fib.writer.insert(prefix, leaf)) {
                    routes.insert_or_assign(prefix.address, leaf);
                    there.push_back(prefix);
                } else {
                    ++refused;
                }
            } else if (!there.empty()) {
                prefix = there[crowd.random() % there.size()];
                auto& own = model.lengths[prefix.length];
                if (fib.writer.erase(prefix)) {
                    ASSERT_EQ(own.erase(prefix.address), 1u);
                } else if (own.contains(prefix.address)) {
                    ++refused;
                }
            }
            auto addresses = crowd.around(prefix);
            for (int j = 0; j < 20; ++j) addresses.push_back(crowd.address());
            compare(fib, model, addresses);
            for (const auto& a : addresses) ASSERT_EQ(fib.lookup(a), model.lookup(a));
            if (i % 50 == 0) fib.reclaim();
        }
        EXPECT_EQ(refused != 0, seed != 0);
        for (const auto held : ballast) fib.arena.discard(held, 64);
        for (const IpPrefix& prefix : there) {
            fib.reclaim();
            ASSERT_EQ(fib.writer.erase(prefix),
                      model.lengths[prefix.length].erase(prefix.address) == 1);
        }
        std::vector<IpAddress> all;
        for (const auto& [address, leaf] : model.lengths[32]) all.push_back(address);
        compare(fib, model, all);
        fib.writer.clear();
        fib.reclaim();
        EXPECT_EQ(fib.arena.used_bytes(), 0u);
    }
}

// Before any route, in a small FIB and in a large one; prefixes as a command may have them, which nobody
// has looked at yet.
TEST_P(Fib, AnyPrefixMayBeAskedForAhead) {
    Crowd crowd(family(), 300);
    FibUnderTest fib(family());
    ModelByLength model;
    const auto ask_all = [&] {
        const std::size_t used = fib.arena.used_bytes();
        for (int i = 0; i < 5000; ++i) {
            IpPrefix prefix = crowd.prefix();
            for (auto& byte : prefix.address.bytes) {
                if (crowd.random() % 4 == 0) byte = static_cast<std::uint8_t>(crowd.random());
            }
            if (i % 4 == 0) prefix.length = static_cast<std::uint8_t>(crowd.random());
            if (i % 16 == 0) prefix.address.family = static_cast<IpFamily>(crowd.random() % 16);
            fib.ask_ahead(prefix);
        }
        EXPECT_EQ(fib.arena.used_bytes(), used);
    };
    ask_all();
    const IpPrefix all{net::mask(crowd.address(), 0), 0};
    ASSERT_TRUE(fib.writer.insert(all, hop(1)));
    ask_all();
    ASSERT_TRUE(fib.writer.erase(all));
    make_large(fib, model);
    ask_all();
    std::vector<IpAddress> addresses;
    for (int i = 0; i < 1000; ++i) addresses.push_back(crowd.address());
    compare(fib, model, addresses);
    fib.writer.clear();
    ask_all();
}

// Few places with everything in them: sites and longer, so that what tells few prefixes apart must
// give way to what tells many apart, and back; with leaves that take little room and much.
TEST_P(Fib, CrowdedSites) {
    for (unsigned seed = 0; seed < 3; ++seed) {
        Crowd crowd(family(), 400 + seed);
        FibUnderTest fib(family());
        ModelByLength model;
        make_large(fib, model);
        const auto bits = net::address_bits(family());
        std::vector<IpPrefix> there;
        for (int i = 0; i < 16000; ++i) {
            const bool grows = i / 4000 % 2 == 0;
            IpAddress address = crowd.address();
            address.bytes[0] = 0x20;
            address.bytes[1] = 0x01;
            for (std::size_t b = 2; b < 6u && b < bits / 8u; ++b) {
                address.bytes[b] = static_cast<std::uint8_t>(crowd.random() % (b < 4 ? 2 : 256));
            }
            if (crowd.random() % 3 == 0) address.bytes[4] = 7;  // one of them fuller than others
            unsigned length = 28 + crowd.random() % 21;
            if (crowd.random() % 16 == 0) length = 8 + crowd.random() % (bits - 7u);
            length = std::min<unsigned>(length, bits);
            IpPrefix prefix{net::mask(address, static_cast<std::uint8_t>(length)),
                            static_cast<std::uint8_t>(length)};
            fib.ask_ahead(prefix);
            if (grows == (crowd.random() % 8 != 0) || there.empty()) {
                // Leaves of more than 15 bits all at a time, too.
                const Leaf leaf = i / 1000 % 3 == 0 ? hop(crowd.random() % 9) : crowd.leaf();
                ASSERT_TRUE(fib.writer.insert(prefix, leaf));
                model.lengths[prefix.length].insert_or_assign(prefix.address, leaf);
                there.push_back(prefix);
            } else {
                std::swap(there[crowd.random() % there.size()], there.back());
                prefix = there.back();
                there.pop_back();
                ASSERT_EQ(fib.writer.erase(prefix),
                          model.lengths[prefix.length].erase(prefix.address) == 1);
            }
            compare(fib, model, crowd.around(prefix));
            if (i % 50 == 0) fib.reclaim();
            if (i % 1000 != 0) continue;
            std::vector<IpAddress> addresses;
            for (const IpPrefix& p : there) addresses.push_back(crowd.around(p)[2]);
            compare(fib, model, addresses);
            for (const auto& a : addresses) ASSERT_EQ(fib.lookup(a), model.lookup(a));
        }
        fib.writer.clear();
        fib.reclaim();
        EXPECT_EQ(fib.arena.used_bytes(), 0u);
    }
}

// Two large ones, a small one, an empty one in the same burst.
TEST_P(Fib, ABurstOfSeveralLargeFibs) {
    Crowd crowd(family(), 300);
    FibUnderTest fib(family());
    ModelByLength models[4];
    make_large(fib, models[0]);
    std::atomic<std::uint32_t> roots[4] = {};
    std::deque<FibWriter> writers;
    for (auto& root : roots) writers.emplace_back(fib.arena, family(), root);
    for (std::size_t w = 0; w < 3; ++w) {
        for (std::uint32_t i = 0; i < (w == 2 ? 50u : 9000u); ++i) {
            const IpPrefix prefix = crowd.prefix();
            const Leaf leaf = crowd.leaf();
            ASSERT_TRUE(writers[w].insert(prefix, leaf));
            models[w + 1].lengths[prefix.length].insert_or_assign(prefix.address, leaf);
            if (i % 64 == 0) fib.reclaim();
        }
    }
    const std::uint32_t units[] = {fib.root.load(), roots[0].load(), roots[1].load(),
                                   roots[2].load()};
    for (int round = 0; round < 300; ++round) {
        const std::size_t count = 1 + crowd.random() % kFibBurst;
        const std::uint32_t kinds = 1 + crowd.random() % 4;
        std::vector<IpAddress> addresses;
        std::vector<std::size_t> which;
        for (std::size_t i = 0; i < count; ++i) {
            addresses.push_back(crowd.address());
            which.push_back(crowd.random() % kinds);
        }
        std::vector<Leaf> leaves(count, hop(99));
        if (family() == IpFamily::ipv4) {
            std::vector<Ref<Fib4Root>> from;
            std::vector<net::Ipv4Address> keys;
            for (std::size_t i = 0; i < count; ++i) from.push_back({units[which[i]]});
            for (const auto& a : addresses) keys.push_back(a.ipv4());
            lookup_fib4(fib.arena.view(), from, keys, leaves);
        } else {
            std::vector<Ref<Fib6Root>> from;
            std::vector<net::Ipv6Address> keys;
            for (std::size_t i = 0; i < count; ++i) from.push_back({units[which[i]]});
            for (const auto& a : addresses) keys.push_back(a.ipv6());
            lookup_fib6(fib.arena.view(), from, keys, leaves);
        }
        for (std::size_t i = 0; i < count; ++i) {
            ASSERT_EQ(leaves[i], models[which[i]].lookup(addresses[i])) << which[i];
        }
    }
}

// A direct-indexed root that does not fit, or fits but not the nodes below it, is done without.
TEST_P(Fib, AnArenaTooSmallForADirectRoot) {
    const auto routes = read_real_table(family(), family() == IpFamily::ipv4 ? 90 : 15);
    ASSERT_GT(routes.size(), 10000u);
    Crowd crowd(family(), 8);
    for (std::uint64_t heap_bytes = 512 << 10; heap_bytes < 8 << 20; heap_bytes += 448 << 10) {
        FibUnderTest fib(family(), heap_bytes);
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

// Hosts all over the address space: the least that a table likes. They fit, or are refused one by one.
TEST(FibSize, AMillionScatteredHosts) {
    for (const std::uint64_t heap_bytes : {std::uint64_t{384} << 20, std::uint64_t{64} << 20}) {
        FibUnderTest fib(IpFamily::ipv4, heap_bytes);
        std::size_t there = 0;
        const auto host_of = [](std::uint32_t i) { return i * 2654435761u; };  // a permutation
        const auto prefix = [](std::uint32_t host) {
            return IpPrefix{net::Ipv4Address::from_host(host), 32};
        };
        for (std::uint32_t i = 0; i < 1'000'000; ++i) {
            if (fib.writer.insert(prefix(host_of(i)), hop(i % 1000))) ++there;
            if (i % 64 == 0) fib.reclaim();
        }
        EXPECT_EQ(fib.writer.size(), there);
        EXPECT_EQ(there == 1'000'000, heap_bytes > 64 << 20) << there;
        EXPECT_GT(there, 100'000u);
        std::vector<IpAddress> addresses;
        std::vector<Leaf> expected;
        for (std::uint32_t i = 0; i < 1'000'000; i += 7) {
            addresses.emplace_back(net::Ipv4Address::from_host(host_of(i)));
            expected.push_back(fib.writer.find(prefix(host_of(i))) ? hop(i % 1000) : Leaf::none());
        }
        EXPECT_EQ(fib.lookup_all(addresses), expected);
        for (std::uint32_t i = 0; i < 1'000'000; ++i) {
            (void)fib.writer.erase(prefix(host_of(i)));
            if (i % 64 == 0) fib.reclaim();
        }
        fib.reclaim();
        EXPECT_EQ(fib.writer.size(), 0u);
        EXPECT_EQ(fib.arena.used_bytes(), 0u);
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
    const std::uint32_t units[] = {fib.root.load(), other_root.load(), 0};
    std::vector<Ref<Fib4Root>> roots;
    for (std::size_t i = 0; i < kFibBurst; ++i) roots.push_back({units[i % 3]});
    const std::vector<net::Ipv4Address> addresses(kFibBurst, ip("10.1.2.3").ipv4());
    std::vector<Leaf> leaves(kFibBurst, hop(99));
    lookup_fib4(fib.arena.view(), roots, addresses, leaves);
    for (std::size_t i = 0; i < kFibBurst; ++i) {
        EXPECT_EQ(leaves[i], i % 3 == 0 ? hop(1) : i % 3 == 1 ? hop(2) : Leaf::none());
    }
    lookup_fib4(fib.arena.view(), {}, {}, {});
}

}  // namespace
}  // namespace wye::table
