#include "controlplane-shim/kernel/link_settings.hh"

#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace wye::kernel {
namespace {

constexpr unsigned char kFamilies[] = {AF_INET, AF_INET6};

unsigned char family_of(const net::IpAddress& address) {
    return address.is_ipv4() ? AF_INET : AF_INET6;
}

Status status_of(int error, const TwinSpec& spec, const std::string& what) {
    if (error == 0) return {};
    return fail("twin " + spec.interface + " of " +
                (spec.kind == ring::TwinKind::vport_tap ? "vport " : "VRF ") + spec.object + ": " +
                what + ": " + std::strerror(error));
}

/// The kernel answers ARP only for addresses of that interface and asks with one of them, checks
/// no reverse path (routes are not in the kernel), and does not forward between twins itself.
void put_router_settings(Request& request) {
    constexpr std::pair<std::uint16_t, std::uint32_t> kSettings[] = {
        {IPV4_DEVCONF_FORWARDING, 0},     {IPV4_DEVCONF_RP_FILTER, 0},
        {IPV4_DEVCONF_ARP_IGNORE, 1},     {IPV4_DEVCONF_ARP_ANNOUNCE, 2},
        {IPV4_DEVCONF_SEND_REDIRECTS, 0}, {IPV4_DEVCONF_ACCEPT_REDIRECTS, 0},
    };
    nlattr* const family = request.nest(AF_INET);
    nlattr* const settings = request.nest(IFLA_INET_CONF);
    for (const auto& [type, value] : kSettings) request.put_u32(type, value);
    request.end(settings);
    request.end(family);
}

Request change_address(std::uint16_t type, std::uint16_t flags, std::uint32_t index,
                       const net::InterfaceAddress& own) {
    ifaddrmsg header{};
    header.ifa_family = family_of(own.address);
    header.ifa_prefixlen = own.length;
    header.ifa_index = index;
    return Request(type, flags, header);
}

ndmsg neighbor_header(std::uint32_t index, const net::IpAddress& address) {
    ndmsg header{};
    header.ndm_family = family_of(address);
    header.ndm_ifindex = static_cast<int>(index);
    return header;
}

const nlattr* find_inside(const nlattr* nest, std::uint16_t type) {
    struct Search {
        std::uint16_t type;
        const nlattr* found;
    } search{type, nullptr};
    const auto look = [](const nlattr* attribute, void* data) {
        auto* const wanted = static_cast<Search*>(data);
        if (mnl_attr_get_type(attribute) == wanted->type) wanted->found = attribute;
        return MNL_CB_OK;
    };
    if (nest != nullptr) mnl_attr_parse_nested(nest, look, &search);
    return search.found;
}

int change_rule(NetlinkSocket& socket, std::uint16_t type, unsigned char family,
                std::uint32_t table) {
    fib_rule_hdr header{};
    header.family = family;
    header.action = FR_ACT_TO_TBL;
    Request request(type, type == RTM_NEWRULE ? NLM_F_CREATE | NLM_F_EXCL : 0, header);
    request.put_u32(FRA_PRIORITY, kInjectRule);
    request.put_u32(FRA_TABLE, table);
    request.put_u8(FRA_PROTOCOL, kOurProtocol);
    return socket.request(request);
}

/// `metric` 0: the family's own.
int add_default_route(NetlinkSocket& socket, unsigned char family, std::uint32_t index,
                      std::uint32_t table, std::uint32_t metric) {
    rtmsg header{};
    header.rtm_family = family;
    header.rtm_protocol = kOurProtocol;
    header.rtm_scope = family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    header.rtm_type = RTN_UNICAST;
    Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, header);
    request.put_u32(RTA_TABLE, table);
    request.put_u32(RTA_OIF, index);
    if (metric != 0) request.put_u32(RTA_PRIORITY, metric);
    return socket.request(request);
}

/// Of an interface; zero: it has none, or has vanished.
net::MacAddress mac_of(NetlinkSocket& socket, std::uint32_t index) {
    net::MacAddress mac{};
    ifinfomsg header{};
    header.ifi_index = static_cast<int>(index);
    Request request(RTM_GETLINK, 0, header);
    socket.query(request, [&](const nlmsghdr* message) {
        static_cast<void>(Attributes(message, sizeof(ifinfomsg)).mac(IFLA_ADDRESS, mac));
    });
    return mac;
}

}  // namespace

std::uint32_t find_link(NetlinkSocket& socket, const std::string& name) {
    // A dump would do as well; asking for a missing name answers ENODEV.
    std::uint32_t index = 0;
    ifinfomsg header{};
    Request request(RTM_GETLINK, 0, header);
    request.put_text(IFLA_IFNAME, name);
    socket.query(request, [&](const nlmsghdr* message) {
        index = static_cast<std::uint32_t>(
            static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message))->ifi_index);
    });
    return index;
}

