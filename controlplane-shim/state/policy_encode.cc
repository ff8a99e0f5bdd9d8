#include "controlplane-shim/state/policy_encode.hh"

namespace wye::state {
namespace {

constexpr std::uint16_t kTwinlessVersion = 4;

using ring::ObjectKind;
using ring::Opcode;

ObjectName object_name(const std::string& name) {
    return ObjectName::from(name).value_or(ObjectName{});
}

PolicyCommand make(Opcode opcode, ObjectKind kind, const std::string& name) {
    PolicyCommand made;
    made.command.header.opcode = opcode;
    made.kind = kind;
    made.name = name;
    return made;
}

std::uint8_t flag(bool value) {
    return value ? 1 : 0;
}

ring::Handle acl_handle(const std::string& name, PolicyObjects& objects) {
    return name.empty() ? ring::kNoHandle : objects.handle(ObjectKind::acl, name);
}

void encode_rule(const manifest::AclRule& rule, ring::AclRule& body) {
    body.source = rule.source;
    body.destination = rule.destination;
    body.source_port_low = rule.source_port_low;
    body.source_port_high = rule.source_port_high;
    body.destination_port_low = rule.destination_port_low;
    body.destination_port_high = rule.destination_port_high;
    body.family = rule.family;
    body.source.address.family = body.destination.address.family = rule.family;
    body.any_protocol = flag(!rule.protocol);
    body.protocol = rule.protocol.value_or(0);
    body.any_icmp = flag(!rule.icmp_type);
    body.icmp_type = rule.icmp_type.value_or(0);
    body.any_icmp_code = flag(!rule.icmp_code);
    body.icmp_code = rule.icmp_code.value_or(0);
    body.tcp_flags_mask = rule.tcp_flags_mask;
    body.tcp_flags_value = rule.tcp_flags_value;
    body.any_dscp = flag(!rule.dscp);
    body.dscp = rule.dscp.value_or(0);
    body.fragment = rule.fragment;
    body.action = rule.action;
}

}  // namespace

PolicyCommand encode_object(Opcode opcode, ObjectKind kind, const std::string& name,
                            PolicyObjects& objects) {
    PolicyCommand made = make(opcode, kind, name);
    made.command.body.object.object = objects.handle(kind, name);
    return made;
}

PolicyCommand encode_port(const std::string& port, PolicyObjects& objects) {
    PolicyCommand made = make(Opcode::port_bind, ObjectKind::port, port);
    made.command.body.port.port = objects.handle(ObjectKind::port, port);
    made.command.body.port.name = object_name(port);
    return made;
}

PolicyCommand encode_tenant(const manifest::Tenant& tenant, PolicyObjects& objects) {
    PolicyCommand made = make(Opcode::tenant_set, ObjectKind::tenant, tenant.name);
    ring::TenantSet& body = made.command.body.tenant;
    body.tenant = objects.handle(ObjectKind::tenant, tenant.name);
    body.name = object_name(tenant.name);
    body.max_routes = tenant.quotas.routes;
    body.max_vports = tenant.quotas.vports;
    body.max_acl_rules = tenant.quotas.acl_rules;
    body.max_neighbors = tenant.quotas.neighbors;
    body.punt_packets_per_second = tenant.quotas.punt_pps;
    return made;
}

PolicyCommand encode_vrf(const manifest::Vrf& vrf, const std::string& tenant,
                         PolicyObjects& objects) {
    PolicyCommand made = make(Opcode::vrf_set, ObjectKind::vrf, vrf.name);
    ring::VrfSet& body = made.command.body.vrf;
    body.vrf = objects.handle(ObjectKind::vrf, vrf.name);
    body.tenant = objects.handle(ObjectKind::tenant, tenant);
    body.name = object_name(vrf.name);
    body.vni = vrf.vni.value_or(0);
    body.has_vni = flag(vrf.vni.has_value());
    body.underlay = flag(vrf.underlay);
    return made;
}

PolicyCommand encode_tunnel(const manifest::Tunnel& tunnel, PolicyObjects& objects) {
    PolicyCommand made = make(Opcode::tunnel_set, ObjectKind::tunnel, tunnel.name);
    ring::TunnelSet& body = made.command.body.tunnel;
    body.tunnel = objects.handle(ObjectKind::tunnel, tunnel.name);
    body.underlay_vrf = objects.handle(ObjectKind::vrf, tunnel.underlay_vrf);
    body.name = object_name(tunnel.name);
    body.local = tunnel.local;
    body.remote = tunnel.remote;
    body.vni = tunnel.vni;
    body.destination_port = tunnel.destination_port;
    body.kind = tunnel.kind;
    body.ttl = tunnel.ttl;
    body.dscp = tunnel.dscp;
    body.copy_dscp = flag(tunnel.copy_dscp);
    body.udp_checksum = flag(tunnel.udp_checksum);
    return made;
}

PolicyCommand encode_vport(const manifest::Vport& vport, const std::string& tenant,
                           PolicyObjects& objects) {
    PolicyCommand made = make(Opcode::vport_set, ObjectKind::vport, vport.name);
    ring::VportSet& body = made.command.body.vport;
    body.vport = objects.handle(ObjectKind::vport, vport.name);
    body.tenant = objects.handle(ObjectKind::tenant, tenant);
    body.vrf = objects.handle(ObjectKind::vrf, vport.vrf);
    if (vport.kind == VportKind::port) body.port = objects.handle(ObjectKind::port, vport.port);
    if (vport.kind == VportKind::tunnel)
        body.tunnel = objects.handle(ObjectKind::tunnel, vport.tunnel);
    body.name = object_name(vport.name);
    body.mac = vport.mac;
    body.mtu = vport.mtu;
    body.vlan = vport.vlan;
    body.inner_vlan = vport.inner_vlan;
    body.ingress_acl = acl_handle(vport.ingress_acl, objects);
    body.egress_acl = acl_handle(vport.egress_acl, objects);
    body.kind = vport.kind;
    body.admin_up = flag(vport.admin_up);
    body.without_twin = flag(!vport.has_twin && objects.version() >= kTwinlessVersion);
    return made;
}

void encode_acl(const manifest::Acl& acl, const std::string& tenant, PolicyObjects& objects,
                std::vector<PolicyCommand>& out) {
    const ring::Handle handle = objects.handle(ObjectKind::acl, acl.name);
    PolicyCommand begin = make(Opcode::acl_begin, ObjectKind::acl, acl.name);
    ring::AclBegin& body = begin.command.body.acl;
    body.acl = handle;
    body.tenant = objects.handle(ObjectKind::tenant, tenant);
    body.name = object_name(acl.name);
    body.rules = static_cast<std::uint32_t>(acl.rules.size());
    body.default_permit = flag(acl.default_permit);
    out.push_back(std::move(begin));
    for (std::size_t i = 0; i < acl.rules.size(); ++i) {
        PolicyCommand rule = make(Opcode::acl_rule, ObjectKind::acl, acl.name);
        rule.command.body.rule.acl = handle;
        rule.command.body.rule.index = static_cast<std::uint32_t>(i);
        encode_rule(acl.rules[i], rule.command.body.rule);
        out.push_back(std::move(rule));
    }
    out.push_back(encode_object(Opcode::acl_commit, ObjectKind::acl, acl.name, objects));
}

}  // namespace wye::state
