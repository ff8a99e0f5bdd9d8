// A router with routes of every kind, driven by lines of text, so that something else than our own
// code can make the frames and judge what comes out (judge_with_scapy.py).
//
//   in:   receive PORT HEX | advance MILLISECONDS
//   out:  sent PORT HEX | punted VPORT HEX, and `done` after each line
//
// Port 0: the site, 10.0.0.0/24 and 2001:db8::/64. Behind port 1: 10.1/16, 2001:db8:1::/48.
// 10.2/16 blackhole, .3 unreachable, .4 prohibit, .5 glean on port 1; the same for 2001:db8:N::/48.
#include <iostream>
#include <sstream>
#include <string>

#include "test_router.hh"

int main() {
    using namespace wye;
    using namespace wye::pipeline::test;
    TestRouter router;
    const VrfId vrf = router.add_vrf(router.add_tenant());
    const VportId site =
        router.add_vport(vrf, {.port = 0, .source4 = "10.0.0.1", .source6 = "2001:db8::1"});
    const VportId out = router.add_vport(vrf, {.port = 1, .mac = "02:00:00:00:00:02"});
    const NextHopId kinds[] = {
        router.add_nexthop(NextHopKind::adjacency, site, "10.0.0.9", "02:00:00:00:00:99"),
        router.add_nexthop(NextHopKind::adjacency, out, "10.9.0.2", "02:00:00:00:00:aa"),
        router.add_nexthop(NextHopKind::blackhole),
        router.add_nexthop(NextHopKind::unreachable),
        router.add_nexthop(NextHopKind::prohibit),
        router.add_nexthop(NextHopKind::glean, out),
    };
    router.add_route(vrf, "10.0.0.0/24", kinds[0]);
    router.add_route(vrf, "2001:db8::/64", kinds[0]);
    for (std::size_t i = 1; i < std::size(kinds); ++i) {
        router.add_route(vrf, "10." + std::to_string(i) + ".0.0/16", kinds[i]);
        router.add_route(vrf, "2001:db8:" + std::to_string(i) + "::/48", kinds[i]);
    }
    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream words(line);
        std::string verb, hex;
        std::uint32_t number = 0;
        words >> verb >> number >> hex;
        if (verb == "receive") {
            router.receive(number, from_hex(hex));
        } else {
            router.advance_milliseconds(number);
            router.run_held(false);
        }
        for (const auto& sent : router.sent) {
            std::cout << "sent " << sent.port << ' ' << to_hex(sent.bytes) << '\n';
        }
        for (const auto& punted : router.punted) {
            std::cout << "punted " << punted.vport.value << ' ' << to_hex(punted.bytes) << '\n';
        }
        std::cout << "done" << std::endl;
        router.clear_output();
    }
    router.expect_balanced();
    return ::testing::Test::HasFailure() ? 1 : 0;
}
