// `show bfd`: what the file of sessions says of those that run, and those that are refused.
#include "controlplane-shim/state/show.hh"
#include "dataplane/base/clock.hh"

namespace wye::state {
namespace {

using Json = nlohmann::json;

std::string milliseconds(std::uint32_t microseconds) {
    const std::uint32_t rest = microseconds % 1000;
    std::string text = std::to_string(microseconds / 1000);
    if (rest != 0) text += "." + std::to_string(1000 + rest).substr(1);
    return text;
}

std::string words_of(std::uint8_t diagnostic) {
    return std::string(net::bfd_diagnostic_words(static_cast<net::BfdDiagnostic>(diagnostic)));
}

std::string name_of(std::uint8_t state) {
    return std::string(net::bfd_state_name(static_cast<net::BfdState>(state)));
}

std::uint64_t seconds_since(std::uint64_t nanoseconds) {
    const auto now = static_cast<std::uint64_t>(monotonic_now().count());
    return now > nanoseconds ? (now - nanoseconds) / 1'000'000'000 : 0;
}

/// "authentication 3, hop_limit 1"; the sum is returned.
std::uint64_t list_drops(const std::array<table::Counter, table::kBfdDrops>& drops,
                         std::string& words) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < drops.size(); ++i) {
        const std::uint64_t count = drops[i].get();
        if (count == 0) continue;
        sum += count;
        words += (words.empty() ? "" : ", ") +
                 std::string(table::bfd_drop_name(static_cast<table::BfdDrop>(i))) + " " +
                 std::to_string(count);
    }
    return sum;
}

void put_drops(Json& row, const std::array<table::Counter, table::kBfdDrops>& drops) {
    std::string words;
    row["dropped_packets"] = list_drops(drops, words);
    if (!words.empty()) row["drop_reasons"] = words;
}

Json row_of(const table::BfdRecord& record) {
    Json row{{"vrf", std::string(record.vrf.view())},
             {"neighbour", net::to_string(record.remote)},
             {"local", net::to_string(record.local)},
             {"hops", record.multihop != 0 ? "multi" : "single"},
             {"state", name_of(record.state.load())},
             {"diagnostic", words_of(record.diagnostic.load())},
             {"remote_state", name_of(record.remote_state.load())},
             {"path", record.path_failed.load() != 0 ? "failed" : "good"},
             {"discriminator", record.discriminator.load()},
             {"remote_discriminator", record.remote_discriminator.load()},
             {"transmit_ms", milliseconds(record.transmit_interval.load())},
             {"detection_ms", milliseconds(record.detection_time.load())},
             {"multiplier", record.detect_multiplier.load()},
             {"remote_multiplier", record.remote_detect_multiplier.load()},
             {"polling", record.polling.load() != 0},
             {"ups", record.ups.get()},
             {"downs", record.downs.get()},
             {"rx_packets", record.packets_in.get()},
             {"tx_packets", record.packets_out.get()}};
    if (record.vport.view().empty() == false) row["vport"] = std::string(record.vport.view());
    if (const auto at = record.changed_at.load(); at != 0) row["state_seconds"] = seconds_since(at);
    if (record.downs.get() != 0) {
        row["last_down"] = words_of(record.last_down_diagnostic.load());
        if (const auto at = record.last_down_at.load(); at != 0) {
            row["last_down_seconds"] = seconds_since(at);
        }
    }
    put_drops(row, record.drops);
    return row;
}

}  // namespace

Json Show::bfd() {
    Json rows = Json::array();
    const auto file = table::BfdFile::open_read_only(state_.options_.run_dir + "/bfd");
    const std::string vrf = wish("vrf");
    for (std::uint32_t slot = 0; file && slot < table::kMaxBfdSessions; ++slot) {
        const table::BfdRecord& record = file->record(slot);
        if (record.discriminator.load(std::memory_order_acquire) == 0) continue;
        if (!vrf.empty() && vrf != record.vrf.view()) continue;
        rows.push_back(row_of(record));
    }
    for (const auto& [key, entry] : state_.bfd_.entries()) {
        if (entry.present || entry.refused.empty()) continue;
        const std::string& of = entry.place ? state_.topology_.tables[entry.place->table].vrf
                                            : state_.bfd_.links()->addresses()[key.first].vrf;
        if (!vrf.empty() && vrf != of) continue;
        Json row{{"neighbour", net::to_string(entry.request.remote)},
                 {"hops", entry.request.multihop ? "multi" : "single"},
                 {"state", "refused"},
                 {"discriminator", entry.request.id},
                 {"diagnostic", entry.refused}};
        if (!of.empty()) row["vrf"] = of;
        if (entry.request.local) row["local"] = net::to_string(*entry.request.local);
        rows.push_back(std::move(row));
    }
    if (file && vrf.empty()) {
        Json row{{"neighbour", "of no session"},
                 {"stalls", file->totals().stalls.get()},
                 {"stalled_ms", file->totals().stalled_nanoseconds.get() / 1'000'000}};
        put_drops(row, file->totals().drops);
        if (!rows.empty() || row["dropped_packets"] != 0) rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace wye::state
