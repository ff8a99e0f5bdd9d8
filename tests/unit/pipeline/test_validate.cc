// What is refused on the way in, and that everything else passes: lines 1 to 9, 22, 22a, 28 of the
// checklist, frames cut at every byte, random bytes.
#include <gtest/gtest.h>

#include <random>
#include <tuple>

#include "dataplane/net/checksum.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/pipeline/plain_headers.hh"
#include "dataplane/pipeline/validate_ipv4.hh"
#include "dataplane/pipeline/validate_ipv6.hh"
#include "test_router.hh"

namespace wye::pipeline::test {
namespace {

using table::LedgerRow;
using table::Reason;

/// A default route for both families out of port 1.
struct Gate : TestRouter {
    Gate() {
        const VrfId vrf = add_vrf(add_tenant());
        in = add_vport(vrf, {.port = 0, .source4 = "10.0.0.1", .source6 = "2001:db8::1"});
        const VportId out = add_vport(vrf, {.port = 1});
        const NextHopId nexthop =
            add_nexthop(NextHopKind::adjacency, out, "10.9.0.2", "02:00:00:00:00:aa");
        add_route(vrf, "0.0.0.0/0", nexthop);
        add_route(vrf, "::/0", nexthop);
    }
    /// The reason; none: it was forwarded.
    std::optional<Reason> judge(const Bytes& frame) {
        clear_output();
        std::array<std::uint64_t, table::kReasons> before;
        for (std::size_t i = 0; i < table::kReasons; ++i) before[i] = drops(Reason{narrow(i)});
        receive(0, frame);
        for (std::size_t i = 0; i < table::kReasons; ++i) {
            if (drops(Reason{narrow(i)}) != before[i]) return Reason{narrow(i)};
        }
        return std::nullopt;
    }
    static std::uint8_t narrow(std::size_t i) { return static_cast<std::uint8_t>(i); }
    std::optional<Reason> judge4(std::string_view from, std::string_view to) {
        return judge(ethernet({}, ip_packet({from, to}, udp(1, 2))));
    }
    VportId in;
};

Bytes with_checksum(Bytes packet) {
    auto& ip = net::header<net::Ipv4Header>(packet.data());
    ip.checksum = {};
    ip.checksum = net::checksum(std::span(packet).first(ip.header_length()));
    return packet;
}

/// Up to three changed bytes, mostly of the header; cut or padded.
void spoil(std::mt19937& random, std::size_t header, Bytes& bytes) {
    for (unsigned changes = random() % 4; changes > 0; --changes) {
        bytes[random() % (random() % 8 == 0 ? bytes.size() : header)] =
            static_cast<std::byte>(random());
    }
    if (random() % 4 == 0) bytes.resize(random() % (bytes.size() + 8));
}

/// A frame of which `Family` says that it is plain must be one that `validate` lets pass, as long as
/// it says, with its layer-4 header where it takes it to be. Returns how many were plain.
template <class Family, class Make, class Validate>
std::size_t count_plain(unsigned rounds, Make make, Validate validate) {
    std::size_t plain = 0;
    for (unsigned round = 0; round < rounds; ++round) {
        Bytes frame = make(round);
        Packet packet;
        packet.frame = {.data = frame.data(), .length = static_cast<std::uint32_t>(frame.size())};
        packet.l3_offset = 14;
        const std::size_t size = frame.size() - 14;
        if (size < Family::kLeast) continue;
        const std::uint32_t length =
            Family::length(frame.data() + 14, static_cast<std::uint32_t>(size));
        if (length == 0) continue;
        ++plain;
        EXPECT_TRUE(validate(packet).goes_on()) << to_hex(frame);
        EXPECT_EQ(packet.length, length) << to_hex(frame);
        EXPECT_EQ(packet.l4_offset, 14 + Family::kHeader) << to_hex(frame);
        EXPECT_EQ(packet.protocol, Family::protocol(frame.data() + 14)) << to_hex(frame);
        EXPECT_FALSE(packet.is_fragment || packet.has_options) << to_hex(frame);
        if (testing::Test::HasFailure()) break;
    }
    return plain;
}

TEST(PlainHeaders, Ipv4IsPlainOnlyIfTheRulesLetItPass) {
    std::mt19937 random(4);
    const auto make = [&random](unsigned round) {
        Bytes bytes = ip_packet({"10.0.0.9", "10.1.2.3"},
                                round % 2 == 0 ? udp(1, 2, Bytes(random() % 20)) : tcp(1, 2, 0x12));
        spoil(random, 20, bytes);
        const bool has_header = bytes.size() >= 20;
        if (has_header && (static_cast<unsigned>(bytes[0]) & 0xfu) == 5) {
            bytes = with_checksum(bytes);
        }
        return ethernet({}, bytes);
    };
    EXPECT_GT(count_plain<PlainIpv4>(300000, make, validate_ipv4), 50000u);
}

TEST(PlainHeaders, Ipv6IsPlainOnlyIfTheRulesLetItPass) {
    std::mt19937 random(6);
    const auto make = [&random](unsigned round) {
        Bytes bytes = ip_packet({"2001:db8::9", "2001:db8:1::3"},
                                round % 2 == 0 ? udp(1, 2, Bytes(random() % 20)) : tcp(1, 2, 0x12));
        spoil(random, 40, bytes);
        return ethernet({.type = 0x86dd}, bytes);
    };
    EXPECT_GT(count_plain<PlainIpv6>(300000, make, validate_ipv6), 50000u);
}

// standards 3
TEST(ValidateIpv4, EverySingleBitErrorInTheHeaderIsSeen) {
    Gate gate;
    const Bytes good = ip_packet({"10.0.0.9", "10.1.2.3"}, udp(1, 2));
    for (std::size_t bit = 0; bit < 160; ++bit) {
        Bytes bad = good;
        bad[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
        EXPECT_TRUE(gate.judge(ethernet({}, bad))) << bit;
    }
    EXPECT_EQ(gate.sent.size(), 0u);
    EXPECT_EQ(gate.total(&LedgerRow::generated), 0u);  // silently
}

// standards 5, 5a
TEST(ValidateIpv4, ImpossibleHeaders) {
    Gate gate;
    const Bytes good = ip_packet({"10.0.0.9", "10.1.2.3"}, udp(1, 2));
    Bytes bad = good;
    bad[0] = std::byte{0x55};
    EXPECT_EQ(gate.judge(ethernet({.type = 0x0800}, bad)), Reason::ipv4_version);
    bad[0] = std::byte{0x44};
    EXPECT_EQ(gate.judge(ethernet({.type = 0x0800}, bad)), Reason::ipv4_header_length);
    bad = good;
    bad[3] = std::byte{19};
    EXPECT_EQ(gate.judge(ethernet({}, with_checksum(bad))), Reason::ipv4_header_length);
    bad[3] = std::byte{29};
    EXPECT_EQ(gate.judge(ethernet({}, with_checksum(bad))), Reason::ipv4_truncated);
}

// standards 5c
TEST(ValidateIpv4, TheReservedFlagIsNoReasonToDrop) {
    Gate gate;
    EXPECT_FALSE(
        gate.judge(ethernet({}, ip_packet({"10.0.0.9", "10.1.2.3", 17, 64, 0x8000}, udp(1, 2)))));
}

// standards 6
TEST(ValidateIpv4, Options) {
    Gate gate;
    const auto judge = [&gate](std::string_view options) {
        return gate.judge(ethernet(
            {}, ip_packet({"10.0.0.9", "10.1.2.3", 17, 64, 0, from_hex(options)}, udp(1, 2))));
    };
    for (const char* refused : {"83070400000000 00", "89070400000000 00", "0707040000000000",
                                "44080500 00000000", "8201 0000", "82090000", "01010182"}) {
        EXPECT_EQ(judge(refused), Reason::ipv4_options) << refused;
    }
    for (const char* passes : {"01010101", "94040000", "99060102 03040000", "00830704"}) {
        EXPECT_FALSE(judge(passes)) << passes;
        ASSERT_EQ(gate.sent.size(), 1u);
        EXPECT_EQ(to_hex(gate.sent[0].bytes).substr(68, 8),
                  to_hex(from_hex(passes)).substr(0, 8));  // unchanged
    }
}

// standards 7, 8, 9
TEST(ValidateIpv4, Martians) {
    Gate gate;
    for (const char* from : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.255.255.255",
                             "240.0.0.1", "255.255.255.255"}) {
        EXPECT_EQ(gate.judge4(from, "10.1.2.3"), Reason::ipv4_source_invalid) << from;
    }
    for (const char* to : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "240.0.0.1", "255.255.255.254"}) {
        EXPECT_EQ(gate.judge4("10.0.0.9", to), Reason::ipv4_destination_invalid) << to;
    }
    for (const char* fine : {"1.0.0.0", "126.255.255.255", "128.0.0.0", "223.255.255.255",
                             "169.254.0.1", "192.168.0.255"}) {
        EXPECT_FALSE(gate.judge4(fine, "10.1.2.3")) << fine;
        EXPECT_FALSE(gate.judge4("10.0.0.9", fine)) << fine;
    }
    EXPECT_EQ(gate.judge4("10.0.0.9", "224.0.1.1"), Reason::multicast_not_routed);
    EXPECT_EQ(gate.judge4("10.0.0.9", "239.1.1.1"), Reason::multicast_not_routed);
    EXPECT_EQ(gate.total(&LedgerRow::generated), 0u);
}

// standards 22, 22a
TEST(ValidateIpv6, AddressesThatAreNotForwarded) {
    Gate gate;
    const auto judge = [&gate](std::string_view from, std::string_view to) {
        return gate.judge(ethernet({}, ip_packet({from, to}, udp(1, 2))));
    };
    for (const char* from : {"::", "::1", "ff02::1", "ff0e::1"}) {
        EXPECT_EQ(judge(from, "2001:db8::5"), Reason::ipv6_source_invalid) << from;
    }
    EXPECT_EQ(judge("2001:db8::9", "::"), Reason::ipv6_destination_invalid);
    EXPECT_EQ(judge("2001:db8::9", "::1"), Reason::ipv6_destination_invalid);
    EXPECT_EQ(judge("fe80::9", "2001:db8::5"), Reason::ipv6_scope);
    EXPECT_EQ(judge("2001:db8::9", "ff00::1"), Reason::ipv6_scope);
    EXPECT_EQ(judge("2001:db8::9", "ff01::1"), Reason::ipv6_scope);
    EXPECT_EQ(judge("2001:db8::9", "ff05::1"), Reason::multicast_not_routed);
    EXPECT_EQ(judge("2001:db8::9", "ff0e::1"), Reason::multicast_not_routed);
    EXPECT_FALSE(judge("2001:db8::9", "2001:db8::5"));
    EXPECT_FALSE(judge("fec0::1", "fec0::2"));
    EXPECT_EQ(gate.total(&LedgerRow::generated), 0u);
}

// standards 23, 23a, 29
TEST(ValidateIpv6, ExtensionHeadersAndFlowLabelPass) {
    Gate gate;
    for (const std::uint8_t next : std::array<std::uint8_t, 5>{0, 43, 60, 135, 253}) {
        Bytes payload = from_hex("1100010400000000");
        const Bytes rest = udp(1, 2);
        payload.insert(payload.end(), rest.begin(), rest.end());
        Bytes packet = ip_packet({"2001:db8::9", "2001:db8::5", next}, payload);
        packet[1] = std::byte{0x0a};
        packet[2] = std::byte{0xbc};
        EXPECT_FALSE(gate.judge(ethernet({}, packet))) << int{next};
        ASSERT_EQ(gate.sent.size(), 1u);
        packet[7] = std::byte{63};
        EXPECT_EQ(to_hex(gate.sent[0].bytes).substr(28), to_hex(packet));
    }
}

// standards 28
TEST(ValidateIpv6, EveryPrefixLengthForwards) {
    TestRouter router;
    const VrfId vrf = router.add_vrf(router.add_tenant());
    router.add_vport(vrf, {.port = 0});
    const VportId out = router.add_vport(vrf, {.port = 1});
    const NextHopId nexthop =
        router.add_nexthop(NextHopKind::adjacency, out, "10.9.0.2", "02:00:00:00:00:aa");
    const auto target = *net::parse_ip("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
    for (unsigned length = 0; length <= 128; ++length) {
        const auto masked = net::mask(target, static_cast<std::uint8_t>(length));
        const std::string prefix =
            net::to_string(net::IpPrefix{masked, static_cast<std::uint8_t>(length)});
        router.add_route(vrf, prefix, nexthop);
        router.clear_output();
        router.receive(0, ethernet({}, ip_packet({"2001:db8::9", net::to_string(target)}, {})));
        EXPECT_EQ(router.sent.size(), 1u) << prefix;
        router.delete_route(vrf, prefix);
    }
}

TEST(BadInput, UnknownEtherTypes) {
    Gate gate;
    for (const std::uint16_t type : std::array<std::uint16_t, 4>{0x88cc, 0x8847, 0x0026, 0x9000}) {
        EXPECT_EQ(gate.judge(ethernet({.type = type}, Bytes(50))), Reason::ethernet_type_unknown);
    }
    // A third tag is no IP packet.
    Bytes frame = ethernet({.vlans = {1, 2}, .type = 0x8100}, Bytes(50));
    EXPECT_TRUE(gate.judge(frame));
}

TEST(BadInput, OnlyIsIsOfWhatHasALengthForAType) {
    Gate gate;
    const auto judged = [&](const char* to, std::uint16_t length, const char* bytes) {
        gate.clear_output();
        Bytes payload = from_hex(bytes);
        payload.resize(46);
        return gate.judge(ethernet({.destination = to, .type = length}, payload));
    };
    for (const char* group : {"01:80:c2:00:00:14", "01:80:c2:00:00:15", "09:00:2b:00:00:05"}) {
        EXPECT_FALSE(judged(group, 30, "fefe0383")) << group;
        EXPECT_EQ(gate.punted.size(), 1u);
    }
    constexpr const char* kGroup = "01:80:c2:00:00:15";
    EXPECT_EQ(judged(kGroup, 47, "fefe0383"), Reason::ethernet_type_unknown) << "cut off";
    EXPECT_EQ(judged(kGroup, 2, "fefe0383"), Reason::ethernet_type_unknown) << "no control byte";
    EXPECT_EQ(judged(kGroup, 1536, "fefe0383"), Reason::ethernet_type_unknown) << "a type";
    EXPECT_EQ(judged("01:80:c2:00:00:00", 38, "424203"), Reason::ethernet_type_unknown)
        << "spanning tree";
    EXPECT_EQ(judged(kGroup, 30, "aaaa03"), Reason::ethernet_type_unknown) << "SNAP";
    EXPECT_EQ(judged("02:00:00:00:00:01", 30, "fefe0383"), Reason::ethernet_type_unknown)
        << "to the router alone: IS-IS of a LAN does not do that";
}

TEST(BadInput, FramesCutAtEveryByte) {
    Gate gate;
    Bytes chain = from_hex("3c00010400000000 2c00010400000000 1100000100000001");
    const Bytes inner = udp(1, 2, from_hex("0102030405"));
    chain.insert(chain.end(), inner.begin(), inner.end());
    const std::vector<Bytes> frames{
        ethernet({},
                 ip_packet({"10.0.0.9", "10.1.2.3", 6, 64, 0, from_hex("01010101")}, tcp(1, 2))),
        ethernet({}, ip_packet({"2001:db8::9", "2001:db8::5", 0}, chain)),
        ethernet({}, ip_packet({"10.0.0.9", "10.1.2.3", 17, 1}, udp(1, 2))),
        ethernet({.destination = "ff:ff:ff:ff:ff:ff", .type = 0x0806}, Bytes(28)),
    };
    for (const Bytes& frame : frames) {
        for (std::size_t length = 0; length < frame.size(); ++length) {
            const Bytes cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(length));
            const auto reason = gate.judge(cut);
            // What is whole enough to be punted (ARP) is the host stack's to judge.
            EXPECT_TRUE(reason || gate.punted.size() == 1) << length;
            EXPECT_TRUE(gate.sent.empty()) << length;
        }
    }
    // And afterwards it still works.
    EXPECT_FALSE(gate.judge4("10.0.0.9", "10.1.2.3"));
}

TEST(BadInput, RandomFramesAreAllCounted) {
    Gate gate;
    std::mt19937 random(7);
    std::uint64_t frames = 0;
    for (unsigned burst = 0; burst < 2000; ++burst) {
        std::vector<Bytes> in;
        for (std::size_t i = 0; i < 1 + burst % kMaxBurst; ++i) {
            // A good frame with some bytes changed, or plain noise.
            Bytes frame = random() % 2 == 0
                              ? ethernet({}, ip_packet({"2001:db8::9", "2001:db8::5",
                                                        static_cast<std::uint8_t>(random())},
                                                       Bytes(random() % 64)))
                              : ethernet({}, ip_packet({"10.0.0.9", "10.1.2.3",
                                                        static_cast<std::uint8_t>(random()),
                                                        static_cast<std::uint8_t>(random() % 4)},
                                                       Bytes(random() % 64)));
            if (random() % 8 == 0) frame.assign(random() % 100, std::byte{0});
            for (auto k = random() % 6; k > 0 && !frame.empty(); --k) {
                frame[random() % frame.size()] = static_cast<std::byte>(random());
            }
            in.push_back(frame);
        }
        frames += in.size();
        gate.receive(0, in);
        gate.clear_output();
        if (burst % 50 == 0) gate.advance_milliseconds(100);
    }
    EXPECT_EQ(gate.total(&LedgerRow::rx), frames);
    gate.expect_balanced();
}

}  // namespace
}  // namespace wye::pipeline::test
