// A manifest as it was read, with the place of every object, before it is known to be consistent.
#pragma once

#include <string>
#include <vector>

#include "controlplane-shim/manifest/manifest.hh"
#include "controlplane-shim/manifest/section.hh"

namespace wye::manifest {

constexpr std::string_view kUnderlayName = "underlay";

/// An MTU or VLAN that could not be read.
constexpr std::uint16_t kUnreadable = 0;

/// The places lie parallel to the tenant's vectors. A name or reference that could not be read is
/// empty, and is not looked at again: one mistake makes one problem.
struct DraftTenant {
    Tenant tenant;
    Place place;
    std::vector<Place> vrfs, tunnels, vports, acls;
};

struct Draft {
    std::vector<DraftTenant> tenants;
};

// The readers, one for each kind of object.
Draft read_document(const Node& root, Problems& problems);
DraftTenant read_underlay(const Node& node, std::string path, Problems& problems);
DraftTenant read_tenant(const Node& node, std::string path, Problems& problems);
Vrf read_vrf(const Node& node, std::string path, Problems& problems);
Tunnel read_tunnel(const Node& node, std::string path, Problems& problems);
/// `default_vrf`: of a vport that names none; empty: it must.
Vport read_vport(const Node& node, std::string path, std::string_view default_vrf,
                 Problems& problems);
Acl read_acl(const Node& node, std::string path, Problems& problems);
/// Appends one rule, or two if it is for both families.
void read_acl_rule(const Node& node, std::string path, std::vector<AclRule>& rules,
                   Problems& problems);

// What only shows when all is read, one check for each kind of rule.
void check_names(const Draft& draft, Problems& problems);
void check_references(const Draft& draft, Problems& problems);
void check_attachments(const Draft& draft, Problems& problems);  // (port, VLAN), tunnels, addresses
void check_tunnels(const Draft& draft, Problems& problems);      // keys, VNIs, underlay, MTU
void check_kernel(const Draft& draft, Problems& problems);       // namespaces, twins
void check_quotas(const Draft& draft, Problems& problems);

}  // namespace wye::manifest
