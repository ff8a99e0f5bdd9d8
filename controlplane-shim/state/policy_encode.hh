// Objects of the manifest as commands. Names fit: the manifest's loader checked them.
#pragma once

#include <vector>

#include "controlplane-shim/state/policy_plan.hh"

namespace wye::state {

PolicyCommand encode_object(ring::Opcode opcode, ring::ObjectKind kind, const std::string& name,
                            PolicyObjects& objects);
PolicyCommand encode_port(const std::string& port, PolicyObjects& objects);
PolicyCommand encode_tenant(const manifest::Tenant& tenant, PolicyObjects& objects);
PolicyCommand encode_vrf(const manifest::Vrf& vrf, const std::string& tenant,
                         PolicyObjects& objects);
PolicyCommand encode_tunnel(const manifest::Tunnel& tunnel, PolicyObjects& objects);
PolicyCommand encode_vport(const manifest::Vport& vport, const std::string& tenant,
                           PolicyObjects& objects);
/// acl_begin, a command for each rule, acl_commit.
void encode_acl(const manifest::Acl& acl, const std::string& tenant, PolicyObjects& objects,
                std::vector<PolicyCommand>& out);

}  // namespace wye::state
