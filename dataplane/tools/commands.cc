#include "dataplane/tools/commands.hh"

#include <fmt/format.h>

#include <array>
#include <map>

#include "dataplane/table/arena_walk.hh"
#include "dataplane/table/check_arena.hh"
#include "dataplane/table/fib.hh"
#include "dataplane/table/vrf.hh"
#include "dataplane/tools/routes.hh"

namespace wye::tools {

using net::IpFamily;
using nlohmann::json;
using table::SlotKind;

namespace {

constexpr std::array kFamilies{IpFamily::ipv4, IpFamily::ipv6};

std::string_view word(IpFamily family) {
    return family == IpFamily::ipv4 ? "ipv4" : "ipv6";
}

json to_json(const std::vector<Hop>& hops) {
    json list = json::array();
    for (const Hop& hop : hops) {
        json one{{"kind", hop.kind}};
        if (!hop.via.empty()) one["via"] = hop.via;
        if (!hop.vport.empty()) one["vport"] = hop.vport;
        list.push_back(std::move(one));
    }
    return list;
}

/// Name → id of the VRFs that are there.
std::map<std::string, VrfId> vrfs_of(Source& source) {
    std::map<std::string, VrfId> vrfs;
    for (std::uint32_t id = 0; id < source.arena().limits().vrfs; ++id) {
        if (!table::is_used(*source.arena().vrf(VrfId{id}))) continue;
        vrfs.emplace(source.name(SlotKind::vrf, id), VrfId{id});
    }
    return vrfs;
}

Result<json> vrf_summary(Source& source, Hops& hops, const std::string& name, VrfId vrf) {
    json row{{"vrf", name}};
    std::uint64_t bytes = 0;
    for (const IpFamily family : kFamilies) {
        const auto fib = read_fib(source, hops, family, vrf);
        if (!fib) return fail(fmt::format("VRF {}: {}", name, fib.error().text));
        row[std::string(word(family))] = fib->routes.size();
        bytes += fib->bytes;
    }
    row["bytes"] = bytes;
    return row;
}

Result<json> summary(Source& source) {
    const auto& header = source.arena().view().header();
    json out{
        {"instance", fmt::format("{:016x}", header.instance)},
        {"layout", header.layout},
        {"state", header.state.load() == table::ArenaState::committed ? "committed" : "building"},
        {"epoch", header.epoch.load(std::memory_order_acquire)},
        {"bytes", header.size.load(std::memory_order_acquire)},
        {"heap_limit", source.arena().limits().heap_bytes},
        {"forwarding", source.lease() != nullptr},
        {"predecessor", source.lease() != nullptr && source.lease()->grant().is_predecessors != 0},
    };
    const auto counts = table::count_records(source.arena(), source.descriptor());
    out["records"] = {{"tenants", counts.tenants},   {"vrfs", counts.vrfs},
                      {"vports", counts.vports},     {"tunnels", counts.tunnels},
                      {"nexthops", counts.nexthops}, {"groups", counts.groups}};
    out["vrfs"] = json::array();
    Hops hops(source);
    for (const auto& [name, vrf] : vrfs_of(source)) {
        auto row = vrf_summary(source, hops, name, vrf);
        if (!row) return row;
        out["vrfs"].push_back(std::move(*row));
    }
    return out;
}

Result<json> routes(Source& source, const std::string& vrf_name) {
    const auto vrf = source.find_vrf(vrf_name);
    if (!vrf) return tl::unexpected(vrf.error());
    Hops hops(source);
    json list = json::array();
    for (const IpFamily family : kFamilies) {
        const auto fib = read_fib(source, hops, family, *vrf);
        if (!fib) return tl::unexpected(fib.error());
        for (const Route& route : fib->routes) {
            list.push_back({{"prefix", net::to_string(route.prefix)},
                            {"nexthops", to_json(**hops.of(route.leaf))},
                            {"neighbor", route.is_neighbor}});
        }
    }
    return list;
}

Result<json> lookup(Source& source, const Question& question) {
    const auto vrf = source.find_vrf(question.vrf);
    if (!vrf) return tl::unexpected(vrf.error());
    const auto address = net::parse_ip(question.address);
    if (!address) return fail(fmt::format("\"{}\" is no IP address", question.address));
    const table::Vrf& record = *source.arena().vrf(*vrf);
    const std::uint32_t root =
        address->is_ipv4() ? record.fib4.load().unit : record.fib6.load().unit;
    // The workers' lookup checks nothing: the same way is gone first by one that does.
    const auto checked = table::find_leaf(source.arena(), address->family, root, *address);
    if (!checked) return tl::unexpected(checked.error());
    const table::ArenaView view = source.arena().view();
    const table::Leaf leaf =
        address->is_ipv4()
            ? table::lookup_fib4(view, table::Ref<table::Fib4Root>{root}, address->ipv4())
            : table::lookup_fib6(view, table::Ref<table::Fib6Root>{root}, address->ipv6());
    json out{{"vrf", question.vrf}, {"address", net::to_string(*address)}};
    if (leaf.is_none()) {
        out["nexthops"] = json::array();
        return out;
    }
    Hops hops(source);
    const auto to = hops.of(leaf);
    if (!to) return tl::unexpected(to.error());
    out["nexthops"] = to_json(**to);
    return out;
}

Result<json> digests(Source& source) {
    Hops hops(source);
    json list = json::array();
    for (const auto& [name, vrf] : vrfs_of(source)) {
        json row{{"vrf", name}};
        for (const IpFamily family : kFamilies) {
            const auto fib = read_fib(source, hops, family, vrf);
            if (!fib) return fail(fmt::format("VRF {}: {}", name, fib.error().text));
            const auto value = digest(hops, fib->routes);
            if (!value) return tl::unexpected(value.error());
            row[std::string(word(family))] = fmt::format("{:016x}", *value);
        }
        list.push_back(std::move(row));
    }
    return list;
}

Result<json> check(Source& source) {
    const auto names = [&source](table::SlotKind kind, std::uint32_t slot) {
        return source.name(kind, slot);
    };
    const auto report = table::check_arena(source.arena(), names);
    if (!report) return tl::unexpected(report.error());
    return json{{"vrfs", report->vrfs},
                {"routes", report->routes},
                {"vports", report->vports},
                {"bytes", report->bytes}};
}

std::string hops_text(const json& hops) {
    std::string text;
    for (const json& hop : hops) {
        if (!text.empty()) text += ", ";
        text += to_string(Hop{hop.at("kind"), hop.value("via", ""), hop.value("vport", "")});
    }
    return text.empty() ? "no route" : text;
}

std::string summary_text(const json& all) {
    std::string text =
        fmt::format("arena {}, {}, epoch {}, {} KiB\n", all.at("instance").get<std::string>(),
                    all.at("state").get<std::string>(), all.at("epoch").get<std::uint64_t>(),
                    all.at("bytes").get<std::uint64_t>() / 1024);
    if (all.at("predecessor")) text += "left by a data plane that died; the replay is not done\n";
    for (const auto& [what, count] : all.at("records").items()) {
        text += fmt::format("{:<10} {}\n", what, count.get<std::uint64_t>());
    }
    text += fmt::format("{:<24} {:>9} {:>9} {:>9}\n", "VRF", "IPV4", "IPV6", "KIB");
    for (const json& row : all.at("vrfs")) {
        text +=
            fmt::format("{:<24} {:>9} {:>9} {:>9}\n", row.at("vrf").get<std::string>(),
                        row.at("ipv4").get<std::uint64_t>(), row.at("ipv6").get<std::uint64_t>(),
                        (row.at("bytes").get<std::uint64_t>() + 1023) / 1024);
    }
    return text;
}

}  // namespace

Result<json> answer(Source& source, const Question& question) {
    if (question.command == "summary") return summary(source);
    if (question.command == "routes") return routes(source, question.vrf);
    if (question.command == "lookup") return lookup(source, question);
    if (question.command == "digest") return digests(source);
    return check(source);
}

std::string as_text(const Question& question, const json& answer) {
    if (question.command == "summary") return summary_text(answer);
    std::string text;
    if (question.command == "routes") {
        for (const json& row : answer) {
            text += fmt::format("{:<24} {}{}\n", row.at("prefix").get<std::string>(),
                                hops_text(row.at("nexthops")),
                                row.at("neighbor").get<bool>() ? " (neighbour)" : "");
        }
        return text;
    }
    if (question.command == "lookup") {
        return fmt::format("{} in {}: {}\n", answer.at("address").get<std::string>(),
                           answer.at("vrf").get<std::string>(), hops_text(answer.at("nexthops")));
    }
    if (question.command == "digest") {
        for (const json& row : answer) {
            text +=
                fmt::format("{:<24} ipv4 {} ipv6 {}\n", row.at("vrf").get<std::string>(),
                            row.at("ipv4").get<std::string>(), row.at("ipv6").get<std::string>());
        }
        return text;
    }
    return fmt::format("sound: {} VRFs, {} prefixes, {} vports, {} KiB reachable\n",
                       answer.at("vrfs").get<std::uint64_t>(),
                       answer.at("routes").get<std::uint64_t>(),
                       answer.at("vports").get<std::uint64_t>(),
                       (answer.at("bytes").get<std::uint64_t>() + 1023) / 1024);
}

}  // namespace wye::tools
