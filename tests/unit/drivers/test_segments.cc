// Packets that a device hands over in pieces, cut anywhere, also in the middle of a header: two routers with
// the same tables receive the same frames, one in one piece, one in pieces. What they send, punt and ask
// for must be the same, byte by byte, and so must every counter.
#include <rte_mbuf.h>

#include "drivers/ethdev/mbuf_frame.hh"
#include "tests/unit/drivers/one_eal.hh"
#include "tests/unit/pipeline/lane_network.hh"

namespace wye::pipeline::test {
namespace {

using drivers::MbufPool;

constexpr std::uint32_t kJumbo = 9000 + 14 + 8;

[[maybe_unused]] const auto* const kOneEal =
    ::testing::AddGlobalTestEnvironment(new drivers::OneEal("segments"));

/// Where pieces end, in ascending order, and whether the first has room for the rest.
struct Cuts {
    std::vector<std::size_t> at;
    bool room = false;
};

class Segments : public ::testing::Test {
  protected:
    void SetUp() override {
        auto pool = MbufPool::create(96, kJumbo);
        ASSERT_TRUE(pool.has_value()) << pool.error().text;
        pool_ = std::move(*pool);
        whole_.emplace(true);
        split_.emplace(true);
        buffers_.emplace(Buffers{*pool_, [this](const Bytes& bytes) { return received(bytes); },
                                 [](const Frame& frame) { return sent(frame); }});
        split_->use(*buffers_);
    }
    void TearDown() override {
        whole_.reset();
        split_.reset();
        EXPECT_EQ(pool_->in_use(), 0u);
    }

    rte_mbuf* piece(const std::byte* bytes, std::size_t length, bool room) {
        rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_->mempool());
        EXPECT_NE(mbuf, nullptr);
        if (!room) mbuf->data_off = static_cast<std::uint16_t>(mbuf->buf_len - length);
        mbuf->data_len = static_cast<std::uint16_t>(length);
        mbuf->pkt_len = static_cast<std::uint32_t>(length);
        std::memcpy(rte_pktmbuf_mtod(mbuf, void*), bytes, length);
        return mbuf;
    }
    /// As a device would hand it over, and the port then to the pipeline.
    Frame received(const Bytes& bytes) {
        rte_mbuf* chain = nullptr;
        std::size_t begin = 0;
        const auto add = [&](std::size_t end) {
            if (end <= begin || end > bytes.size()) return;
            rte_mbuf* next = piece(&bytes[begin], end - begin, cuts_.room);
            if (chain == nullptr) {
                chain = next;
            } else {
                EXPECT_EQ(rte_pktmbuf_chain(chain, next), 0);
            }
            begin = end;
        };
        for (const std::size_t cut : cuts_.at) add(cut);
        add(bytes.size());
        EXPECT_TRUE(drivers::normalize(chain));
        const Frame frame = drivers::frame_of(chain);
        EXPECT_GE(frame.headroom, kMinHeadroom);
        return frame;
    }
    static Bytes sent(const Frame& frame) {
        rte_mbuf* mbuf = drivers::mbuf_of(frame);
        if (mbuf == nullptr) return {};
        EXPECT_EQ(mbuf->nb_segs, 1);
        const auto* bytes = rte_pktmbuf_mtod(mbuf, const std::byte*);
        return {bytes, bytes + mbuf->pkt_len};
    }

