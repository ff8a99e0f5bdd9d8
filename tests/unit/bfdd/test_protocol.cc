// bfdd's messages: what FRR 8.4.4 was seen to send, and what we answer, byte by byte.
#include <gtest/gtest.h>

#include "controlplane-shim/bfd/links.hh"

namespace wye::bfdd {
namespace {

std::vector<std::uint8_t> from_hex(std::string_view hex) {
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(
            static_cast<std::uint8_t>(std::stoul(std::string(hex.substr(i, 2)), nullptr, 16)));
    }
    return bytes;
}

/// An ADD_SESSION as it was captured: `peer 10.0.0.2 interface e0`, 10 ms x 3.
std::vector<std::uint8_t> captured() {
    std::string hex = "010000020000008c";      // version, type 2, id 0, 140 bytes
    hex += "00000000";                         // flags
    hex += std::string(32, '0');               // no local address
    hex += "0a000002" + std::string(24, '0');  // destination
    hex += "11112222";                         // id
    hex += "0000271000002710";                 // 10 000 us each way
    hex +=
        "0000c3500000c350"
        "00000000";  // echo, hold time
    hex +=
        "ff030000"
        "00000003";                         // TTL, multiplier; index
    hex += "6530" + std::string(124, '0');  // "e0"
    return from_hex(hex);
}

TEST(Protocol, AnAddAsFrrSendsIt) {
    Decoder decoder;
    std::vector<Message> out;
    // Byte by byte, as a stream may bring it.
    for (const std::uint8_t byte : captured()) ASSERT_TRUE(decoder.feed({&byte, 1}, out));
    ASSERT_EQ(out.size(), 1u);
    const Request request = std::get<Add>(out[0]).request;
    EXPECT_EQ(request.id, 0x11112222u);
    EXPECT_FALSE(request.local.has_value());
    EXPECT_EQ(net::to_string(request.remote), "10.0.0.2");
    EXPECT_EQ(request.desired_min_tx, 10'000u);
    EXPECT_EQ(request.required_min_rx, 10'000u);
    EXPECT_EQ(request.detect_multiplier, 3);
    EXPECT_EQ(request.least_hop_limit, 255);
    EXPECT_EQ(request.interface_index, 3u);
    EXPECT_EQ(request.interface_name, "e0");
    EXPECT_FALSE(request.multihop || request.passive || request.shutdown || request.echo ||
                 request.demand);
}

TEST(Protocol, FlagsAndIpv6) {
    std::vector<std::uint8_t> bytes = captured();
    bytes[11] = 1 | 4 | 16 | 32 | 64;
    bytes[12] = 0xfe;  // of the source
    bytes[13] = 0x80;
    Decoder decoder;
    std::vector<Message> out;
    ASSERT_TRUE(decoder.feed(bytes, out));
    const Request request = std::get<Add>(out.at(0)).request;
    EXPECT_TRUE(request.multihop && request.control_plane_independent && request.passive &&
                request.shutdown);
    EXPECT_EQ(net::to_string(*request.local), "fe80::");
    EXPECT_EQ(request.remote.family, net::IpFamily::ipv6);
}

TEST(Protocol, OthersAndUnknownOnes) {
    std::vector<std::uint8_t> bytes = captured();
    bytes[3] = 3;  // DELETE_SESSION
    const auto counters = from_hex(
        "010000050007000c"
        "9e34c7f2");
    const auto echo = from_hex(
        "0100000000090018"
        "00000000000030390006"
        "60d4d13262b3");
    const auto later = from_hex(
        "0100002a0000000a"
        "ffff");
    for (const auto& more : {counters, echo, later}) {
        bytes.insert(bytes.end(), more.begin(), more.end());
    }
    Decoder decoder;
    std::vector<Message> out;
    ASSERT_TRUE(decoder.feed(bytes, out));
    ASSERT_EQ(out.size(), 3u);
    EXPECT_EQ(std::get<Delete>(out[0]).id, 0x11112222u);
    EXPECT_EQ(std::get<CountersWanted>(out[1]).id, 0x9e34c7f2u);
    EXPECT_EQ(std::get<CountersWanted>(out[1]).message, 7);
    const auto reply = encode_reply(std::get<Echo>(out[2]));
    auto wanted = echo;
    wanted[3] = 1;
    EXPECT_EQ(reply, wanted);
}

TEST(Protocol, WhatIsNoneOfIt) {
    for (const char* const bad : {"0200000200000008", "0100000200000004", "010000020000ffff",
                                  "0100000200000010"
                                  "0000000000000000",
                                  "0100000500000009"
                                  "00"}) {
        Decoder decoder;
        std::vector<Message> out;
        EXPECT_FALSE(decoder.feed(from_hex(bad), out)) << bad;
        EXPECT_FALSE(decoder.error().empty());
        EXPECT_TRUE(out.empty());
    }
}

TEST(Protocol, StateChangeAndCounters) {
    StateChange change;
    change.id = 0x01020304;
    change.remote_discriminator = 0x05060708;
    change.state = net::BfdState::up;
    change.diagnostic = net::BfdDiagnostic::neighbor_down;
    change.remote_detect_multiplier = 9;
    change.remote_independent = true;
    change.remote_desired_min_tx = 10'000;
    change.remote_required_min_rx = 20'000;
    EXPECT_EQ(encode(change), from_hex("0100000400000024"
                                       "01020304"
                                       "05060708"
                                       "00000001"
                                       "00002710"
                                       "00004e20"
                                       "00000000"
                                       "03030900"));
    EXPECT_EQ(encode(Counters{5, 2, 3}, 7), from_hex("0100000600070050"
                                                     "00000005"
                                                     "00000000"
                                                     "0000000000000030"
                                                     "0000000000000002"
                                                     "0000000000000048"
                                                     "0000000000000003" +
                                                     std::string(64, '0')));
}

TEST(Addresses, UnixSocketsAlone) {
    EXPECT_EQ(parse_address("unix:/run/frr/x.sock").value(), (Address{"/run/frr/x.sock", ""}));
    EXPECT_EQ(parse_address("red=unix:/x").value(), (Address{"/x", "red"}));
    EXPECT_EQ(parse_address("unix:/a=b").value(), (Address{"/a=b", ""}));
    for (const char* const bad :
         {"", "unix:", "unix:x", "ipv4:127.0.0.1:50700", "=unix:/x", "red=ipv4:127.0.0.1", "/x"}) {
        EXPECT_FALSE(parse_address(bad).has_value()) << bad;
    }
    EXPECT_FALSE(parse_address("unix:/" + std::string(200, 'x')).has_value());
}

}  // namespace
}  // namespace wye::bfdd
