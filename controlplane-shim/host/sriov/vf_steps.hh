// From what there is to what there should be: the single steps, and how each is done.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "controlplane-shim/host/sriov/vf_link.hh"
#include "controlplane-shim/host/sriov/vf_state.hh"
#include "dataplane/base/result.hh"
#include "drivers/sriov/sys_tree.hh"

namespace wye::host {

/// The machine's seams: all that is read and written goes by these.
struct HostSystem {
    drivers::SysTree& sys;
    VfLink& links;
    std::function<int()> load_vfio;  // 0 or errno
    std::string proc = "/proc";
    std::string state = "/run/wye-host";  // the record, the names of VFs, the lock
};

struct Step {
    enum class Kind : std::uint8_t { count, attribute, driver } kind = Kind::count;
    std::string text;  // "VF 1 of 0000:3b:00.0 (eno1): vlan 100"
    PfState pf;        // as it was when the step was planned
    std::uint32_t vf = 0;
    std::uint32_t count = 0;
    VfAttributes attribute;  // one of them
    DriverGoal driver;
};

/// "" for `interface`: attributes are not known. Fails if the device has no SR-IOV.
Result<PfState> read_pf(const HostSystem& system, const std::string& address);

/// Removal of all VFs, creation of as many as there should be; nothing if the number is right.
std::vector<Step> count_steps(const PfState& now, const PfGoal& goal);
/// Attributes, then drivers, of VFs that are there; of those that are not (a plan), all that is asked.
std::vector<Step> vf_steps(const PfState& now, const PfGoal& goal);
/// Back to a state: its number of VFs, their attributes and drivers.
PfGoal goal_of(const PfState& before);

/// The error says what failed, why, and the fix.
Status run_step(HostSystem& system, const Step& step);

/// Who uses the VF so that it must not be taken away; empty: nobody.
std::string user_of(const HostSystem& system, const VfState& vf);

/// For attributes that are in both: those that differ, each alone.
std::vector<VfAttributes> differences(const VfAttributes& now, const VfAttributes& goal);
/// Of `values` those that are in `mask`.
VfAttributes masked(const VfAttributes& values, const VfAttributes& mask);
/// What is set in `over` takes the place of what `values` has.
void overlay(VfAttributes& values, const VfAttributes& over);

}  // namespace wye::host
