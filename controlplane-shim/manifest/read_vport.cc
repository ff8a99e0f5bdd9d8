// A vport and a tunnel, each by itself.
#include <array>

#include "controlplane-shim/manifest/draft.hh"

namespace wye::manifest {
namespace {

constexpr std::size_t kLongestTwin = 15;  // IFNAMSIZ - 1
constexpr std::string_view kInjectPrefix = "inj-";
constexpr std::uint16_t kSmallestMtu = 1280;
constexpr std::uint16_t kLargestMtu = 9216;
constexpr std::string_view kMtuWords =
    "below 1280 IPv6 does not work (RFC 8200 5), above 9216 no packet buffer holds it";
constexpr std::string_view kVlanWords =
    "0 means no VLAN and 4095 is reserved (IEEE 802.1Q 9.6); leave the key out for untagged";

void read_attachment(Section& section, Vport& vport) {
    const bool has_port = section.has("port"), has_tunnel = section.has("tunnel");
    if (auto port = section.name("port")) vport.port = std::move(*port);
    if (auto tunnel = section.name("tunnel")) vport.tunnel = std::move(*tunnel);
    if (has_port && has_tunnel) {
        section.problem("tunnel", "a vport is on a port or inside a tunnel, not both: remove one");
    } else if (!has_port && !has_tunnel) {
        section.problem("", "has neither port nor tunnel: say where the vport attaches");
    }
    vport.kind = has_tunnel ? VportKind::tunnel : VportKind::port;
    const auto take = [&section](std::string_view key, std::uint16_t& out) {
        const auto vlan = section.number(key, 1, 4094, kVlanWords);
        if (section.has(key)) out = static_cast<std::uint16_t>(vlan.value_or(kUnreadable));
    };
    take("vlan", vport.vlan);
    take("inner_vlan", vport.inner_vlan);
    if (has_tunnel && !has_port && section.has("vlan")) {
        section.problem("vlan", "a vport inside a tunnel has no VLAN: remove it");
    } else if (section.has("inner_vlan") && !section.has("vlan")) {
        section.problem("inner_vlan", "needs vlan, the outer tag, beside it");
    }
}

void read_twin(Section& section, Vport& vport) {
    if (auto twin = section.interface_name("twin")) {
        vport.twin = std::move(*twin);
    } else if (!section.has("twin") && !vport.name.empty()) {
        if (vport.name.size() > kLongestTwin) {
            section.problem("name",
                            "is longer than the 15 bytes of an interface name in Linux: "
                            "shorten it or give the vport a twin: NAME");
        } else {
            vport.twin = vport.name;
        }
    }
    if (vport.twin.starts_with(kInjectPrefix)) {
        section.problem(section.has("twin") ? "twin" : "name",
                        "interface names that begin with inj- belong to the VRFs' inject devices: "
                        "choose another");
    }
    if (vport.twin == "lo" || vport.twin == "." || vport.twin == "..") {
        section.problem(section.has("twin") ? "twin" : "name",
                        vport.twin + " cannot be a twin's interface name: choose another");
    }
}

/// Empty: a host in that network can have the address.
std::string why_no_interface_address(const net::InterfaceAddress& address) {
    if (const auto why = why_not_unicast(address.address); !why.empty()) return std::string(why);
    // RFC 3021: both addresses of a /31 are hosts.
    if (!address.address.is_ipv4() || address.length >= 31) return {};
    const std::uint32_t mask = 0xffffffffu >> address.length;
    const std::uint32_t host_bits = address.address.ipv4().host() & mask;
    if (host_bits == 0) return "is the network itself (host bits all zero)";
    if (host_bits == mask) return "is the broadcast address of its network";
    return {};
}

void read_addresses(Section& section, Vport& vport, Problems& problems) {
    section.each("addresses", [&](const Node& item, std::string path) {
        const auto refuse = [&](std::string why) { problems.add(item.line, path, std::move(why)); };
        if (item.kind == Node::Kind::refused) return;
        const auto address = item.kind == Node::Kind::scalar
                                 ? net::parse_interface_address(item.text)
                                 : std::nullopt;
        if (!address) return refuse("is no address with a length such as 192.0.2.1/24");
        if (address->length == 0) return refuse("has length 0: give the length of its network");
        if (const auto why = why_no_interface_address(*address); !why.empty()) {
            return refuse(item.text + " " + why + ": give an address of the router");
        }
        for (const auto& earlier : vport.addresses) {
            if (earlier.address == address->address) return refuse(item.text + " is given twice");
        }
        vport.addresses.push_back(*address);
    });
}

void read_neighbors(Section& section, Vport& vport, Problems& problems) {
    section.each("neighbors", [&](const Node& item, std::string path) {
        Section neighbor(item, std::move(path), problems);
        neighbor.require("address", "of the neighbour");
        neighbor.require("mac", "of the neighbour");
        const auto address = neighbor.unicast("address");
        const auto mac = neighbor.mac("mac");
        if (address) {
            for (const auto& earlier : vport.neighbors) {
                if (earlier.address != *address) continue;
                neighbor.problem("address", net::to_string(*address) + " is given twice: keep one");
                break;
            }
        }
        if (address && mac) vport.neighbors.push_back({*address, *mac});
        neighbor.finish();
    });
}

}  // namespace

Vport read_vport(const Node& node, std::string path, std::string_view default_vrf,
                 Problems& problems) {
    Section section(node, std::move(path), problems);
    Vport vport;
    section.require("name", "what people call the vport");
    vport.name = section.name("name").value_or("");
    if (default_vrf.empty()) section.require("vrf", "the VRF that it belongs to");
    vport.vrf = section.name("vrf").value_or(section.has("vrf") ? "" : std::string(default_vrf));
    read_attachment(section, vport);
    section.require("mac", "the router's MAC address there");
    vport.mac = section.mac("mac").value_or(net::MacAddress{});
    const auto mtu = section.number("mtu", kSmallestMtu, kLargestMtu, kMtuWords);
    if (section.has("mtu")) vport.mtu = static_cast<std::uint16_t>(mtu.value_or(kUnreadable));
    vport.admin_up = section.boolean("admin_up").value_or(true);
    read_twin(section, vport);
    vport.ingress_acl = section.name("ingress_acl").value_or("");
    vport.egress_acl = section.name("egress_acl").value_or("");
    read_addresses(section, vport, problems);
    read_neighbors(section, vport, problems);
    section.finish();
    return vport;
}

Tunnel read_tunnel(const Node& node, std::string path, Problems& problems) {
    static constexpr std::array<std::string_view, 2> kKinds{"vxlan", "geneve"};
    Section section(node, std::move(path), problems);
    Tunnel tunnel;
    section.require("name", "what people call the tunnel");
    tunnel.name = section.name("name").value_or("");
    section.require("kind", "vxlan or geneve");
    if (const auto kind = section.choice("kind", kKinds)) {
        tunnel.kind = *kind == 0 ? TunnelKind::vxlan : TunnelKind::geneve;
    }
    tunnel.underlay_vrf =
        section.name("underlay_vrf")
            .value_or(section.has("underlay_vrf") ? "" : std::string(kUnderlayName));
    section.require("local", "this router's outer address");
    section.require("remote", "the other end's outer address");
    const auto local = section.unicast("local"), remote = section.unicast("remote");
    if (local) tunnel.local = *local;
    if (remote) tunnel.remote = *remote;
    if (local && remote && local->family != remote->family) {
        section.problem("remote",
                        "local and remote are of different families: give both as IPv4 "
                        "or both as IPv6");
    } else if (local && remote && *local == *remote) {
        section.problem("remote", "is the same address as local: give the other end's");
    }
    section.require("vni", "the tunnel's network identifier");
    if (const auto vni = section.number("vni", 0, 0xffffff, "a VNI has 24 bits")) {
        tunnel.vni = static_cast<std::uint32_t>(*vni);
    }
    if (const auto port = section.number("destination_port", 1, 65535)) {
        tunnel.destination_port = static_cast<std::uint16_t>(*port);
    }
    if (const auto ttl = section.number("ttl", 1, 255)) {
        tunnel.ttl = static_cast<std::uint8_t>(*ttl);
    }
    if (const auto dscp = section.number("dscp", 0, 63)) {
        tunnel.dscp = static_cast<std::uint8_t>(*dscp);
    }
    tunnel.copy_dscp = section.boolean("copy_dscp").value_or(false);
    if (tunnel.copy_dscp && section.has("dscp")) {
        section.problem("dscp", "has no effect beside copy_dscp: true: remove one of them");
    }
    tunnel.udp_checksum = section.boolean("udp_checksum").value_or(false);
    section.finish();
    return tunnel;
}

}  // namespace wye::manifest
