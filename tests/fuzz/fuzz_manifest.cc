// libFuzzer: load_manifest takes any bytes; what it accepts is consistent, what it refuses it says.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "controlplane-shim/manifest/manifest.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto loaded = wye::manifest::load_manifest(text, "fuzz");
    if (loaded.manifest.has_value() != loaded.problems.empty()) std::abort();
    for (const auto& problem : loaded.problems) {
        if (problem.text.empty() || problem.line < 0) std::abort();
    }
    if (!loaded.manifest) return 0;
    for (const auto& tenant : loaded.manifest->tenants) {
        if (tenant.name.empty()) std::abort();
        for (const auto& vport : tenant.vports) {
            if (vport.name.empty() || vport.vrf.empty() || vport.twin.empty()) std::abort();
            if (vport.mtu < 1280 || vport.mac.is_multicast() || vport.mac.is_zero()) std::abort();
            if (vport.port.empty() == vport.tunnel.empty()) std::abort();
        }
    }
    return 0;
}
