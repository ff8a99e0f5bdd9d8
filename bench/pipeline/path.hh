// Path: the production pipeline on plain memory with the tables of one measured path, and the frames
// that go through it, burst by burst. For bench_path (time) and count_path (instructions).
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "dataplane/pipeline/pipelines.hh"
#include "tests/unit/pipeline/test_router.hh"

namespace wye::pipeline::test {

class Path {
  public:
    static constexpr std::size_t kFlows = 4096;
    static constexpr unsigned kRoutes = 1000;
    static constexpr unsigned kRules = 100;
    static constexpr std::size_t kFrameLength = 64;  // of the tenant's frame

    /// Untagged in, by VLAN 100 out.
    static std::unique_ptr<Path> route(net::IpFamily family = net::IpFamily::ipv4) {
        auto path = std::make_unique<Path>(family);
        path->add_routes(path->plain_nexthop());
        return path;
    }
    static std::unique_ptr<Path> route_acl() {
        auto path = route();
        path->add_acl(path->site_);
        return path;
    }
    /// With the ACL, into a tunnel, whose packets leave by VLAN 100.
    static std::unique_ptr<Path> encap(TunnelKind kind) {
        auto path = std::make_unique<Path>(net::IpFamily::ipv4);
        path->add_acl(path->site_);
        path->add_routes(path->tunnel_nexthop(kind, 100));
        return path;
    }
    /// Tunnel packets in, untagged; the ACL inside; by VLAN 100 out.
    static std::unique_ptr<Path> decap(TunnelKind kind) {
        auto path = std::make_unique<Path>(net::IpFamily::ipv4, VportOptions{.vlan = 101});
        path->tunnel_nexthop(kind, kNoVlan);
        path->router_.add_route(path->underlay_, "192.0.2.1/32",
                                path->router_.add_nexthop(NextHopKind::local, path->carrier_));
        path->add_acl(path->inside_);
        path->add_routes(path->plain_nexthop());
        path->wrap(kind);
        return path;
    }

    Path(net::IpFamily family, const VportOptions& site = {});
    /// One burst of fresh frames in the same buffers; all of them must leave.
    void run_burst();

  private:
    void add_routes(NextHopId nexthop);
    void add_acl(VportId vport);
    NextHopId plain_nexthop();
    NextHopId tunnel_nexthop(TunnelKind kind, std::uint16_t carrier_vlan);
    /// The frames so far become the inside of tunnel packets.
    void wrap(TunnelKind kind);

    static constexpr std::size_t kBufferBytes = 2048;
    static constexpr PortId kPort{0};
    net::IpFamily family_;
    TestRouter router_;
    VrfId underlay_ = router_.add_vrf(router_.add_tenant(), true);
    VrfId red_ = router_.add_vrf(router_.add_tenant());
    VportId site_, carrier_, inside_;
    std::vector<Bytes> templates_;
    std::unique_ptr<std::byte[]> memory_ = std::make_unique<std::byte[]>(kMaxBurst * kBufferBytes);
    std::size_t next_ = 0;
};

}  // namespace wye::pipeline::test
