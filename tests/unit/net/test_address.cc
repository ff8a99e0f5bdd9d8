#include <gtest/gtest.h>

#include "dataplane/net/address.hh"

namespace wye::net {
namespace {

TEST(Address, ParsesAndPrints) {
    for (const char* text : {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "2001:db8::1"}) {
        const auto address = parse_ip(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(to_string(*address), text);
    }
    EXPECT_EQ(to_string(*parse_mac("02:00:5E:00:00:01")), "02:00:5e:00:00:01");
}

TEST(Address, RefusesWhatIsNotOne) {
    for (const char* text :
         {"", " 1.2.3.4", "1.2.3", "1.2.3.4.5", "1.2.3.256", ":::", "1.2.3.4 "}) {
        EXPECT_FALSE(parse_ip(text)) << text;
    }
    for (const char* text : {"", "02:00:5e:00:00", "02-00-5e-00-00-01", "02:00:5e:00:00:0g",
                             "02:00:5e:00:00:01:", "2:00:5e:00:00:001"}) {
        EXPECT_FALSE(parse_mac(text)) << text;
    }
    EXPECT_FALSE(parse_ip(std::string_view("1.2.3.4\0x", 9)));
}

TEST(Address, PrefixHasNoHostBits) {
    EXPECT_TRUE(parse_prefix("10.0.0.0/8"));
    EXPECT_FALSE(parse_prefix("10.0.0.1/8"));
    EXPECT_FALSE(parse_prefix("10.0.0.0"));
    EXPECT_FALSE(parse_prefix("10.0.0.0/33"));
    EXPECT_FALSE(parse_prefix("10.0.0.0/08"));
    EXPECT_TRUE(parse_prefix("0.0.0.0/0"));
    EXPECT_TRUE(parse_prefix("2001:db8::/127"));
    EXPECT_TRUE(parse_interface_address("10.0.0.1/8"));
}

TEST(Address, MasksEveryLength) {
    const auto ones = parse_ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    for (unsigned length = 0; length <= 128; ++length) {
        const auto masked = mask(*ones, static_cast<std::uint8_t>(length));
        unsigned set = 0;
        for (const auto byte : masked.bytes) set += static_cast<unsigned>(__builtin_popcount(byte));
        EXPECT_EQ(set, length);
        EXPECT_TRUE((IpPrefix{masked, static_cast<std::uint8_t>(length)}.contains(*ones)));
    }
}

}  // namespace
}  // namespace wye::net
