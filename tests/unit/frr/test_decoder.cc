#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "controlplane-shim/frr/decoder.hh"
#include "tests/unit/frr/stream.hh"

namespace wye::frr::test {
namespace {

/// What one feed of the whole stream says: "" or the error.
std::string error_of(const Stream& stream, RecordingSink& sink) {
    Decoder decoder(sink, 1);
    const Status status = decoder.feed(stream.bytes);
    return status ? "" : status.error().text;
}

TEST(Decoder, TellsTheSinkEveryMessage) {
    RecordingSink sink;
    EXPECT_EQ(error_of(full_stream(), sink), "");
    EXPECT_EQ(sink.events, full_events());
    EXPECT_EQ(sink.operations.front().connection, 1U);
}

TEST(Decoder, RemembersTheHello) {
    RecordingSink sink;
    Decoder decoder(sink, 1);
    ASSERT_FALSE(decoder.hello());
    ASSERT_TRUE(decoder.feed(Stream().hello().bytes));
    ASSERT_TRUE(decoder.hello());
    EXPECT_EQ(decoder.hello()->frr_version, "8.4.4");
    EXPECT_EQ(decoder.hello()->process, 4711U);
}

TEST(Decoder, DoesNotCareWhereTheStreamIsCut) {
    const auto bytes = full_stream().bytes;
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        RecordingSink sink;
        Decoder decoder(sink, 1);
        ASSERT_TRUE(decoder.feed(std::span(bytes).first(cut)));
        ASSERT_TRUE(decoder.feed(std::span(bytes).subspan(cut)));
        ASSERT_EQ(sink.events, full_events()) << "cut at " << cut;
    }
    std::mt19937 random(1);
    for (int round = 0; round < 200; ++round) {
        RecordingSink sink;
        Decoder decoder(sink, 1);
        for (std::size_t at = 0; at < bytes.size();) {
            const std::size_t take = std::min<std::size_t>(1 + random() % 9, bytes.size() - at);
            ASSERT_TRUE(decoder.feed(std::span(bytes).subspan(at, take)));
            at += take;
        }
        ASSERT_EQ(sink.events, full_events());
    }
}

TEST(Decoder, SaysNothingOfAMessageThatIsNotComplete) {
    const auto bytes = full_stream().bytes;
    const auto all = full_events();
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        RecordingSink sink;
        Decoder decoder(sink, 1);
        ASSERT_TRUE(decoder.feed(std::span(bytes).first(length)));
        ASSERT_LT(sink.events.size(), all.size());
        ASSERT_TRUE(std::equal(sink.events.begin(), sink.events.end(), all.begin()));
    }
}

TEST(Decoder, TakesUpTo64NextHops) {
    for (const unsigned hops : {64U, 65U}) {
        Stream stream;
        stream.hello().begin().vrf(7, "red").route(7, 1, 4, 8, {10}, hops);
        for (unsigned i = 0; i < hops; ++i) stream.by_interface(7, i + 1);
        RecordingSink sink;
        EXPECT_EQ(error_of(stream, sink), hops == 64 ? "" : "a route with 65 next hops");
    }
}

struct Garbage {
    const char* name;
    const char* error;
    std::function<void(Stream&)> write;  // after hello, begin and VRF 7
};

void PrintTo(const Garbage& garbage, std::ostream* out) {
    *out << garbage.name;
}

class DecoderRefuses : public testing::TestWithParam<Garbage> {};

TEST_P(DecoderRefuses, AndTheSinkHearsNothingOfIt) {
    Stream stream;
    stream.hello().begin().vrf(7, "red");
    RecordingSink sink;
    Decoder decoder(sink, 1);
    ASSERT_TRUE(decoder.feed(stream.bytes));
    const std::size_t before = sink.events.size();
    Stream garbage;
    GetParam().write(garbage);
    const Status status = decoder.feed(garbage.bytes);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().text, GetParam().error);
    EXPECT_EQ(sink.events.size(), before);
    EXPECT_FALSE(decoder.feed(Stream().end().bytes)) << "an error is final";
    EXPECT_EQ(sink.events.size(), before);
}

