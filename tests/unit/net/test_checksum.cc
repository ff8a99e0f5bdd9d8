#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "dataplane/net/checksum.hh"
#include "dataplane/net/ipv4.hh"

namespace wye::net {
namespace {

/// RFC 1071 4.1, byte by byte in network order: the oracle.
std::uint16_t naive(const std::vector<std::byte>& bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        sum += static_cast<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<std::uint16_t>(~sum);
}

TEST(Checksum, ExampleOfRfc1071) {
    std::vector<std::byte> bytes;
    for (const int b : {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}) {
        bytes.push_back(static_cast<std::byte>(b));
    }
    EXPECT_EQ(checksum(bytes).host(), 0x220d);  // ~0xddf2
}

TEST(Checksum, EqualsTheNaiveSumForEveryLength) {
    std::mt19937 random(1);
    for (std::size_t length = 0; length < 200; ++length) {
        std::vector<std::byte> bytes(length);
        for (auto& b : bytes) b = static_cast<std::byte>(random());
        EXPECT_EQ(checksum(bytes).host(), naive(bytes)) << length;
    }
    const std::vector<std::byte> ones(65535, std::byte{0xff});
    EXPECT_EQ(checksum(ones).host(), naive(ones));
}

// standards 4
TEST(Checksum, IncrementalExampleOfRfc1624) {
    // RFC 1624 section 4: equation 3 gives 0x0000 where RFC 1141 gave 0xffff.
    EXPECT_EQ(update_checksum(Be16{std::uint16_t{0xdd2f}}, Be16{std::uint16_t{0x5555}},
                              Be16{std::uint16_t{0x3285}})
                  .host(),
              0x0000);
}

// standards 4
TEST(Checksum, IncrementalEqualsFullForAnyHeader) {
    std::mt19937 random(2);
    for (unsigned round = 0; round < 200000; ++round) {
        std::vector<std::byte> bytes(20);
        for (auto& b : bytes) b = static_cast<std::byte>(random());
        if (round % 4 == 0) {  // steer the sum to the edge
            bytes[10] = bytes[11] = std::byte{0};
            const std::uint16_t rest = naive(bytes);
            bytes[0] = static_cast<std::byte>(rest >> 8);
            bytes[1] = static_cast<std::byte>(rest & 0xff);
        }
        bytes[10] = bytes[11] = std::byte{0};
        const Be16 before_checksum = checksum(bytes);
        const auto word = [&bytes](std::size_t i) {
            return Be16{static_cast<std::uint16_t>(static_cast<unsigned>(bytes[i]) << 8 |
                                                   static_cast<unsigned>(bytes[i + 1]))};
        };
        const Be16 before = word(8);
        bytes[8] = static_cast<std::byte>(static_cast<unsigned>(bytes[8]) - 1);
        const Be16 updated = update_checksum(before_checksum, before, word(8));
        const Be16 full = checksum(bytes);
        EXPECT_TRUE(updated == full) << std::hex << updated.host() << " " << full.host();
    }
}

// standards 4
TEST(Checksum, AfterTtlEqualsTheEquationForEveryChecksum) {
    for (std::uint32_t checksum = 0; checksum <= 0xffff; ++checksum) {
        for (const unsigned ttl : {1u, 2u, 64u, 128u, 255u}) {
            const Be16 old{static_cast<std::uint16_t>(checksum)};
            const Be16 before{static_cast<std::uint16_t>(ttl << 8 | 17)};
            const Be16 after{static_cast<std::uint16_t>((ttl - 1) << 8 | 17)};
            Ipv4Header ip{};
            ip.ttl = static_cast<std::uint8_t>(ttl);
            ip.protocol = 17;
            ip.checksum = old;
            decrement_ttl(ip);
            ASSERT_EQ(ip.ttl, ttl - 1);
            ASSERT_EQ(ip.protocol, 17);
            ASSERT_EQ(ip.checksum.host(), update_checksum(old, before, after).host());
        }
    }
}

TEST(Checksum, PseudoHeaders) {
    // Judged by scapy: IP(src='192.0.2.1',dst='198.51.100.2')/UDP(sport=1,dport=2)/b'abc'.
    const auto source = parse_ip("192.0.2.1")->ipv4();
    const auto destination = parse_ip("198.51.100.2")->ipv4();
    std::vector<std::byte> udp;
    for (const int b : {0, 1, 0, 2, 0, 11, 0, 0, 0x61, 0x62, 0x63}) {
        udp.push_back(static_cast<std::byte>(b));
    }
    EXPECT_EQ(
        udp_checksum_of(sum_bytes(udp) + pseudo_header_sum(source, destination, 17, 11)).host(),
        0x4f3b);
    EXPECT_EQ(udp_checksum_of(sum_bytes(udp) +
                              pseudo_header_sum(parse_ip("2001:db8::1")->ipv6(),
                                                parse_ip("2001:db8:ffff::2")->ipv6(), 17, 11))
                  .host(),
              0xdffd);
}

TEST(Checksum, UdpNeverSendsZero) {
    EXPECT_EQ(udp_checksum_of(PartialSum{0xffff}).raw(), 0xffff);
    EXPECT_EQ(checksum_of(PartialSum{0xffff}).raw(), 0);
}

}  // namespace
}  // namespace wye::net
