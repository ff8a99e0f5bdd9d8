// The real routing table of bench/data, for tests and benchmarks.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "dataplane/net/address.hh"
#include "dataplane/table/nexthop.hh"

// The build says where it is; from the top of the tree it is here.
#ifndef WYE_DATA_FOLDER
#define WYE_DATA_FOLDER "bench/data"
#endif

namespace wye::table {

struct RealRoute {
    net::IpPrefix prefix;
    Leaf leaf;
};

/// Every `step`-th prefix of one family; empty if the file cannot be read. Next hops by the rule in
/// bench/data/README.md.
inline std::vector<RealRoute> read_real_table(net::IpFamily family, unsigned step = 1) {
    std::vector<RealRoute> routes;
    FILE* pipe = popen("zcat '" WYE_DATA_FOLDER "/bgp-prefixes.txt.gz'", "r");
    if (pipe == nullptr) return routes;
    char line[128];
    for (std::uint32_t i = 0; std::fgets(line, sizeof line, pipe) != nullptr; ++i) {
        std::string text(line);
        while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
        if (i % step != 0) continue;
        const auto prefix = net::parse_prefix(text);
        if (!prefix || prefix->address.family != family) continue;
        routes.push_back({*prefix, Leaf::of(NextHopId{i * 2654435761u % 1024})});
    }
    pclose(pipe);
    return routes;
}

}  // namespace wye::table
