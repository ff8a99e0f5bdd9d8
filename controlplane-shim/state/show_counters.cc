// What the counter file knows: written by the workers, mapped read-only, summed here. Cells are
// read one by one, so the sum of a row is exact only while no traffic flows.
#include <algorithm>
#include <utility>

#include "controlplane-shim/state/show.hh"

namespace wye::state {
namespace {

using Json = nlohmann::json;

std::string ports_words(std::uint16_t low, std::uint16_t high) {
    if (low == high) return std::to_string(low);
    return std::to_string(low) + "-" + std::to_string(high);
}

std::string flags_words(std::uint8_t mask, std::uint8_t value) {
    static constexpr const char* kFlags[] = {"fin", "syn", "rst", "psh",
                                             "ack", "urg", "ece", "cwr"};
    std::string words;
    for (unsigned i = 0; i < 8; ++i) {
        if ((mask >> i & 1) == 0) continue;
        if (!words.empty()) words += ",";
        words += std::string((value >> i & 1) != 0 ? "" : "!") + kFlags[i];
    }
    return words;
}

std::string protocol_words(std::uint8_t protocol) {
    switch (protocol) {
        case 1:
            return "icmp";
        case 6:
            return "tcp";
        case 17:
            return "udp";
        case 58:
            return "icmpv6";
        default:
            return std::to_string(protocol);
    }
}

Json rule_row(const manifest::AclRule& rule) {
    static constexpr const char* kActions[] = {"deny", "permit", "count"};
    static constexpr const char* kFragments[] = {"any", "not_fragment", "fragment", "later"};
    Json row{{"action", kActions[static_cast<std::size_t>(rule.action)]},
             {"family", rule.family == net::IpFamily::ipv4 ? "ipv4" : "ipv6"}};
    if (rule.protocol) row["protocol"] = protocol_words(*rule.protocol);
    if (rule.source.length != 0) row["source"] = net::to_string(rule.source);
    if (rule.destination.length != 0) row["destination"] = net::to_string(rule.destination);
    if (rule.source_port_low != 0 || rule.source_port_high != 0xffff)
        row["source_ports"] = ports_words(rule.source_port_low, rule.source_port_high);
    if (rule.destination_port_low != 0 || rule.destination_port_high != 0xffff)
        row["destination_ports"] =
            ports_words(rule.destination_port_low, rule.destination_port_high);
    if (rule.icmp_type) {
        row["icmp"] = std::to_string(*rule.icmp_type) +
                      (rule.icmp_code ? "/" + std::to_string(*rule.icmp_code) : std::string{});
    }
    if (rule.tcp_flags_mask != 0)
        row["tcp_flags"] = flags_words(rule.tcp_flags_mask, rule.tcp_flags_value);
    if (rule.dscp) row["dscp"] = *rule.dscp;
    if (rule.fragment != FragmentMatch::any)
        row["fragment"] = kFragments[static_cast<std::size_t>(rule.fragment)];
    return row;
}

}  // namespace

void Show::Ledger::add(const table::LedgerRow& row) {
    rx += row.rx.get();
    from_host += row.from_host.get();
    generated += row.generated.get();
    moved_in += row.moved_in.get();
    tx += row.tx.get();
    punted += row.punted.get();
    consumed += row.consumed.get();
    moved_out += row.moved_out.get();
    held += row.held.get();
    for (std::size_t i = 0; i < table::kReasons; ++i) {
        drops[i] += row.drops[i].get();
        dropped += row.drops[i].get();
    }
}

void Show::Ledger::put(Json& row) const {
    const auto in = static_cast<std::int64_t>(rx + from_host + generated + moved_in);
    const auto out = static_cast<std::int64_t>(tx + dropped + punted + consumed + moved_out + held);
    row["rx"] = rx;
    row["from_host"] = from_host;
    row["generated"] = generated;
    row["moved_in"] = moved_in;
    row["tx"] = tx;
    row["dropped"] = dropped;
    row["punted"] = punted;
    row["consumed"] = consumed;
    row["moved_out"] = moved_out;
    row["held"] = held;
    row["balance"] = in - out;
}

bool Show::Ledger::zero() const {
    return (rx | from_host | generated | moved_in | tx | dropped | punted | consumed | moved_out |
            held) == 0;
}

void Show::each_block(const std::function<void(const table::CounterBlock&)>& visit) const {
    if (!file_) return;
    for (std::uint32_t i = 0; i < file_->limits().workers; ++i) visit(file_->block(WorkerId{i}));
}

std::optional<std::uint32_t> Show::slot(table::SlotKind kind, const std::string& name) const {
    return file_ ? file_->find(kind, name) : std::nullopt;
}

Show::Ledger Show::ledger(bool of_ports, std::uint32_t row) const {
    Ledger sum;
    each_block([&](const table::CounterBlock& block) {
        sum.add(of_ports ? block.ports[row] : block.tenants[row]);
    });
    return sum;
}

void Show::put_vport_counters(Json& row, const std::string& vport) const {
    const auto id = slot(table::SlotKind::vport, vport);
    if (!id) return;
    std::array<std::uint64_t, 6> sum{};
    each_block([&](const table::CounterBlock& block) {
        const table::VportCounters& cells = block.vports[*id];
        sum[0] += cells.rx.packets.get();
        sum[1] += cells.rx.bytes.get();
        sum[2] += cells.tx.packets.get();
        sum[3] += cells.tx.bytes.get();
        sum[4] += cells.drops.get();
        sum[5] += cells.punted.get();
    });
    row["rx_packets"] = sum[0];
    row["rx_bytes"] = sum[1];
    row["tx_packets"] = sum[2];
    row["tx_bytes"] = sum[3];
    row["dropped_packets"] = sum[4];
    row["punted_packets"] = sum[5];
}

void Show::put_tunnel_counters(Json& row, const std::string& tunnel) const {
    const auto id = slot(table::SlotKind::tunnel, tunnel);
    if (!id) return;
    std::array<std::uint64_t, 4> sum{};
    each_block([&](const table::CounterBlock& block) {
        const table::TunnelCounters& cells = block.tunnels[*id];
        sum[0] += cells.encapsulated.packets.get();
        sum[1] += cells.encapsulated.bytes.get();
        sum[2] += cells.decapsulated.packets.get();
        sum[3] += cells.decapsulated.bytes.get();
    });
    row["encapsulated_packets"] = sum[0];
    row["encapsulated_bytes"] = sum[1];
    row["decapsulated_packets"] = sum[2];
    row["decapsulated_bytes"] = sum[3];
}

Json Show::acls() {
    Json rows = Json::array();
    each_tenant([&](const manifest::Tenant& tenant) {
        if (!wanted(tenant.name)) return;
        for (const manifest::Acl& acl : tenant.acls) {
            const auto run = file_ ? file_->rules(acl.name) : std::nullopt;
            for (std::uint32_t i = 0; i <= acl.rules.size(); ++i) {
                const bool is_default = i == acl.rules.size();
                Json row = is_default ? Json{{"action", acl.default_permit ? "permit" : "deny"}}
                                      : rule_row(acl.rules[i]);
                row["acl"] = acl.name;
                row["tenant"] = tenant.name;
                row["rule"] = is_default ? Json("default") : Json(i);
                std::uint64_t packets = 0, bytes = 0;
                if (run && i < run->count) {
                    each_block([&](const table::CounterBlock& block) {
                        packets += block.rules[run->base + i].packets.get();
                        bytes += block.rules[run->base + i].bytes.get();
                    });
                    row["packets"] = packets;
                    row["bytes"] = bytes;
                }
                if (!flag("nonzero") || packets != 0) rows.push_back(std::move(row));
            }
        }
    });
    return rows;
}

void Show::add_ledger_rows(Json& rows) {
    const table::CounterLimits& limits = file_->limits();
    const auto add = [&](const char* scope, const std::string& name, const Ledger& cells) {
        if (flag("nonzero") && cells.zero()) return;
        Json row{{"scope", scope}, {"name", name}};
        cells.put(row);
        rows.push_back(std::move(row));
    };
    const bool all = wish("tenant").empty() && wish("vrf").empty() && wish("port").empty();
    for (std::uint32_t i = 0; all && i < limits.workers; ++i) {
        Ledger sum;
        const table::CounterBlock block = file_->block(WorkerId{i});
        for (std::uint32_t port = 0; port <= limits.ports; ++port) sum.add(block.ports[port]);
        add("worker", table::is_host_block(limits, i) ? "host" : std::to_string(i), sum);
    }
    for (std::uint32_t i = 0; i <= limits.ports; ++i) {
        const std::string name = i == table::kHostPortRow
                                     ? "host"
                                     : std::string(file_->name(table::SlotKind::port, i - 1));
        if (!name.empty() && (all || wish("port") == name)) add("port", name, ledger(true, i));
    }
    for (std::uint32_t i = 0; i <= limits.tenants; ++i) {
        const std::string name = i == table::kNoTenantRow
                                     ? "none"
                                     : std::string(file_->name(table::SlotKind::tenant, i - 1));
        if (!name.empty() && (all || wish("tenant") == name)) add("tenant", name, ledger(false, i));
    }
}

void Show::add_object_rows(Json& rows) {
    const auto add = [&](Json row, std::uint64_t any) {
        if (!flag("nonzero") || any != 0) rows.push_back(std::move(row));
    };
    each_tenant([&](const manifest::Tenant& tenant) {
        for (const manifest::Vport& vport : tenant.vports) {
            if (!wanted(tenant.name, vport.vrf, vport.port)) continue;
            Json cells;
            put_vport_counters(cells, vport.name);
            if (cells.is_null()) continue;
            std::uint64_t any = 0;
            for (const auto& cell : cells) any += cell.get<std::uint64_t>();
            Json row{{"scope", "vport"}, {"name", vport.name}};
            for (const char* key : {"rx_packets", "rx_bytes", "tx_packets", "tx_bytes"})
                row[key] = cells[key];
            row["dropped"] = cells["dropped_packets"];
            row["punted"] = cells["punted_packets"];
            add(std::move(row), any);
        }
        if (!wanted(tenant.name, wish("vrf"))) return;
        for (const manifest::Tunnel& tunnel : tenant.tunnels) {
            if (!wish("vrf").empty()) break;
            Json row{{"scope", "tunnel"}, {"name", tunnel.name}};
            put_tunnel_counters(row, tunnel.name);
            add(row,
                row.value("encapsulated_packets", 0ull) + row.value("decapsulated_packets", 0ull));
        }
        for (const manifest::Vrf& vrf : tenant.vrfs) {
            const auto id = slot(table::SlotKind::vrf, vrf.name);
            if (!id || !wanted(tenant.name, vrf.name)) continue;
            std::array<std::uint64_t, 4> sum{};
            each_block([&](const table::CounterBlock& block) {
                const table::VrfCounters& cells = block.vrfs[*id];
                sum[0] += cells.lookups_ipv4.get();
                sum[1] += cells.lookups_ipv6.get();
                sum[2] += cells.no_route.get();
                sum[3] += cells.icmp_errors.get();
            });
            add({{"scope", "vrf"},
                 {"name", vrf.name},
                 {"lookups_ipv4", sum[0]},
                 {"lookups_ipv6", sum[1]},
                 {"no_route", sum[2]},
                 {"icmp_errors", sum[3]}},
                sum[0] + sum[1]);
        }
    });
}

Json Show::counters() {
    Json rows = Json::array();
    if (!file_) return rows;
    add_ledger_rows(rows);
    add_object_rows(rows);
    if (!wish("vrf").empty() || !wish("port").empty()) return rows;
    for (Json& rule : acls()) {
        if (!rule.contains("packets")) continue;
        rows.push_back({{"scope", "acl"},
                        {"name", rule["acl"]},
                        {"rule", rule["rule"]},
                        {"packets", rule["packets"]},
                        {"bytes", rule["bytes"]}});
    }
    return rows;
}

Json Show::drops() {
    Json rows = Json::array();
    if (!file_) return rows;
    const auto add = [&](const char* key, const std::string& name, const Ledger& cells) {
        for (std::size_t i = 0; i < table::kReasons; ++i) {
            if (cells.drops[i] == 0) continue;  // a row for each reason that never was helps nobody
            const auto reason = static_cast<table::Reason>(i);
            rows.push_back({{"reason", std::string(table::reason_name(reason))},
                            {key, name},
                            {"packets", cells.drops[i]},
                            {"words", std::string(table::reason_words(reason))}});
        }
    };
    const std::string port = wish("port"), tenant = wish("tenant");
    const table::CounterLimits& limits = file_->limits();
    for (std::uint32_t i = 0; i <= limits.ports && tenant.empty(); ++i) {
        const std::string name =
            i == 0 ? "host" : std::string(file_->name(table::SlotKind::port, i - 1));
        if (!name.empty() && (port.empty() || port == name)) add("port", name, ledger(true, i));
    }
    for (std::uint32_t i = 0; i <= limits.tenants && port.empty(); ++i) {
        const std::string name =
            i == 0 ? "none" : std::string(file_->name(table::SlotKind::tenant, i - 1));
        if (!name.empty() && (tenant.empty() || tenant == name))
            add("tenant", name, ledger(false, i));
    }
    return rows;
}

namespace {

/// Known while there is a session with a data plane that tells.
void add_variants(Json& row, const ring::Announced& announced) {
    const auto add = [&](const char* key, const ObjectName& name) {
        if (name.valid()) row[key] = name.view();
    };
    add("admission", announced.admission);
    add("ipv4_lookup", announced.fib4);
    add("ipv6_lookup", announced.fib6);
    add("acl_lookup", announced.acl);
}

const char* word_of(table::WorkerState state) {
    switch (state) {
        case table::WorkerState::absent:
            return "absent";
        case table::WorkerState::running:
            return "running";
        case table::WorkerState::stalled:
            return "stalled";
    }
    return "?";
}

void add_report(Json& row, const table::WorkerReport& report) {
    row["state"] = word_of(report.state);
    if (report.core != table::WorkerReport::kNotPinned) row["core"] = report.core;
    row["stalls"] = report.stalls;
    if (report.stalls == 0) return;
    row["stall_ms"] = report.stall_milliseconds;
    row["longest_stall_ms"] = report.longest_milliseconds;
    if (!report.stack_text().empty()) row["stack"] = report.stack_text();
}

}  // namespace

Json Show::workers() {
    Json rows = Json::array();
    for (std::uint32_t i = 0; file_ && i < file_->limits().workers; ++i) {
        if (table::is_host_block(file_->limits(), i)) continue;  // it does not poll
        const table::CounterBlock block = file_->block(WorkerId{i});
        Ledger sum;
        for (std::uint32_t port = 0; port <= file_->limits().ports; ++port)
            sum.add(block.ports[port]);
        const table::WorkerCounters& worker = *block.worker;
        const auto report = file_->record(WorkerId{i}).read();
        // Room for a worker that never ran is not worth a row.
        const bool absent = report && report->state == table::WorkerState::absent;
        if (absent && worker.polls.get() == 0) continue;
        const std::uint64_t total = worker.total_cycles.get();
        const std::uint64_t busy = worker.busy_cycles.get();
        Json row{{"worker", i},
                 {"rx_packets", sum.rx},
                 {"tx_packets", sum.tx},
                 {"dropped_packets", sum.dropped},
                 {"polls", worker.polls.get()},
                 {"polls_with_packets", worker.polls_with_packets.get()},
                 {"sleeps", worker.sleeps.get()},
                 {"sleep_ms", worker.sleep_nanoseconds.get() / 1000000}};
        add_variants(row, state_.announced_);
        if (report) add_report(row, *report);
        row["busy_cycles"] = busy;
        row["idle_cycles"] = total - std::min(busy, total);
        if (const std::uint64_t bursts = worker.bursts.get(); bursts != 0) {
            const std::uint64_t tenths = worker.burst_packets.get() * 10 / bursts;
            row["burst_packets"] = static_cast<double>(tenths) / 10;
            row["full_bursts_percent"] = worker.full_bursts.get() * 100 / bursts;
        }
        if (total != 0) row["busy_percent"] = busy * 100 / total;
        rows.push_back(std::move(row));
    }
    return rows;
}

Json Show::queues() {
    static constexpr const char* kKinds[] = {"none", "queue", "share", "hand-over"};
    Json rows = Json::array();
    for (std::uint32_t i = 0; file_ && i < table::kMostQueues; ++i) {
        const table::QueueCounters& queue = file_->queue(i);
        const table::QueueKind kind = queue.kind.load(std::memory_order_acquire);
        if (kind == table::QueueKind::none) break;
        const std::string port(file_->name(table::SlotKind::port, queue.port.load()));
        const std::string asked = wish("port");
        const std::uint64_t packets = queue.packets.get();
        if ((!asked.empty() && asked != port) || (flag("nonzero") && packets == 0)) continue;
        Json row{{"queue", i},
                 {"port", port},
                 {"kind", kKinds[static_cast<std::size_t>(kind)]},
                 {"index", queue.index.load()},
                 {"worker", queue.worker.load()},
                 {"rx_packets", packets}};
        if (kind != table::QueueKind::share) row["cycles"] = queue.cycles.get();
        rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace wye::state
