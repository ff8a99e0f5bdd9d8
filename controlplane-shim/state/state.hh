// State: the shim's one picture of how things shall be (manifest, FRR's routes, the kernel's
// addresses and neighbours) and of what the data plane has, and the way from one to the other.
//
// One thread, no locks. Everything is asynchronous except apply(), which talks with the data plane
// until the manifest is in force or refused.
//
// A session begins with a replay: the manifest on stream `policy`, then, when that has been
// answered, neighbours and routes on stream `routes`. The end of the routes' replay, by which the
// data plane drops what was not declared again, waits for FRR's first complete snapshot if FRR is
// expected: no timer, since a slow zebra would cost the routes that it is about to send.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controlplane-shim/api/service.hh"
#include "controlplane-shim/frr/route_source.hh"
#include "controlplane-shim/kernel/kernel.hh"
#include "controlplane-shim/manifest/manifest.hh"
#include "controlplane-shim/state/bfd_programmer.hh"
#include "controlplane-shim/state/evpn.hh"
#include "controlplane-shim/state/neighbor_programmer.hh"
#include "controlplane-shim/state/policy_programmer.hh"
#include "controlplane-shim/state/route_programmer.hh"
#include "controlplane-shim/state/twin_set.hh"

namespace wye::state {

struct StateOptions {
    std::string instance = "default";
    std::string run_dir;          // of the data plane: its counter file is there; empty: none
    bool zebra_expected = false;  // --zebra-socket was given
    std::chrono::milliseconds apply_timeout{60000};
    std::function<void(const std::string&)> log = [](const std::string&) {};
};

class State final : public frr::RouteSink, public kernel::KernelSink, public api::Service {
  public:
    explicit State(StateOptions options);
    /// Both outlive the State; called before anything else.
    void wire(kernel::Kernel& kernel, frr::RouteSource* routes);
    /// Who talks with the bfdds; before they are connected.
    [[nodiscard]] BfdProgrammer& bfd() { return bfd_; }

    /// All or nothing; the errors, or none. Programs the data plane if there is one, else when it
    /// comes.
    std::vector<std::string> apply_manifest(const manifest::Manifest& next);
    /// What was applied: without the tunnels that EVPN's routes add to it.
    [[nodiscard]] const manifest::Manifest& manifest() const { return declared_; }

