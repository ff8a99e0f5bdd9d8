#include "drivers/xdp/interface_queues.hh"

#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace wye::drivers {
namespace {

/// One request about an interface; false: it refuses.
bool ask(const std::string& interface, unsigned long what, ifreq& request) {
    const Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
    return any.valid() && ioctl(any.get(), what, &request) == 0;
}

template <class T>
bool ethtool(const std::string& interface, T& command) {
    ifreq request{};
    request.ifr_data = reinterpret_cast<char*>(&command);
    return ask(interface, SIOCETHTOOL, request);
}

bool takes_tags_out(const std::string& interface) {
    ethtool_value flags{ETHTOOL_GFLAGS, 0};
    return ethtool(interface, flags) && (flags.data & ETH_FLAG_RXVLAN) != 0;
}

}  // namespace

InterfaceQueues queues_of(const std::string& interface) {
    ethtool_channels channels{};
    channels.cmd = ETHTOOL_GCHANNELS;
    if (!ethtool(interface, channels)) return {};
    return {std::max(1u, channels.combined_count + channels.rx_count),
            std::max(1u, channels.combined_count + channels.tx_count)};
}

bool keep_tags_in_frames(const std::string& interface) {
    ethtool_value flags{ETHTOOL_GFLAGS, 0};
    if (!ethtool(interface, flags) || (flags.data & ETH_FLAG_RXVLAN) == 0) return true;
    flags = {ETHTOOL_SFLAGS, flags.data & ~std::uint32_t{ETH_FLAG_RXVLAN}};
    (void)ethtool(interface, flags);
    return !takes_tags_out(interface);
}

net::MacAddress mac_of(const std::string& interface) {
    ifreq request{};
    net::MacAddress mac;
    if (ask(interface, SIOCGIFHWADDR, request)) {
        std::memcpy(mac.bytes.data(), request.ifr_hwaddr.sa_data, mac.bytes.size());
    }
    return mac;
}

Descriptor be_promiscuous(unsigned interface_index) {
    // Of no protocol: it receives nothing.
    Descriptor member(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    packet_mreq wish{};
    wish.mr_ifindex = static_cast<int>(interface_index);
    wish.mr_type = PACKET_MR_PROMISC;
    if (member.valid() &&
        setsockopt(member.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &wish, sizeof wish) != 0) {
        member.reset();
    }
    return member;
}

}  // namespace wye::drivers
