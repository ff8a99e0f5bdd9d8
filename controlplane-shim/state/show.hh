// Show: the rows of api/service.hh, made from a State and the data plane's counter file.
// A friend of State that only reads it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "controlplane-shim/state/state.hh"
#include "dataplane/table/counter_file.hh"

namespace wye::state {

class Show {
  public:
    using Json = nlohmann::json;
    Show(const State& state, const Json& filter);
    api::Reply rows(const std::string& what);

  private:
    struct Ledger {
        std::uint64_t rx = 0, from_host = 0, generated = 0, moved_in = 0, tx = 0, dropped = 0,
                      punted = 0, consumed = 0, moved_out = 0, held = 0;
        std::array<std::uint64_t, table::kReasons> drops{};
        void add(const table::LedgerRow& row);
        void put(Json& row) const;
        [[nodiscard]] bool zero() const;
    };

    // show.cc: what the manifest, the programmers and the session know.
    Json ports();
    Json vports();
    Json tenants();
    Json vrfs();
    Json routes();
    Json nexthops();
    Json tunnels();
    Json neighbours();
    Json bfd();  // show_bfd.cc
    Json rings();
    Json status();
    // show_counters.cc: what the counter file knows.
    Json acls();
    Json counters();
    Json drops();
    Json workers();
    Json queues();
    Ledger ledger(bool of_ports, std::uint32_t row) const;
    void add_ledger_rows(Json& rows);
    void add_object_rows(Json& rows);
    void put_vport_counters(Json& row, const std::string& vport) const;
    void put_port_use(Json& row, const std::string& port) const;
    void put_tunnel_counters(Json& row, const std::string& tunnel) const;
    std::optional<std::uint32_t> slot(table::SlotKind kind, const std::string& name) const;
    void each_block(const std::function<void(const table::CounterBlock&)>& visit) const;

    void add_route(Json& rows, TableIndex table, const net::IpPrefix& prefix,
                   const RouteEntry& entry);
    void add_routes_of(Json& rows, TableIndex table);
    std::string object_state(ring::ObjectKind kind, const std::string& name) const;
    [[nodiscard]] std::string wish(const char* key) const;  // of the filter, empty: none
    /// The filters tenant, vrf and port leave it.
    [[nodiscard]] bool wanted(const std::string& tenant, const std::string& vrf = {},
                              const std::string& port = {}) const;
    [[nodiscard]] bool flag(const char* key) const;
    void each_tenant(const std::function<void(const manifest::Tenant&)>& visit) const;

    const State& state_;
    const Json& filter_;
    std::optional<table::CounterFile> file_;
};

}  // namespace wye::state
