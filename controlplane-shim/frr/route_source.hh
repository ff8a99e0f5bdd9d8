// What the route source tells the desired state: routes as zebra's dataplane API has them.
//
// The plugin inside zebra (zebra-plugin/, GPL) connects to the shim's Unix socket and speaks the
// protocol of zebra-plugin/protocol.h (permissively licensed, documented there). The source decodes
// it, checks every byte, and calls the Sink on the shim's main thread. A garbage stream closes the
// connection with one error and changes nothing that was not complete.
//
// A run() takes a bounded bite (some thousand routes), so that a full table does not starve the
// caller's other work: the descriptor stays readable while there is more.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/model.hh"
#include "dataplane/base/result.hh"
#include "dataplane/net/address.hh"

namespace wye::frr {

enum class RouteKind : std::uint8_t { unicast, blackhole, unreachable, prohibit };

struct RouteNextHop {
    enum class Kind : std::uint8_t { interface_only, gateway, evpn } kind = Kind::interface_only;
    net::IpAddress gateway;             // of evpn: the far tunnel end
    std::uint32_t interface_index = 0;  // within the VRF's namespace; of evpn: the VRF's own there
    std::uint32_t vrf_id = 0;           // zebra's, of the interface
    std::uint8_t weight = 1;
    bool onlink = false;    // the gateway is on that link whatever the addresses say
    std::uint32_t vni = 0;  // of evpn
};

struct RouteKey {
    std::uint32_t vrf_id = 0;  // zebra's
    net::IpPrefix prefix;
    friend auto operator<=>(const RouteKey&, const RouteKey&) = default;
};

struct Route {
    RouteKind kind = RouteKind::unicast;
    std::uint8_t zebra_type = 0;  // enum wye_zebra_origin: connected 2, static 3, bgp 9 …
    std::uint8_t distance = 0;
    std::uint32_t metric = 0;
    std::vector<RouteNextHop> nexthops;
};

/// What acknowledge() takes: zebra holds the route's context until then. Pass it on whole; one of
/// an earlier connection is ignored. The last operation of a prefix speaks for those before it.
struct Operation {
    std::uint64_t id = 0;
    std::uint32_t connection = 0;
};

class RouteSink {
  public:
    virtual ~RouteSink() = default;
    /// zebra's name for a VRF id ("default", or the namespace's or device's name), before its first
    /// route and once in each connection. Another name under a known id is another VRF (zebra uses
    /// ids again): every route known under the id before is gone.
    virtual void vrf_named(std::uint32_t vrf_id, const std::string& name) = 0;
    virtual void route_installed(Operation operation, const RouteKey& key, Route&& route) = 0;
    /// Also for a route that is not known; acknowledge it all the same.
    virtual void route_removed(Operation operation, const RouteKey& key) = 0;
    /// A (re)connected plugin sends everything it has between these two; what was known before and
    /// did not come again is then gone.
    /// A prefix may come twice in between, and be removed, since changes go on meanwhile. The end
    /// may come many seconds after the begin: just after zebra's start it waits for the protocols.
    virtual void snapshot_begin() = 0;
    virtual void snapshot_end() = 0;
    /// Nothing is removed: forwarding goes on. Also the end of a snapshot that is not complete.
    virtual void disconnected() = 0;
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
    /// A plugin is connected and has been accepted.
    [[nodiscard]] virtual bool connected() const = 0;
};

/// Listens at `path` (mode 0660, group frr: zebra runs as that user; only root, the caller's own
/// user and frr are let in). `sink` outlives the source and is called only from run(). One plugin
/// at a time: a second one is refused in words as long as the first lives.
Result<std::unique_ptr<RouteSource>> make_route_source(const std::string& path, RouteSink& sink);

}  // namespace wye::frr