std::uint32_t table_of_vrf(NetlinkSocket& socket, std::uint32_t index) {
    std::uint32_t table = 0;
    ifinfomsg header{};
    header.ifi_index = static_cast<int>(index);
    Request request(RTM_GETLINK, 0, header);
    socket.query(request, [&](const nlmsghdr* message) {
        // IFLA_LINKINFO { IFLA_INFO_KIND "vrf", IFLA_INFO_DATA { IFLA_VRF_TABLE } }
        const nlattr* const info = Attributes(message, sizeof(ifinfomsg))[IFLA_LINKINFO];
        const nlattr* const kind = find_inside(info, IFLA_INFO_KIND);
        if (kind == nullptr || std::strcmp(mnl_attr_get_str(kind), "vrf") != 0) return;
        const nlattr* const number = find_inside(find_inside(info, IFLA_INFO_DATA), IFLA_VRF_TABLE);
        if (number != nullptr && mnl_attr_get_payload_len(number) == sizeof table)
            table = mnl_attr_get_u32(number);
    });
    return table;
}

Status set_link(NetlinkSocket& socket, const TwinSpec& spec, std::uint32_t index,
                std::uint32_t master) {
    const bool is_tap = spec.kind == ring::TwinKind::vport_tap;
    ifinfomsg header{};
    header.ifi_index = static_cast<int>(index);
    Request settings(RTM_NEWLINK, 0, header);
    // Only where it differs: Linux forgets an interface's neighbours whenever its MAC is set.
    if (is_tap && mac_of(socket, index) != spec.mac) settings.put_mac(IFLA_ADDRESS, spec.mac);
    settings.put_u32(IFLA_MTU, spec.mtu);
    if (master != 0) settings.put_u32(IFLA_MASTER, master);
    nlattr* const families = settings.nest(IFLA_AF_SPEC);
    put_router_settings(settings);
    nlattr* const ipv6 = settings.nest(AF_INET6);
    // ND needs a link-local address; `inject` shall not be seen at all.
    settings.put_u8(IFLA_INET6_ADDR_GEN_MODE,
                    is_tap ? IN6_ADDR_GEN_MODE_EUI64 : IN6_ADDR_GEN_MODE_NONE);
    settings.end(ipv6);
    settings.end(families);
    if (const int error = socket.request(settings); error != 0)
        return status_of(error, spec, "MAC, MTU and settings cannot be set");
    header.ifi_change = IFF_UP;
    header.ifi_flags = spec.admin_up ? IFF_UP : 0;
    Request state(RTM_NEWLINK, 0, header);
    return status_of(socket.request(state), spec, "cannot be set up");
}

Status remove_links(NetlinkSocket& socket, const std::vector<std::uint32_t>& indexes) {
    constexpr std::uint32_t kLeavingGroup = 0x77796500;
    for (const std::uint32_t index : indexes) {
        ifinfomsg header{};
        header.ifi_index = static_cast<int>(index);
        Request request(RTM_NEWLINK, 0, header);
        request.put_u32(IFLA_GROUP, kLeavingGroup);
        socket.request(request);  // fails if the interface has vanished by itself
    }
    Request request(RTM_DELLINK, 0, ifinfomsg{});
    request.put_u32(IFLA_GROUP, kLeavingGroup);
    const int error = socket.request(request);
    if (error == 0 || error == ENODEV) return {};
    return fail(std::string("interfaces cannot be removed: ") + std::strerror(error));
}

Status set_addresses(NetlinkSocket& socket, const TwinSpec& spec, std::uint32_t index) {
    std::vector<net::InterfaceAddress> stale, present;
    socket.dump(RTM_GETADDR, AF_UNSPEC, sizeof(ifaddrmsg), [&](const nlmsghdr* message) {
        const auto* const header = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
        const Attributes attributes(message, sizeof *header);
        net::InterfaceAddress own;
        own.length = header->ifa_prefixlen;
        if (header->ifa_index != index || attributes.u8(IFA_PROTO) != kOurProtocol) return;
        if (!attributes.address(IFA_LOCAL, header->ifa_family, own.address) &&
            !attributes.address(IFA_ADDRESS, header->ifa_family, own.address))
            return;
        const auto& wanted = spec.addresses;
        const bool keep = std::find(wanted.begin(), wanted.end(), own) != wanted.end();
        (keep ? present : stale).push_back(own);
    });
    for (const net::InterfaceAddress& own : stale) {
        Request request = change_address(RTM_DELADDR, 0, index, own);
        request.put_address(IFA_LOCAL, own.address);
        socket.request(request);
    }
    for (const net::InterfaceAddress& own : spec.addresses) {
        if (std::find(present.begin(), present.end(), own) != present.end()) continue;
        Request request = change_address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, own);
        request.put_address(IFA_LOCAL, own.address);
        request.put_address(IFA_ADDRESS, own.address);
        request.put_u8(IFA_PROTO, kOurProtocol);
        if (const int error = socket.request(request); error != 0)
            return status_of(error, spec,
                             "address " + net::to_string(own.address) + " cannot be set");
    }
    return {};
}

