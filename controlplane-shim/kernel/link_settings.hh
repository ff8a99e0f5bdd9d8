// What is set on a twin's interface in the kernel, by rtnetlink: link, addresses, neighbours, and
// for `inject` its routes and rule. Each call changes only what is ours, marked by its protocol.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane-shim/kernel/kernel.hh"
#include "controlplane-shim/kernel/netlink.hh"

namespace wye::kernel {

/// Marks addresses, neighbours, routes and rules that the shim made (`proto 119` in iproute2).
constexpr std::uint8_t kOurProtocol = 119;
/// Of the rule that looks into inject's table: after main and default, so that whatever the kernel
/// has a route for goes that way.
constexpr std::uint32_t kInjectRule = 40000;
/// In a VRF device there is no such rule: since Linux 5.18 none matches what a VRF's own lookup left
/// over (l3mdev_update_flow clears the outgoing interface first), and it would go on to main, which is
/// another VRF's. So the default route is in the VRF's own table, with the worst metric but that of the
/// `unreachable default metric 4278198272` of the kernel's documentation (networking/vrf.rst). zebra
/// reads it as a kernel route of distance 255, which it never selects.
constexpr std::uint32_t kInjectMetric = 0xff001fff;

/// Index of an interface, 0: there is none of that name.
std::uint32_t find_link(NetlinkSocket& socket, const std::string& name);

/// The table of a VRF device, 0: it is none.
std::uint32_t table_of_vrf(NetlinkSocket& socket, std::uint32_t index);

/// MAC, MTU, master, up or down, and what makes it a router's interface.
Status set_link(NetlinkSocket& socket, const TwinSpec& spec, std::uint32_t index,
                std::uint32_t master);
/// In one request: the kernel waits once for all instead of some 25 ms for each.
Status remove_links(NetlinkSocket& socket, const std::vector<std::uint32_t>& indexes);

/// Ours on the interface become exactly these; others stay.
Status set_addresses(NetlinkSocket& socket, const TwinSpec& spec, std::uint32_t index);
Status set_neighbors(NetlinkSocket& socket, const TwinSpec& spec, std::uint32_t index);

/// Default routes by `inject`: in a table of its own, whose number is the interface's index, or in that
/// of the VRF device with the index `master`.
Status set_inject_routes(NetlinkSocket& socket, const TwinSpec& spec, std::uint32_t index,
                         std::uint32_t master);
void remove_inject_rules(NetlinkSocket& socket, const TwinSpec& spec, std::uint32_t index);

/// Asks for resolution; `managed`: and for being kept so.
int probe_neighbor(NetlinkSocket& socket, std::uint32_t index, const net::IpAddress& address,
                   bool managed);
/// Of an entry that is there and has a MAC: unicast probes now (RFC 4861 7.3.3, RFC 1122 2.3.2.1).
int verify_neighbor(NetlinkSocket& socket, std::uint32_t index, const net::IpAddress& address);
int delete_neighbor(NetlinkSocket& socket, std::uint32_t index, const net::IpAddress& address);

}  // namespace wye::kernel
