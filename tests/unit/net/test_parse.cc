#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "dataplane/net/ip_protocol.hh"
#include "dataplane/net/parse.hh"

namespace wye::net {
namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::initializer_list<int> values) {
    Bytes bytes;
    for (const int v : values) bytes.push_back(static_cast<std::byte>(v));
    return bytes;
}
void append(Bytes& to, const Bytes& more) {
    to.insert(to.end(), more.begin(), more.end());
}

/// A copy on the heap of exactly this size, so that the address sanitizer sees one byte too far.
std::unique_ptr<std::byte[]> exact(const Bytes& bytes, std::size_t length) {
    auto copy = std::make_unique<std::byte[]>(length);
    for (std::size_t i = 0; i < length; ++i) copy[i] = bytes[i];
    return copy;
}

Bytes ipv4(std::uint8_t number, const Bytes& payload, int flags_offset = 0, int options = 0) {
    const int length = 20 + options + static_cast<int>(payload.size());
    Bytes p = bytes_of({0x45 + options / 4,
                        0,
                        length >> 8,
                        length & 255,
                        1,
                        2,
                        flags_offset >> 8,
                        flags_offset & 255,
                        64,
                        number,
                        0,
                        0,
                        10,
                        0,
                        0,
                        1,
                        10,
                        0,
                        0,
                        2});
    p.resize(p.size() + static_cast<std::size_t>(options), std::byte{1});
    append(p, payload);
    return p;
}
Bytes ipv6(std::uint8_t next, const Bytes& payload) {
    const int length = static_cast<int>(payload.size());
    Bytes p = bytes_of({0x60, 0, 0, 0, length >> 8, length & 255, next, 64});
    p.resize(40, std::byte{0x20});
    append(p, payload);
    return p;
}
Bytes tcp() {
    return bytes_of({0x12, 0x34, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x12, 0, 0, 0, 0, 0, 0});
}
Bytes udp() {
    return bytes_of({0x12, 0x34, 0, 53, 0, 8, 0, 0});
}

TEST(ParseLink, NoneOneAndTwoTags) {
    Bytes frame(12, std::byte{2});
    LinkLayout layout;
    Bytes plain = frame;
    append(plain, bytes_of({0x08, 0x00}));
    ASSERT_TRUE(parse_link(plain, layout));
    EXPECT_EQ(layout.payload_offset, 14);
    EXPECT_EQ(layout.vlan, kNoVlan);
    EXPECT_EQ(layout.ether_type, 0x0800);

    Bytes tagged = frame;
    append(tagged, bytes_of({0x81, 0x00, 0xe0, 0x64, 0x86, 0xdd}));
    ASSERT_TRUE(parse_link(tagged, layout));
    EXPECT_EQ(layout.payload_offset, 18);
    EXPECT_EQ(layout.vlan, 100);
    EXPECT_EQ(layout.inner_vlan, kNoVlan);
    EXPECT_EQ(layout.ether_type, 0x86dd);

    Bytes twice = frame;
    append(twice, bytes_of({0x88, 0xa8, 0x0f, 0xff, 0x81, 0x00, 0x00, 0x07, 0x08, 0x06}));
    ASSERT_TRUE(parse_link(twice, layout));
    EXPECT_EQ(layout.payload_offset, 22);
    EXPECT_EQ(layout.vlan, 4095);
    EXPECT_EQ(layout.inner_vlan, 7);
    EXPECT_EQ(layout.ether_type, 0x0806);
    for (std::size_t length = 0; length < twice.size(); ++length) {
        EXPECT_FALSE(parse_link({exact(twice, length).get(), length}, layout)) << length;
    }
    Bytes priority = frame;
    append(priority, bytes_of({0x81, 0x00, 0xe0, 0x00, 0x08, 0x00}));
    ASSERT_TRUE(parse_link(priority, layout));
    EXPECT_EQ(layout.vlan, kNoVlan);
    EXPECT_EQ(layout.tags, 1);
}