const Garbage kGarbage[] = {
    {"length_zero", "a message of 0 bytes", [](Stream& s) { s.frame(0, 4); }},
    {"length_three", "a message of 3 bytes", [](Stream& s) { s.frame(3, 4); }},
    {"length_huge", "a message of 4097 bytes", [](Stream& s) { s.frame(4097, 4); }},
    {"type_unknown", "a message of the unknown type 99", [](Stream& s) { s.frame(4, 99); }},
    {"type_of_the_shim", "a message of the unknown type 7", [](Stream& s) { s.frame(4, 7); }},
    {"reserved", "a message with a reserved byte that is not zero",
     [](Stream& s) { s.u16(4).u8(3).u8(1); }},
    {"second_hello", "a second hello", [](Stream& s) { s.hello(); }},
    {"second_snapshot", "a second snapshot", [](Stream& s) { s.begin(2); }},
    {"other_generation", "the end of a snapshot that has not begun", [](Stream& s) { s.end(2); }},
    {"vrf_short", "a VRF name of a wrong length", [](Stream& s) { s.frame(8, 3).u32(1); }},
    {"vrf_empty", "a VRF without a printable name", [](Stream& s) { s.vrf(1, ""); }},
    {"vrf_control", "a VRF without a printable name", [](Stream& s) { s.vrf(1, "a\nb"); }},
    {"vrf_endless", "a VRF without a printable name",
     [](Stream& s) { s.vrf(1, std::string(64, 'x')); }},
    {"vrf_after_end", "a VRF without a printable name",
     [](Stream& s) { s.vrf(1, std::string("a\0b", 3)); }},
    {"route_short", "a route that is too short", [](Stream& s) { s.frame(8, 4).u32(7); }},
    {"route_vrf_unknown", "a route of VRF 8 before that VRF's name",
     [](Stream& s) { s.removal(8, 1, 4, 8, {10}); }},
    {"route_family", "a route whose prefix is neither IPv4 nor IPv6",
     [](Stream& s) { s.removal(7, 1, 5, 8, {10}); }},
    {"route_too_wide", "a route whose prefix is neither IPv4 nor IPv6",
     [](Stream& s) {
         s.removal(7, 1, 4, 8, {10, 0, 0, 0, 1});
     }},
    {"route_length_4", "a route with the prefix length 33",
     [](Stream& s) { s.removal(7, 1, 4, 33, {10}); }},
    {"route_length_6", "a route with the prefix length 129",
     [](Stream& s) { s.removal(7, 1, 6, 129, {10}); }},
    {"route_host_bits", "a route to 10.1.0.0/8, which has host bits",
     [](Stream& s) {
         s.removal(7, 1, 4, 8, {10, 1});
     }},
    {"route_no_hops", "a route with 0 next hops", [](Stream& s) { s.route(7, 1, 4, 8, {10}, 0); }},
    {"blackhole_with_hops", "a route with 1 next hops",
     [](Stream& s) { s.route(7, 1, 4, 8, {10}, 1, 1).by_interface(7, 1); }},
    {"kind", "a route of the unknown kind 4", [](Stream& s) { s.route(7, 1, 4, 8, {10}, 0, 4); }},
    {"operation", "a route with the unknown operation 0",
     [](Stream& s) {
         s.frame(48, 4).u32(7).u64(1).u8(0).u8(4).u8(8).u8(0).u8(0).u8(0).u16(0);
         s.u32(0).u32(0).raw({10}, 16);
     }},
    {"removal_with_metric", "a removal with more than a prefix",
     [](Stream& s) {
         s.frame(48, 4).u32(7).u64(1).u8(2).u8(4).u8(8).u8(0).u8(0).u8(0).u16(0);
         s.u32(9).u32(0).raw({10}, 16);
     }},
    {"route_reserved", "a route with reserved bytes that are not zero",
     [](Stream& s) {
         s.frame(48, 4).u32(7).u64(1).u8(2).u8(4).u8(8).u8(0).u8(0).u8(0).u16(0);
         s.u32(0).u32(1).raw({10}, 16);
     }},
    {"hops_missing", "a route whose length does not fit its 2 next hops",
     [](Stream& s) {
         s.frame(48 + 28, 4).u32(7).u64(1).u8(1).u8(4).u8(8).u8(0).u8(3).u8(1).u16(2);
         s.u32(0).u32(0).raw({10}, 16).by_interface(7, 1);
     }},
    {"hop_kind", "a next hop of an unknown kind",
     [](Stream& s) {
         s.route(7, 1, 4, 8, {10}, 1).u32(7).u32(1).u8(3).u8(0).u8(1).u8(0).raw({}, 16);
     }},
    {"hop_no_interface", "a next hop by interface that has no interface or has a gateway",
     [](Stream& s) { s.route(7, 1, 4, 8, {10}, 1).by_interface(7, 0); }},
    {"hop_weight", "a next hop of weight 0",
     [](Stream& s) { s.route(7, 1, 4, 8, {10}, 1).by_gateway(7, 1, 4, {10}, 0); }},
    {"hop_flag", "a next hop with an unknown flag",
     [](Stream& s) { s.route(7, 1, 4, 8, {10}, 1).by_gateway(7, 1, 4, {10}, 1, 2); }},
    {"hop_family", "a next hop whose gateway is neither IPv4 nor IPv6",
     [](Stream& s) { s.route(7, 1, 4, 8, {10}, 1).by_gateway(7, 1, 0, {10}); }},
    {"second_hop_bad", "a next hop of weight 0",
     [](Stream& s) {
         s.route(7, 1, 4, 8, {10}, 2).by_interface(7, 1).by_gateway(7, 1, 4, {10}, 0);
     }},
};

