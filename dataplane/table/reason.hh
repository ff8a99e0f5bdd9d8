// Every way in which a packet's life can end other than being transmitted, listed once: the
// name in counters and JSON, and the words for people. The clause is part of the words where there
// is one. `drop` reasons only; punted, held, consumed and transmitted are ledger cells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace wye::table {

// clang-format off
#define WYE_REASONS(X)                                                                                       \
    X(ethernet_truncated,        "frame shorter than its Ethernet header and tags")                         \
    X(ethernet_other_destination,"unicast frame to a MAC address that is not the vport's")                  \
    X(ethernet_type_unknown,     "EtherType that the router does not handle")                               \
    X(vlan_unknown,              "no vport at this port and VLAN")                                          \
    X(vport_down,                "the vport is administratively down")                                      \
    X(ipv4_truncated,            "shorter than an IPv4 header, or than its total length (RFC 1812 5.2.2)")   \
    X(ipv4_version,              "version is not 4 (RFC 1812 5.2.2)")                                       \
    X(ipv4_header_length,        "IHL below 5 or beyond the total length (RFC 1812 5.2.2)")                 \
    X(ipv4_checksum,             "bad IPv4 header checksum (RFC 1812 5.2.2)")                               \
    X(ipv4_source_invalid,       "source is no unicast host (RFC 1812 5.3.7)")                              \
    X(ipv4_destination_invalid,  "destination never forwarded (RFC 1812 5.3.7)")                            \
    X(ipv4_options,              "IPv4 options that the router does not forward (RFC 7126)")                \
    X(ipv6_truncated,            "shorter than an IPv6 header or its payload length (RFC 8200 3)")          \
    X(ipv6_version,              "version is not 6 (RFC 8200 3)")                                           \
    X(ipv6_source_invalid,       "source is multicast, unspecified or loopback (RFC 4291 2.7, 2.5.3)")      \
    X(ipv6_destination_invalid,  "destination is unspecified or loopback (RFC 4291 2.5.2)")                 \
    X(ipv6_scope,                "link-local address is not forwarded (RFC 4291 2.5.6)")                    \
    X(multicast_not_routed,      "multicast is not routed")                                                 \
    X(broadcast_link_layer,      "link-layer broadcast or multicast with a unicast packet (RFC 1812 5.3.4)") \
    X(ttl_expired,               "TTL or hop limit spent (RFC 1812 5.3.1, RFC 4443 3.3)")                   \
    X(no_route,                  "no route to the destination (RFC 1812 4.3.3.1)")                          \
    X(route_blackhole,           "blackhole route")                                                         \
    X(route_unreachable,         "unreachable route")                                                       \
    X(route_prohibited,          "prohibited by a route")                                                   \
    X(nexthop_dead,              "every member of the next-hop group is dead")                              \
    X(neighbor_unresolved,       "the neighbour did not answer in time (RFC 1812 3.3.2)")                   \
    X(hold_full,                 "too many packets wait for neighbours; the oldest of this one went")       \
    X(mtu_exceeded,              "packet larger than the MTU of the vport it leaves by")                    \
    X(acl_ingress_denied,        "denied by the ingress ACL")                                               \
    X(acl_egress_denied,         "denied by the egress ACL")                                                \
    X(tunnel_unknown,            "no tunnel from that remote to this address with this VNI")                \
    X(tunnel_without_vport,      "the tunnel has no vport inside")                                          \
    X(tunnel_truncated,          "tunnel header or inner frame cut short")                                  \
    X(udp_checksum,              "bad outer UDP checksum (RFC 8926 3.3, RFC 7348 5)")                       \
    X(udp_checksum_zero_ipv6,    "zero UDP checksum over IPv6 where it is not enabled (RFC 6935 5)")        \
    X(vxlan_flags,               "VXLAN header without the I flag (RFC 7348 5)")                            \
    X(vxlan_inner_tagged,        "VLAN tag inside VXLAN (RFC 7348 6.1)")                                    \
    X(geneve_version,            "unknown GENEVE version (RFC 8926 3.4)")                                   \
    X(geneve_options,            "GENEVE option lengths do not add up (RFC 8926 3.5)")                      \
    X(geneve_critical_option,    "unknown critical GENEVE option (RFC 8926 3.5)")                           \
    X(geneve_control,            "GENEVE control packet, not for forwarding (RFC 8926 3.4)")                \
    X(geneve_protocol,           "GENEVE protocol type that the router does not handle (RFC 8926 3.4)")     \
    X(tunnel_fragment,           "fragment of a tunnel packet (RFC 7348 4.3)")                              \
    X(tunnel_ecn,                "outer CE on an inner packet that is not ECN-capable (RFC 6040 4.2)")      \
    X(tunnel_nesting,            "too many levels of tunnels")                                              \
    X(headroom,                  "no room in the buffer for another header")                                \
    X(not_contiguous,            "headers not in one piece of memory")                                      \
    X(punt_policed,              "over the rate of packets to the router itself")                           \
    X(punt_full,                 "the queue to the host stack is full")                                     \
    X(twin_absent,               "addressed to the router, but the vport has no twin")                      \
    X(twin_write,                "the kernel did not take the packet on the twin")                          \
    X(host_frame_invalid,        "frame from the host stack that cannot be sent")                           \
    X(bfd_hop_limit,             "single-hop BFD packet that did not arrive with TTL 255 (RFC 5881 5)")     \
    X(bfd_checksum,              "BFD packet with a bad UDP checksum or length (RFC 768, RFC 8200 8.1)")     \
    X(bfd_queue_full,            "more BFD packets than the worker with the sessions takes")                \
    X(port_transmit_full,        "the port's transmit queue is full")                                       \
    X(port_absent,               "the port is not there")                                                   \
    X(no_tables,                 "no tables yet")                                                           \
    X(worker_queue_full,         "the queue to the worker that has this flow is full (a port spread in software)")      \
    X(buffer_exhausted,          "no packet buffer left")                                                   \
    X(restart_lost,              "inside the router when the data plane ended")
// clang-format on

enum class Reason : std::uint8_t {
#define WYE_REASON_ENUM(name, words) name,
    WYE_REASONS(WYE_REASON_ENUM)
#undef WYE_REASON_ENUM
};

constexpr std::size_t kReasons = 0
#define WYE_REASON_COUNT(name, words) +1  // NOLINT(bugprone-macro-parentheses): a term of a sum
    WYE_REASONS(WYE_REASON_COUNT)
#undef WYE_REASON_COUNT
    ;

std::string_view reason_name(Reason reason) noexcept;
std::string_view reason_words(Reason reason) noexcept;

}  // namespace wye::table
