#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "dataplane/net/ecn.hh"
#include "dataplane/net/geneve.hh"
#include "dataplane/net/vxlan.hh"

namespace wye::net {
namespace {

std::vector<std::byte> bytes(std::initializer_list<unsigned> values) {
    std::vector<std::byte> result;
    for (const unsigned value : values) result.push_back(static_cast<std::byte>(value));
    return result;
}

TEST(Vxlan, HeaderBytes) {  // standards 33
    const auto header = make_vxlan(0xabcdef);
    const std::uint8_t expected[8] = {0x08, 0, 0, 0, 0xab, 0xcd, 0xef, 0};
    EXPECT_EQ(std::memcmp(&header, expected, 8), 0);
    EXPECT_EQ(header.vni(), 0xabcdefu);
}

TEST(Vxlan, ReservedBitsAreIgnored) {  // standards 33
    VxlanHeader header{0xff, {1, 2, 3}, Be32{0x010203ff}};
    EXPECT_TRUE(header.has_vni());
    EXPECT_EQ(header.vni(), 0x010203u);
    header.flags = 0xf7;
    EXPECT_FALSE(header.has_vni());
}

TEST(Geneve, HeaderBytes) {  // standards 48, 50
    const auto header = make_geneve(0xffffff);
    const std::uint8_t expected[8] = {0, 0, 0x65, 0x58, 0xff, 0xff, 0xff, 0};
    EXPECT_EQ(std::memcmp(&header, expected, 8), 0);
}

TEST(Geneve, OptionsOfEveryLength) {  // standards 44, 49
    EXPECT_EQ(walk_geneve_options({}), GeneveOptions::skipped);
    EXPECT_EQ(walk_geneve_options(bytes({1, 2, 3, 0})), GeneveOptions::skipped);
    EXPECT_EQ(walk_geneve_options(bytes({1, 2, 3, 1, 9, 9, 9, 9})), GeneveOptions::skipped);
    EXPECT_EQ(walk_geneve_options(bytes({1, 2, 3, 1})), GeneveOptions::mismatched);
    EXPECT_EQ(walk_geneve_options(bytes({1, 2, 3, 0, 1, 2, 3, 2, 9, 9, 9, 9})),
              GeneveOptions::mismatched);
    std::vector<std::byte> longest(252, std::byte{0});  // one of 128 bytes, one of 124
    longest[3] = std::byte{31};
    longest[128 + 3] = std::byte{30};
    EXPECT_EQ(walk_geneve_options(longest), GeneveOptions::skipped);
}

TEST(Geneve, ReservedBitsOfAnOptionAreIgnored) {  // standards 48
    EXPECT_EQ(walk_geneve_options(bytes({1, 2, 3, 0xe0})), GeneveOptions::skipped);
}

TEST(Geneve, CriticalOptionIsFoundAnywhere) {  // standards 45
    EXPECT_EQ(walk_geneve_options(bytes({1, 2, 0x83, 0})), GeneveOptions::critical);
    EXPECT_EQ(walk_geneve_options(bytes({1, 2, 3, 1, 9, 9, 9, 9, 1, 2, 0x80, 0})),
              GeneveOptions::critical);
    EXPECT_EQ(walk_geneve_options(bytes({1, 2, 0x83, 0, 1, 2, 3, 1})), GeneveOptions::mismatched);
}

TEST(Geneve, RandomOptionsStayInBounds) {
    std::mt19937 random(1);
    for (int round = 0; round < 20000; ++round) {
        // On the heap and of the exact size, so that a sanitizer sees a byte too far.
        std::vector<std::byte> options(4 * (random() % 64));
        for (auto& byte : options) byte = static_cast<std::byte>(random() & 0x1f);
        std::size_t at = 0;  // the model: jump from length to length
        while (at < options.size()) at += 4 + 4 * std::to_integer<std::size_t>(options[at + 3]);
        EXPECT_EQ(walk_geneve_options(options),
                  at == options.size() ? GeneveOptions::skipped : GeneveOptions::mismatched);
    }
}

TEST(Ecn, AllSixteenDecapsulations) {  // standards 54, 55
    constexpr auto kDrop = std::nullopt;
    constexpr auto N = Ecn::not_ect, E0 = Ecn::ect0, E1 = Ecn::ect1, CE = Ecn::ce;
    const struct {
        Ecn inner, outer;
        std::optional<Ecn> result;
    } table[] = {
        // RFC 6040 figure 4
        {N, N, N},    {N, E0, N},   {N, E1, N},   {N, CE, kDrop}, {E0, N, E0},  {E0, E0, E0},
        {E0, E1, E1}, {E0, CE, CE}, {E1, N, E1},  {E1, E0, E1},   {E1, E1, E1}, {E1, CE, CE},
        {CE, N, CE},  {CE, E0, CE}, {CE, E1, CE}, {CE, CE, CE},
    };
    for (const auto& row : table) EXPECT_EQ(decapsulate_ecn(row.inner, row.outer), row.result);
}

TEST(Ecn, EncapsulationCopies) {  // standards 53
    for (const auto ecn : {Ecn::not_ect, Ecn::ect1, Ecn::ect0, Ecn::ce}) {
        EXPECT_EQ(encapsulate_ecn(ecn), ecn);
        EXPECT_EQ(ecn_of(with_ecn(0xb8, ecn)), ecn);
        EXPECT_EQ(with_ecn(0xbb, ecn) & 0xfc, 0xb8);
    }
}

}  // namespace
}  // namespace wye::net
