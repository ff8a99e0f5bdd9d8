// Topology: which VRFs and vports there are, where they are in the kernel, and whether the data
// plane has them. What routes and neighbours are resolved against.
//
// Owner: State, on the main thread. Indexes are stable for the life of the process: an object that
// goes and comes back under its name has the index that it had.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controlplane-shim/kernel/kernel.hh"
#include "dataplane/ring/vocabulary.hh"

namespace wye::state {

/// A VRF as the kernel and FRR know it: by its namespace or device, or "default".
using TableIndex = std::uint32_t;
using VportIndex = std::uint32_t;
constexpr std::uint32_t kNoIndex = 0xffffffff;

/// A far end of a tunnel as routes of EVPN name it.
struct TunnelEnd {
    TableIndex table = kNoIndex;
    std::uint32_t vni = 0;
    std::uint32_t interface_index = 0;  // stands for the VNI in the VRF
    net::IpAddress address;
    friend auto operator<=>(const TunnelEnd&, const TunnelEnd&) = default;
};

struct TableView {
    std::string kernel_name;  // FRR's name of the VRF
    std::string netns;
    std::string vrf;  // the manifest's name; empty: the manifest has no such VRF
    std::string tenant;
    bool in_device = false;  // a kernel VRF device: its `lo` is another VRF's
    ring::Handle handle = ring::kNoHandle;
    bool present = false;      // the data plane has it
    bool leaving = false;      // about to be deleted: its routes are withdrawn
    bool seen_usable = false;  // at the last refresh
    [[nodiscard]] bool usable() const { return present && !leaving; }
};

struct VportView {
    std::string name;
    std::string tenant;
    TableIndex table = kNoIndex;
    ring::Handle handle = ring::kNoHandle;
    bool present = false;
    bool leaving = false;
    bool seen_usable = false;  // at the last refresh, as seen_twin
    std::optional<kernel::InterfaceKey> seen_twin;
    std::optional<kernel::InterfaceKey> twin;
    std::set<net::InterfaceAddress> addresses;  // the kernel's, on the twin
    [[nodiscard]] bool usable() const { return present && !leaving; }
};

/// FRR's name of the VRF that the kernel has there.
inline std::string kernel_name(const manifest::KernelVrf& vrf) {
    return vrf.kind == manifest::KernelVrf::Kind::this_namespace ? "default" : vrf.name;
}
inline std::string netns_of(const manifest::KernelVrf& vrf) {
    return vrf.kind == manifest::KernelVrf::Kind::netns ? vrf.name : std::string{};
}

class Topology {
  public:
    TableIndex table(const std::string& kernel_name) {
        const auto [entry, is_new] =
            table_index_.try_emplace(kernel_name, static_cast<TableIndex>(tables.size()));
        if (is_new) tables.emplace_back().kernel_name = kernel_name;
        return entry->second;
    }
    VportIndex vport(const std::string& name) {
        const auto [entry, is_new] =
            vport_index_.try_emplace(name, static_cast<VportIndex>(vports.size()));
        if (is_new) vports.emplace_back().name = name;
        return entry->second;
    }
    [[nodiscard]] VportIndex find_vport(const std::string& name) const {
        const auto found = vport_index_.find(name);
        return found == vport_index_.end() ? kNoIndex : found->second;
    }
    [[nodiscard]] VportIndex vport_at(const kernel::InterfaceKey& interface) const {
        const auto found = by_interface_.find(interface);
        return found == by_interface_.end() ? kNoIndex : found->second;
    }
    void set_twin(VportIndex vport, const std::optional<kernel::InterfaceKey>& twin) {
        auto& view = vports[vport];
        if (view.twin) by_interface_.erase(*view.twin);
        view.twin = twin;
        if (twin) by_interface_[*twin] = vport;
    }

    std::vector<TableView> tables;
    std::vector<VportView> vports;
    /// The vport inside the tunnel to each far end, or kNoIndex and why there is none.
    struct EvpnView {
        VportIndex vport = kNoIndex;
        std::string missing;
    };
    std::map<TunnelEnd, EvpnView> evpn;

  private:
    std::map<std::string, TableIndex> table_index_;
    std::map<std::string, VportIndex> vport_index_;
    std::map<kernel::InterfaceKey, VportIndex> by_interface_;
};

}  // namespace wye::state