TEST(ParseIpv4, FindsPortsBehindOptions) {
    IpLayout layout;
    for (const int options : {0, 4, 40}) {
        ASSERT_EQ(parse_ipv4(ipv4(protocol::tcp, tcp(), 0x4000, options), layout), IpFault::none);
        EXPECT_EQ(layout.l4_offset, 20 + options);
        EXPECT_EQ(layout.source_port, 0x1234);
        EXPECT_EQ(layout.destination_port, 80);
        EXPECT_EQ(layout.tcp_flags, 0x12);
        EXPECT_EQ(layout.has_options, options != 0);
        EXPECT_FALSE(layout.is_fragment);
    }
}

// standards 5
TEST(ParseIpv4, RefusesImpossibleHeaders) {
    IpLayout layout;
    Bytes p = ipv4(protocol::udp, udp());
    p[0] = std::byte{0x65};
    EXPECT_EQ(parse_ipv4(p, layout), IpFault::version);
    p[0] = std::byte{0x44};
    EXPECT_EQ(parse_ipv4(p, layout), IpFault::header_length);
    p[0] = std::byte{0x4f};  // 60 bytes, more than its total length
    EXPECT_EQ(parse_ipv4(p, layout), IpFault::header_length);
    p[0] = std::byte{0x45};
    p[3] = std::byte{19};
    EXPECT_EQ(parse_ipv4(p, layout), IpFault::header_length);
    p[3] = std::byte{29};
    EXPECT_EQ(parse_ipv4(p, layout), IpFault::truncated);
}

