#include "controlplane-shim/kernel/listener.hh"

#include <linux/if_link.h>
#include <linux/neighbour.h>

#include <array>
#include <cstring>

namespace wye::kernel {
namespace {

constexpr std::uint16_t kUsable = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;

/// NOARP otherwise says that the link has no addresses; from a routing daemon it says that the MAC came
/// with a route.
bool is_usable(const ndmsg& neighbor) {
    if ((neighbor.ndm_state & kUsable) != 0) return true;
    return (neighbor.ndm_state & NUD_NOARP) != 0 && (neighbor.ndm_flags & NTF_EXT_LEARNED) != 0;
}

constexpr std::uint8_t kTosInherit = 1;  // the kernel's number for `tos inherit`

std::optional<Link::Vxlan> parse_vxlan(const Attributes& info) {
    if (info.text(IFLA_INFO_KIND) != "vxlan") return std::nullopt;
    const Attributes data(info[IFLA_INFO_DATA]);
    if (data[IFLA_VXLAN_ID] == nullptr || data.u8(IFLA_VXLAN_COLLECT_METADATA) != 0)
        return std::nullopt;
    Link::Vxlan vxlan;
    vxlan.vni = data.u32(IFLA_VXLAN_ID);
    net::IpAddress local;
    if (data.address(IFLA_VXLAN_LOCAL, AF_INET, local) ||
        data.address(IFLA_VXLAN_LOCAL6, AF_INET6, local))
        vxlan.local = local;
    vxlan.destination_port = data.big_endian16(IFLA_VXLAN_PORT);
    vxlan.ttl = data.u8(IFLA_VXLAN_TTL);
    vxlan.copies_dscp = data.u8(IFLA_VXLAN_TOS) == kTosInherit;
    return vxlan;
}

}  // namespace

Listener::Listener(std::string netns, KernelSink& sink, NetlinkSocket events,
                   NetlinkSocket requests)
    : netns_(std::move(netns)),
      sink_(sink),
      events_(std::move(events)),
      requests_(std::move(requests)) {}

Result<std::unique_ptr<Listener>> Listener::start(const std::string& netns, KernelSink& sink,
                                                  int receive_buffer) {
    static constexpr std::array<unsigned, 4> kGroups{RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR,
                                                     RTNLGRP_IPV6_IFADDR, RTNLGRP_NEIGH};
    Result<NetlinkSocket> events = NetlinkSocket::open(netns, kGroups, receive_buffer);
    if (!events) return tl::unexpected<Error>(events.error());
    Result<NetlinkSocket> requests = NetlinkSocket::open(netns);
    if (!requests) return tl::unexpected<Error>(requests.error());
    std::unique_ptr<Listener> listener(
        new Listener(netns, sink, std::move(*events), std::move(*requests)));
    const Status dumped = listener->dump_all();
    if (!dumped) return tl::unexpected<Error>(dumped.error());
    return listener;
}

void Listener::run() {
    const bool complete = events_.receive([this](const nlmsghdr* m) { on_message(m); });
    if (!complete) static_cast<void>(dump_all());
}

Status Listener::dump_links() {
    std::map<std::uint32_t, Link> gone = links_;
    const int error =
        requests_.dump(RTM_GETLINK, AF_UNSPEC, sizeof(ifinfomsg), [&](const nlmsghdr* message) {
            const auto* const link = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
            gone.erase(static_cast<std::uint32_t>(link->ifi_index));
            on_link(message);
        });
    if (error != 0) return fail(std::string("links cannot be listed: ") + std::strerror(error));
    for (const auto& [index, link] : gone) {
        links_.erase(index);
        sink_.link_removed(key(index));
    }
    return {};
}

Status Listener::dump_all() {
    ++dumps_;
    if (Status listed = dump_links(); !listed) return listed;
    std::set<AddressKey> addresses;
    const int address_error =
        requests_.dump(RTM_GETADDR, AF_UNSPEC, sizeof(ifaddrmsg), [&](const nlmsghdr* message) {
            if (const auto parsed = parse_address(message)) addresses.insert(*parsed);
        });
    if (address_error != 0)
        return fail(std::string("addresses cannot be listed: ") + std::strerror(address_error));
    for (const AddressKey& old : std::set<AddressKey>(addresses_)) {
        if (addresses.contains(old)) continue;
        addresses_.erase(old);
        sink_.address_changed(key(old.first), old.second, false);
    }
    for (const AddressKey& now : addresses)
        if (addresses_.insert(now).second) sink_.address_changed(key(now.first), now.second, true);

    std::map<NeighborKey, Neighbor> before = std::exchange(neighbors_, {});
    const int neighbor_error =
        requests_.dump(RTM_GETNEIGH, AF_UNSPEC, sizeof(ndmsg),
                       [this](const nlmsghdr* message) { on_neighbor(message); });
    if (neighbor_error != 0)
        return fail(std::string("neighbours cannot be listed: ") + std::strerror(neighbor_error));
    for (const auto& [old, neighbor] : before)
        if (!neighbors_.contains(old))
            sink_.neighbor_changed(key(old.first), old.second, std::nullopt);
    return {};
}

void Listener::retract() {
    for (const auto& [neighbor, mac] : std::exchange(neighbors_, {}))
        sink_.neighbor_changed(key(neighbor.first), neighbor.second, std::nullopt);
    for (const AddressKey& address : std::exchange(addresses_, {}))
        sink_.address_changed(key(address.first), address.second, false);
    for (const auto& [index, link] : std::exchange(links_, {})) sink_.link_removed(key(index));
}

bool Listener::managed(std::uint32_t index, const net::IpAddress& address) const {
    const auto found = neighbors_.find({index, address});
    return found != neighbors_.end() && found->second.managed;
}

void Listener::on_message(const nlmsghdr* message) {
    switch (message->nlmsg_type) {
        case RTM_NEWLINK:
        case RTM_DELLINK:
            on_link(message);
            break;
        case RTM_NEWADDR:
        case RTM_DELADDR:
            on_address(message);
            break;
        case RTM_NEWNEIGH:
        case RTM_DELNEIGH:
            on_neighbor(message);
            break;
        default:
            break;
    }
}

void Listener::on_link(const nlmsghdr* message) {
    const auto* const link = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
    if (link->ifi_family != AF_UNSPEC) return;  // of a bridge port as such
    const auto index = static_cast<std::uint32_t>(link->ifi_index);
    if (message->nlmsg_type == RTM_DELLINK) {
        links_.erase(index);
        return sink_.link_removed(key(index));
    }
    const Attributes attributes(message, sizeof *link);
    Link now;
    static_cast<void>(attributes.mac(IFLA_ADDRESS, now.mac));  // a TUN device has none
    now.mtu = attributes.u32(IFLA_MTU);
    now.vxlan = parse_vxlan(Attributes(attributes[IFLA_LINKINFO]));
    const auto [known, is_new] = links_.try_emplace(index, now);
    if (!is_new && known->second == now) return;
    known->second = now;
    sink_.link_changed(key(index), now);
}

std::optional<Listener::AddressKey> Listener::parse_address(const nlmsghdr* message) {
    const auto* const header = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
    const Attributes attributes(message, sizeof *header);
    net::InterfaceAddress address;
    address.length = header->ifa_prefixlen;
    // IFA_LOCAL is the own address where the other one is the peer's.
    if (!attributes.address(IFA_LOCAL, header->ifa_family, address.address) &&
        !attributes.address(IFA_ADDRESS, header->ifa_family, address.address))
        return std::nullopt;
    return AddressKey{header->ifa_index, address};
}

void Listener::on_address(const nlmsghdr* message) {
    const auto parsed = parse_address(message);
    if (!parsed) return;
    const bool present = message->nlmsg_type == RTM_NEWADDR;
    const bool changed =
        present ? addresses_.insert(*parsed).second : addresses_.erase(*parsed) != 0;
    if (changed) sink_.address_changed(key(parsed->first), parsed->second, present);
}

void Listener::on_neighbor(const nlmsghdr* message) {
    const auto* const header = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message));
    if (header->ndm_family != AF_INET && header->ndm_family != AF_INET6) return;
    const Attributes attributes(message, sizeof *header);
    NeighborKey neighbor{static_cast<std::uint32_t>(header->ndm_ifindex), {}};
    if (!attributes.address(NDA_DST, header->ndm_family, neighbor.second)) return;
    const bool deleted = message->nlmsg_type == RTM_DELNEIGH;
    Neighbor now;
    now.managed = (attributes.u32(NDA_FLAGS_EXT) & NTF_EXT_MANAGED) != 0;
    const bool has_mac =
        attributes.mac(NDA_LLADDR, now.mac) && !now.mac.is_zero() && !now.mac.is_multicast();
    if (!deleted && is_usable(*header) && has_mac) {
        const auto found = neighbors_.find(neighbor);
        const bool same = found != neighbors_.end() && found->second.mac == now.mac;
        neighbors_[neighbor] = now;
        if (!same) sink_.neighbor_changed(key(neighbor.first), neighbor.second, now.mac);
    } else if (deleted || (header->ndm_state & NUD_FAILED) != 0) {
        // Also of one that was never usable: whoever asked for it has the answer.
        neighbors_.erase(neighbor);
        sink_.neighbor_changed(key(neighbor.first), neighbor.second, std::nullopt);
    }
}

}  // namespace wye::kernel
