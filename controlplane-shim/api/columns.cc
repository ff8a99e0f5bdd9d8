#include "controlplane-shim/api/columns.hh"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "dataplane/net/address.hh"

namespace wye::api {
namespace {

using enum Column::Type;
using Words = std::string_view;

constexpr std::array kPorts{
    Column{"port", "PORT", text},
    Column{"state", "STATE", text},
    Column{"link", "LINK", text},
    Column{"vports", "VPORTS", number},
    Column{"rx_packets", "RX packets", number},
    Column{"tx_packets", "TX packets", number},
    Column{"dropped_packets", "DROPPED packets", number},
    Column{"queues", "QUEUES", number},
    Column{"driver", "DRIVER", text},
    Column{"mode", "MODE", text},
    Column{"buffers", "BUFFERS", text},
    Column{"takes", "TAKES", text},
    Column{"offloads", "OFFLOADS", text},
};
constexpr std::array kVports{
    Column{"vport", "VPORT", text},
    Column{"tenant", "TENANT", text},
    Column{"vrf", "VRF", text},
    Column{"kind", "KIND", text},
    Column{"port", "PORT", text},
    Column{"vlan", "VLAN", number},
    Column{"inner_vlan", "INNER", number},
    Column{"tunnel", "TUNNEL", text},
    Column{"mac", "MAC", text},
    Column{"mtu", "MTU bytes", number},
    Column{"state", "STATE", text},
    Column{"twin", "TWIN", text},
    Column{"twin_index", "INDEX", number},
    Column{"ingress_acl", "INGRESS", text},
    Column{"egress_acl", "EGRESS", text},
    Column{"rx_packets", "RX packets", number},
    Column{"rx_bytes", "RX bytes", number},
    Column{"tx_packets", "TX packets", number},
    Column{"tx_bytes", "TX bytes", number},
    Column{"dropped_packets", "DROPPED packets", number},
    Column{"punted_packets", "PUNTED packets", number},
};
constexpr std::array kTenants{
    Column{"tenant", "TENANT", text},
    Column{"vrfs", "VRFS", number},
    Column{"vports", "VPORTS", number},
    Column{"max_vports", "MAX", number},
    Column{"tunnels", "TUNNELS", number},
    Column{"acls", "ACLS", number},
    Column{"acl_rules", "RULES", number},
    Column{"max_acl_rules", "MAX", number},
    Column{"routes", "ROUTES", number},
    Column{"max_routes", "MAX", number},
    Column{"neighbours", "NEIGHBOURS", number},
    Column{"max_neighbours", "MAX", number},
    Column{"punt_pps", "PUNT packets/s", number},
};
constexpr std::array kVrfs{
    Column{"vrf", "VRF", text},
    Column{"tenant", "TENANT", text},
    Column{"vni", "VNI", number},
    Column{"underlay", "UNDERLAY", text},
    Column{"kernel", "KERNEL", text},
    Column{"zebra_vrf", "ZEBRA", number},
    Column{"vports", "VPORTS", number},
    Column{"routes_ipv4", "IPv4 ROUTES", number},
    Column{"routes_ipv6", "IPv6 ROUTES", number},
    Column{"state", "STATE", text},
};
constexpr std::array kRoutes{
    Column{"vrf", "VRF", text},
    Column{"tenant", "TENANT", text},
    Column{"prefix", "PREFIX", text},
    Column{"protocol", "PROTOCOL", text},
    Column{"distance", "DISTANCE", number},
    Column{"metric", "METRIC", number},
    Column{"nexthop", "NEXT HOP", text},
    Column{"vport", "VPORT", text},
    Column{"weight", "WEIGHT", number},
    Column{"state", "STATE", text},
    Column{"reason", "REASON", text},
};
constexpr std::array kNexthops{
    Column{"nexthop", "NEXT HOP", number},
    Column{"kind", "KIND", text},
    Column{"tenant", "TENANT", text},
    Column{"vrf", "VRF", text},
    Column{"vport", "VPORT", text},
    Column{"gateway", "GATEWAY", text},
    Column{"mac", "MAC", text},
    Column{"groups", "GROUPS", number},
    Column{"state", "STATE", text},
};
constexpr std::array kTunnels{
    Column{"tunnel", "TUNNEL", text},
    Column{"tenant", "TENANT", text},
    Column{"kind", "KIND", text},
    Column{"underlay_vrf", "UNDERLAY", text},
    Column{"local", "LOCAL", text},
    Column{"remote", "REMOTE", text},
    Column{"vni", "VNI", number},
    Column{"destination_port", "UDP PORT", number},
    Column{"vport", "VPORT", text},
    Column{"state", "STATE", text},
    Column{"encapsulated_packets", "ENCAPSULATED packets", number},
    Column{"encapsulated_bytes", "ENCAPSULATED bytes", number},
    Column{"decapsulated_packets", "DECAPSULATED packets", number},
    Column{"decapsulated_bytes", "DECAPSULATED bytes", number},
};
constexpr std::array kNeighbours{
    Column{"vport", "VPORT", text}, Column{"tenant", "TENANT", text},
    Column{"vrf", "VRF", text},     Column{"address", "ADDRESS", text},
    Column{"mac", "MAC", text},     Column{"source", "SOURCE", text},
    Column{"state", "STATE", text},
};
constexpr std::array kAcls{
    Column{"acl", "ACL", text},
    Column{"tenant", "TENANT", text},
    Column{"rule", "RULE", number},
    Column{"action", "ACTION", text},
    Column{"family", "FAMILY", text},
    Column{"protocol", "PROTOCOL", text},
    Column{"source", "SOURCE", text},
    Column{"source_ports", "PORTS", text},
    Column{"destination", "DESTINATION", text},
    Column{"destination_ports", "PORTS", text},
    Column{"icmp", "ICMP", text},
    Column{"tcp_flags", "TCP FLAGS", text},
    Column{"dscp", "DSCP", number},
    Column{"fragment", "FRAGMENT", text},
    Column{"packets", "HITS packets", number},
    Column{"bytes", "HITS bytes", number},
};
constexpr std::array kCounters{
    Column{"scope", "SCOPE", text},
    Column{"name", "NAME", text},
};
constexpr std::array kDrops{
    Column{"reason", "REASON", text},       Column{"port", "PORT", text},
    Column{"tenant", "TENANT", text},       Column{"packets", "DROPPED packets", number},
    Column{"words", "WHAT IT MEANS", text},
};
constexpr std::array kWorkers{
    Column{"worker", "WORKER", number},
    Column{"core", "CORE", number},
    Column{"state", "STATE", text},
    Column{"rx_packets", "RX packets", number},
    Column{"tx_packets", "TX packets", number},
    Column{"dropped_packets", "DROPPED packets", number},
    Column{"polls", "POLLS", number},
    Column{"polls_with_packets", "WITH PACKETS", number},
    Column{"sleeps", "SLEEPS", number},
    Column{"sleep_ms", "SLEPT ms", number},
    Column{"busy_cycles", "BUSY cycles", number},
    Column{"idle_cycles", "IDLE cycles", number},
    Column{"busy_percent", "BUSY %", number},
    Column{"burst_packets", "BURST packets", number},
    Column{"full_bursts_percent", "FULL %", number},
    Column{"admission", "ADMISSION", text},
    Column{"ipv4_lookup", "IPV4 LOOKUP", text},
    Column{"ipv6_lookup", "IPV6 LOOKUP", text},
    Column{"acl_lookup", "ACL LOOKUP", text},
    Column{"stalls", "STALLS", number},
    Column{"stall_ms", "STALL ms", number},
    Column{"longest_stall_ms", "LONGEST ms", number},
    Column{"stack", "STACK OF THE LAST STALL", text},
};
constexpr std::array kQueues{
    Column{"queue", "QUEUE", number},   Column{"port", "PORT", text},
    Column{"kind", "KIND", text},       Column{"index", "INDEX", number},
    Column{"worker", "WORKER", number}, Column{"rx_packets", "RX packets", number},
    Column{"cycles", "CYCLES", number},
};
constexpr std::array kRings{
    Column{"ring", "RING", text},         Column{"size", "SIZE", number},
    Column{"room", "ROOM", number},       Column{"passed", "PASSED", number},
    Column{"waiting", "WAITING", number}, Column{"refused", "REFUSED", number},
    Column{"lost", "LOST", number},
};
constexpr std::array kBfd{
    Column{"vrf", "VRF", text},
    Column{"neighbour", "NEIGHBOUR", text},
    Column{"local", "LOCAL", text},
    Column{"vport", "VPORT", text},
    Column{"hops", "HOPS", text},
    Column{"state", "STATE", text},
    Column{"state_seconds", "SINCE s", number},
    Column{"diagnostic", "DIAGNOSTIC", text},
    Column{"remote_state", "REMOTE", text},
    Column{"path", "PATH", text},
    Column{"transmit_ms", "TRANSMIT ms", text},
    Column{"detection_ms", "DETECTION ms", text},
    Column{"multiplier", "MULTIPLIER", number},
    Column{"remote_multiplier", "REMOTE", number},
    Column{"polling", "POLLING", text},
    Column{"discriminator", "DISCRIMINATOR", number},
    Column{"remote_discriminator", "REMOTE", number},
    Column{"ups", "UPS", number},
    Column{"downs", "DOWNS", number},
    Column{"last_down", "LAST DOWN", text},
    Column{"last_down_seconds", "AGO s", number},
    Column{"rx_packets", "RX packets", number},
    Column{"tx_packets", "TX packets", number},
    Column{"dropped_packets", "DROPPED packets", number},
    Column{"drop_reasons", "REASONS", text},
    Column{"stalls", "STALLS", number},
    Column{"stalled_ms", "STALLED ms", number},
};
constexpr std::array kStatus{
    Column{"item", "ITEM", text},
    Column{"state", "STATE", text},
    Column{"detail", "DETAIL", text},
};

constexpr std::array kLedgerCells{
    Column{"rx", "RX packets", number},       Column{"from_host", "FROM HOST", number},
    Column{"generated", "GENERATED", number}, Column{"moved_in", "MOVED IN", number},
    Column{"tx", "TX packets", number},       Column{"dropped", "DROPPED", number},
    Column{"punted", "PUNTED", number},       Column{"consumed", "CONSUMED", number},
    Column{"moved_out", "MOVED OUT", number}, Column{"held", "HELD", number},
    Column{"balance", "BALANCE", number},
};
constexpr std::array kVportCells{
    Column{"rx_packets", "RX packets", number},   Column{"rx_bytes", "RX bytes", number},
    Column{"tx_packets", "TX packets", number},   Column{"tx_bytes", "TX bytes", number},
    Column{"dropped", "DROPPED packets", number}, Column{"punted", "PUNTED packets", number},
};
constexpr std::array kTunnelCells{
    Column{"encapsulated_packets", "ENCAPSULATED packets", number},
    Column{"encapsulated_bytes", "ENCAPSULATED bytes", number},
    Column{"decapsulated_packets", "DECAPSULATED packets", number},
    Column{"decapsulated_bytes", "DECAPSULATED bytes", number},
};
constexpr std::array kVrfCells{
    Column{"lookups_ipv4", "IPv4 LOOKUPS", number},
    Column{"lookups_ipv6", "IPv6 LOOKUPS", number},
    Column{"no_route", "NO ROUTE packets", number},
    Column{"icmp_errors", "ICMP ERRORS packets", number},
};
constexpr std::array kAclCells{
    Column{"rule", "RULE", number},
    Column{"packets", "HITS packets", number},
    Column{"bytes", "HITS bytes", number},
};

constexpr std::array<Words, 2> kByPort{"port", "nonzero"};
constexpr std::array<Words, 4> kByVport{"tenant", "vrf", "port", "nonzero"};
constexpr std::array<Words, 1> kByTenant{"tenant"};
constexpr std::array<Words, 2> kByVrf{"tenant", "vrf"};
constexpr std::array<Words, 1> kBySession{"vrf"};
constexpr std::array<Words, 5> kByRoute{"tenant", "vrf", "prefix", "match", "failed"};
constexpr std::array<Words, 2> kByTunnel{"tenant", "nonzero"};
constexpr std::array<Words, 4> kByCounter{"tenant", "vrf", "port", "nonzero"};
constexpr std::array<Words, 3> kByDrop{"tenant", "port", "nonzero"};

constexpr std::array kShows{
    Show{"ports", "ports of the data plane that the manifest uses", kPorts, kByPort},
    Show{"vports", "where tenants attach: by VLAN on a port, or inside a tunnel", kVports,
         kByVport},
    Show{"tenants", "tenants, what they have and their quotas", kTenants, kByTenant},
    Show{"vrfs", "VRFs, their kernel half and how many routes they hold", kVrfs, kByVrf},
    Show{"routes", "routes in the fast path, a line for each next hop", kRoutes, kByRoute},
    Show{"nexthops", "next hops and whether they are resolved", kNexthops, kByVrf},
    Show{"tunnels", "VXLAN and GENEVE tunnels", kTunnels, kByTunnel},
    Show{"neighbours", "ARP and ND entries", kNeighbours, kByVrf},
    Show{"acls", "ACLs rule by rule, with their hits", kAcls, kByTunnel},
    Show{"counters", "everything that is counted, with the ledger's balance", kCounters,
         kByCounter},
    Show{"drops", "dropped packets by reason", kDrops, kByDrop},
    Show{"workers", "the workers' poll loops", kWorkers, {}},
    Show{"queues", "receive queues of ports, and which worker has them", kQueues, kByPort},
    Show{"bfd", "BFD sessions, how they are and what they count", kBfd, kBySession},
    Show{"rings", "the rings between shim and data plane", kRings, {}},
    Show{"status", "who is connected, and what is refused", kStatus, {}},
};

struct Scope {
    Words name;
    std::span<const Column> cells;
};
constexpr std::array kScopes{
    Scope{"worker", kLedgerCells}, Scope{"port", kLedgerCells},   Scope{"tenant", kLedgerCells},
    Scope{"vport", kVportCells},   Scope{"tunnel", kTunnelCells}, Scope{"vrf", kVrfCells},
    Scope{"acl", kAclCells},
};
constexpr auto kScopeNames = [] {
    std::array<Words, kScopes.size()> names{};
    for (std::size_t i = 0; i < names.size(); ++i) names[i] = kScopes[i].name;
    return names;
}();

const Column* find_column(std::span<const Column> columns, Words key) noexcept {
    const auto found = std::ranges::find(columns, key, &Column::key);
    return found == columns.end() ? nullptr : &*found;
}

/// Why the value does not fit its column; empty: it does.
std::string misfit(const Column& column, const nlohmann::json& value) {
    if (value.is_null()) return {};
    const bool text_for_number = column.key == "rule" && value == "default";
    if (column.type == number && !value.is_number() && !text_for_number) return "is no number";
    if (column.type == text && !value.is_string() && !value.is_boolean()) return "is no text";
    return {};
}

void check_row(Words what, std::size_t index, const nlohmann::json& row,
               std::vector<std::string>& problems) {
    const std::string where = std::string(what) + " row " + std::to_string(index);
    if (!row.is_object()) {
        problems.push_back(where + " is no object");
        return;
    }
    std::span<const Column> cells;
    if (what == "counters") {
        const auto scope = row.find("scope");
        if (scope != row.end() && scope->is_string()) {
            cells = columns_of_scope(scope->get_ref<const std::string&>());
        }
        if (cells.empty()) problems.push_back(where + " has no known scope");
    }
    for (const auto& [key, value] : row.items()) {
        const Column* column = find_column(columns_of(what), key);
        if (column == nullptr) column = find_column(cells, key);
        const std::string why = column == nullptr ? "is no column" : misfit(*column, value);
        if (!why.empty()) problems.push_back(where + ": " + key + " " + why);
    }
}

}  // namespace

std::span<const Show> shows() noexcept {
    return kShows;
}

const Show* find_show(std::string_view what) noexcept {
    const auto found = std::ranges::find(kShows, what, &Show::what);
    return found == kShows.end() ? nullptr : &*found;
}
std::span<const Column> columns_of(std::string_view what) noexcept {
    const Show* show = find_show(what);
    return show == nullptr ? std::span<const Column>{} : show->columns;
}
std::span<const std::string_view> filters_of(std::string_view what) noexcept {
    const Show* show = find_show(what);
    return show == nullptr ? std::span<const std::string_view>{} : show->filters;
}
std::span<const std::string_view> counter_scopes() noexcept {
    return kScopeNames;
}
std::span<const Column> columns_of_scope(std::string_view scope) noexcept {
    const auto found = std::ranges::find(kScopes, scope, &Scope::name);
    return found == kScopes.end() ? std::span<const Column>{} : found->cells;
}

std::vector<std::string> check_rows(std::string_view what, const nlohmann::json& rows) {
    if (find_show(what) == nullptr) return {"there is no show " + std::string(what)};
    if (!rows.is_array()) return {std::string(what) + " is no array"};
    std::vector<std::string> problems;
    for (std::size_t i = 0; i < rows.size(); ++i) check_row(what, i, rows[i], problems);
    return problems;
}

std::vector<std::string> check_filter(std::string_view what, const nlohmann::json& filter) {
    if (!filter.is_object()) return {"the filter is no object"};
    std::vector<std::string> problems;
    const auto known = filters_of(what);
    for (const auto& [key, value] : filter.items()) {
        const bool is_flag = key == "nonzero" || key == "failed";
        if (std::ranges::find(known, Words(key)) == known.end()) {
            problems.push_back("show " + std::string(what) + " cannot be filtered by " + key);
        } else if (is_flag ? !value.is_boolean() : !value.is_string()) {
            problems.push_back("filter " + key + " must be " +
                               (is_flag ? "true or false" : "a text"));
        } else if (key == "match" && !net::parse_ip(value.get_ref<const std::string&>())) {
            problems.push_back("filter match: " + value.get<std::string>() +
                               " is no IPv4 or IPv6 address");
        } else if (key == "prefix" && !net::parse_prefix(value.get_ref<const std::string&>())) {
            problems.push_back("filter prefix: " + value.get<std::string>() +
                               " is no prefix such as 10.0.0.0/8, or has host bits set");
        }
    }
    return problems;
}

}  // namespace wye::api
