// wyectl host plan, apply, release: brings the VFs of a machine to what host.yaml says, and back.
//
// One engine does all three: it reads what is there, compares it with a goal, and takes the steps that
// are missing. Apply's goal is the file's, release's is what the record says was there before, and after
// a failure it is what was there when this apply began. So applying twice changes nothing, and a
// process that was killed half way is continued, or undone, by the next.
#pragma once

#include <string>
#include <vector>

#include "controlplane-shim/host/sriov/host_file.hh"
#include "controlplane-shim/host/sriov/vf_steps.hh"

namespace wye::host {

struct SriovReport {
    std::vector<std::string> steps;  // planned, or done, in order
    std::vector<std::string> notes;
    std::vector<std::string>
        errors;  // any: refused, nothing was changed; or failed, and rolled back
    bool changed = false;
};

struct SriovOptions {
    bool recreate = false;  // VFs that are there may be removed, to have another number of them
};

SriovReport plan_sriov(HostSystem& system, const HostFile& file, const SriovOptions& options);
SriovReport apply_sriov(HostSystem& system, const HostFile& file, const SriovOptions& options);
/// `really` false: says what would be done.
SriovReport release_sriov(HostSystem& system, bool really);

}  // namespace wye::host