Status set_neighbors(NetlinkSocket& socket, const TwinSpec& spec, std::uint32_t index) {
    std::vector<net::IpAddress> stale;
    socket.dump(RTM_GETNEIGH, AF_UNSPEC, sizeof(ndmsg), [&](const nlmsghdr* message) {
        const auto* const header = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message));
        const Attributes attributes(message, sizeof *header);
        net::IpAddress address;
        if (header->ndm_ifindex != static_cast<int>(index) ||
            attributes.u8(NDA_PROTOCOL) != kOurProtocol || (header->ndm_state & NUD_PERMANENT) == 0)
            return;
        if (!attributes.address(NDA_DST, header->ndm_family, address)) return;
        const bool keep =
            std::any_of(spec.neighbors.begin(), spec.neighbors.end(),
                        [&](const manifest::StaticNeighbor& n) { return n.address == address; });
        if (!keep) stale.push_back(address);
    });
    for (const net::IpAddress& address : stale) delete_neighbor(socket, index, address);
    if (!spec.admin_up) return {};  // the kernel drops them when the interface goes down
    for (const manifest::StaticNeighbor& neighbor : spec.neighbors) {
        ndmsg header = neighbor_header(index, neighbor.address);
        header.ndm_state = NUD_PERMANENT;
        Request request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, header);
        request.put_address(NDA_DST, neighbor.address);
        request.put_mac(NDA_LLADDR, neighbor.mac);
        request.put_u8(NDA_PROTOCOL, kOurProtocol);
        if (const int error = socket.request(request); error != 0)
            return status_of(error, spec,
                             "neighbour " + net::to_string(neighbor.address) + " cannot be set");
    }
    return {};
}

Status set_inject_routes(NetlinkSocket& socket, const TwinSpec& spec, std::uint32_t index,
                         std::uint32_t master) {
    const std::uint32_t table = master == 0 ? index : table_of_vrf(socket, master);
    if (table == 0) return status_of(ENODEV, spec, spec.vrf.name + " is no VRF device");
    for (const unsigned char family : kFamilies) {
        const int failed =
            add_default_route(socket, family, index, table, master == 0 ? 0 : kInjectMetric);
        if (failed != 0) return status_of(failed, spec, "default route cannot be set");
        if (master != 0) continue;
        const int error = change_rule(socket, RTM_NEWRULE, family, index);
        if (error != 0 && error != EEXIST)
            return status_of(error, spec, "routing rule cannot be set");
    }
    return {};
}

void remove_inject_rules(NetlinkSocket& socket, const TwinSpec& spec, std::uint32_t index) {
    if (spec.vrf.kind == manifest::KernelVrf::Kind::device) return;  // routes go with the interface
    for (const unsigned char family : kFamilies) change_rule(socket, RTM_DELRULE, family, index);
}

int probe_neighbor(NetlinkSocket& socket, std::uint32_t index, const net::IpAddress& address,
                   bool managed) {
    ndmsg header = neighbor_header(index, address);
    header.ndm_state = NUD_NONE;
    header.ndm_flags = NTF_USE;
    Request request(RTM_NEWNEIGH, NLM_F_CREATE, header);
    request.put_address(NDA_DST, address);
    if (managed) request.put_u32(NDA_FLAGS_EXT, NTF_EXT_MANAGED);
    return socket.request(request);
}

int verify_neighbor(NetlinkSocket& socket, std::uint32_t index, const net::IpAddress& address) {
    ndmsg header = neighbor_header(index, address);
    header.ndm_state = NUD_PROBE;
    Request request(RTM_NEWNEIGH, NLM_F_REPLACE, header);
    request.put_address(NDA_DST, address);
    return socket.request(request);
}

int delete_neighbor(NetlinkSocket& socket, std::uint32_t index, const net::IpAddress& address) {
    Request request(RTM_DELNEIGH, 0, neighbor_header(index, address));
    request.put_address(NDA_DST, address);
    return socket.request(request);
}

}  // namespace wye::kernel
