#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string_view>

#include "dataplane/net/checksum.hh"
#include "dataplane/net/ecn.hh"
#include "dataplane/net/ipv4.hh"
#include "dataplane/net/ipv6.hh"
#include "tests/unit/pipeline/tunnel_fixture.hh"

namespace wye::pipeline {
namespace {

using Outcome = DecapResult::Outcome;
using table::Reason;

Bytes from_hex(std::string_view text) {
    Bytes result;
    unsigned high = 0, digits = 0;
    for (const char c : text) {
        if (c == ' ') continue;
        const unsigned digit = static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
        if (++digits % 2 == 0) result.push_back(static_cast<std::uint8_t>(high << 4 | digit));
        high = digit;
    }
    return result;
}

Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

// Made with scapy. Ethernet, IPv4 with DSCP 46 and ECT(0), UDP.
const Bytes kInner = from_hex(
    "02000000000b02000000000a0800 45ba001f000100003f1167110a0000010a000002 03e807d0000b03a4 "
    "777965");
const Bytes kVxlanOverIpv4 =
    from_hex("45ba0051000040004011b5dec0000201c0000202 dea912b5003d0000 0800000000006400");
const Bytes kGeneveOverIpv6 = from_hex(
    "62a12345003d1140 20010db8000000000000000000000001 20010db8000000000000000000000002"
    "dea917c1003d5145 00006558ffffff00");
constexpr std::uint32_t kHash = 0x12345678;

TunnelChoice vxlan_over_ipv4() {
    TunnelChoice choice;
    choice.outer = {.local = *net::parse_ip("192.0.2.1"),
                    .remote = *net::parse_ip("192.0.2.2"),
                    .vni = 100,
                    .kind = TunnelKind::vxlan,
                    .dscp = 46};
    return choice;
}

TunnelChoice geneve_over_ipv6() {
    TunnelChoice choice;
    choice.outer = {.local = *net::parse_ip("2001:db8::1"),
                    .remote = *net::parse_ip("2001:db8::2"),
                    .vni = 0xffffff,
                    .kind = TunnelKind::geneve,
                    .dscp = 10};
    return choice;
}

TunnelChoice geneve_over_ipv4() {
    TunnelChoice choice = vxlan_over_ipv4();
    choice.outer.kind = TunnelKind::geneve;
    return choice;
}

/// The same tunnel from its other end.
TunnelChoice mirrored(TunnelChoice choice) {
    std::swap(choice.outer.local, choice.outer.remote);
    return choice;
}

Bytes encapsulated(const TunnelChoice& choice, const Bytes& inner, std::uint32_t hash = kHash) {
    TunnelTables tables;
    OwnedPacket owned(inner);
    owned.packet.flow_hash = hash;
    const auto reason = encap_tunnel(owned.packet, tables.tunnel(tables.add(choice)));
    EXPECT_FALSE(reason);
    return owned.bytes();
}

// Byte offsets into packets over IPv4.
constexpr std::size_t kTos = 1, kUdp = 20, kUdpLength = 24, kUdpChecksum = 26, kShim = 28,
                      kInnerAt = 36, kInnerIp = 50;

/// After a change by hand: the outer IPv4 header's lengths and checksum are made right again.
Bytes repaired(Bytes outer) {
    outer[2] = static_cast<std::uint8_t>(outer.size() >> 8);
    outer[3] = static_cast<std::uint8_t>(outer.size());
    outer[kUdpLength] = static_cast<std::uint8_t>((outer.size() - kUdp) >> 8);
    outer[kUdpLength + 1] = static_cast<std::uint8_t>(outer.size() - kUdp);
    outer[10] = outer[11] = 0;
    const auto sum = net::checksum(std::as_bytes(std::span(outer).first(20)));
    std::memcpy(&outer[10], &sum, 2);
    return outer;
}

struct Decapsulated {
    DecapResult result;
    Bytes bytes;
    std::uint64_t counted;
};

Decapsulated decapsulate(const TunnelChoice& choice, const Bytes& outer, VrfId vrf = kUnderlay) {
    TunnelTables tables;
    const TunnelId id = tables.add(mirrored(choice));
    OwnedPacket owned(outer);
    EXPECT_TRUE(owned.parse());
    owned.packet.vrf = vrf;
    const auto result = decap_tunnel(tables.view(), tables.counters(), owned.packet);
    if (result.outcome == Outcome::decapsulated) {
        EXPECT_EQ(result.tunnel, id);
    } else {
        EXPECT_EQ(owned.bytes(), outer) << "changed although it was not decapsulated";
    }
    return {result, owned.bytes(), tables.counters()[id.value].decapsulated.packets.get()};
}

void expect_drop(const TunnelChoice& choice, const Bytes& outer, Reason reason) {
    const auto got = decapsulate(choice, outer);
    EXPECT_EQ(got.result.outcome, Outcome::dropped) << table::reason_name(reason);
    EXPECT_EQ(got.result.reason, reason)
        << table::reason_name(got.result.reason) << " for " << table::reason_name(reason);
    EXPECT_EQ(got.counted, 0u);
}

void expect_inner(const TunnelChoice& choice, const Bytes& outer, const Bytes& inner) {
    const auto got = decapsulate(choice, outer);
    EXPECT_EQ(got.result.outcome, Outcome::decapsulated) << table::reason_name(got.result.reason);
    EXPECT_EQ(got.bytes, inner);
    EXPECT_EQ(got.counted, 1u);
}

void expect_not_tunnel(const TunnelChoice& choice, const Bytes& outer, VrfId vrf = kUnderlay) {
    EXPECT_EQ(decapsulate(choice, outer, vrf).result.outcome, Outcome::not_tunnel);
}

TEST(EncapTunnel, VxlanOverIpv4) {  // standards 33, 34, 36
    EXPECT_EQ(encapsulated(vxlan_over_ipv4(), kInner), kVxlanOverIpv4 + kInner);
}

TEST(EncapTunnel, GeneveOverIpv6) {  // standards 42, 48, 50, 52, 52a
    EXPECT_EQ(encapsulated(geneve_over_ipv6(), kInner), kGeneveOverIpv6 + kInner);
}

TEST(EncapTunnel, DescribesTheOuterPacket) {
    TunnelTables tables;
    for (const auto& choice : {vxlan_over_ipv4(), geneve_over_ipv6()}) {
        OwnedPacket owned(kInner);
        owned.packet.l3_offset = 14;
        owned.packet.flow_hash = kHash;
        ASSERT_FALSE(encap_tunnel(owned.packet, tables.tunnel(tables.add(choice))));
        const Packet& packet = owned.packet;
        OwnedPacket parsed(owned.bytes());
        ASSERT_TRUE(parsed.parse());
        EXPECT_EQ(packet.l3_offset, 0);
        EXPECT_EQ(packet.l4_offset, parsed.packet.l4_offset);
        EXPECT_EQ(packet.length, parsed.packet.length);
        EXPECT_EQ(packet.family, parsed.packet.family);
        EXPECT_EQ(packet.protocol, 17);
        EXPECT_EQ(packet.source_port, parsed.packet.source_port);
        EXPECT_EQ(packet.destination_port, parsed.packet.destination_port);
        EXPECT_EQ(packet.flow_hash, kHash);
    }
}

TEST(EncapTunnel, SourcePortIsOfTheFlowAndInRange) {  // standards 36
    std::mt19937 random(1);
    std::vector<bool> seen(65536);
    for (int i = 0; i < 5000; ++i) {
        const auto hash = static_cast<std::uint32_t>(random());
        const Bytes outer = encapsulated(vxlan_over_ipv4(), kInner, hash);
        EXPECT_EQ(outer, encapsulated(vxlan_over_ipv4(), kInner, hash));
        const unsigned port = unsigned{outer[kUdp]} << 8 | outer[kUdp + 1];
        EXPECT_GE(port, 49152u);
        seen[port] = true;
    }
    EXPECT_GT(std::count(seen.begin(), seen.end(), true), 3500);  // of at most 5000
}

TEST(EncapTunnel, EcnIsCopiedAndTheInnerNeverChanged) {  // standards 53, 53b, 56
    for (unsigned ecn = 0; ecn < 4; ++ecn) {
        for (unsigned dscp = 0; dscp < 64; ++dscp) {
            Bytes inner = kInner;
            inner[14 + kTos] = static_cast<std::uint8_t>(dscp << 2 | ecn);
            auto choice = vxlan_over_ipv4();  // pipe: 46
            Bytes outer = encapsulated(choice, inner);
            EXPECT_EQ(outer[kTos], 46 << 2 | ecn);
            EXPECT_EQ(Bytes(outer.begin() + kInnerAt, outer.end()), inner);
            EXPECT_EQ(net::checksum(std::as_bytes(std::span(outer).first(20))).raw(), 0);
            choice.copy_dscp = 1;  // uniform
            EXPECT_EQ(encapsulated(choice, inner)[kTos], dscp << 2 | ecn);
            choice = geneve_over_ipv6();
            outer = encapsulated(choice, inner);
            EXPECT_EQ((unsigned{outer[0]} << 8 | outer[1]) >> 4 & 0xff, 10u << 2 | ecn);
        }
    }
}

TEST(EncapTunnel, EcnOfAnInnerIpv6Packet) {  // standards 53
    Bytes inner = from_hex("02000000000b02000000000a86dd 6ab12345 0000 3b40");
    inner.resize(14 + 40);
    auto choice = vxlan_over_ipv4();
    EXPECT_EQ(encapsulated(choice, inner)[kTos], 46 << 2 | 3);
    choice.copy_dscp = 1;
    EXPECT_EQ(encapsulated(choice, inner)[kTos], 0xab);
}

TEST(EncapTunnel, WhatIsNoIpGoesUnmarked) {
    Bytes arp = from_hex("ffffffffffff02000000000a0806 0001080006040001 ff");
    auto choice = vxlan_over_ipv4();
    choice.copy_dscp = 1;
    EXPECT_EQ(encapsulated(choice, arp)[kTos], 46 << 2);
    const Bytes cut(kInner.begin(), kInner.begin() + 14 + 19);
    EXPECT_EQ(encapsulated(choice, cut)[kTos], 46 << 2);
}

TEST(EncapTunnel, UdpChecksumCoversThePacketAndIsNeverZero) {  // standards 34, 52a
    std::mt19937 random(2);
    auto choice = geneve_over_ipv4();
    choice.udp_checksum = 1;
    for (int i = 0; i < 2000; ++i) {
        Bytes inner(14 + random() % 200);
        for (auto& byte : inner) byte = static_cast<std::uint8_t>(random());
        const Bytes outer = encapsulated(choice, inner);
        EXPECT_NE(outer[kUdpChecksum] | outer[kUdpChecksum + 1], 0);
        expect_inner(choice, outer, inner);
    }
    // One inner word chosen so that the sum is 0xffff: the field becomes 0xffff, not 0.
    Bytes inner(16);
    const Bytes before = encapsulated(choice, inner);
    std::memcpy(&inner[14], &before[kUdpChecksum], 2);
    const Bytes outer = encapsulated(choice, inner);
    EXPECT_EQ(outer[kUdpChecksum], 0xff);
    EXPECT_EQ(outer[kUdpChecksum + 1], 0xff);
}

TEST(EncapTunnel, RefusesWithoutChangingAnything) {
    TunnelTables tables;
    const auto& vxlan = tables.tunnel(tables.add(vxlan_over_ipv4()));
    const auto& geneve = tables.tunnel(tables.add(geneve_over_ipv6()));
    Bytes tagged = kInner;
    tagged[12] = 0x81;
    const struct {
        const table::Tunnel& tunnel;
        Bytes inner;
        std::uint16_t headroom;
        std::optional<Reason> reason;
    } rows[] = {
        {vxlan, kInner, 35, Reason::headroom},
        {vxlan, kInner, 36, std::nullopt},
        {geneve, kInner, 55, Reason::headroom},
        {geneve, kInner, 56, std::nullopt},
        {vxlan, Bytes(13), 256, Reason::tunnel_truncated},
        {vxlan, Bytes(0), 256, Reason::tunnel_truncated},
        {vxlan, Bytes(65535 - 36), 256, std::nullopt},
        {vxlan, Bytes(65535 - 35), 256, Reason::mtu_exceeded},
        {vxlan, tagged, 256, Reason::vxlan_inner_tagged},  // standards 38
        {geneve, tagged, 256, std::nullopt},
    };
    for (const auto& row : rows) {
        OwnedPacket owned(row.inner, row.headroom);
        EXPECT_EQ(encap_tunnel(owned.packet, row.tunnel), row.reason);
        if (row.reason) {
            EXPECT_EQ(owned.bytes(), row.inner);
        }
    }
}

TEST(DecapTunnel, GivesTheInnerFrameBack) {
    expect_inner(vxlan_over_ipv4(), kVxlanOverIpv4 + kInner, kInner);
    expect_inner(geneve_over_ipv6(), kGeneveOverIpv6 + kInner, kInner);
}

TEST(DecapTunnel, NetworkZeroAndTheLastAreOrdinary) {  // standards 37
    for (const std::uint32_t vni : {0u, 0xffffffu}) {
        for (auto choice : {vxlan_over_ipv4(), geneve_over_ipv4()}) {
            choice.outer.vni = vni;
            expect_inner(choice, encapsulated(choice, kInner), kInner);
        }
    }
}

TEST(DecapTunnel, TrailingBytesAreNotOfTheInnerFrame) {  // standards 5b
    Bytes outer = kVxlanOverIpv4 + kInner + Bytes(7);
    outer[3] = static_cast<std::uint8_t>(outer[3] + 7);  // in the IP packet, beyond the UDP one
    expect_inner(vxlan_over_ipv4(), outer, kInner);
}

TEST(DecapTunnel, EveryPartOfTheKeyCounts) {  // standards 37
    const Bytes outer = kVxlanOverIpv4 + kInner;
    for (const std::size_t offset : {kShim + 6, std::size_t{15}, std::size_t{19}}) {
        Bytes other = outer;  // VNI, source, destination
        other[offset] ^= 1;
        expect_drop(vxlan_over_ipv4(), other, Reason::tunnel_unknown);
    }
    expect_drop(geneve_over_ipv4(), outer, Reason::tunnel_unknown);  // kind
    auto on_other_port = vxlan_over_ipv4();
    on_other_port.outer.destination_port = 8472;
    expect_drop(on_other_port, outer, Reason::tunnel_unknown);
    expect_not_tunnel(vxlan_over_ipv4(), outer, kTenantVrf);  // another VRF, which has no tunnels
}

TEST(DecapTunnel, OwnPortOfEitherKind) {  // standards 36, 52
    for (auto choice : {vxlan_over_ipv4(), geneve_over_ipv4(), geneve_over_ipv6()}) {
        choice.outer.destination_port = 8472;
        const Bytes outer = encapsulated(choice, kInner);
        expect_inner(choice, outer, kInner);
        choice.outer.destination_port = 8473;
        expect_not_tunnel(choice, outer);  // an unknown port is the host stack's
    }
}

TEST(DecapTunnel, VxlanFlags) {  // standards 33
    Bytes outer = kVxlanOverIpv4 + kInner;
    outer[kShim] = 0xf7;
    expect_drop(vxlan_over_ipv4(), outer, Reason::vxlan_flags);
    for (const std::size_t reserved : {kShim, kShim + 1, kShim + 2, kShim + 3, kShim + 7}) {
        outer[reserved] = 0xff;
    }
    expect_inner(vxlan_over_ipv4(), outer, kInner);
}

TEST(DecapTunnel, VlanTagInside) {  // standards 38
    Bytes tagged = kInner;
    const Bytes tag = from_hex("81000064");
    tagged.insert(tagged.begin() + 12, tag.begin(), tag.end());
    const Bytes shim(kVxlanOverIpv4.begin() + kShim, kVxlanOverIpv4.end());
    const Bytes outer(kVxlanOverIpv4.begin(), kVxlanOverIpv4.begin() + kShim);
    expect_drop(vxlan_over_ipv4(), repaired(outer + shim + tagged), Reason::vxlan_inner_tagged);
    const auto choice = geneve_over_ipv4();
    expect_inner(choice, encapsulated(choice, tagged), tagged);
}

TEST(DecapTunnel, GeneveHeader) {  // standards 43, 47, 48, 50
    const auto choice = geneve_over_ipv4();
    const Bytes good = encapsulated(choice, kInner);
    Bytes outer = good;
    outer[kShim] = 0x40;
    expect_drop(choice, outer, Reason::geneve_version);
    outer = good;
    outer[kShim + 1] = 0x80;
    expect_drop(choice, outer, Reason::geneve_control);
    outer = good;
    outer[kShim + 3] = 0x59;
    expect_drop(choice, outer, Reason::geneve_protocol);
    outer = good;
    outer[kShim + 1] = 0x3f;  // reserved bits
    outer[kShim + 7] = 0xff;
    expect_inner(choice, outer, kInner);
    outer[kShim + 1] = 0x40;  // C, without any option
    expect_inner(choice, outer, kInner);
}

/// The good packet with these options in it.
Bytes with_options(const Bytes& good, const Bytes& options, std::size_t words) {
    Bytes outer = good;
    outer[kShim] = static_cast<std::uint8_t>(words);
    outer.insert(outer.begin() + kInnerAt, options.begin(), options.end());
    return repaired(outer);
}

TEST(DecapTunnel, GeneveOptions) {  // standards 44, 45, 46, 49, 51
    const auto choice = geneve_over_ipv4();
    const Bytes good = encapsulated(choice, kInner);
    expect_inner(choice, with_options(good, from_hex("01020300"), 1), kInner);
    expect_inner(choice, with_options(good, from_hex("0102030101020304"), 2), kInner);
    expect_drop(choice, with_options(good, from_hex("0102030201020304"), 2),
                Reason::geneve_options);
    expect_drop(choice, with_options(good, from_hex("01028300"), 1),
                Reason::geneve_critical_option);
    expect_drop(choice, with_options(good, {}, 63), Reason::tunnel_truncated);
    Bytes longest(252);
    longest[3] = 31;
    longest[128 + 3] = 30;
    expect_inner(choice, with_options(good, longest, 63), kInner);
}

TEST(DecapTunnel, RandomOptionsAgainstAModel) {  // standards 44, 45
    std::mt19937 random(3);
    const auto choice = geneve_over_ipv4();
    const Bytes good = encapsulated(choice, kInner);
    for (int round = 0; round < 3000; ++round) {
        const std::size_t words = random() % 64;
        Bytes options;
        bool critical = false;
        bool whole = true;
        while (options.size() < 4 * words) {
            const std::size_t data = random() % 8;
            const auto type = static_cast<std::uint8_t>(random() % 16 == 0 ? 0x80 : 1);
            options.insert(options.end(), {1, 2, type, static_cast<std::uint8_t>(data)});
            critical = critical || type == 0x80;
            options.resize(options.size() + 4 * data, 0xff);
        }
        if (options.size() > 4 * words) {  // the last one reaches into the payload
            whole = false;
            options.resize(4 * words);
        }
        const Bytes outer = with_options(good, options, words);
        if (!whole) {
            expect_drop(choice, outer, Reason::geneve_options);
        } else if (critical) {
            expect_drop(choice, outer, Reason::geneve_critical_option);
        } else {
            expect_inner(choice, outer, kInner);
        }
    }
}

TEST(DecapTunnel, UdpChecksum) {  // standards 34, 42, 52a, 52b
    for (auto choice : {vxlan_over_ipv4(), geneve_over_ipv4()}) {
        choice.udp_checksum = 1;
        Bytes outer = encapsulated(choice, kInner);
        expect_inner(choice, outer, kInner);
        outer.back() ^= 1;
        expect_drop(choice, outer, Reason::udp_checksum);
        outer[kUdpChecksum] = outer[kUdpChecksum + 1] = 0;  // none: accepted over IPv4
        EXPECT_EQ(decapsulate(choice, outer).result.outcome, Outcome::decapsulated);
    }
    Bytes outer = kGeneveOverIpv6 + kInner;
    outer.back() ^= 1;
    expect_drop(geneve_over_ipv6(), outer, Reason::udp_checksum);
    outer.back() ^= 1;
    outer[46] = outer[47] = 0;
    expect_drop(geneve_over_ipv6(), outer, Reason::udp_checksum_zero_ipv6);
    auto without = geneve_over_ipv6();
    without.udp_checksum = 2;
    expect_inner(without, outer, kInner);
    EXPECT_EQ(encapsulated(without, kInner), outer);
}

TEST(DecapTunnel, FragmentsAreDropped) {  // standards 35
    Bytes outer = kVxlanOverIpv4 + kInner;
    outer[6] = 0x20;  // MF
    expect_drop(vxlan_over_ipv4(), repaired(outer), Reason::tunnel_fragment);
    outer = repaired(outer);
    outer[kUdpLength] = 0x05;  // the UDP packet goes on in the next fragment
    expect_drop(vxlan_over_ipv4(), outer, Reason::tunnel_fragment);
    outer[7] = 1;
    expect_not_tunnel(vxlan_over_ipv4(), outer);  // no port in a later one
}

TEST(DecapTunnel, TunnelWithoutVport) {
    auto choice = vxlan_over_ipv4();
    choice.with_vport = false;
    expect_drop(choice, kVxlanOverIpv4 + kInner, Reason::tunnel_without_vport);
}

TEST(DecapTunnel, OtherTrafficIsTheHostStacks) {
    Bytes outer = kVxlanOverIpv4 + kInner;
    outer[9] = 6;  // TCP
    expect_not_tunnel(vxlan_over_ipv4(), repaired(outer));
    outer = kVxlanOverIpv4 + kInner;
    outer[kUdp + 2] = 0;
    outer[kUdp + 3] = 53;
    expect_not_tunnel(vxlan_over_ipv4(), outer);
}

TEST(DecapTunnel, AllSixteenEcnCombinations) {  // standards 53b, 54, 55
    // Rows: inner; columns: outer; by the two bits. 9: dropped. RFC 6040 figure 4, by hand.
    const unsigned expected[4][4] = {{0, 0, 0, 9}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};
    for (unsigned inner_ecn = 0; inner_ecn < 4; ++inner_ecn) {
        for (unsigned outer_ecn = 0; outer_ecn < 4; ++outer_ecn) {
            Bytes inner = kInner;
            const auto set = [](Bytes& bytes, std::size_t ip, unsigned ecn) {
                bytes[ip + kTos] = static_cast<std::uint8_t>((bytes[ip + kTos] & 0xfc) | ecn);
                bytes[ip + 10] = bytes[ip + 11] = 0;
                const auto sum = net::checksum(std::as_bytes(std::span(bytes).subspan(ip, 20)));
                std::memcpy(&bytes[ip + 10], &sum, 2);
            };
            set(inner, 14, inner_ecn);
            Bytes outer = kVxlanOverIpv4 + inner;
            set(outer, 0, outer_ecn);
            const unsigned result = expected[inner_ecn][outer_ecn];
            if (result == 9) {
                expect_drop(vxlan_over_ipv4(), outer, Reason::tunnel_ecn);
                continue;
            }
            set(inner, 14, result);  // DSCP stays, checksum is right
            expect_inner(vxlan_over_ipv4(), outer, inner);
        }
    }
}

TEST(DecapTunnel, EcnIntoIpv6KeepsTheRest) {                                    // standards 55
    Bytes inner = from_hex("02000000000b02000000000a86dd 6aa12345 0000 3b40");  // ECT(0)
    inner.resize(14 + 40, 7);
    Bytes outer = encapsulated(vxlan_over_ipv4(), inner);
    outer[kTos] |= 3;
    inner[15] = 0xb1;  // CE
    expect_inner(vxlan_over_ipv4(), repaired(outer), inner);
}

TEST(DecapTunnel, CutAtEveryByte) {  // standards 39
    for (const auto& choice : {vxlan_over_ipv4(), geneve_over_ipv6(), geneve_over_ipv4()}) {
        const Bytes whole = encapsulated(choice, kInner);
        const bool ipv4 = choice.outer.local.is_ipv4();
        const std::size_t l4 = ipv4 ? 20 : 40;
        for (std::size_t size = 0; size < whole.size(); ++size) {
            // Cut on the wire: the parser refuses it, since the IP length is not there.
            Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
            EXPECT_FALSE(OwnedPacket(cut).parse());
            if (size < l4) continue;
            // Cut before it was encapsulated: the IP length is right, the UDP length is not.
            const std::size_t ip_length = ipv4 ? size : size - l4;
            cut[ipv4 ? 2 : 4] = static_cast<std::uint8_t>(ip_length >> 8);
            cut[ipv4 ? 3 : 5] = static_cast<std::uint8_t>(ip_length);
            if (size < l4 + 8) {
                expect_not_tunnel(choice, cut);
                continue;
            }
            expect_drop(choice, cut, Reason::tunnel_truncated);
            // Both right, and no checksum to tell.
            cut[l4 + 4] = static_cast<std::uint8_t>((size - l4) >> 8);
            cut[l4 + 5] = static_cast<std::uint8_t>(size - l4);
            auto unchecked = choice;
            unchecked.udp_checksum = 2;
            cut[l4 + 6] = cut[l4 + 7] = 0;
            if (size < l4 + 16 + 14 + 20) {
                expect_drop(unchecked, cut, Reason::tunnel_truncated);
            } else {  // an inner packet that its own validation will judge
                const auto got = decapsulate(unchecked, cut);
                EXPECT_EQ(got.result.outcome, Outcome::decapsulated);
                EXPECT_EQ(got.bytes.size(), size - l4 - 16);
            }
        }
    }
}

TEST(DecapTunnel, RandomBytesStayInBounds) {
    std::mt19937 random(4);
    TunnelTables tables;
    tables.add(mirrored(vxlan_over_ipv4()));
    tables.add(mirrored(geneve_over_ipv4()));
    for (int round = 0; round < 20000; ++round) {
        Bytes bytes = kVxlanOverIpv4 + kInner;
        if (random() % 2 == 0) bytes[kUdp + 2] = 0x17, bytes[kUdp + 3] = 0xc1;
        bytes.resize(random() % 120);
        for (int change = 0; change < 4 && !bytes.empty(); ++change) {
            bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
        }
        OwnedPacket owned(bytes);
        if (!owned.parse()) continue;
        const auto before = owned.bytes();
        const auto result = decap_tunnel(tables.view(), tables.counters(), owned.packet);
        if (result.outcome != Outcome::decapsulated) {
            EXPECT_EQ(owned.bytes(), before);
        } else {
            EXPECT_GE(owned.packet.frame.length, 14u);
        }
    }
}

}  // namespace
}  // namespace wye::pipeline
