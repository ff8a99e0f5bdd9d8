// All of the real table: inserted, compared with a model, erased.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <unordered_map>

#include "tests/unit/table/fib_fixture.hh"
#include "tests/unit/table/real_table.hh"

namespace wye::table {
namespace {

using net::IpAddress;
using net::IpFamily;

struct AddressHash {
    std::size_t operator()(const IpAddress& a) const noexcept {
        std::uint64_t halves[2];
        std::memcpy(halves, a.bytes.data(), 16);
        return (halves[0] ^ halves[1] * 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u >> 16;
    }
};

/// A hash table for each prefix length.
struct Model {
    std::vector<std::unordered_map<IpAddress, Leaf, AddressHash>> lengths{129};

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

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class FibFull : public testing::TestWithParam<IpFamily> {};
INSTANTIATE_TEST_SUITE_P(Families, FibFull, testing::Values(IpFamily::ipv4, IpFamily::ipv6),
                         [](const auto& families) {
                             return families.param == IpFamily::ipv4 ? "ipv4" : "ipv6";
                         });

TEST_P(FibFull, InsertCompareErase) {
    auto routes = read_real_table(GetParam());
    ASSERT_EQ(routes.size(), GetParam() == IpFamily::ipv4 ? 901899u : 160147u)
        << "bench/data/bgp-prefixes.txt.gz cannot be read: needs zcat";
    Crowd crowd(GetParam(), 3);
    FibUnderTest fib(GetParam(), 1 << 30);
    auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < routes.size(); ++i) {
        ASSERT_TRUE(fib.writer.insert(routes[i].prefix, routes[i].leaf));
        if (i % 64 == 0) fib.reclaim();
    }
    const double insert_seconds = seconds_since(start);
    fib.reclaim();
    const std::size_t arena_bytes = fib.arena.used_bytes();

    Model model;
    std::vector<IpAddress> addresses;
    for (std::size_t i = 0; i < routes.size(); ++i) {
        const auto& [prefix, leaf] = routes[i];
        model.lengths[prefix.length].insert_or_assign(prefix.address, leaf);
        if (i % 7 != 0) continue;
        for (const auto& a : crowd.around(prefix)) addresses.push_back(a);
    }
    const auto leaves = fib.lookup_all(addresses);
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        ASSERT_EQ(leaves[i], model.lookup(addresses[i])) << net::to_string(addresses[i]);
    }

    std::shuffle(routes.begin(), routes.end(), crowd.engine());
    start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < routes.size(); ++i) {
        ASSERT_TRUE(fib.writer.erase(routes[i].prefix));
        if (i % 64 == 0) fib.reclaim();
    }
    const double erase_seconds = seconds_since(start);
    fib.reclaim();
    EXPECT_EQ(fib.arena.used_bytes(), 0u);
    std::printf("%zu routes: inserted in %.2f s, erased in %.2f s, %.1f MiB of arena\n",
                routes.size(), insert_seconds, erase_seconds,
                static_cast<double>(arena_bytes) / (1 << 20));
}

}  // namespace
}  // namespace wye::table
