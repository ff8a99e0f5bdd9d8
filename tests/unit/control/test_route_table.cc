// The table of routes against a map: random insertions, removals and returns, of few and of many
// prefixes, so that runs of full slots form, wrap around and are closed again.
#include "dataplane/control/route_table.hh"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace wye::control {
namespace {

net::IpPrefix random_prefix(std::mt19937_64& random, std::uint32_t variety) {
    const auto number = static_cast<std::uint32_t>(random() % variety);
    const bool v4 = random() % 2 == 0;
    const auto length = static_cast<std::uint8_t>(random() % (v4 ? 33 : 129));
    net::IpAddress address = net::Ipv4Address::from_host(number * 0x01000193u);
    if (!v4) {
        address.family = net::IpFamily::ipv6;
        address.bytes[15] = static_cast<std::uint8_t>(number);
    }
    return {net::mask(address, length), length};
}

class Pair {
  public:
    void insert(const net::IpPrefix& prefix) {
        if (model_.contains(prefix)) return;
        Route& route = table_.insert(prefix);
        EXPECT_EQ(route.prefix, prefix);
        EXPECT_EQ(route.group, nullptr);
        route.declared = ++stamp_;
        route.protocol = 7;
        model_[prefix] = {stamp_, &route};
    }
    void remove(const net::IpPrefix& prefix, bool for_good) {
        if (!model_.contains(prefix)) return;
        const std::uint32_t record = table_.take_out(prefix);
        EXPECT_EQ(table_.find(prefix), nullptr);
        if (!for_good) {
            table_.put_back(record);
            return;
        }
        table_.free(record);
        model_.erase(prefix);
    }
    void check(const net::IpPrefix& prefix) const {
        table_.prefetch_slot(prefix);
        table_.prefetch_route(prefix);
        const auto known = model_.find(prefix);
        const Route* const route = table_.find(prefix);
        ASSERT_EQ(route != nullptr, known != model_.end());
        if (route == nullptr) return;
        ASSERT_EQ(route, known->second.second) << "a route moved";
        ASSERT_EQ(route->declared, known->second.first);
    }
    void check_all() const {
        ASSERT_EQ(table_.size(), model_.size());
        for (const auto& [prefix, known] : model_) check(prefix);
        std::size_t visited = 0;
        table_.each([&](const Route& route) {
            if (model_.contains(route.prefix)) ++visited;
        });
        ASSERT_EQ(visited, model_.size());
    }
    void clear() {
        while (!model_.empty()) {
            const net::IpPrefix prefix = model_.begin()->first;
            remove(prefix, true);
        }
    }

  private:
    RoutePool pool_;
    RouteTable table_{pool_};
    std::map<net::IpPrefix, std::pair<std::uint32_t, Route*>> model_;
    std::uint32_t stamp_ = 0;
};

TEST(RouteTable, DoesAsAMapDoes) {
    for (const std::uint32_t variety : {1u, 3u, 40u, 5000u}) {
        std::mt19937_64 random(variety);
        Pair pair;
        for (int i = 0; i < 60000; ++i) {
            // Grows and shrinks in turn.
            const bool grows = i / 10000 % 2 == 0;
            const net::IpPrefix prefix = random_prefix(random, variety);
            if (random() % 3 != 0 ? grows : !grows) {
                pair.insert(prefix);
            } else {
                pair.remove(prefix, random() % 4 != 0);
            }
            pair.check(random_prefix(random, variety));
            if (i % 5000 == 0) pair.check_all();
            if (HasFatalFailure()) return;
        }
        pair.check_all();
        pair.clear();
        pair.check_all();
    }
}

TEST(RouteTable, KeepsFamiliesAndLengthsApart) {
    RoutePool pool;
    RouteTable table(pool);
    net::IpPrefix v4, v6;
    v6.address.family = net::IpFamily::ipv6;
    table.insert(v4);
    EXPECT_EQ(table.find(v6), nullptr);
    EXPECT_EQ(table.find({v4.address, 1}), nullptr);
    table.insert(v6);
    EXPECT_NE(table.find(v6), table.find(v4));
}

}  // namespace
}  // namespace wye::control
