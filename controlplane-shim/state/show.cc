#include "controlplane-shim/state/show.hh"

#include <algorithm>
#include <utility>

#include "dataplane/ring/text.hh"

namespace wye::state {
namespace {

using Json = nlohmann::json;
using ring::ObjectKind;

const char* kind_words(NextHopKind kind) {
    switch (kind) {
        case NextHopKind::adjacency:
            return "adjacency";
        case NextHopKind::glean:
            return "glean";
        case NextHopKind::local:
            return "local";
        case NextHopKind::blackhole:
            return "blackhole";
        case NextHopKind::unreachable:
            return "unreachable";
        case NextHopKind::prohibit:
            return "prohibit";
        default:
            return "none";
    }
}

std::string nexthop_words(NextHopKind kind, const net::IpAddress& gateway) {
    if (kind == NextHopKind::adjacency) return net::to_string(gateway);
    return kind == NextHopKind::glean ? "direct" : kind_words(kind);
}

std::string kernel_words(const manifest::KernelVrf& kernel) {
    switch (kernel.kind) {
        case manifest::KernelVrf::Kind::netns:
            return "netns " + kernel.name;
        case manifest::KernelVrf::Kind::device:
            return "device " + kernel.name;
        default:
            return "this namespace";
    }
}

void put_unless_zero(Json& row, const char* key, std::uint32_t value) {
    if (value != 0) row[key] = value;
}
void put_unless_empty(Json& row, const char* key, const std::string& value) {
    if (!value.empty()) row[key] = value;
}

/// A VRF that no tenant has goes by FRR's name for it.
const std::string& name_of(const TableView& table) {
    return table.vrf.empty() ? table.kernel_name : table.vrf;
}

}  // namespace

api::Reply State::show(const std::string& what, const nlohmann::json& filter) {
    return Show(*this, filter).rows(what);
}

Show::Show(const State& state, const Json& filter) : state_(state), filter_(filter) {
    if (state.options_.run_dir.empty()) return;
    auto file = table::CounterFile::open_read_only(state.options_.run_dir + "/counters");
    if (file) file_ = std::move(*file);
}

api::Reply Show::rows(const std::string& what) {
    static const std::map<std::string, Json (Show::*)()> kShows{
        {"ports", &Show::ports},     {"vports", &Show::vports},
        {"tenants", &Show::tenants}, {"vrfs", &Show::vrfs},
        {"routes", &Show::routes},   {"nexthops", &Show::nexthops},
        {"tunnels", &Show::tunnels}, {"neighbours", &Show::neighbours},
        {"acls", &Show::acls},       {"counters", &Show::counters},
        {"drops", &Show::drops},     {"workers", &Show::workers},
        {"queues", &Show::queues},   {"rings", &Show::rings},
        {"status", &Show::status},   {"bfd", &Show::bfd},
    };
    const auto found = kShows.find(what);
    if (found == kShows.end()) return {false, nullptr, {"there is nothing called " + what}};
    return {true, (this->*found->second)(), {}};
}

std::string Show::wish(const char* key) const {
    const auto found = filter_.find(key);
    return found != filter_.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

bool Show::flag(const char* key) const {
    const auto found = filter_.find(key);
    return found != filter_.end() && found->is_boolean() && found->get<bool>();
}

bool Show::wanted(const std::string& tenant, const std::string& vrf,
                  const std::string& port) const {
    const auto fits = [&](const char* key, const std::string& value) {
        const std::string asked = wish(key);
        return asked.empty() || asked == value;
    };
    return fits("tenant", tenant) && fits("vrf", vrf) && fits("port", port);
}

void Show::each_tenant(const std::function<void(const manifest::Tenant&)>& visit) const {
    for (const manifest::Tenant& tenant : state_.manifest_.tenants) visit(tenant);
}

std::string Show::object_state(ObjectKind kind, const std::string& name) const {
    const auto* const object = state_.policy_.objects().find(kind, name);
    if (object != nullptr && !object->refused.empty()) return "refused";
    return object != nullptr && object->present ? "up" : "pending";
}

/// How it runs, where the data plane tells.
void Show::put_port_use(Json& row, const std::string& port) const {
    for (const ring::PortMessage& told : state_.announced_.ports) {
        if (told.port.view() != port) continue;
        row["queues"] = told.receive_queues;
        put_unless_empty(row, "driver", ring::words_of(told.driver));
        put_unless_empty(row, "mode", ring::words_of(told.mode));
        put_unless_empty(row, "buffers", ring::words_of(told.buffers));
        put_unless_empty(row, "takes", ring::words_of(told.takes));
        put_unless_empty(row, "offloads", ring::words_of(told.offloads));
    }
}

Json Show::ports() {
    std::map<std::string, std::uint32_t> vports;
    each_tenant([&](const manifest::Tenant& tenant) {
        for (const manifest::Vport& vport : tenant.vports)
            if (!vport.port.empty()) ++vports[vport.port];
    });
    Json rows = Json::array();
    for (const auto& [port, count] : vports) {
        const std::string asked = wish("port");
        if (!asked.empty() && asked != port) continue;
        const std::string state = object_state(ObjectKind::port, port);
        Json row{{"port", port}, {"vports", count}, {"state", state == "up" ? "bound" : state}};
        const auto* const object = state_.policy_.objects().find(ObjectKind::port, port);
        if (object != nullptr && state_.port_up_.contains(object->handle))
            row["link"] = state_.port_up_.at(object->handle) ? "up" : "down";
        put_port_use(row, port);
        std::uint64_t sum = 0;
        if (const auto id = slot(table::SlotKind::port, port)) {
            const Ledger cells = ledger(true, *id + 1);
            row["rx_packets"] = cells.rx;
            row["tx_packets"] = cells.tx;
            row["dropped_packets"] = cells.dropped;
            sum = cells.rx + cells.tx + cells.dropped;
        }
        if (!flag("nonzero") || sum != 0) rows.push_back(std::move(row));
    }
    return rows;
}

Json Show::vports() {
    Json rows = Json::array();
    each_tenant([&](const manifest::Tenant& tenant) {
        for (const manifest::Vport& vport : tenant.vports) {
            if (!wanted(tenant.name, vport.vrf, vport.port)) continue;
            std::string state = object_state(ObjectKind::vport, vport.name);
            if (state == "up" && !vport.admin_up) state = "down";
            Json row{{"vport", vport.name},
                     {"tenant", tenant.name},
                     {"vrf", vport.vrf},
                     {"kind", vport.kind == VportKind::port ? "port" : "tunnel"},
                     {"mac", net::to_string(vport.mac)},
                     {"mtu", vport.mtu},
                     {"state", state}};
            if (vport.has_twin) row["twin"] = vport.twin.empty() ? vport.name : vport.twin;
            put_unless_empty(row, "port", vport.port);
            put_unless_empty(row, "tunnel", vport.tunnel);
            put_unless_empty(row, "ingress_acl", vport.ingress_acl);
            put_unless_empty(row, "egress_acl", vport.egress_acl);
            if (vport.vlan != kNoVlan) row["vlan"] = vport.vlan;
            if (vport.inner_vlan != kNoVlan) row["inner_vlan"] = vport.inner_vlan;
            const VportIndex index = state_.topology_.find_vport(vport.name);
            if (index != kNoIndex && state_.topology_.vports[index].twin)
                row["twin_index"] = state_.topology_.vports[index].twin->index;
            put_vport_counters(row, vport.name);
            const bool any =
                row.value("rx_packets", 0ull) != 0 || row.value("tx_packets", 0ull) != 0 ||
                row.value("dropped_packets", 0ull) != 0 || row.value("punted_packets", 0ull) != 0;
            if (!flag("nonzero") || any) rows.push_back(std::move(row));
        }
    });
    return rows;
}

Json Show::tenants() {
    Json rows = Json::array();
    each_tenant([&](const manifest::Tenant& tenant) {
        if (!wanted(tenant.name)) return;
        std::size_t rules = 0, routes = 0, neighbours = 0;
        for (const manifest::Acl& acl : tenant.acls) rules += acl.rules.size();
        for (TableIndex i = 0; i < state_.topology_.tables.size(); ++i) {
            if (state_.topology_.tables[i].tenant != tenant.name) continue;
            if (const RouteMap* const map = state_.routes_.routes(i)) routes += map->size();
        }
        for (const auto& [key, entry] : state_.neighbors_.entries())
            if (state_.topology_.vports[key.first].tenant == tenant.name) ++neighbours;
        Json row{{"tenant", tenant.name},
                 {"vrfs", tenant.vrfs.size()},
                 {"vports", tenant.vports.size()},
                 {"tunnels", tenant.tunnels.size()},
                 {"acls", tenant.acls.size()},
                 {"acl_rules", rules},
                 {"routes", routes},
                 {"neighbours", neighbours}};
        put_unless_zero(row, "max_vports", tenant.quotas.vports);
        put_unless_zero(row, "max_acl_rules", tenant.quotas.acl_rules);
        put_unless_zero(row, "max_routes", tenant.quotas.routes);
        put_unless_zero(row, "max_neighbours", tenant.quotas.neighbors);
        put_unless_zero(row, "punt_pps", tenant.quotas.punt_pps);
        rows.push_back(std::move(row));
    });
    return rows;
}

Json Show::vrfs() {
    Json rows = Json::array();
    each_tenant([&](const manifest::Tenant& tenant) {
        for (const manifest::Vrf& vrf : tenant.vrfs) {
            if (!wanted(tenant.name, vrf.name)) continue;
            Json row{{"vrf", vrf.name},
                     {"tenant", tenant.name},
                     {"underlay", vrf.underlay},
                     {"kernel", kernel_words(vrf.kernel)},
                     {"state", object_state(ObjectKind::vrf, vrf.name)}};
            if (vrf.vni) row["vni"] = *vrf.vni;
            row["vports"] =
                std::count_if(tenant.vports.begin(), tenant.vports.end(),
                              [&](const manifest::Vport& vport) { return vport.vrf == vrf.name; });
            std::size_t ipv4 = 0, ipv6 = 0;
            for (TableIndex i = 0; i < state_.topology_.tables.size(); ++i) {
                if (state_.topology_.tables[i].vrf != vrf.name) continue;
                if (const RouteMap* const map = state_.routes_.routes(i))
                    for (const auto& [prefix, entry] : *map)
                        ++(prefix.address.is_ipv4() ? ipv4 : ipv6);
                for (const auto& [id, table] : state_.zebra_vrfs_)
                    if (table == i) row["zebra_vrf"] = id;
            }
            row["routes_ipv4"] = ipv4;
            row["routes_ipv6"] = ipv6;
            rows.push_back(std::move(row));
        }
    });
    return rows;
}

void Show::add_route(Json& rows, TableIndex table, const net::IpPrefix& prefix,
                     const RouteEntry& entry) {
    const ContentIndex index = entry.wanted();
    if (index == kNoContent) return;
    const Content& content = state_.routes_.content(index);
    const TableView& view = state_.topology_.tables[table];
    std::string state = "installed", reason = state_.routes_.refusal(table, prefix);
    if (entry.programmed == kNoGroup) state = "pending";
    if (!reason.empty()) state = "refused";
    if (content.resolved.group.empty()) state = "unresolved";
    if (reason.empty()) reason = content.resolved.reason;
    if (flag("failed") && reason.empty()) return;
    Json common{{"vrf", name_of(view)},
                {"tenant", view.tenant},
                {"prefix", net::to_string(prefix)},
                {"protocol", std::string(ring::to_string(entry.protocol()))},
                {"state", state}};
    put_unless_empty(common, "reason", reason);
    if (!entry.kernel_wins()) {
        common["distance"] = entry.distance;
        common["metric"] = entry.metric;
    }
    for (const MemberKey& member : content.resolved.group) {
        Json row = common;
        row["nexthop"] = nexthop_words(member.nexthop.kind, member.nexthop.gateway);
        row["weight"] = member.weight;
        if (member.nexthop.vport != kNoIndex)
            row["vport"] = state_.topology_.vports[member.nexthop.vport].name;
        rows.push_back(std::move(row));
    }
    if (!content.resolved.group.empty()) return;
    for (const Hop& hop : content.key.hops) {
        Json row = common;
        row["nexthop"] = nexthop_words(hop.kind, hop.gateway);
        row["weight"] = hop.weight;
        rows.push_back(std::move(row));
    }
}

void Show::add_routes_of(Json& rows, TableIndex table) {
    const RouteMap* const map = state_.routes_.routes(table);
    if (map == nullptr) return;
    if (const auto prefix = net::parse_prefix(wish("prefix"))) {
        const auto found = map->find(*prefix);
        if (found != map->end()) add_route(rows, table, *prefix, found->second);
        return;
    }
    if (const auto address = net::parse_ip(wish("match"))) {
        for (int length = net::address_bits(address->family); length >= 0; --length) {
            const auto bits = static_cast<std::uint8_t>(length);
            const auto found = map->find({net::mask(*address, bits), bits});
            if (found == map->end() || found->second.programmed == kNoGroup) continue;
            return add_route(rows, table, found->first, found->second);
        }
        return;
    }
    std::vector<const RouteMap::value_type*> sorted;
    for (const auto& item : *map) sorted.push_back(&item);
    const auto order = [](const auto* item) {
        return std::make_tuple(item->first.address.family, item->first.address.bytes,
                               item->first.length);
    };
    std::sort(sorted.begin(), sorted.end(),
              [&](const auto* a, const auto* b) { return order(a) < order(b); });
    for (const auto* const item : sorted) add_route(rows, table, item->first, item->second);
}

Json Show::routes() {
    Json rows = Json::array();
    for (TableIndex i = 0; i < state_.topology_.tables.size(); ++i) {
        const TableView& table = state_.topology_.tables[i];
        if (wanted(table.tenant, name_of(table))) add_routes_of(rows, i);
    }
    return rows;
}

Json Show::nexthops() {
    struct Seen {
        ring::Handle handle;
        std::uint32_t groups = 0;
        std::string refused;
    };
    std::map<NextHopKey, Seen> seen;
    for (const NextHops::GroupView& group : state_.routes_.nexthops().groups()) {
        for (std::size_t i = 0; i < group.members->size(); ++i) {
            Seen& entry = seen[(*group.members)[i].nexthop];
            entry.handle = group.nexthops[i];
            entry.refused = group.refusal;
            ++entry.groups;
        }
    }
    Json rows = Json::array();
    for (const auto& [key, entry] : seen) {
        Json row{{"nexthop", entry.handle},
                 {"kind", kind_words(key.kind)},
                 {"groups", entry.groups},
                 {"state", entry.refused.empty() ? "installed" : "refused"}};
        std::string tenant, vrf;
        if (key.vport != kNoIndex) {
            const VportView& vport = state_.topology_.vports[key.vport];
            tenant = vport.tenant;
            if (vport.table != kNoIndex) vrf = state_.topology_.tables[vport.table].vrf;
            row["vport"] = vport.name;
            row["tenant"] = tenant;
            row["vrf"] = vrf;
        }
        if (key.kind == NextHopKind::adjacency) {
            row["gateway"] = net::to_string(key.gateway);
            const auto* const neighbor = state_.neighbors_.find({key.vport, key.gateway});
            if (neighbor != nullptr && neighbor->wanted)
                row["mac"] = net::to_string(*neighbor->wanted);
        }
        if (wanted(tenant, vrf)) rows.push_back(std::move(row));
    }
    return rows;
}

Json Show::tunnels() {
    Json rows = Json::array();
    each_tenant([&](const manifest::Tenant& tenant) {
        if (!wanted(tenant.name)) return;
        for (const manifest::Tunnel& tunnel : tenant.tunnels) {
            const bool vxlan = tunnel.kind == TunnelKind::vxlan;
            const int own_port = vxlan ? 4789 : 6081;
            Json row{{"tunnel", tunnel.name},
                     {"tenant", tenant.name},
                     {"kind", vxlan ? "vxlan" : "geneve"},
                     {"underlay_vrf", tunnel.underlay_vrf},
                     {"local", net::to_string(tunnel.local)},
                     {"remote", net::to_string(tunnel.remote)},
                     {"vni", tunnel.vni},
                     {"destination_port",
                      tunnel.destination_port == 0 ? own_port : tunnel.destination_port},
                     {"state", object_state(ObjectKind::tunnel, tunnel.name)}};
            for (const manifest::Vport& vport : tenant.vports)
                if (vport.tunnel == tunnel.name) row["vport"] = vport.name;
            put_tunnel_counters(row, tunnel.name);
            const bool any = row.value("encapsulated_packets", 0ull) != 0 ||
                             row.value("decapsulated_packets", 0ull) != 0;
            if (!flag("nonzero") || any) rows.push_back(std::move(row));
        }
    });
    return rows;
}

Json Show::neighbours() {
    Json rows = Json::array();
    for (const auto& [key, entry] : state_.neighbors_.entries()) {
        const VportView& vport = state_.topology_.vports[key.first];
        if (!entry.wanted || vport.table == kNoIndex) continue;
        const std::string& vrf = state_.topology_.tables[vport.table].vrf;
        if (!wanted(vport.tenant, vrf)) continue;
        std::string state = entry.is_static ? "permanent" : "usable";
        if (!entry.refused.empty()) state = "refused";
        rows.push_back({{"vport", vport.name},
                        {"tenant", vport.tenant},
                        {"vrf", vrf},
                        {"address", net::to_string(key.second)},
                        {"mac", net::to_string(*entry.wanted)},
                        {"source", entry.is_static ? "manifest" : "kernel"},
                        {"state", state}});
    }
    return rows;
}

Json Show::rings() {
    Json rows = Json::array();
    const ring::ChannelSizes& sizes = state_.welcome_.sizes;
    const bool open = state_.sink_ != nullptr;
    const auto add = [&](ring::Stream stream, const StreamWriter& writer,
                         const State::Received& received) {
        const std::string name(ring::to_string(stream));
        Json commands{{"ring", name + " commands"},
                      {"size", sizes.commands},
                      {"passed", writer.sequence() - writer.backlog()},
                      {"waiting", writer.open()}};
        if (open) commands["room"] = state_.sink_->command_room(stream);
        rows.push_back(std::move(commands));
        rows.push_back({{"ring", name + " completions"},
                        {"size", sizes.completions},
                        {"passed", received.completions},
                        {"refused", received.refused}});
    };
    add(ring::Stream::policy, state_.policy_writer_, state_.received_[0]);
    add(ring::Stream::routes, state_.route_writer_, state_.received_[1]);
    rows.push_back({{"ring", "events"},
                    {"size", sizes.events},
                    {"passed", state_.events_},
                    {"lost", state_.events_lost_}});
    return rows;
}

Json Show::status() {
    Json rows = Json::array();
    const auto add = [&](const std::string& item, const char* state, const std::string& detail) {
        rows.push_back({{"item", item}, {"state", state}, {"detail", detail}});
    };
    const bool open = state_.sink_ != nullptr;
    add("data plane", open ? "connected" : "waiting",
        open ? "process " + std::to_string(state_.welcome_.process_id) + ", " +
                   std::to_string(state_.welcome_.workers) + " workers, session " +
                   std::to_string(state_.sessions_)
             : "there is no session; forwarding does not depend on it");
    const bool zebra = state_.route_source_ != nullptr && state_.route_source_->connected();
    if (!state_.options_.zebra_expected) {
        add("zebra", "none", "started without --zebra-socket");
    } else {
        add("zebra", zebra ? "connected" : "waiting",
            state_.snapshot_complete_ ? "its routes are known"
                                      : "its routes have not come as a whole yet");
    }
    const bool applied = !(state_.manifest_ == manifest::Manifest{});
    add("manifest", applied ? "applied" : "none",
        std::to_string(state_.manifest_.tenants.size()) + " tenants, " +
            std::to_string(state_.topology_.vports.size()) + " vports known");
    add("policy replay",
        !open                     ? "waiting"
        : state_.policy_replayed_ ? "done"
                                  : "running",
        "tenants, VRFs, vports, tunnels and ACLs");
    const bool routes_done = open && state_.routes_replay_done_;
    const bool waits = state_.options_.zebra_expected && !state_.snapshot_complete_;
    add("routes replay",
        !open         ? "waiting"
        : routes_done ? "done"
                      : "running",
        waits ? "waits for zebra's routes; what stood before stays" : "routes and neighbours");
    for (const auto& [key, object] : state_.policy_.objects().all())
        if (!object.refused.empty())
            add(describe(key.first, key.second), "refused", object.refused);
    std::size_t refused = 0;
    for (const auto& [key, reason] : state_.routes_.refusals()) {
        if (++refused > 20) break;
        add("route " + state_.topology_.tables[key.first].vrf + " " + net::to_string(key.second),
            "refused", reason);
    }
    if (const auto lost = state_.routes_.refused_without_tenant(); lost != 0)
        add("routes of VRFs without a tenant", "refused",
            std::to_string(lost) + " so far: no more than " +
                std::to_string(RouteProgrammer::kMaxWithoutTenant) +
                " are kept; keep FRR's VRFs without a tenant small");
    if (!open) return rows;  // nothing is resolved without a session
    state_.routes_.each_unresolved(
        [&](TableIndex table, std::size_t count, const std::string& why) {
            const TableView& view = state_.topology_.tables[table];
            add("routes of " + name_of(view), "unresolved",
                std::to_string(count) + " are not in the fast path: " + why);
        });
    return rows;
}

}  // namespace wye::state
