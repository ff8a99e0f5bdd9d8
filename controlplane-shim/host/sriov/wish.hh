// What host.yaml asks for, as goals of PFs; and what a release does: the same for what was there before.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controlplane-shim/host/sriov/survey.hh"

namespace wye::host {

struct VfPlace {
    std::string pf;  // its address
    std::uint32_t number = 0;
};

struct Wish {
    std::map<std::string, PfGoal> goals;   // by address
    std::map<std::string, VfPlace> names;  // what dataplane.yaml may call a VF
    /// What the file says of each VF's attributes: to be remembered, and taken back one day.
    std::map<std::string, std::map<std::uint32_t, VfAttributes>> declared;
};

/// PFs that only the record knows go back to what they were. What is impossible is added to `errors`.
Wish wish_for(const drivers::SysTree& sys, const HostFile& file, const Survey& survey,
              std::vector<std::string>& errors);
/// Everything back to what it was.
Wish wish_back(const Record& record);

}  // namespace wye::host
