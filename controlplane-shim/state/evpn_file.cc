// The file by which a restarted shim knows the tunnels of EVPN: a cache of this boot, not configuration.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "controlplane-shim/state/evpn.hh"

namespace wye::state {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;

template <class T>
T need(const std::optional<T>& value, const char* what) {
    if (!value) throw std::runtime_error(std::string("no ") + what);
    return *value;
}

net::IpAddress address_of(const Json& row, const char* key) {
    return need(net::parse_ip(row.at(key).get<std::string>()), key);
}
net::MacAddress mac_of(const Json& row, const char* key) {
    return need(net::parse_mac(row.at(key).get<std::string>()), key);
}

Json row_of(const EvpnTunnel& made) {
    return {{"tenant", made.tenant},
            {"name", made.tunnel.name},
            {"vrf", made.vport.vrf},
            {"underlay_vrf", made.tunnel.underlay_vrf},
            {"local", net::to_string(made.tunnel.local)},
            {"remote", net::to_string(made.tunnel.remote)},
            {"vni", made.tunnel.vni},
            {"destination_port", made.tunnel.destination_port},
            {"ttl", made.tunnel.ttl},
            {"copy_dscp", made.tunnel.copy_dscp},
            {"mac", net::to_string(made.vport.mac)},
            {"mtu", made.vport.mtu},
            {"router_mac", net::to_string(made.vport.neighbors.front().mac)}};
}

EvpnTunnel tunnel_of(const Json& row) {
    EvpnTunnel made;
    made.tenant = row.at("tenant").get<std::string>();
    manifest::Tunnel& tunnel = made.tunnel;
    tunnel.name = row.at("name").get<std::string>();
    tunnel.underlay_vrf = row.at("underlay_vrf").get<std::string>();
    tunnel.local = address_of(row, "local");
    tunnel.remote = address_of(row, "remote");
    tunnel.vni = row.at("vni").get<std::uint32_t>();
    tunnel.destination_port = row.at("destination_port").get<std::uint16_t>();
    tunnel.ttl = row.at("ttl").get<std::uint8_t>();
    tunnel.copy_dscp = row.at("copy_dscp").get<bool>();
    manifest::Vport& vport = made.vport;
    vport.name = tunnel.name;
    vport.vrf = row.at("vrf").get<std::string>();
    vport.kind = VportKind::tunnel;
    vport.tunnel = tunnel.name;
    vport.mac = mac_of(row, "mac");
    vport.mtu = row.at("mtu").get<std::uint16_t>();
    vport.has_twin = false;
    vport.neighbors.push_back({tunnel.remote, mac_of(row, "router_mac")});
    return made;
}

}  // namespace

Status save_evpn(const std::string& path, const std::vector<EvpnTunnel>& tunnels) {
    Json rows = Json::array();
    for (const EvpnTunnel& made : tunnels) rows.push_back(row_of(made));
    const std::string text = Json{{"version", kVersion}, {"tunnels", rows}}.dump(1) + "\n";
    const std::string beside = path + ".new";
    const int file = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const bool written =
        file >= 0 && write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const int error = errno;
    if (file >= 0) close(file);
    if (!written) return fail(beside + " cannot be written: " + std::strerror(error));
    if (std::rename(beside.c_str(), path.c_str()) != 0)
        return fail(path + " cannot be replaced: " + std::strerror(errno));
    return {};
}

Result<std::vector<EvpnTunnel>> load_evpn(const std::string& path) {
    std::ifstream file(path);
    std::vector<EvpnTunnel> tunnels;
    if (!file) return tunnels;
    try {
        const Json in = Json::parse(file);
        if (in.at("version").get<int>() != kVersion) throw std::runtime_error("another version");
        for (const Json& row : in.at("tunnels")) tunnels.push_back(tunnel_of(row));
        return tunnels;
    } catch (const std::exception& broken) {
        return fail(path + " is not what wye-shim writes (" + broken.what() +
                    "): tunnels of EVPN are made anew when zebra tells its routes");
    }
}

}  // namespace wye::state
