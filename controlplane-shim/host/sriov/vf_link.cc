#include "controlplane-shim/host/sriov/vf_link.hh"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>

#include "controlplane-shim/kernel/netlink.hh"

namespace wye::host {
namespace {

using kernel::NetlinkSocket;
using kernel::Request;

constexpr std::uint32_t kNotTold = 0xffffffff;     // the driver leaves it as the core has set it
constexpr std::uint32_t kSkipStatistics = 1 << 3;  // RTEXT_FILTER_SKIP_STATS

/// As mnl_attr_for_each_nested, which C++ does not take.
template <class Use>
void for_each_nested(const nlattr* list, Use use) {
    const char* const end =
        static_cast<const char*>(mnl_attr_get_payload(list)) + mnl_attr_get_payload_len(list);
    const auto* one = static_cast<const nlattr*>(mnl_attr_get_payload(list));
    const auto left = [&] { return static_cast<int>(end - reinterpret_cast<const char*>(one)); };
    for (; mnl_attr_ok(one, left()); one = mnl_attr_next(one)) use(one);
}

template <class Value>
bool take(const nlattr* attribute, Value& out) {
    if (mnl_attr_get_payload_len(attribute) < sizeof out) return false;
    std::memcpy(&out, mnl_attr_get_payload(attribute), sizeof out);
    return true;
}

void take_vlans(const nlattr* list, VfAttributes& out) {
    for_each_nested(list, [&](const nlattr* one) {
        ifla_vf_vlan_info vlan{};
        if (!take(one, vlan)) return;
        out.vlan = {static_cast<std::uint16_t>(vlan.vlan), static_cast<std::uint8_t>(vlan.qos),
                    ntohs(vlan.vlan_proto)};
    });
}

/// One attribute of a VF; its number comes in each of them.
void take_attribute(const nlattr* attribute, VfAttributes& out) {
    ifla_vf_mac mac{};
    ifla_vf_vlan vlan{};
    ifla_vf_rate rate{};
    ifla_vf_spoofchk flag{};  // the same shape as trust and link state
    switch (mnl_attr_get_type(attribute)) {
        case IFLA_VF_MAC:
            if (!take(attribute, mac)) return;
            out.mac.emplace();
            std::memcpy(out.mac->bytes.data(), mac.mac, out.mac->bytes.size());
            return;
        case IFLA_VF_VLAN:
            if (take(attribute, vlan) && !out.vlan) {
                out.vlan = {static_cast<std::uint16_t>(vlan.vlan),
                            static_cast<std::uint8_t>(vlan.qos)};
            }
            return;
        case IFLA_VF_VLAN_LIST:
            take_vlans(attribute, out);
            return;
        case IFLA_VF_RATE:
            if (take(attribute, rate)) out.rate = {rate.min_tx_rate, rate.max_tx_rate};
            return;
        case IFLA_VF_SPOOFCHK:
            if (take(attribute, flag) && flag.setting != kNotTold) {
                out.spoof_check = flag.setting != 0;
            }
            return;
        case IFLA_VF_TRUST:
            if (take(attribute, flag) && flag.setting != kNotTold) out.trust = flag.setting != 0;
            return;
        case IFLA_VF_LINK_STATE:
            if (take(attribute, flag) && flag.setting < __IFLA_VF_LINK_STATE_MAX) {
                out.link_state = static_cast<LinkState>(flag.setting);
            }
            return;
        default:
            return;
    }
}

std::vector<VfAttributes> take_list(const nlmsghdr* message) {
    std::vector<VfAttributes> vfs;
    const kernel::Attributes attributes(message, sizeof(ifinfomsg));
    const nlattr* const list = attributes[IFLA_VFINFO_LIST];
    if (list == nullptr) return vfs;
    for_each_nested(list, [&](const nlattr* vf) {
        vfs.emplace_back();
        for_each_nested(vf,
                        [&](const nlattr* attribute) { take_attribute(attribute, vfs.back()); });
    });
    return vfs;
}

/// `in_list`: a VLAN with its protocol, whose type counts within IFLA_VF_VLAN_LIST.
template <class Value>
int change(NetlinkSocket& socket, std::uint32_t index, std::uint16_t type, const Value& value,
           bool in_list = false) {
    ifinfomsg header{};
    header.ifi_index = static_cast<int>(index);
    Request request(RTM_SETLINK, 0, header);
    nlattr* const list = request.nest(IFLA_VFINFO_LIST);
    nlattr* const vf = request.nest(IFLA_VF_INFO);
    if (in_list) {
        nlattr* const vlans = request.nest(IFLA_VF_VLAN_LIST);
        mnl_attr_put(request.message(), type, sizeof value, &value);
        request.end(vlans);
    } else {
        mnl_attr_put(request.message(), type, sizeof value, &value);
    }
    request.end(vf);
    request.end(list);
    return socket.request(request);
}

int change_flag(NetlinkSocket& socket, std::uint32_t index, std::uint16_t type, std::uint32_t vf,
                std::uint32_t setting) {
    return change(socket, index, type, ifla_vf_spoofchk{vf, setting});
}

int change_vlan(NetlinkSocket& socket, std::uint32_t index, std::uint32_t vf,
                const VfAttributes::Vlan& vlan) {
    // Older drivers take only the plain form, which is 802.1Q.
    if (vlan.protocol == 0x8100) {
        return change(socket, index, IFLA_VF_VLAN, ifla_vf_vlan{vf, vlan.id, vlan.priority});
    }
    return change(socket, index, IFLA_VF_VLAN_INFO,
                  ifla_vf_vlan_info{vf, vlan.id, vlan.priority, htons(vlan.protocol)}, true);
}

}  // namespace

Result<std::vector<VfAttributes>> KernelVfLink::read(const std::string& interface) {
    auto socket = NetlinkSocket::open("");
    if (!socket) return tl::unexpected(socket.error());
    ifinfomsg header{};
    Request request(RTM_GETLINK, 0, header);
    request.put_text(IFLA_IFNAME, interface);
    request.put_u32(IFLA_EXT_MASK, RTEXT_FILTER_VF | kSkipStatistics);
    std::vector<VfAttributes> vfs;
    const int error =
        socket->query(request, [&](const nlmsghdr* message) { vfs = take_list(message); });
    if (error != 0) return fail("VFs of " + interface + ": " + std::strerror(error));
    return vfs;
}

int KernelVfLink::set(const std::string& interface, std::uint32_t vf,
                      const VfAttributes& attributes) {
    auto socket = NetlinkSocket::open("");
    if (!socket) return EACCES;
    const std::uint32_t index = if_nametoindex(interface.c_str());
    if (index == 0) return ENODEV;
    int error = 0;
    if (attributes.mac) {
        ifla_vf_mac mac{};
        mac.vf = vf;
        std::memcpy(mac.mac, attributes.mac->bytes.data(), attributes.mac->bytes.size());
        error = change(*socket, index, IFLA_VF_MAC, mac);
    }
    if (error == 0 && attributes.vlan) error = change_vlan(*socket, index, vf, *attributes.vlan);
    if (error == 0 && attributes.trust) {
        error = change_flag(*socket, index, IFLA_VF_TRUST, vf, *attributes.trust ? 1 : 0);
    }
    if (error == 0 && attributes.spoof_check) {
        error = change_flag(*socket, index, IFLA_VF_SPOOFCHK, vf, *attributes.spoof_check ? 1 : 0);
    }
    if (error == 0 && attributes.rate) {
        error = change(*socket, index, IFLA_VF_RATE,
                       ifla_vf_rate{vf, attributes.rate->low, attributes.rate->high});
    }
    if (error == 0 && attributes.link_state) {
        error = change_flag(*socket, index, IFLA_VF_LINK_STATE, vf,
                            static_cast<std::uint32_t>(*attributes.link_state));
    }
    return error;
}

}  // namespace wye::host
