// Names of VFs: links in a folder of /run, by which dataplane.yaml's `vf: NAME` is found
// (drivers/sriov/find_function.hh).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "controlplane-shim/host/sriov/wish.hh"

namespace wye::host {

using VfNames = std::map<std::string, std::string>;  // name: PCI address

/// What is missing, or too much.
struct NameStep {
    std::string text;  // "name wan: VF 0 of 0000:3b:00.0, 0000:3b:10.0"
    std::string name;
    std::string address;  // empty: not known yet
    bool remove = false;
};

VfNames names_there(const HostSystem& system);
/// The address of a VF is known once its PF has as many as it should.
std::vector<NameStep> name_steps(const HostSystem& system, const PfStates& states,
                                 const Wish& wish);
Status run_step(const HostSystem& system, const NameStep& step);
/// Back to `before`, as far as that can be.
void restore_names(const HostSystem& system, const VfNames& before);

}  // namespace wye::host
