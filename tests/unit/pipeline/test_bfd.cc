// BFD packets in the pipeline: which are the engine's, which the host stack's, which are refused, and how
// the engine's own leave. The ledger balances on destruction of each router.
#include "dataplane/net/checksum.hh"
#include "dataplane/net/ipv4.hh"
#include "tests/unit/pipeline/test_router.hh"

namespace wye::pipeline::test {
namespace {

using table::Reason;

constexpr const char* kNeighbor = "02:00:00:00:0b:fd";

struct Peer : TestRouter {
    Peer() {
        tenant = add_tenant();
        vrf = add_vrf(tenant);
        VportOptions tagged;
        tagged.vlan = 7;
        vport = add_vport(vrf, tagged);
        add_route(vrf, "192.0.2.1/32", add_nexthop(NextHopKind::local, vport));
        add_route(vrf, "2001:db8::1/128", add_nexthop(NextHopKind::local, vport));
        gateway = add_nexthop(NextHopKind::adjacency, vport, "192.0.2.2", kNeighbor);
        context.bfd = &inbox;
        context.bfd_vrfs = &vrfs;
    }
    void run_session() { vrfs.add(vrf); }
    /// What a peer sends is what we send, the other way round.
    static Bytes from_peer(std::uint8_t ttl = 255, bool multihop = false, bool six = false) {
        bfd::Departure departure;
        if (!multihop) departure.end.vport = VportId{1};
        departure.end.local = *net::parse_ip(six ? "2001:db8::2" : "192.0.2.2");
        departure.end.remote = *net::parse_ip(six ? "2001:db8::1" : "192.0.2.1");
        departure.end.source_port = 50'000;
        net::BfdControl control;
        control.detect_multiplier = 3;
        control.my_discriminator = 99;
        departure.header = net::make_bfd(control);
        Bytes packet(bfd::datagram_length(departure));
        (void)bfd::write_datagram(departure, packet.data());
        if (!six) {
            auto& header = net::header<net::Ipv4Header>(packet.data());
            header.ttl = ttl;
            header.checksum = Be16{};
            header.checksum = net::checksum({packet.data(), sizeof header});
        }
        Link link;
        link.vlans = {7};
        return ethernet(link, packet);
    }
    [[nodiscard]] bfd::Departure departure() const {
        bfd::Departure departure;
        departure.end.vrf = vrf;
        departure.end.vport = vport;
        departure.end.local = *net::parse_ip("192.0.2.1");
        departure.end.remote = *net::parse_ip("192.0.2.2");
        departure.end.source_port = 49'152;
        departure.end.nexthop = gateway;
        return departure;
    }
    [[nodiscard]] std::uint64_t consumed() const { return total(&table::LedgerRow::consumed); }

