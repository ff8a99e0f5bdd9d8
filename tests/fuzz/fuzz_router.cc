// Frames of any content, by any way in, through the whole pipeline: nothing reads beyond a frame
// (each is malloc'd to its size), every frame is counted once, none is lost.
//
// Input: records of kind, length, bytes. Kinds choose the way in, and how much of the frame is made
// right for the fuzzer: addresses and EtherType of the link, the IPv4 header checksum.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "dataplane/net/checksum.hh"
#include "dataplane/net/ipv4.hh"
#include "tests/unit/pipeline/test_router.hh"

namespace {

using namespace wye;
using namespace wye::pipeline::test;

struct World : TestRouter {
    World() {
        underlay = add_vrf(add_tenant(), true);
        vrf = add_vrf(add_tenant());
        carrier = add_vport(underlay, {.port = 9, .mtu = 9000});
        site = add_vport(vrf, {.port = 0, .source4 = "10.0.0.1", .source6 = "2001:db8::1"});
        add_vport(vrf, {.port = 0, .vlan = 5, .inner_vlan = 6});
        const NextHopId local = add_nexthop(NextHopKind::local, carrier);
        const NextHopId uplink =
            add_nexthop(NextHopKind::adjacency, carrier, "192.0.2.254", "02:00:00:00:00:aa");
        add_route(underlay, "0.0.0.0/0", uplink);
        add_route(underlay, "::/0", uplink);
        add_route(underlay, "192.0.2.1/32", local);
        add_route(underlay, "2001:db8:a::1/128", local);
        const NextHopId kinds[] = {add_nexthop(NextHopKind::glean, site),
                                   add_nexthop(NextHopKind::local, site),
                                   add_nexthop(NextHopKind::prohibit)};
        for (unsigned i = 0; i < 4; ++i) {
            const TunnelId tunnel =
                add_tunnel({i % 2 == 0 ? TunnelKind::vxlan : TunnelKind::geneve,
                            i < 2 ? "192.0.2.1" : "2001:db8:a::1",
                            i < 2 ? "198.51.100.1" : "2001:db8:b::1", 7, underlay});
            inside = add_vport(vrf, {.tunnel = tunnel});
            const std::string n = std::to_string(i + 1);
            const NextHopId far =
                add_nexthop(NextHopKind::adjacency, inside, "10.255.0.2", "02:00:00:00:00:bb");
            add_route(vrf, "10." + n + ".0.0/16", far);
            add_route(vrf, "2001:db8:" + n + "::/48", far);
        }
        for (unsigned i = 0; i < 3; ++i) {
            add_route(vrf, "10." + std::to_string(i + 20) + ".0.0/16", kinds[i]);
            add_route(vrf, "2001:db8:2" + std::to_string(i) + "::/48", kinds[i]);
        }
    }
    VrfId underlay, vrf;
    VportId carrier, site, inside;
};

void repair_checksum(Bytes& packet) {
    if (packet.size() < sizeof(net::Ipv4Header)) return;
    auto& ip = net::header<net::Ipv4Header>(packet.data());
    if (ip.header_length() < sizeof ip || ip.header_length() > packet.size()) return;
    ip.checksum = {};
    ip.checksum = net::checksum(std::span(packet).first(ip.header_length()));
}

void one(World& world, unsigned kind, Bytes bytes) {
    if ((kind & 0x10) != 0) repair_checksum(bytes);
    if ((kind & 0x20) != 0) {
        Link link;
        if ((kind & 0x40) != 0) link.vlans = {5, 6};
        if (bytes.empty()) link.type = 0x0800;
        bytes = ethernet(link, bytes);
    }
    switch (kind & 3) {
        case 0:
            world.receive(0, bytes);
            break;
        case 1:
            world.receive(9, bytes);
            break;
        case 2:
            world.from_twin((kind & 4) != 0 ? world.inside : world.site, bytes);
            break;
        default:
            world.from_inject((kind & 4) != 0 ? world.underlay : world.vrf, bytes);
            break;
    }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
    ::testing::InitGoogleTest(count, *arguments);
    GTEST_FLAG_SET(break_on_failure, true);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static World world;
    std::span input(reinterpret_cast<const std::byte*>(data), size);
    while (input.size() >= 2) {
        const auto kind = static_cast<unsigned>(input[0]);
        const auto length = std::min(static_cast<std::size_t>(input[1]), input.size() - 2);
        one(world, kind,
            {input.begin() + 2, input.begin() + 2 + static_cast<std::ptrdiff_t>(length)});
        input = input.subspan(2 + length);
    }
    world.advance_milliseconds(20);
    world.run_held(true);
    world.expect_balanced();
    world.clear_output();
    return 0;
}
