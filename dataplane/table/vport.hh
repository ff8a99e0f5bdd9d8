// Vports and the per-tenant policy that a transaction swaps.
//
// A Vport record is what never changes while the vport lives: where it attaches and whose it is.
// What a policy transaction may change (VRF, ACLs, MTU, MAC, admin state) lies in the tenant's
// TenantPolicy, an immutable extent. Publishing a transaction is one store to TenantRoot::policy.
// A worker reads each tenant's root at most once in an epoch (pipeline/tenant_roots.hh), so that no
// packet is judged by a mixture of two generations.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/base/ids.hh"
#include "dataplane/base/model.hh"
#include "dataplane/net/address.hh"
#include "dataplane/table/arena.hh"

namespace wye::table {

struct Acl;  // dataplane/table/acl.hh

/// One record an id. control: rw before the key is published, afterwards ro; workers: ro.
struct alignas(32) Vport {
    std::uint32_t generation;
    TenantId tenant;
    std::uint32_t slot;  // index in its tenant's TenantPolicy::vports
    VportKind kind;      // none: free
    std::uint8_t reserved;
    std::uint16_t port;        // kind port
    std::uint16_t vlan;        // kNoVlan or 1..4094
    std::uint16_t inner_vlan;  // kNoVlan or 1..4094
    TunnelId tunnel;           // kind tunnel
    std::uint32_t padding;
};
static_assert(sizeof(Vport) == 32);

/// The changeable half of a vport. control: writes it before publication; workers: ro.
struct alignas(64) VportPolicy {
    VportId vport;  // none: this slot is free
    VrfId vrf;
    Ref<Acl> ingress_acl;  // null: permit
    Ref<Acl> egress_acl;
    net::MacAddress mac;
    std::uint16_t mtu;  // of the IP packet, bytes
    std::uint8_t admin_up;
    std::uint8_t without_twin;  // 1: what is for the router goes to the twin of the address's vport
    std::uint8_t reserved[2];
    std::uint32_t group_tag;
    /// Addresses of the router on this vport, the source of ICMP errors that leave by it; zero:
    /// none known. The control thread fills them from the `local` routes that point at this vport
    /// (source6: one that is not link-local); a route change rewrites the tenant's policy. A vport
    /// without one has that of the first vport of its VRF that has (RFC 1812 4.3.2.4, unnumbered).
    net::Ipv4Address source4;
    net::Ipv6Address source6;
    std::uint32_t padding[2];
};
static_assert(sizeof(VportPolicy) == 64);

/// Immutable once published; replaced whole.
struct alignas(64) TenantPolicy {
    std::uint32_t generation;
    std::uint32_t vport_count;
    std::uint32_t padding[14];
    // VportPolicy vports[vport_count] follows
    [[nodiscard]] const VportPolicy* vports() const noexcept {
        return reinterpret_cast<const VportPolicy*>(this + 1);
    }
};
static_assert(sizeof(TenantPolicy) == 64);

/// One record an id. The one word that a transaction swaps.
struct alignas(8) TenantRoot {
    AtomicRef<TenantPolicy> policy;
    std::uint32_t punt_packets_per_second;
};
static_assert(sizeof(TenantRoot) == 8);

}  // namespace wye::table
