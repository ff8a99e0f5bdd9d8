// A path, a fixed number of times: for bench/pipeline/count_instructions.py, which runs it under
// callgrind. The same packets each time.
//
// usage: count_path route|route6|route-acl|encap-geneve|encap-vxlan|decap-geneve|decap-vxlan BURSTS
#include <cstdio>
#include <string>

#include "bench/pipeline/path.hh"

namespace {

using wye::TunnelKind;
using wye::pipeline::test::Path;

std::unique_ptr<Path> path_of(const std::string& name) {
    if (name == "route") return Path::route();
    if (name == "route6") return Path::route(wye::net::IpFamily::ipv6);
    if (name == "route-acl") return Path::route_acl();
    if (name == "encap-geneve") return Path::encap(TunnelKind::geneve);
    if (name == "encap-vxlan") return Path::encap(TunnelKind::vxlan);
    if (name == "decap-geneve") return Path::decap(TunnelKind::geneve);
    if (name == "decap-vxlan") return Path::decap(TunnelKind::vxlan);
    return nullptr;
}

}  // namespace

int main(int count, char** arguments) {
    const auto path = count == 3 ? path_of(arguments[1]) : nullptr;
    if (path == nullptr) {
        std::fprintf(stderr, "usage: count_path PATH BURSTS\n");
        return 2;
    }
    for (long bursts = std::stol(arguments[2]); bursts > 0; --bursts) path->run_burst();
    return 0;
}
