#include <gtest/gtest.h>

#include <vector>

#include "dataplane/table/tunnel_header.hh"

namespace wye::table {
namespace {

std::vector<std::uint8_t> built(const OuterHeaderFields& fields) {
    const auto header = build_outer_header(fields);
    return {header.bytes.begin(), header.bytes.begin() + header.length};
}

TEST(TunnelHeader, VxlanOverIpv4) {
    const std::vector<std::uint8_t> expected{0x45, 0xb8, 0,    0,    0,   0, 0x40, 0,
                                             64,   17,   0,    0,  // DF, TTL 64, UDP
                                             192,  0,    2,    1,    192, 0, 2,    2,   //
                                             0,    0,    0x12, 0xb5, 0,   0, 0,    0,   // port 4789
                                             0x08, 0,    0,    0,    0,   0, 0x64, 0};  // VNI 100
    EXPECT_EQ(built({.local = *net::parse_ip("192.0.2.1"),
                     .remote = *net::parse_ip("192.0.2.2"),
                     .vni = 100,
                     .kind = TunnelKind::vxlan,
                     .dscp = 46}),
              expected);
}

TEST(TunnelHeader, GeneveOverIpv6WithOwnPortAndTtl) {
    std::vector<std::uint8_t> expected{0x62, 0x80, 0, 0, 0, 0, 17, 9};  // DSCP 10, hop limit 9
    for (const char* text : {"2001:db8::1", "2001:db8::2"}) {
        const auto address = *net::parse_ip(text);
        expected.insert(expected.end(), address.bytes.begin(), address.bytes.end());
    }
    const std::vector<std::uint8_t> rest{0, 0, 0x17, 0xc0, 0,    0,    0,    0,   // port 6080
                                         0, 0, 0x65, 0x58, 0xff, 0xff, 0xff, 0};  // VNI 2^24-1
    expected.insert(expected.end(), rest.begin(), rest.end());
    EXPECT_EQ(built({.local = *net::parse_ip("2001:db8::1"),
                     .remote = *net::parse_ip("2001:db8::2"),
                     .vni = 0xffffff,
                     .kind = TunnelKind::geneve,
                     .destination_port = 6080,
                     .ttl = 9,
                     .dscp = 10}),
              expected);
}

TEST(TunnelHeader, ZeroChecksumOverIpv6TakesAnExplicitWish) {  // standards 42, 52a, 52b
    using net::IpFamily;
    EXPECT_EQ(fills_udp_checksum(IpFamily::ipv4, 0), 0);
    EXPECT_EQ(fills_udp_checksum(IpFamily::ipv4, 1), 1);
    EXPECT_EQ(fills_udp_checksum(IpFamily::ipv4, 2), 0);
    EXPECT_EQ(fills_udp_checksum(IpFamily::ipv6, 0), 1);
    EXPECT_EQ(fills_udp_checksum(IpFamily::ipv6, 1), 1);
    EXPECT_EQ(fills_udp_checksum(IpFamily::ipv6, 2), 0);
}

}  // namespace
}  // namespace wye::table