    void both_receive(std::uint32_t port, const std::vector<Bytes>& frames, unsigned round) {
        for (Network* router : {&*whole_, &*split_}) {
            router->clear_output();
            router->receive(port, frames);
            router->advance_milliseconds(5'000);
            router->run_held(false);
        }
        expect_same(*whole_, *split_, round);
    }

    std::unique_ptr<MbufPool> pool_;
    std::optional<Buffers> buffers_;
    std::optional<Network> whole_, split_;
    Cuts cuts_;
};

Bytes payload(std::size_t length) {
    Bytes bytes(length);
    for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::byte>(i * 7);
    return bytes;
}

Bytes to(std::string_view destination, std::size_t length = 40, std::uint8_t ttl = 64,
         std::vector<std::uint16_t> vlans = {10}) {
    const bool ipv4 = destination.find(':') == std::string_view::npos;
    return ethernet(
        {.vlans = std::move(vlans)},
        ip_packet(
            {.source = ipv4 ? "10.0.0.9" : "2001:db8::9", .destination = destination, .ttl = ttl},
            udp(1000, 2000, payload(length))));
}

/// A tunnel's packet from its other end; with a checksum of UDP, right or wrong.
Bytes tunnelled(const Traffic::End& end, std::uint32_t vni, const Bytes& inner,
                std::uint16_t checksum = 0) {
    const bool ipv6 = end.remote.find(':') != std::string_view::npos;
    Bytes shim = from_hex(end.port == 6081 ? "00006558 00000000" : "08000000 00000000");
    for (const int byte : {0, 1, 2}) {
        shim[static_cast<std::size_t>(4 + byte)] = static_cast<std::byte>(vni >> (16 - 8 * byte));
    }
    shim.insert(shim.end(), inner.begin(), inner.end());
    Bytes datagram = udp(0xc123, end.port, shim);
    datagram[6] = static_cast<std::byte>(checksum >> 8);
    datagram[7] = static_cast<std::byte>(checksum);
    return ethernet(
        {}, ip_packet({.source = end.remote, .destination = ipv6 ? "2001:db8:f::1" : "192.0.2.1"},
                      datagram));
}

/// The one checksum that a router takes, found by trying: what computes it is under test.
Bytes summed(const Traffic::End& end, std::uint32_t vni, const Bytes& inner, Network& judge) {
    for (std::uint32_t sum = 1; sum <= 0xffff; ++sum) {
        const Bytes frame = tunnelled(end, vni, inner, static_cast<std::uint16_t>(sum));
        const std::uint64_t before = judge.drops(table::Reason::udp_checksum);
        judge.clear_output();
        judge.receive(2, frame);
        if (judge.drops(table::Reason::udp_checksum) == before) return frame;
    }
    return {};
}

struct Sample {
    const char* name;
    std::uint32_t port;
    Bytes frame;
};

std::vector<Sample> samples(Network& judge) {
    const auto inside = [](std::size_t length) { return to("10.1.0.2", length, 64, {}); };
    const Traffic::End vxlan{"198.51.100.2", 4789}, geneve{"198.51.100.3", 6081},
        over_ipv6{"2001:db8:f::9", 4789};
    Bytes arp =
        ethernet({.vlans = {10}, .type = 0x0806},
                 from_hex("0001 0800 0604 0001 020000000099 0a000009 000000000000 0a000001"));
    return {
        {"IPv4, untagged", 0, to("10.1.0.2", 40, 64, {})},
        {"IPv4, a tag", 0, to("10.1.0.2")},
        {"IPv4, two tags", 0, to("10.1.0.2", 40, 64, {20, 7})},
        {"IPv6", 0, to("2001:db8:1:1::1")},
        {"a long one", 0, to("10.1.0.2", 1400)},
        {"into VXLAN", 0, to("10.2.0.1")},
        {"into GENEVE", 0, to("10.2.1.1")},
        {"into VXLAN, summed", 0, to("10.2.3.1", 701)},
        {"into VXLAN over IPv6, summed", 0, to("10.2.4.1", 701)},
        {"IPv6 into GENEVE", 0, to("2001:db8:2:2::1")},
        {"out of VXLAN", 2, tunnelled(vxlan, 5001, inside(40))},
        {"out of GENEVE", 2, tunnelled(geneve, 5001, inside(40))},
        {"out of VXLAN over IPv6", 2, tunnelled(over_ipv6, 5001, inside(40))},
        {"out of VXLAN, with a sum", 2, summed(vxlan, 5001, inside(301), judge)},
        {"out of VXLAN, with a wrong sum", 2, tunnelled(vxlan, 5001, inside(40), 0x1234)},
        {"a tunnel in a tunnel", 2, tunnelled(vxlan, 6000, tunnelled(vxlan, 5001, inside(40)))},
        {"out of one, into the other", 2, tunnelled(vxlan, 5001, to("10.2.1.1", 40, 64, {}))},
        {"ARP", 0, std::move(arp)},
        {"its time is up, IPv4", 0, to("10.1.0.2", 900, 1)},
        {"its time is up, IPv6", 0, to("2001:db8:1:1::1", 1300, 1)},
        {"no route", 0, to("10.77.0.1")},
        {"for the router", 0, to("10.0.0.1")},
        {"for a neighbour that is silent", 0, to("10.1.4.1")},
    };
}

TEST_F(Segments, CutAtEveryByteOfEveryHeaderAreAsInOne) {
    std::vector<Sample> all;
    {
        Network judge(true);
        all = samples(judge);
    }
    unsigned round = 0;
    std::size_t came_out = 0;
    for (const Sample& sample : all) {
        SCOPED_TRACE(sample.name);
        ASSERT_FALSE(sample.frame.empty());
        const std::size_t headers = std::min<std::size_t>(sample.frame.size() - 1, 200);
        for (std::size_t cut = 1; cut <= headers; ++cut) {
            for (const bool room : {false, true}) {
                cuts_ = {{cut}, room};
                both_receive(sample.port, {sample.frame}, ++round);
                if (HasFatalFailure()) return;
                came_out += split_->output().size();
            }
        }
    }
    EXPECT_GT(came_out, round / 2);
}

TEST_F(Segments, OfAnyNumberAreAsInOne) {
    Traffic traffic(20261122);
    for (unsigned round = 0; round < 4000; ++round) {
        const std::uint32_t port = round % 3 != 0 ? 0 : round % 4 == 0 ? 3 : 2;
        std::vector<Bytes> frames(1 + traffic.below(kMaxBurst));
        for (Bytes& frame : frames) {
            frame = port != 0 ? traffic.carriers_frame(port) : traffic.tenants_frame(false);
        }
        cuts_ = {{}, traffic.below(2) == 0};
        for (std::size_t at = 1 + traffic.below(90); cuts_.at.size() < 8;
             at += 1 + traffic.below(90)) {
            cuts_.at.push_back(at);
        }
        both_receive(port, frames, round);
        if (HasFatalFailure()) return;
    }
}

/// 9 000 bytes in pieces of 2 048 and of one byte, into a tunnel and out of it.
TEST_F(Segments, JumboFramesGoThroughTunnels) {
    for (Network* router : {&*whole_, &*split_}) {
        for (VportId vport : router->inside) {
            router->change_vport(vport, [](auto& policy) { policy.mtu = 9000; });
        }
        router->change_vport(router->carrier, [](auto& policy) { policy.mtu = 9100; });
    }
    unsigned round = 0;
    for (const std::size_t step : {2048u, 2047u, 97u}) {
        cuts_.at.clear();
        for (std::size_t at = step; at < kJumbo; at += step) cuts_.at.push_back(at);
        cuts_.at.insert(cuts_.at.begin(), {1, 2, 13, 15, 30});
        for (const char* destination : {"10.2.0.1", "10.2.1.1", "10.2.3.1"}) {
            both_receive(0, {to(destination, 9000 - 28)}, ++round);
            if (HasFatalFailure()) return;
            ASSERT_EQ(split_->sent.size(), 1u);
            EXPECT_EQ(split_->sent[0].bytes.size(), 14 + 20 + 8 + 8 + 14 + 9000u);
        }
    }
}

}  // namespace
}  // namespace wye::pipeline::test
