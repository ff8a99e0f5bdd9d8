// apiVersion, underlay, tenants; a tenant with its quotas and VRFs.
#include <array>
#include <limits>

#include "controlplane-shim/manifest/draft.hh"

namespace wye::manifest {
namespace {

constexpr std::string_view kApiVersion = "wye/v1";
constexpr std::uint32_t kLargestVni = 0xffffff;  // 24 bits: RFC 7348 5, RFC 8926 3.3

Quotas read_quotas(const Node& node, std::string path, Problems& problems) {
    Section section(node, std::move(path), problems);
    Quotas quotas;
    const auto take = [&section](std::string_view key, std::uint32_t& out) {
        const auto value = section.number(key, 0, std::numeric_limits<std::uint32_t>::max());
        if (value) out = static_cast<std::uint32_t>(*value);
    };
    take("routes", quotas.routes);
    take("vports", quotas.vports);
    take("acl_rules", quotas.acl_rules);
    take("neighbors", quotas.neighbors);
    take("punt_pps", quotas.punt_pps);
    section.finish();
    return quotas;
}

void read_shared_keys(Section& section, DraftTenant& draft, std::string_view default_vrf,
                      Problems& problems) {
    if (const Node* quotas = section.raw("quotas")) {
        draft.tenant.quotas = read_quotas(*quotas, section.below("quotas"), problems);
    }
    section.each("vports", [&](const Node& item, std::string path) {
        draft.vports.push_back({&item, path});
        draft.tenant.vports.push_back(read_vport(item, std::move(path), default_vrf, problems));
    });
    section.each("acls", [&](const Node& item, std::string path) {
        draft.acls.push_back({&item, path});
        draft.tenant.acls.push_back(read_acl(item, std::move(path), problems));
    });
}

void read_kernel(Section& section, KernelVrf& kernel) {
    const auto netns = section.name("netns");
    const auto device = section.interface_name("device");
    if (section.has("netns")) {
        kernel = {KernelVrf::Kind::netns, netns.value_or("")};
    } else if (section.has("device")) {
        kernel = {KernelVrf::Kind::device, device.value_or("")};
    }
    if (section.has("netns") && section.has("device")) {
        section.problem("device", "a VRF has netns or device, not both: remove one");
    }
    if (netns && (*netns == "." || *netns == "..")) {
        section.problem("netns", "is no name of a namespace in /run/netns");
    }
}

}  // namespace

Vrf read_vrf(const Node& node, std::string path, Problems& problems) {
    Section section(node, std::move(path), problems);
    Vrf vrf;
    section.require("name", "what people call the VRF");
    vrf.name = section.name("name").value_or("");
    if (const auto vni = section.number("vni", 0, kLargestVni, "a VNI has 24 bits")) {
        vrf.vni = static_cast<std::uint32_t>(*vni);
    }
    vrf.underlay = section.boolean("underlay").value_or(false);
    read_kernel(section, vrf.kernel);
    section.finish();
    return vrf;
}

DraftTenant read_underlay(const Node& node, std::string path, Problems& problems) {
    Section section(node, std::move(path), problems);
    DraftTenant draft;
    draft.place = section.place();
    draft.tenant.name = kUnderlayName;
    draft.tenant.vrfs.push_back(
        {.name = std::string(kUnderlayName), .vni = {}, .underlay = true, .kernel = {}});
    draft.vrfs.push_back(section.place());
    read_shared_keys(section, draft, kUnderlayName, problems);
    section.finish();
    return draft;
}

DraftTenant read_tenant(const Node& node, std::string path, Problems& problems) {
    Section section(node, std::move(path), problems);
    DraftTenant draft;
    draft.place = section.place();
    section.require("name", "what people call the tenant");
    draft.tenant.name = section.name("name").value_or("");
    section.each("vrfs", [&](const Node& item, std::string item_path) {
        draft.vrfs.push_back({&item, item_path});
        draft.tenant.vrfs.push_back(read_vrf(item, std::move(item_path), problems));
    });
    section.each("tunnels", [&](const Node& item, std::string item_path) {
        draft.tunnels.push_back({&item, item_path});
        draft.tenant.tunnels.push_back(read_tunnel(item, std::move(item_path), problems));
    });
    read_shared_keys(section, draft, "", problems);
    section.finish();
    return draft;
}

Draft read_document(const Node& root, Problems& problems) {
    Section section(root, "", problems);
    Draft draft;
    if (section.require("apiVersion", "the manifest's version: wye/v1")) {
        static constexpr std::array kVersions{kApiVersion};
        section.choice("apiVersion", kVersions);
    }
    if (const Node* underlay = section.raw("underlay")) {
        draft.tenants.push_back(read_underlay(*underlay, "underlay", problems));
    }
    section.each("tenants", [&](const Node& item, std::string path) {
        draft.tenants.push_back(read_tenant(item, std::move(path), problems));
    });
    section.finish();
    return draft;
}

}  // namespace wye::manifest
