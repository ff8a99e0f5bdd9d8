// The attributes of VFs that their PF holds, by rtnetlink (IFLA_VFINFO_LIST of linux/if_link.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controlplane-shim/host/sriov/vf_state.hh"
#include "dataplane/base/result.hh"

namespace wye::host {

/// A seam: tests have another.
class VfLink {
  public:
    virtual ~VfLink() = default;
    /// By number. `interface`: of the PF.
    virtual Result<std::vector<VfAttributes>> read(const std::string& interface) = 0;
    /// Sets what is given, attribute by attribute. 0 or errno.
    virtual int set(const std::string& interface, std::uint32_t vf,
                    const VfAttributes& attributes) = 0;
};

class KernelVfLink final : public VfLink {
  public:
    Result<std::vector<VfAttributes>> read(const std::string& interface) override;
    int set(const std::string& interface, std::uint32_t vf,
            const VfAttributes& attributes) override;
};

}  // namespace wye::host
