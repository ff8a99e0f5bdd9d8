#include "controlplane-shim/host/sriov/survey.hh"

#include <fmt/format.h>

#include "drivers/sriov/find_function.hh"

namespace wye::host {
namespace {

std::string at(const HostFile& file, int line, const std::string& text) {
    return fmt::format("{}:{}: {}", file.path, line, text);
}

/// A PF of the file: which device it is, and what it has. The error has no place in the file yet.
Status find_pf(const HostSystem& system, const HostFile::Pf& pf, Survey& survey) {
    const auto address = drivers::find_pf(system.sys, pf.device);
    if (!address) return tl::unexpected(address.error());
    if (!survey.addresses.emplace(pf.device, *address).second || survey.states.contains(*address)) {
        return fail(pf.device + " is the same NIC as one before: " + *address);
    }
    const auto state = read_pf(system, *address);
    if (!state) return tl::unexpected(state.error());
    survey.states[*address] = *state;
    if (pf.count <= state->total) return {};
    return fail(
        fmt::format("vfs: {} is more than {} can have ({})", pf.count, pf.device, state->total));
}

}  // namespace

Survey survey_machine(HostSystem& system, const HostFile* file, std::vector<std::string>& errors) {
    Survey survey;
    auto record = read_record(system.state);
    if (!record) {
        errors.push_back(record.error().text);
        return survey;
    }
    survey.has_record = record->has_value();
    if (survey.has_record) survey.record = std::move(**record);
    if (file != nullptr) {
        for (const auto& pf : file->pfs) {
            const Status found = find_pf(system, pf, survey);
            if (!found) errors.push_back(at(*file, pf.line, found.error().text));
        }
    }
    for (const auto& [address, pf] : survey.record.pfs) {
        if (survey.states.contains(address)) continue;
        auto state = read_pf(system, address);
        if (state) {
            survey.states[address] = std::move(*state);
        } else {
            errors.push_back(state.error().text);
        }
    }
    return survey;
}

Status read_again(const HostSystem& system, PfStates& states) {
    for (auto& [address, state] : states) {
        auto pf = read_pf(system, address);
        if (!pf) return tl::unexpected(pf.error());
        state = std::move(*pf);
    }
    return {};
}

}  // namespace wye::host
