// `wyectl host plan`, `apply` and `release` on this machine.
#pragma once

#include <cstdint>
#include <string>

namespace wye::host {

struct SriovCommand {
    enum class What : std::uint8_t { plan, apply, release } what = What::plan;
    std::string file = "/etc/wye/host.yaml";
    bool yes = false;  // else nothing is changed
    bool recreate = false;
    bool json = false;
    int wait_seconds = 0;  // for NICs whose driver is still being loaded
};

/// The exit code: 0 done, 1 refused or failed, with the reasons on the standard error.
int run_sriov(const SriovCommand& command);

}  // namespace wye::host
