// The routes of an arena in words.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "dataplane/net/address.hh"
#include "dataplane/table/arena_walk.hh"
#include "dataplane/tools/source.hh"

namespace wye::tools {

struct Hop {
    std::string kind;   // adjacency, connected, local, blackhole, unreachable, prohibit
    std::string via;    // adjacency: the gateway
    std::string vport;  // where there is one
    friend auto operator<=>(const Hop&, const Hop&) = default;
};
/// "via 192.0.2.1 on carrier", "local on site", "blackhole".
std::string to_string(const Hop& hop);

struct Route {
    net::IpPrefix prefix;
    table::Leaf leaf;
    bool is_neighbor = false;  // a host route to a neighbour, which nobody configured
};

/// Reads what leaves lead to, each once.
class Hops {
  public:
    explicit Hops(Source& source) : source_(source) {}
    /// Sorted; more than one for a group.
    Result<const std::vector<Hop>*> of(table::Leaf leaf);

  private:
    Result<Hop> read(NextHopId id);
    Source& source_;
    std::unordered_map<std::uint32_t, std::vector<Hop>> known_;
};
std::string to_string(const std::vector<Hop>& hops);

struct Fib {
    std::vector<Route> routes;  // in the order of table::walk_fib
    std::uint64_t bytes = 0;
};
Result<Fib> read_fib(Source& source, Hops& hops, net::IpFamily family, VrfId vrf);

/// Of what each address is forwarded to, whatever form the table has: adjacent prefixes that lead to
/// the same place count as one. Neighbours do not count.
Result<std::uint64_t> digest(Hops& hops, const std::vector<Route>& routes);

}  // namespace wye::tools
