// What the desired state asks of Linux and hears from it. The real one is linux_kernel.hh; tests
// have a fake, so that state/ is tested without root.
//
// All calls are made on the shim's main thread, whose network namespace never changes. A namespace
// is called by its name in /run/netns; the empty name is the shim's own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controlplane-shim/manifest/manifest.hh"
#include "dataplane/base/descriptor.hh"
#include "dataplane/base/result.hh"
#include "dataplane/net/address.hh"
#include "dataplane/ring/handshake.hh"

namespace wye::kernel {

/// An interface: its namespace and its index there.
struct InterfaceKey {
    std::string netns;
    std::uint32_t index = 0;
    friend auto operator<=>(const InterfaceKey&, const InterfaceKey&) = default;
};

/// An interface as far as routes of EVPN need it.
struct Link {
    /// A vxlan device with one VNI; what FRR takes for an L3VNI (`external` devices it does not).
    struct Vxlan {
        std::uint32_t vni = 0;
        std::optional<net::IpAddress> local;
        std::uint16_t destination_port = 0;
        std::uint8_t ttl = 0;      // 0: the kernel's default
        bool copies_dscp = false;  // `tos inherit`
        friend bool operator==(const Vxlan&, const Vxlan&) = default;
    };
    net::MacAddress mac;
    std::uint32_t mtu = 0;  // bytes of the IP packet
    std::optional<Vxlan> vxlan;
    friend bool operator==(const Link&, const Link&) = default;
};

/// What happens in the kernel, as changes: after messages were lost the listener compares a new
/// dump with what it told before and reports the difference.
class KernelSink {
  public:
    virtual ~KernelSink() = default;
    virtual void address_changed(const InterfaceKey& interface,
                                 const net::InterfaceAddress& address, bool present) = 0;
    /// With a MAC: usable (reachable, stale, delay, probe, permanent). Without: failed or gone.
    virtual void neighbor_changed(const InterfaceKey& interface, const net::IpAddress& address,
                                  const std::optional<net::MacAddress>& mac) = 0;
    /// A new interface, or another MAC, MTU or vxlan setting of one.
    virtual void link_changed(const InterfaceKey& interface, const Link& link) = 0;
    /// The interface is no longer there.
    virtual void link_removed(const InterfaceKey& interface) = 0;
};

/// How a twin shall be. `object` is the vport's name, or the VRF's for `inject`.
struct TwinSpec {
    ring::TwinKind kind = ring::TwinKind::vport_tap;
    std::string object;
    std::string interface;  // name in the kernel, at most 15 bytes
    manifest::KernelVrf vrf;
    net::MacAddress mac;
    std::uint16_t mtu = 1500;
    bool admin_up = true;
    /// Addresses and neighbours that the shim sets and takes away again; no others are touched.
    std::vector<net::InterfaceAddress> addresses;
    std::vector<manifest::StaticNeighbor> neighbors;
    friend bool operator==(const TwinSpec&, const TwinSpec&) = default;
};

/// A twin that is there. Whoever holds it keeps the interface up; closing the last descriptor (the
/// data plane holds another) makes the interface vanish.
struct Twin {
    InterfaceKey interface;
    Descriptor descriptor;
};

class Kernel {
  public:
    virtual ~Kernel() = default;
    /// Begins to listen where the VRF is. Everything that is there now has been reported to the
    /// sink when it returns. Fails in words if there is no such namespace or device.
    virtual Status open_vrf(const manifest::KernelVrf& vrf) = 0;
    /// Stops listening in namespaces of which none of these VRFs is part.
    virtual void keep_vrfs(const std::vector<manifest::KernelVrf>& vrfs) = 0;

    virtual Result<Twin> make_twin(const TwinSpec& spec) = 0;
    /// Of a descriptor that the data plane gave back: checks that it is the interface that the spec
    /// means, and sets MAC, MTU and addresses as the spec says.
    virtual Result<Twin> adopt_twin(const TwinSpec& spec, Descriptor descriptor) = 0;
    /// Same kind, interface name and VRF.
    virtual Status change_twin(const Twin& twin, const TwinSpec& from, const TwinSpec& to) = 0;
    /// All of them at once, which costs hardly more than one.
    virtual void remove_twins(std::vector<std::pair<TwinSpec, Twin>> twins) = 0;

    /// Asks Linux to resolve the address now. `keep`: and to keep it resolved, since forwarded
    /// traffic is not seen by Linux and does not refresh it.
    virtual void ask_neighbor(const InterfaceKey& interface, const net::IpAddress& address,
                              bool keep) = 0;
    /// Asks one that is resolved whether it is still there: it stays usable meanwhile, and is told
    /// as gone after three seconds without an answer.
    virtual void check_neighbor(const InterfaceKey& interface, const net::IpAddress& address) = 0;
    virtual void forget_neighbor(const InterfaceKey& interface, const net::IpAddress& address) = 0;
};

}  // namespace wye::kernel
