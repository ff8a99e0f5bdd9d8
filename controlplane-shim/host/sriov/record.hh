// What was there before `wyectl host apply`, so that release can bring it back: a file in /run, since
// VFs do not outlive a boot either. Written beside, synchronised and renamed, so it is whole or absent.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "controlplane-shim/host/sriov/vf_state.hh"
#include "dataplane/base/result.hh"

namespace wye::host {

struct Record {
    struct Pf {
        PfState before;                               // of the first apply
        std::map<std::uint32_t, VfAttributes> fresh;  // of each VF before its attributes were set
        std::map<std::uint32_t, VfAttributes> declared;  // what the last apply asked for
    };
    std::map<std::string, Pf> pfs;  // by address
};

/// None: nothing was applied since boot.
Result<std::optional<Record>> read_record(const std::string& folder);
Status write_record(const std::string& folder, const Record& record);
Status remove_record(const std::string& folder);

}  // namespace wye::host