    // The session with the data plane.
    void session_opened(CommandSink& sink, const ring::Welcome& welcome,
                        const ring::Announced& announced, std::vector<ReturnedTwin> returned);
    void session_closed();
    /// Takes what has come, sends what there is to send. Call after every change and wake-up.
    void pump();
    /// Makes and removes the tunnels of EVPN's routes if they have changed; talks with the data plane
    /// until that is done. Call after pump(), not from within it.
    void adjust_evpn();
    /// When adjust_evpn() has something to do; none: nothing is known to be done.
    [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> next_adjustment() const;
    /// About once a second: what is to be tried again.
    void tick();
    /// Everything declared, nothing on its way, and both replays ended.
    [[nodiscard]] bool settled() const;
    [[nodiscard]] std::uint64_t commands_sent() const {
        return policy_writer_.commands() + route_writer_.commands();
    }

    // frr::RouteSink
    void vrf_named(std::uint32_t vrf_id, const std::string& name) override;
    void route_installed(frr::Operation operation, const frr::RouteKey& key,
                         frr::Route&& route) override;
    void route_removed(frr::Operation operation, const frr::RouteKey& key) override;
    void snapshot_begin() override;
    void snapshot_end() override;
    void disconnected() override;

    // kernel::KernelSink
    void address_changed(const kernel::InterfaceKey& interface,
                         const net::InterfaceAddress& address, bool present) override;
    void neighbor_changed(const kernel::InterfaceKey& interface, const net::IpAddress& address,
                          const std::optional<net::MacAddress>& mac) override;
    void link_changed(const kernel::InterfaceKey& interface, const kernel::Link& link) override;
    void link_removed(const kernel::InterfaceKey& interface) override;

    // api::Service
    api::Reply apply(const std::string& file_name, const std::string& text) override;
    api::Reply worker(const api::WorkerRequest& request) override;
    api::Reply show(const std::string& what, const nlohmann::json& filter) override;

  private:
    friend class Show;
    struct Received {
        std::uint64_t completions = 0, refused = 0;
    };
    using Clock = std::chrono::steady_clock;
    using KernelRoutes = std::map<net::IpPrefix, std::pair<ContentKey, ring::RouteProtocol>>;

    // apply.cc
    bool open_vrfs(const manifest::Manifest& next, std::vector<std::string>& errors);
    std::vector<std::string> program(const manifest::Manifest& next);
    bool withdraw_leaving(const manifest::Manifest& next, const std::set<std::string>& remade);
    void mark_leaving(const manifest::Manifest& next, const std::set<std::string>& remade);
    void retry_policy();
    void unmark_leaving();
    std::vector<std::string> run_batches(const std::vector<PolicyBatch>& batches);
    std::vector<std::string> run_batch(const PolicyBatch& batch);
    std::vector<std::string> run_commands(std::vector<PolicyCommand> commands);
    void roll_back(const manifest::Manifest& next);
    void put_in_force(const manifest::Manifest& next, TwinSet::Staged staged);
    bool wait_until(const std::function<bool()>& done);
    void update_views();
    void update_twin_views();

    std::vector<std::string> enforce(const manifest::Manifest& next);

    // adjust_evpn.cc
    void recall_evpn();
    EvpnPlan plan_evpn_for(const manifest::Manifest& declared) const;
    std::vector<EvpnTunnel> with_leftovers(const manifest::Manifest& declared,
                                           const EvpnPlan& plan) const;
    void enforce_by_tenant(EvpnPlan& plan);
    void adopt_evpn(const EvpnPlan& plan, std::vector<EvpnTunnel> tunnels);
    [[nodiscard]] bool may_remove_evpn() const;

    // workers.cc
    [[nodiscard]] std::optional<std::uint32_t> free_worker() const;

    // state.cc
    void refresh_topology();
    void start_replay();
    void receive(ring::Stream stream, StreamWriter& writer);
    void completed(ring::Stream stream, StreamWriter& writer, const ring::Completion& completion);
    void replay_completed(ring::Stream stream, ring::Opcode opcode,
                          const ring::Completion& completion);
    void receive_events();
    void handle(const ring::Event& event);
    void resolve(const ring::Event& event);
    void send();
    void end_replays();
    void rebuild_kernel_routes(TableIndex table);
    void add_kernel_routes(VportIndex vport, KernelRoutes& routes) const;
    void add_loopback_routes(TableIndex table, KernelRoutes& routes) const;
    void keep_gateways();
    void keep_bfd_neighbors();
    void keep_gateway(const NeighborProgrammer::Key& key, bool check);
    void log_errors(const std::vector<std::string>& errors);
    [[nodiscard]] std::size_t neighbor_limit(VportIndex vport) const;

    StateOptions options_;
    kernel::Kernel* kernel_ = nullptr;
    frr::RouteSource* route_source_ = nullptr;

    manifest::Manifest declared_;  // as applied
    manifest::Manifest manifest_;  // in force: the same with the tunnels of EVPN
    Topology topology_;
    std::unique_ptr<TwinSet> twins_;
    bool twins_known_ =
        false;  // a data plane may hold twins of a former shim until the first session

    PolicyProgrammer policy_;
    RouteProgrammer routes_;
    NeighborProgrammer neighbors_;
    BfdProgrammer bfd_;
    ResolveQuota quota_;
    std::set<NeighborProgrammer::Key> asked_, kept_;
    std::set<NeighborProgrammer::Key> checked_;  // in this round
    StreamWriter policy_writer_{ring::Stream::policy};
    StreamWriter route_writer_{ring::Stream::routes};

    CommandSink* sink_ = nullptr;
    ring::Welcome welcome_{};
    ring::Announced announced_{};
    bool policy_replayed_ = false;      // everything of the policy replay was answered
    bool routes_replay_open_ = false;   // its end was not sent yet
    bool routes_replay_done_ = false;   // its end was answered
    std::array<Received, 2> received_;  // by stream, in this session
    std::uint64_t events_ = 0, events_lost_ = 0, sessions_ = 0;
    std::map<ring::Handle, bool> port_up_;
    std::map<ring::Handle, VportIndex> vport_by_handle_;

    std::map<std::uint32_t, TableIndex> zebra_vrfs_;
    bool zebra_connected_ = false;
    bool snapshot_complete_ = false;  // at least once in this process

    std::map<kernel::InterfaceKey, std::set<net::InterfaceAddress>> addresses_;
    std::map<TableIndex, KernelRoutes> kernel_routes_;

    std::map<kernel::InterfaceKey, kernel::Link> links_;
    std::vector<EvpnTunnel> evpn_;                 // in force
    std::vector<EvpnTunnel> saved_evpn_;           // in the file
    std::set<kernel::InterfaceKey> evpn_watched_;  // interfaces whose neighbours are router MACs
    bool evpn_stale_ = false;
    bool evpn_refused_ = false;  // some of it, by the data plane
    Clock::time_point next_adjustment_{};
    std::set<TableIndex> stale_tables_;
    bool twins_to_repair_ = false;
    unsigned ticks_ = 0;
};

}  // namespace wye::state
