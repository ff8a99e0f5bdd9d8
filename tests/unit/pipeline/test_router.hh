// TestRouter: a whole pipeline on plain memory, without EAL: an anonymous arena, counters, a pool
// of frames that are malloc'd to their exact size (so that the address sanitizer sees one byte too
// many), and what came out of it. On destruction the ledger must balance on every row, and no frame
// may be lost.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/limits.hh"
#include "dataplane/table/acl.hh"
#include "dataplane/table/arena_writer.hh"
#include "dataplane/table/counter_file.hh"
#include "dataplane/table/fib.hh"
#include "dataplane/table/tunnel.hh"
#include "dataplane/table/tunnel_header.hh"
#include "dataplane/table/vport.hh"

namespace wye::pipeline::test {

using Bytes = std::vector<std::byte>;

/// "02 00 5e", "02005e": hexadecimal digits, spaces ignored.
Bytes from_hex(std::string_view text);
std::string to_hex(const Bytes& bytes);

/// Counts what is out; release() frees.
class MallocPool : public FramePool {
  public:
    bool allocate(Frame& frame) noexcept override;
    void release(std::span<const Frame> frames) noexcept override;
    Frame make(const Bytes& bytes, std::uint16_t headroom = kMinHeadroom);
    std::size_t outstanding = 0;
};

/// Buffers of another kind, and how a frame comes into one and leaves it.
struct Buffers {
    FramePool& pool;
    std::function<Frame(const Bytes&)> receive;
    std::function<Bytes(const Frame&)> send;
};

struct VportOptions {
    std::uint16_t port = 0;
    std::uint16_t vlan = kNoVlan;
    std::uint16_t inner_vlan = kNoVlan;
    std::uint16_t mtu = 1500;
    TunnelId tunnel{};  // valid: of kind tunnel
    std::string_view mac = "02:00:00:00:00:01";
    std::string_view source4 = "";
    std::string_view source6 = "";
};

struct TunnelOptions {
    TunnelKind kind = TunnelKind::vxlan;
    std::string_view local, remote;
    std::uint32_t vni = 1;
    VrfId underlay;
};

struct Sent {
    std::uint32_t port;
    VportId vport;
    Bytes bytes;
};
struct Punted {
    VportId vport;
    Bytes bytes;
};

class TestRouter {
  public:
    explicit TestRouter(const Limits& limits = {});
    ~TestRouter();
    TestRouter(const TestRouter&) = delete;
    TestRouter& operator=(const TestRouter&) = delete;

    /// Received frames lie there from now on, not in `pool`. They outlive the router.
    void use(const Buffers& buffers);

    // Making tables. Everything is published at once.
    TenantId add_tenant(std::uint32_t punt_packets_per_second = 0);
    VrfId add_vrf(TenantId tenant, bool underlay = false);
    VportId add_vport(VrfId vrf, const VportOptions& options);
    void change_vport(VportId vport, const std::function<void(table::VportPolicy&)>& change);
    TunnelId add_tunnel(const TunnelOptions& options);
    table::Ref<table::Acl> add_acl(std::span<const table::AclRuleSpec> rules, bool default_permit,
                                   std::uint32_t counter_base);
    /// A MAC address makes an adjacency complete.
    NextHopId add_nexthop(NextHopKind kind, VportId vport = {},
                          std::string_view gateway = "0.0.0.0", std::string_view neighbor_mac = "");
    /// No MAC address: it does not answer.
    void set_neighbor(NextHopId nexthop, std::string_view neighbor_mac);
    GroupId add_group(const std::vector<NextHopId>& members);
    void add_route(VrfId vrf, std::string_view prefix, table::Leaf leaf);
    void add_route(VrfId vrf, std::string_view prefix, NextHopId nexthop) {
        add_route(vrf, prefix, table::Leaf::of(nexthop));
    }
    void delete_route(VrfId vrf, std::string_view prefix);

    // Running. What leaves is collected below.
    void receive(std::uint32_t port, const std::vector<Bytes>& frames);
    void receive(std::uint32_t port, const Bytes& frame) {
        receive(port, std::vector<Bytes>(1, frame));
    }
    void from_twin(VportId vport, const Bytes& frame);
    void from_inject(VrfId vrf, const Bytes& packet);
    void from_bfd(const bfd::Departure& departure);
    void run_held(bool all);
    void advance_milliseconds(std::uint64_t n);

    std::vector<Sent> sent;
    std::vector<Punted> punted;
    std::vector<ring::ResolveRequest> resolves;
    void clear_output();

    /// Over all ports.
    [[nodiscard]] std::uint64_t drops(table::Reason reason) const;
    [[nodiscard]] std::uint64_t total(table::Counter table::LedgerRow::*cell) const;
    /// The one packet that was sent, or an empty one with a failure.
    Bytes only_sent(std::uint32_t port);

    /// Also called on destruction.
    void expect_balanced() const;

    Context context;
    table::ArenaWriter arena;
    table::CounterFile counters;
    table::Liveness liveness{4096};
    MallocPool pool;

  private:
    struct Tenant {
        std::vector<table::VportPolicy> policies;
        table::Ref<table::TenantPolicy> published;
    };
    void publish(TenantId tenant);
    [[nodiscard]] Frame make(const Bytes& bytes);
    [[nodiscard]] Bytes contents(const Frame& frame) const;
    void write_rewrite(table::NextHop& nexthop, std::string_view neighbor_mac);
    table::FibWriter& fib(VrfId vrf, net::IpFamily family);
    void transmit();

    const Buffers* buffers_ = nullptr;
    std::vector<Tenant> tenants_;
    std::uint32_t vrfs_ = 0, vports_ = 0, tunnels_ = 0, nexthops_ = 0, groups_ = 0;
    std::map<std::pair<std::uint32_t, net::IpFamily>, table::FibWriter> fibs_;
    std::unique_ptr<std::array<PortOutput, kMaxPorts>> outputs_;
    ring::Spsc<PuntedFrame> punt_ring_{4096};
    ring::Spsc<ring::ResolveRequest> resolve_ring_{4096};
};

// Packets, with right checksums; layer 4 is `payload` as it is.
struct Ip {
    std::string_view source, destination;
    std::uint8_t protocol = 17;
    std::uint8_t ttl = 64;
    std::uint16_t flags_offset = 0;
    Bytes options = {};
    std::uint8_t tos = 0;  // IPv4
};
Bytes ip_packet(const Ip& ip, const Bytes& payload);
Bytes udp(std::uint16_t source_port, std::uint16_t destination_port, const Bytes& payload = {});
Bytes tcp(std::uint16_t source_port, std::uint16_t destination_port, std::uint8_t flags = 0x10);
struct Link {
    std::string_view destination = "02:00:00:00:00:01";
    std::string_view source = "02:00:00:00:00:99";
    std::vector<std::uint16_t> vlans = {};
    std::uint16_t type = 0;  // 0: by the version of the packet
};
Bytes ethernet(const Link& link, const Bytes& packet);

}  // namespace wye::pipeline::test