    TenantId tenant;
    VrfId vrf;
    VportId vport;
    NextHopId gateway;
    bfd::Inbox inbox{4};
    bfd::VrfSet vrfs{16};
};

TEST(Bfd, WithoutSessionsItIsTheHostStacks) {
    Peer peer;
    peer.receive(0, Peer::from_peer());
    EXPECT_EQ(peer.punted.size(), 1u);
    EXPECT_EQ(peer.inbox.size(), 0u);
}

TEST(Bfd, IsTakenFromBothFamilies) {
    Peer peer;
    peer.run_session();
    for (const bool six : {false, true}) {
        peer.receive(0, Peer::from_peer(255, false, six));
        bfd::Datagram datagram;
        ASSERT_EQ(peer.inbox.pop({&datagram, 1}), 1u);
        EXPECT_EQ(datagram.vrf, peer.vrf);
        EXPECT_EQ(datagram.vport, peer.vport);
        EXPECT_EQ(net::to_string(datagram.source), six ? "2001:db8::2" : "192.0.2.2");
        EXPECT_EQ(net::to_string(datagram.destination), six ? "2001:db8::1" : "192.0.2.1");
        EXPECT_EQ(datagram.hop_limit, 255);
        EXPECT_FALSE(datagram.multihop);
        EXPECT_EQ(datagram.length, 24);
        net::BfdControl control;
        EXPECT_EQ(net::parse_bfd(std::span(datagram.payload).first(24), control),
                  net::BfdFault::none);
        EXPECT_EQ(control.my_discriminator, 99u);
    }
    EXPECT_TRUE(peer.punted.empty());
    EXPECT_EQ(peer.consumed(), 2u);
}

TEST(Bfd, SingleHopOnlyFromTheLink) {  // RFC 5881 5
    Peer peer;
    peer.run_session();
    peer.receive(0, Peer::from_peer(254));
    EXPECT_EQ(peer.drops(Reason::bfd_hop_limit), 1u);
    peer.receive(0, Peer::from_peer(254, true));  // multihop: the engine knows how far
    EXPECT_EQ(peer.inbox.size(), 1u);
}

TEST(Bfd, BadChecksumAndLength) {
    Peer peer;
    peer.run_session();
    Bytes frame = Peer::from_peer();
    frame.back() ^= std::byte{1};
    peer.receive(0, frame);
    EXPECT_EQ(peer.drops(Reason::bfd_checksum), 1u);
    frame = Peer::from_peer();
    frame[18 + 20 + 4] = std::byte{0x7f};  // the UDP length, beyond the packet
    peer.receive(0, frame);
    EXPECT_EQ(peer.drops(Reason::bfd_checksum), 2u);
    EXPECT_EQ(peer.inbox.size(), 0u);
}

TEST(Bfd, AFullQueueIsCounted) {
    Peer peer;
    peer.run_session();
    for (int i = 0; i < 6; ++i) peer.receive(0, Peer::from_peer());
    EXPECT_EQ(peer.consumed(), 4u);
    EXPECT_EQ(peer.drops(Reason::bfd_queue_full), 2u);
}

/// RFC 6192: what floods the router does not keep BFD packets out, since they come before the policer.
TEST(Bfd, NoFloodKeepsItOut) {
    Peer peer;
    peer.run_session();
    Link link;
    link.vlans = {7};
    const Bytes other = ethernet(link, ip_packet({"192.0.2.2", "192.0.2.1"}, udp(50'000, 53)));
    for (int i = 0; i < 40; ++i) peer.receive(0, std::vector<Bytes>(32, other));
    EXPECT_GT(peer.drops(Reason::punt_policed), 0u);
    peer.receive(0, Peer::from_peer());
    EXPECT_EQ(peer.inbox.size(), 1u);
}

TEST(Bfd, LeavesByItsVport) {
    Peer peer;
    peer.from_bfd(peer.departure());
    const Bytes frame = peer.only_sent(0);
    ASSERT_EQ(frame.size(), 18u + 20 + 8 + 24);
    EXPECT_EQ(to_hex(frame).substr(0, 36), "020000000bfd020000000001810000070800");
    const auto& ip = net::header<net::Ipv4Header>(frame.data() + 18);
    EXPECT_EQ(ip.ttl, 255);
    EXPECT_EQ(peer.total(&table::LedgerRow::generated), 1u);
}

TEST(Bfd, LeavesAlsoToADeadNeighbor) {
    Peer peer;
    peer.liveness.set_session(peer.gateway, 0, false);
    peer.from_bfd(peer.departure());
    EXPECT_EQ(peer.sent.size(), 1u);  // or the session could never come up again
}

TEST(Bfd, AsksForItsNeighbor) {
    Peer peer;
    peer.set_neighbor(peer.gateway, "");
    peer.from_bfd(peer.departure());
    EXPECT_TRUE(peer.sent.empty());
    ASSERT_EQ(peer.resolves.size(), 1u);
    EXPECT_EQ(net::to_string(peer.resolves[0].address), "192.0.2.2");
    peer.advance_milliseconds(5000);
    peer.run_held(false);
    EXPECT_EQ(peer.drops(Reason::neighbor_unresolved), 1u);
}

TEST(Bfd, OfAnotherGenerationGoesNowhere) {
    Peer peer;
    bfd::Departure departure = peer.departure();
    departure.end.nexthop_generation = 9;
    peer.from_bfd(departure);
    EXPECT_TRUE(peer.sent.empty());
    EXPECT_EQ(peer.drops(Reason::nexthop_dead), 1u);
}

TEST(Bfd, MultihopGoesByTheRoutes) {
    Peer peer;
    bfd::Departure departure = peer.departure();
    departure.end.vport = VportId{};
    departure.end.nexthop = NextHopId{};
    departure.end.remote = *net::parse_ip("198.51.100.9");
    peer.from_bfd(departure);
    EXPECT_EQ(peer.drops(Reason::no_route), 1u);
    peer.add_route(peer.vrf, "198.51.100.0/24", peer.gateway);
    peer.from_bfd(departure);
    const Bytes frame = peer.only_sent(0);
    const auto& ip = net::header<net::Ipv4Header>(frame.data() + 18);
    EXPECT_EQ(ip.ttl, 255);  // the router's own: not decremented
    EXPECT_EQ(net::header<Be16>(frame.data() + 18 + 20 + 2).host(), 4784);
}

}  // namespace
}  // namespace wye::pipeline::test
