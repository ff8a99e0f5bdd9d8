#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>
#include <tuple>

#include "dataplane/table/tunnel_key_writer.hh"
#include "dataplane/table/vport_key_writer.hh"

namespace wye::table {
namespace {

ArenaLimits small_limits() {
    ArenaLimits limits;
    limits.tenants = limits.vrfs = limits.nexthops = limits.groups = 64;
    limits.vports = limits.tunnels = 256;
    limits.heap_bytes = 1 << 20;
    return limits;
}

template <class Word>
std::uint32_t count_words(const std::atomic<Word>* slots, std::uint32_t count, Word word) {
    std::uint32_t found = 0;
    for (std::uint32_t i = 0; i < count; ++i) found += slots[i].load() == word ? 1u : 0u;
    return found;
}

TEST(VportKeys, RandomOperationsAgainstAModel) {
    auto arena = ArenaWriter::create_anonymous(small_limits());
    ASSERT_TRUE(arena);
    VportKeyWriter writer(*arena);
    using Key = std::tuple<std::uint16_t, std::uint16_t, std::uint16_t>;
    std::map<Key, VportId> model;
    std::mt19937 random(2);
    const auto vlan = [&random] {
        const auto v = random() % 9;
        return v == 8 ? kNoVlan : static_cast<std::uint16_t>(v * 511 + 1);
    };
    for (int i = 0; i < 40000; ++i) {
        const Key key{static_cast<std::uint16_t>(random() % 8), vlan(), vlan()};
        const auto [port, outer, inner] = key;
        if (random() % 2 == 0 && (model.size() < 256 || model.contains(key))) {
            const VportId vport{static_cast<std::uint32_t>(random() % 256)};
            ASSERT_TRUE(writer.insert(port, outer, inner, vport));
            model[key] = vport;
        } else {
            ASSERT_EQ(writer.remove(port, outer, inner), model.erase(key) == 1);
        }
        const Key other{static_cast<std::uint16_t>(random() % 8), vlan(), vlan()};
        const auto expected = model.find(other);
        ASSERT_EQ(
            find_vport(arena->view(), std::get<0>(other), std::get<1>(other), std::get<2>(other)),
            expected == model.end() ? VportId{} : expected->second);
        ASSERT_EQ(writer.size(), model.size());
    }
    for (const auto& [key, vport] : model) {
        ASSERT_TRUE(writer.remove(std::get<0>(key), std::get<1>(key), std::get<2>(key)));
    }
    // Without entries there are no tombstones either.
    const auto& header = arena->header();
    EXPECT_EQ(
        count_words(arena->writable(header.vport_keys), header.vport_key_slots, kVportKeyEmpty),
        header.vport_key_slots);
}

TEST(VportKeys, AReaderAlwaysFindsWhatStays) {
    auto arena = ArenaWriter::create_anonymous(small_limits());
    ASSERT_TRUE(arena);
    VportKeyWriter writer(*arena);
    for (std::uint16_t v = 1; v <= 60; ++v) {
        ASSERT_TRUE(writer.insert(1, v, kNoVlan, VportId{v}));
    }
    std::atomic<bool> stop{false};
    std::atomic<int> missed{0}, rounds{0};
    std::thread reader([&] {
        while (!stop.load(std::memory_order_relaxed)) {
            for (std::uint16_t v = 1; v <= 60; ++v) {
                if (find_vport(arena->view(), 1, v, kNoVlan) != VportId{v}) missed += 1;
            }
            rounds += 1;
        }
    });
    std::mt19937 random(3);
    for (int i = 0; i < 30000 || rounds.load() < 100; ++i) {
        const auto v = static_cast<std::uint16_t>(random() % 180);
        if (random() % 2 == 0) {
            ASSERT_TRUE(writer.insert(2, v, kNoVlan, VportId{v}));
        } else {
            writer.remove(2, v, kNoVlan);
        }
    }
    stop = true;
    reader.join();
    EXPECT_EQ(missed.load(), 0);
}

TEST(VportKeys, RefusesBeyondHalfFull) {
    auto arena = ArenaWriter::create_anonymous(small_limits());
    ASSERT_TRUE(arena);
    VportKeyWriter writer(*arena);
    for (std::uint16_t v = 0; v < 256; ++v) {
        ASSERT_TRUE(writer.insert(0, v, kNoVlan, VportId{v}));
    }
    EXPECT_FALSE(writer.insert(1, 1, kNoVlan, VportId{0}));
    EXPECT_TRUE(writer.insert(0, 5, kNoVlan, VportId{77}));  // replaced, not added
    EXPECT_EQ(find_vport(arena->view(), 0, 5, kNoVlan), VportId{77});
}

TunnelKey tunnel_key(std::uint32_t i) {
    TunnelKey key{};
    key.local = net::Ipv4Address::from_host(0x0a000001);
    key.remote = net::Ipv4Address::from_host(0x0a010000 + i % 16);
    key.kind = i % 2 == 0 ? TunnelKind::vxlan : TunnelKind::geneve;
    key.vni = i / 16;
    key.underlay = VrfId{0};
    return key;
}

TEST(TunnelKeys, RandomOperationsAgainstAModel) {
    auto arena = ArenaWriter::create_anonymous(small_limits());
    ASSERT_TRUE(arena);
    TunnelKeyWriter writer(*arena);
    const auto tunnels = arena->header().tunnels;
    ASSERT_TRUE(arena->back(tunnels, 255));
    for (std::uint32_t i = 0; i < 256; ++i) arena->record(tunnels, i).key = tunnel_key(i);
    std::vector<bool> present(256);
    std::mt19937 random(4);
    for (int i = 0; i < 20000; ++i) {
        const std::uint32_t id = random() % 256;
        if (random() % 2 == 0) {
            ASSERT_EQ(writer.insert(TunnelId{id}), !present[id]);
            present[id] = true;
        } else {
            ASSERT_EQ(writer.remove(TunnelId{id}), present[id]);
            present[id] = false;
        }
        const std::uint32_t other = random() % 256;
        ASSERT_EQ(find_tunnel(arena->view(), tunnel_key(other)),
                  present[other] ? TunnelId{other} : TunnelId{});
    }
    for (std::uint32_t id = 0; id < 256; ++id) writer.remove(TunnelId{id});
    const auto& header = arena->header();
    EXPECT_EQ(
        count_words(arena->writable(header.tunnel_keys), header.tunnel_key_slots, kTunnelKeyEmpty),
        header.tunnel_key_slots);
}

TEST(TunnelKeys, MatchesAllOfTheKey) {
    auto arena = ArenaWriter::create_anonymous(small_limits());
    ASSERT_TRUE(arena);
    TunnelKeyWriter writer(*arena);
    const auto tunnels = arena->header().tunnels;
    arena->record(tunnels, 3).key = tunnel_key(35);
    ASSERT_TRUE(writer.insert(TunnelId{3}));
    EXPECT_EQ(find_tunnel(arena->view(), tunnel_key(35)), TunnelId{3});
    // standards 37: another VNI, remote, local, kind or underlay is another tunnel.
    TunnelKey key = tunnel_key(35);
    key.vni += 1;
    EXPECT_FALSE(find_tunnel(arena->view(), key).valid());
    key = tunnel_key(35);
    key.remote = net::Ipv4Address::from_host(1);
    EXPECT_FALSE(find_tunnel(arena->view(), key).valid());
    key = tunnel_key(35);
    key.local = net::Ipv4Address::from_host(1);
    EXPECT_FALSE(find_tunnel(arena->view(), key).valid());
    key = tunnel_key(35);
    key.kind = TunnelKind::vxlan;
    EXPECT_FALSE(find_tunnel(arena->view(), key).valid());
    key = tunnel_key(35);
    key.underlay = VrfId{9};
    EXPECT_FALSE(find_tunnel(arena->view(), key).valid());
    arena->record(tunnels, 4).key = tunnel_key(35);
    EXPECT_FALSE(writer.insert(TunnelId{4}));  // the key is taken
}

}  // namespace
}  // namespace wye::table
