// The tunnels of EVPN follow the routes (evpn.hh): make before break.
//
// A tunnel that a route needs is made at once, and the route waits for it. One that no route needs any
// more goes when the routes have moved, and after a restart when zebra has told all of them.
#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "controlplane-shim/state/state.hh"

namespace wye::state {
namespace {

constexpr const char* kFile = "/evpn-tunnels.json";
/// Between two adjustments there is at least this, and three times what the last one took: a table
/// that comes with hundreds of far ends is not planned anew for each.
constexpr std::chrono::milliseconds kPause{20};
constexpr int kPauseFactor = 3;

using Names = std::set<std::string_view>;

Names names_of(const std::vector<EvpnTunnel>& tunnels) {
    Names names;
    for (const EvpnTunnel& made : tunnels) names.insert(made.tunnel.name);
    return names;
}

using Key = std::tuple<TunnelKind, std::string, net::IpAddress, net::IpAddress, std::uint32_t>;

Key key_of(const manifest::Tunnel& tunnel) {
    return {tunnel.kind, tunnel.underlay_vrf, tunnel.local, tunnel.remote, tunnel.vni};
}

std::set<Key> declared_keys(const manifest::Manifest& manifest) {
    std::set<Key> keys;
    for (const manifest::Tenant& tenant : manifest.tenants)
        for (const manifest::Tunnel& tunnel : tenant.tunnels) keys.insert(key_of(tunnel));
    return keys;
}

std::vector<EvpnTunnel> of_tenant(const std::vector<EvpnTunnel>& tunnels,
                                  const std::string& tenant) {
    std::vector<EvpnTunnel> its;
    std::copy_if(tunnels.begin(), tunnels.end(), std::back_inserter(its),
                 [&](const EvpnTunnel& made) { return made.tenant == tenant; });
    return its;
}

net::IpAddress as_ipv6(const net::IpAddress& ipv4) {
    net::IpAddress mapped;
    mapped.family = net::IpFamily::ipv6;
    mapped.bytes[10] = mapped.bytes[11] = 0xff;
    std::copy_n(ipv4.bytes.begin(), 4, mapped.bytes.begin() + 12);
    return mapped;
}

}  // namespace

void State::recall_evpn() {
    if (options_.run_dir.empty() || !options_.zebra_expected) return;
    auto loaded = load_evpn(options_.run_dir + kFile);
    if (loaded) {
        evpn_ = saved_evpn_ = std::move(*loaded);
    } else {
        options_.log(loaded.error().text);
    }
}

EvpnPlan State::plan_evpn_for(const manifest::Manifest& declared) const {
    std::map<std::pair<std::string, std::uint32_t>, const kernel::Link*> vxlans;
    for (const auto& [interface, link] : links_)
        if (link.vxlan) vxlans.try_emplace({interface.netns, link.vxlan->vni}, &link);
    KernelView view;
    view.link = [this](const kernel::InterfaceKey& interface) {
        const auto found = links_.find(interface);
        return found == links_.end() ? nullptr : &found->second;
    };
    view.vxlan = [&vxlans](const std::string& netns, std::uint32_t vni) {
        const auto found = vxlans.find({netns, vni});
        return found == vxlans.end() ? nullptr : found->second;
    };
    std::map<std::string_view, net::MacAddress> standing;
    for (const EvpnTunnel& made : evpn_)
        standing[made.tunnel.name] = made.vport.neighbors.front().mac;
    view.router_mac = [&](const kernel::InterfaceKey& interface,
                          const TunnelEnd& end) -> std::optional<net::MacAddress> {
        auto mac = neighbors_.kernel_mac(interface, end.address);
        // FRR has the end of an IPv4 tunnel as ::ffff:192.0.2.1 too, for routes of IPv6.
        if (!mac && end.address.is_ipv4())
            mac = neighbors_.kernel_mac(interface, as_ipv6(end.address));
        // zebra takes its entries along when it stops, and what it had routes for goes on.
        const auto known = standing.find(evpn_name(end));
        if (!mac && known != standing.end()) mac = known->second;
        return mac;
    };
    return plan_evpn(declared, topology_.tables, routes_.tunnel_ends(), view);
}

/// No route is on its way from one tunnel to another, and zebra has told them all.
bool State::may_remove_evpn() const {
    const bool told = !options_.zebra_expected || snapshot_complete_;
    return told && routes_.declared() && (sink_ == nullptr || routes_.settled());
}

/// The plan's, and those in force that may not go yet.
std::vector<EvpnTunnel> State::with_leftovers(const manifest::Manifest& declared,
                                              const EvpnPlan& plan) const {
    std::vector<EvpnTunnel> tunnels = plan.tunnels;
    const Names standing = names_of(evpn_), planned = names_of(plan.tunnels);
    const bool adds = !std::ranges::includes(standing, planned);
    if (!adds && may_remove_evpn()) return tunnels;
    const std::set<Key> taken = declared_keys(declared);
    for (const EvpnTunnel& old : evpn_)
        if (!planned.contains(old.tunnel.name) && !taken.contains(key_of(old.tunnel)))
            tunnels.push_back(old);
    return tunnels;
}

std::optional<std::chrono::steady_clock::time_point> State::next_adjustment() const {
    const bool possible = sink_ == nullptr || policy_replayed_;
    if (!evpn_stale_ || !possible) return std::nullopt;
    return next_adjustment_;
}

void State::adjust_evpn() {
    if (routes_.take_tunnel_ends_changed()) evpn_stale_ = true;
    const auto due = next_adjustment();
    const auto begun = Clock::now();
    if (!due || begun < *due) return;
    evpn_stale_ = evpn_refused_ = false;
    EvpnPlan plan = plan_evpn_for(declared_);
    std::vector<EvpnTunnel> tunnels = with_leftovers(declared_, plan);
    const std::vector<std::string> errors = enforce(with_evpn(declared_, tunnels));
    if (errors.empty()) {
        adopt_evpn(plan, std::move(tunnels));
    } else {
        enforce_by_tenant(plan);
    }
    const auto ended = Clock::now();
    next_adjustment_ = ended + std::max<Clock::duration>(kPause, kPauseFactor * (ended - begun));
}

/// Somebody's was refused: what the others want is not refused with it.
void State::enforce_by_tenant(EvpnPlan& plan) {
    std::map<std::string, std::string> refused;  // tenant: why
    for (const manifest::Tenant& tenant : declared_.tenants) {
        const std::vector<EvpnTunnel> wanted = of_tenant(plan.tunnels, tenant.name);
        if (wanted == of_tenant(evpn_, tenant.name)) continue;
        std::vector<EvpnTunnel> tunnels = wanted;
        const Names named = names_of(wanted);
        for (const EvpnTunnel& standing : evpn_)
            if (!named.contains(standing.tunnel.name)) tunnels.push_back(standing);
        const std::vector<std::string> errors = enforce(with_evpn(declared_, tunnels));
        if (errors.empty()) {
            evpn_ = std::move(tunnels);
        } else {
            refused[tenant.name] = errors.front();
            log_errors(errors);
        }
    }
    evpn_refused_ = !refused.empty();
    const Names standing = names_of(evpn_);
    for (const auto& [end, contents] : routes_.tunnel_ends()) {
        const auto why = refused.find(topology_.tables[end.table].tenant);
        if (why != refused.end() && !standing.contains(evpn_name(end)))
            plan.missing.try_emplace(end, why->second);
    }
    adopt_evpn(plan, evpn_);
}

void State::adopt_evpn(const EvpnPlan& plan, std::vector<EvpnTunnel> tunnels) {
    topology_.evpn.clear();
    evpn_watched_.clear();
    for (const auto& [end, contents] : routes_.tunnel_ends()) {
        const auto missing = plan.missing.find(end);
        topology_.evpn[end] = missing == plan.missing.end()
                                  ? Topology::EvpnView{topology_.vport(evpn_name(end)), {}}
                                  : Topology::EvpnView{kNoIndex, missing->second};
        evpn_watched_.insert({topology_.tables[end.table].netns, end.interface_index});
    }
    // What is left over goes at the next adjustment, or when zebra's snapshot has ended.
    const bool told = !options_.zebra_expected || snapshot_complete_;
    if (tunnels.size() > plan.tunnels.size() && told) evpn_stale_ = true;
    if (tunnels != saved_evpn_) {
        saved_evpn_ = tunnels;
        if (!options_.run_dir.empty() && options_.zebra_expected) {
            if (const Status saved = save_evpn(options_.run_dir + kFile, tunnels); !saved)
                options_.log(saved.error().text);
        }
    }
    evpn_ = std::move(tunnels);
    routes_.topology_changed();
    pump();
}

}  // namespace wye::state
