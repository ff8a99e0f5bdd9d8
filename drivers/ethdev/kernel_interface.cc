#include "drivers/ethdev/kernel_interface.hh"

#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace wye::drivers {
namespace {

ifreq request_for(const std::string& name) {
    ifreq request{};
    std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
    return request;
}

void set_feature(int socket, const std::string& name, std::uint32_t command) {
    ethtool_value value{command, 0};
    ifreq request = request_for(name);
    request.ifr_data = reinterpret_cast<char*>(&value);
    (void)ioctl(socket, SIOCETHTOOL, &request);
}

}  // namespace

KernelInterface::KernelInterface(std::string name, unsigned index, Descriptor socket)
    : name_(std::move(name)), index_(index), socket_(std::move(socket)) {}

Result<KernelInterface> KernelInterface::open(const std::string& name) {
    const unsigned index = if_nametoindex(name.c_str());
    if (index == 0) {
        return fail(fmt::format("this network namespace has no interface \"{}\"", name));
    }
    Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!any.valid()) return fail(fmt::format("no socket: {}", std::strerror(errno)));
    return KernelInterface(name, index, std::move(any));
}

// An abstract socket's name belongs to the network namespace, as an interface index does, and
// vanishes with the process.
Status KernelInterface::claim() {
    Descriptor mark(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string text = fmt::format("wye-port-{}", index_);
    std::memcpy(address.sun_path + 1, text.data(), text.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
    if (bind(mark.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
        if (errno == EADDRINUSE) {
            return fail(fmt::format("interface \"{}\" is in use by another data plane", name_));
        }
        return fail(
            fmt::format("interface \"{}\" cannot be claimed: {}", name_, std::strerror(errno)));
    }
    claim_ = std::move(mark);
    return {};
}

Status KernelInterface::set_mtu(std::uint16_t mtu) {
    ifreq request = request_for(name_);
    request.ifr_mtu = mtu;
    if (ioctl(socket_.get(), SIOCSIFMTU, &request) == 0) return {};
    return fail(fmt::format("interface \"{}\" does not take an MTU of {}: {}", name_, mtu,
                            std::strerror(errno)));
}

Status KernelInterface::set_up() {
    ifreq request = request_for(name_);
    if (ioctl(socket_.get(), SIOCGIFFLAGS, &request) == 0) {
        if ((request.ifr_flags & IFF_UP) != 0) return {};
        request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
        if (ioctl(socket_.get(), SIOCSIFFLAGS, &request) == 0) return {};
    }
    return fail(fmt::format("interface \"{}\" cannot be set up: {}", name_, std::strerror(errno)));
}

void KernelInterface::disable_receive_merging() {
    set_feature(socket_.get(), name_, ETHTOOL_SGRO);
    disable_receive_joining();
}

void KernelInterface::disable_receive_joining() {
    // ETH_FLAG_LRO is cleared with the other flags of this call; a device without them refuses it.
    ethtool_value flags{ETHTOOL_GFLAGS, 0};
    ifreq request = request_for(name_);
    request.ifr_data = reinterpret_cast<char*>(&flags);
    if (ioctl(socket_.get(), SIOCETHTOOL, &request) != 0) return;
    if ((flags.data & ETH_FLAG_LRO) == 0) return;
    flags = {ETHTOOL_SFLAGS, flags.data & ~std::uint32_t{ETH_FLAG_LRO}};
    (void)ioctl(socket_.get(), SIOCETHTOOL, &request);
}

Result<std::uint16_t> KernelInterface::mtu() const {
    ifreq request = request_for(name_);
    if (ioctl(socket_.get(), SIOCGIFMTU, &request) != 0) {
        return fail(fmt::format("interface \"{}\" tells no MTU: {}", name_, std::strerror(errno)));
    }
    return static_cast<std::uint16_t>(request.ifr_mtu > UINT16_MAX ? UINT16_MAX : request.ifr_mtu);
}

bool KernelInterface::running() const {
    ifreq request = request_for(name_);
    if (ioctl(socket_.get(), SIOCGIFFLAGS, &request) != 0) return false;
    return (request.ifr_flags & IFF_RUNNING) != 0 && (request.ifr_flags & IFF_UP) != 0;
}

}  // namespace wye::drivers
