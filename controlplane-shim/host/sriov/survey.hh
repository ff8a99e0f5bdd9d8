// What there is before anything is decided: the PFs that host.yaml names, those that an earlier apply
// recorded, and that record.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "controlplane-shim/host/sriov/host_file.hh"
#include "controlplane-shim/host/sriov/record.hh"
#include "controlplane-shim/host/sriov/vf_steps.hh"

namespace wye::host {

using PfStates = std::map<std::string, PfState>;  // by address

struct Survey {
    std::map<std::string, std::string> addresses;  // of the file's devices
    PfStates states;                               // of the file's PFs and of the record's
    Record record;
    bool has_record = false;  // something was applied since the machine started
};

/// Without a file (null): only what the record knows. What cannot be found or read is added to
/// `errors`; then the survey is not whole.
Survey survey_machine(HostSystem& system, const HostFile* file, std::vector<std::string>& errors);

/// Reads every PF of `states` again.
Status read_again(const HostSystem& system, PfStates& states);

}  // namespace wye::host
