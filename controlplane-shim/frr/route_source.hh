// What the route source tells the desired state: routes as zebra's dataplane API has them.
//
// The plugin inside zebra (zebra-plugin/, GPL) connects to the shim's Unix socket and speaks the
// protocol of zebra-plugin/protocol.h (permissively licensed, documented there). The source decodes
// it, checks every byte, and calls the Sink on the shim's main thread. A garbage stream closes the
// connection with one error and changes nothing that was not complete.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/model.hh"
#include "dataplane/net/address.hh"

namespace wye::frr {

enum class RouteKind : std::uint8_t { unicast, blackhole, unreachable, prohibit };

struct RouteNextHop {
    enum class Kind : std::uint8_t { interface_only, gateway } kind = Kind::interface_only;
    net::IpAddress gateway;
    std::uint32_t interface_index = 0;  // within the VRF's namespace
    std::uint32_t vrf_id = 0;           // zebra's, of the interface
    std::uint8_t weight = 1;
};

struct RouteKey {
    std::uint32_t vrf_id = 0;  // zebra's
    net::IpPrefix prefix;
    friend auto operator<=>(const RouteKey&, const RouteKey&) = default;
};

struct Route {
    RouteKind kind = RouteKind::unicast;
    std::uint8_t zebra_type = 0;  // ZEBRA_ROUTE_*: connected 2, static 3, bgp 9 …; protocol.h maps it
    std::uint8_t distance = 0;
    std::uint32_t metric = 0;
    std::vector<RouteNextHop> nexthops;
};

/// Acknowledges one operation back to zebra (which holds the context until then).
struct Operation {
    std::uint64_t id = 0;
};

class RouteSink {
  public:
    virtual ~RouteSink() = default;
    /// zebra's name for a VRF id ("default", or the namespace's or device's name).
    virtual void vrf_named(std::uint32_t vrf_id, const std::string& name) = 0;
    virtual void route_installed(Operation operation, const RouteKey& key, Route&& route) = 0;
    virtual void route_removed(Operation operation, const RouteKey& key) = 0;
    /// A (re)connected plugin sends everything it has between these two; what was known before and
    /// did not come again is then gone.
    virtual void snapshot_begin() = 0;
    virtual void snapshot_end() = 0;
    virtual void disconnected() = 0;  // nothing is removed: forwarding goes on
};

class RouteSource {
  public:
    virtual ~RouteSource() = default;
    /// Descriptor to poll (an epoll set of its own), and what to do when it is readable.
    [[nodiscard]] virtual int descriptor() const = 0;
    virtual void run() = 0;
    /// Batched: sent with the next run() or flush().
    virtual void acknowledge(Operation operation, bool installed) = 0;
    virtual void flush() = 0;
    [[nodiscard]] virtual bool connected() const = 0;
};

}  // namespace wye::frr