// standards 5, 5a
TEST(Parse, EveryTruncationIsRefused) {
    IpLayout layout;
    const Bytes four = ipv4(protocol::tcp, tcp(), 0, 8);
    for (std::size_t length = 0; length < four.size(); ++length) {
        EXPECT_NE(parse_ipv4({exact(four, length).get(), length}, layout), IpFault::none) << length;
    }
    Bytes chain = bytes_of({protocol::destination_options, 0, 1, 4, 0, 0, 0, 0});
    append(chain, bytes_of({protocol::udp, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
    append(chain, udp());
    const Bytes six = ipv6(protocol::hop_by_hop, chain);
    for (std::size_t length = 0; length < six.size(); ++length) {
        EXPECT_NE(parse_ipv6({exact(six, length).get(), length}, layout), IpFault::none) << length;
    }
    EXPECT_EQ(parse_ipv6(six, layout), IpFault::none);
    EXPECT_EQ(layout.l4_offset, 64);
    EXPECT_EQ(layout.destination_port, 53);
    EXPECT_TRUE(layout.has_options);
}

// standards 26: no key where the header is not whole.
TEST(Parse, ShortLayer4HasNoKey) {
    IpLayout layout;
    for (std::size_t length = 0; length < 20; ++length) {
        Bytes cut = tcp();
        cut.resize(length);
        ASSERT_EQ(parse_ipv4(ipv4(protocol::tcp, cut), layout), IpFault::none);
        EXPECT_EQ(layout.l4_offset, kNoOffset);
        EXPECT_EQ(layout.destination_port, 0);
        ASSERT_EQ(parse_ipv6(ipv6(protocol::tcp, cut), layout), IpFault::none);
        EXPECT_EQ(layout.l4_offset, kNoOffset);
    }
}

TEST(Parse, Fragments) {
    IpLayout layout;
    ASSERT_EQ(parse_ipv4(ipv4(protocol::udp, udp(), 0x2000), layout), IpFault::none);
    EXPECT_TRUE(layout.is_fragment);
    EXPECT_FALSE(layout.is_later_fragment);
    EXPECT_EQ(layout.destination_port, 53);
    ASSERT_EQ(parse_ipv4(ipv4(protocol::udp, udp(), 0x0001), layout), IpFault::none);
    EXPECT_TRUE(layout.is_later_fragment);
    EXPECT_EQ(layout.l4_offset, kNoOffset);
    EXPECT_EQ(layout.destination_port, 0);

    Bytes later = bytes_of({protocol::udp, 0, 0, 8, 0, 0, 0, 1});
    append(later, udp());
    ASSERT_EQ(parse_ipv6(ipv6(protocol::fragment, later), layout), IpFault::none);
    EXPECT_TRUE(layout.is_later_fragment);
    EXPECT_EQ(layout.l4_offset, kNoOffset);
    EXPECT_EQ(layout.protocol, protocol::udp);
    later[3] = std::byte{0};  // an atomic fragment: nothing is missing
    ASSERT_EQ(parse_ipv6(ipv6(protocol::fragment, later), layout), IpFault::none);
    EXPECT_FALSE(layout.is_fragment);
    EXPECT_EQ(layout.l4_offset, 48);
}

// standards 23
TEST(ParseIpv6, ChainsThatCannotBeWalkedAreAccepted) {
    IpLayout layout;
    Bytes beyond = bytes_of({protocol::udp, 200, 1, 4, 0, 0, 0, 0});
    append(beyond, udp());
    ASSERT_EQ(parse_ipv6(ipv6(protocol::routing, beyond), layout), IpFault::none);
    EXPECT_EQ(layout.l4_offset, kNoOffset);
    Bytes many;
    for (unsigned i = 0; i < 9; ++i) {
        append(many, bytes_of({i == 8 ? protocol::udp : protocol::destination_options, 0, 1, 4, 0,
                               0, 0, 0}));
    }
    append(many, udp());
    ASSERT_EQ(parse_ipv6(ipv6(protocol::destination_options, many), layout), IpFault::none);
    EXPECT_EQ(layout.l4_offset, kNoOffset);
    Bytes authentication = bytes_of({protocol::udp, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    append(authentication, udp());
    ASSERT_EQ(parse_ipv6(ipv6(protocol::authentication, authentication), layout), IpFault::none);
    EXPECT_EQ(layout.l4_offset, 52);  // units of 4 bytes here
}

TEST(Parse, LinkPaddingIsNotPartOfThePacket) {
    IpLayout layout;
    Bytes p = ipv4(protocol::tcp, bytes_of({0, 1, 0, 2}));  // standards 5b
    p.resize(60);
    ASSERT_EQ(parse_ipv4(p, layout), IpFault::none);
    EXPECT_EQ(layout.length, 24);
    EXPECT_EQ(layout.l4_offset, kNoOffset);
}

TEST(Parse, RandomBytesStayInBounds) {
    std::mt19937 random(3);
    for (unsigned round = 0; round < 300000; ++round) {
        const std::size_t length = random() % 120;
        Bytes bytes(length);
        for (auto& b : bytes) b = static_cast<std::byte>(random());
        if (length > 6) {  // likely headers
            bytes[0] = static_cast<std::byte>((round % 2 == 0 ? 0x40u : 0x60u) | (random() & 15));
            if (round % 2 == 0) {
                bytes[2] = std::byte{0};
            } else {
                bytes[4] = std::byte{0};
                bytes[6] =
                    static_cast<std::byte>(std::array{0, 43, 44, 51, 60, 6, 17, 58}[random() % 8]);
            }
        }
        const auto copy = exact(bytes, length);
        const std::span<const std::byte> view(copy.get(), length);
        IpLayout layout;
        LinkLayout link;
        parse_link(view, link);
        for (const auto fault : {parse_ipv4(view, layout), parse_ipv6(view, layout)}) {
            if (fault != IpFault::none) continue;
            EXPECT_LE(layout.length, length);
            EXPECT_TRUE(layout.l4_offset == kNoOffset || layout.l4_offset <= layout.length);
        }
    }
}

}  // namespace
}  // namespace wye::net
