#include "controlplane-shim/host/sriov/record.hh"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace wye::host {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

json to_json(const VfAttributes& attributes) {
    json out = json::object();
    if (attributes.mac) out["mac"] = net::to_string(*attributes.mac);
    if (const auto& vlan = attributes.vlan)
        out["vlan"] = {vlan->id, vlan->priority, vlan->protocol};
    if (attributes.trust) out["trust"] = *attributes.trust;
    if (attributes.spoof_check) out["spoof_check"] = *attributes.spoof_check;
    if (const auto& rate = attributes.rate) out["rate"] = {rate->low, rate->high};
    if (attributes.link_state) out["link_state"] = static_cast<int>(*attributes.link_state);
    return out;
}

VfAttributes attributes_of(const json& in) {
    VfAttributes out;
    if (in.contains("mac")) out.mac = net::parse_mac(in["mac"].get<std::string>());
    if (in.contains("vlan")) {
        const json& vlan = in["vlan"];
        out.vlan = {vlan.at(0).get<std::uint16_t>(), vlan.at(1).get<std::uint8_t>(),
                    vlan.at(2).get<std::uint16_t>()};
    }
    if (in.contains("trust")) out.trust = in["trust"].get<bool>();
    if (in.contains("spoof_check")) out.spoof_check = in["spoof_check"].get<bool>();
    if (in.contains("rate")) {
        out.rate = {in["rate"].at(0).get<std::uint32_t>(), in["rate"].at(1).get<std::uint32_t>()};
    }
    if (in.contains("link_state")) {
        out.link_state = static_cast<LinkState>(in["link_state"].get<std::uint8_t>());
    }
    return out;
}

json to_json(const PfState& pf) {
    json out{{"interface", pf.interface}, {"total", pf.total}, {"vfs", json::array()}};
    for (const VfState& vf : pf.vfs) {
        out["vfs"].push_back({{"address", vf.address},
                              {"driver", vf.driver},
                              {"driver_override", vf.driver_override},
                              {"attributes", to_json(vf.attributes)}});
    }
    return out;
}

PfState pf_of(const json& in, const std::string& address) {
    PfState pf;
    pf.address = address;
    pf.interface = in.at("interface").get<std::string>();
    pf.total = in.at("total").get<std::uint32_t>();
    for (const json& vf : in.at("vfs")) {
        pf.vfs.push_back({vf.at("address").get<std::string>(), vf.at("driver").get<std::string>(),
                          vf.at("driver_override").get<std::string>(),
                          attributes_of(vf.at("attributes"))});
    }
    return pf;
}

using ByNumber = std::map<std::uint32_t, VfAttributes>;

json to_json(const ByNumber& vfs) {
    json out = json::array();
    for (const auto& [number, attributes] : vfs) out.push_back({number, to_json(attributes)});
    return out;
}

ByNumber by_number_of(const json& in) {
    ByNumber out;
    for (const json& one : in) out[one.at(0).get<std::uint32_t>()] = attributes_of(one.at(1));
    return out;
}

std::string file_of(const std::string& folder) {
    return folder + "/record.json";
}

Status failure(const std::string& path) {
    return fail(path + " cannot be written: " + std::strerror(errno) + " (run it as root)");
}

}  // namespace

Result<std::optional<Record>> read_record(const std::string& folder) {
    const std::string path = file_of(folder);
    std::ifstream file(path);
    if (!file) return std::nullopt;
    try {
        const json in = json::parse(file);
        if (in.at("version").get<int>() != kVersion) throw std::runtime_error("unknown version");
        Record record;
        for (const auto& [address, pf] : in.at("pfs").items()) {
            record.pfs[address] = {pf_of(pf.at("before"), address), by_number_of(pf.at("fresh")),
                                   by_number_of(pf.at("declared"))};
        }
        return record;
    } catch (const std::exception& broken) {
        return fail(path + " is no record of wyectl (" + broken.what() +
                    "): remove the VFs by hand (echo 0 > sriov_numvfs), then the file");
    }
}

Status write_record(const std::string& folder, const Record& record) {
    json out{{"version", kVersion}, {"pfs", json::object()}};
    for (const auto& [address, pf] : record.pfs) {
        out["pfs"][address] = {{"before", to_json(pf.before)},
                               {"fresh", to_json(pf.fresh)},
                               {"declared", to_json(pf.declared)}};
    }
    const std::string text = out.dump(2) + "\n", path = file_of(folder), beside = path + ".new";
    std::error_code none;
    std::filesystem::create_directories(folder, none);
    const int file = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) return failure(beside);
    const bool written =
        write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
        fsync(file) == 0;
    close(file);
    if (!written || std::rename(beside.c_str(), path.c_str()) != 0) return failure(path);
    return {};
}

Status remove_record(const std::string& folder) {
    const std::string path = file_of(folder);
    if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
    return failure(path);
}

}  // namespace wye::host