INSTANTIATE_TEST_SUITE_P(Garbage, DecoderRefuses, testing::ValuesIn(kGarbage),
                         [](const auto& test) { return test.param.name; });

TEST(Decoder, RefusesAnotherVersionInWords) {
    for (const std::uint32_t version : {0U, 3U}) {
        RecordingSink sink;
        EXPECT_EQ(error_of(Stream().hello(version), sink),
                  "a hello of protocol version " + std::to_string(version) +
                      ", not 1 to 2: install wye_dplane.so and wye-shim of one release");
    }
}

TEST(Decoder, TakesNextHopsOfEvpnSinceVersion2) {
    Stream stream;
    stream.hello(2).begin().vrf(7, "red").route(7, 1, 4, 8, {10}, 4, 0, 32);
    stream.by_evpn(7, 3, 4, {192, 0, 2, 2}, 100, 5).by_gateway(7, 3, 4, {192, 0, 2, 1}).u32(0);
    stream.by_evpn(7, 3, 6, {0x20, 0x01, 0x0d, 0xb8}, 0xffffff).by_interface(7, 4).u32(0);
    RecordingSink sink;
    EXPECT_EQ(error_of(stream, sink), "");
    ASSERT_EQ(sink.events.size(), 3U);
    EXPECT_EQ(sink.events[2],
              "install 1 7 10.0.0.0/8 unicast 3/20/77, vni 100 to 192.0.2.2 dev 7:3 weight 5, "
              "via 192.0.2.1 dev 7:3, vni 16777215 to 2001:db8:: dev 7:3, dev 7:4");
}

TEST(Decoder, RefusesNextHopsOfEvpnThatCannotBe) {
    const auto refused = [](const std::function<void(Stream&)>& hop) {
        Stream stream;
        stream.hello(2).begin().vrf(7, "red").route(7, 1, 4, 8, {10}, 1, 0, 32);
        hop(stream);
        RecordingSink sink;
        const std::string error = error_of(stream, sink);
        EXPECT_EQ(sink.events.size(), 2U);
        return error;
    };
    const auto without = [](std::uint32_t vni) {
        return "a next hop of EVPN without an interface or with the VNI " + std::to_string(vni);
    };
    EXPECT_EQ(refused([](Stream& s) { s.by_evpn(7, 3, 5, {10}, 100); }),
              "a next hop whose tunnel end is neither IPv4 nor IPv6");
    EXPECT_EQ(refused([](Stream& s) { s.by_evpn(7, 0, 4, {10}, 100); }), without(100));
    EXPECT_EQ(refused([](Stream& s) { s.by_evpn(7, 3, 4, {10}, 0); }), without(0));
    EXPECT_EQ(refused([](Stream& s) { s.by_evpn(7, 3, 4, {10}, 1U << 24); }), without(1U << 24));
    EXPECT_EQ(refused([](Stream& s) { s.by_evpn(7, 3, 4, {10}, 100, 1, 1); }), without(100));
    EXPECT_EQ(refused([](Stream& s) { s.by_evpn(7, 3, 4, {10}, 100, 0); }),
              "a next hop of weight 0");
    EXPECT_EQ(refused([](Stream& s) { s.by_gateway(7, 3, 4, {10}).u32(100); }),
              "a next hop with a VNI that is not of EVPN");
}

TEST(Decoder, RefusesWhatComesBeforeItsTime) {
    RecordingSink sink;
    EXPECT_EQ(error_of(Stream().begin(), sink), "something else before its hello");
    EXPECT_EQ(error_of(Stream().frame(48, 1).raw({}, 44), sink),
              "a hello that is not a wye plugin's");
    EXPECT_EQ(error_of(Stream().hello().vrf(1, "red"), sink), "a VRF before its snapshot");
    EXPECT_EQ(error_of(Stream().hello().removal(0, 1, 4, 0, {}), sink),
              "a route before its snapshot");
    EXPECT_EQ(error_of(Stream().hello().end(), sink), "the end of a snapshot that has not begun");
    EXPECT_TRUE(sink.events.empty());
}

TEST(Decoder, RandomBytesNeverBreakIt) {
    std::mt19937 random(2);
    const auto good = full_stream().bytes;
    for (int round = 0; round < 20000; ++round) {
        auto bytes = good;
        for (unsigned change = 0; change <= random() % 4; ++change) {
            bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
        }
        RecordingSink sink;
        Decoder decoder(sink, 1);
        const std::size_t cut = random() % bytes.size();
        if (decoder.feed(std::span(bytes).first(cut))) {
            (void)decoder.feed(std::span(bytes).subspan(cut));
        }
        ASSERT_LE(sink.events.size(), full_events().size());
    }
}

}  // namespace
}  // namespace wye::frr::test
