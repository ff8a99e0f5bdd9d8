#include "controlplane-shim/kernel/twin_device.hh"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

#include "controlplane-shim/kernel/namespace.hh"

namespace wye::kernel {
namespace {

constexpr int kAttempts = 64;
constexpr std::uint32_t kFirstIndex = 1u << 20;  // above what the kernel counts up to by itself
constexpr std::uint32_t kIndexes = 1u << 30;

short device_flags(ring::TwinKind kind) {
    const int type = kind == ring::TwinKind::vport_tap ? IFF_TAP : IFF_TUN;
    return static_cast<short>(type | IFF_NO_PI);
}

std::string name_of(const TwinSpec& spec) {
    return "twin " + spec.interface + " of " +
           (spec.kind == ring::TwinKind::vport_tap ? "vport " : "VRF ") + spec.object;
}

Status open_tun(Descriptor& out) {
    out = Descriptor(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (out.valid()) return {};
    return fail(std::string("/dev/net/tun cannot be opened: ") + std::strerror(errno));
}

/// 0 or errno.
int set_interface(int descriptor, const TwinSpec& spec, std::uint32_t index) {
    unsigned wanted = index;
    if (ioctl(descriptor, TUNSETIFINDEX, &wanted) != 0) return errno;
    ifreq request{};
    std::strncpy(request.ifr_name, spec.interface.c_str(), IFNAMSIZ - 1);
    request.ifr_flags = device_flags(spec.kind);
    return ioctl(descriptor, TUNSETIFF, &request) == 0 ? 0 : errno;
}

}  // namespace

std::uint32_t preferred_index(const std::string& instance, const std::string& object) {
    std::uint32_t sum = 2166136261u;  // FNV-1a
    for (const char c : instance + "/" + object)
        sum = (sum ^ static_cast<unsigned char>(c)) * 16777619u;
    sum ^= sum >> 15;
    return kFirstIndex + sum % kIndexes;
}

Result<Descriptor> create_device(const TwinSpec& spec, const std::string& netns,
                                 std::uint32_t& index) {
    for (int i = 0; i < kAttempts; ++i, ++index) {
        Descriptor descriptor;
        const Status opened = in_namespace(netns, [&] { return open_tun(descriptor); });
        if (!opened) return fail(name_of(spec) + ": " + opened.error().text);
        const int error = set_interface(descriptor.get(), spec, index);
        if (error == 0) return descriptor;
        if (error != EBUSY && error != EEXIST)
            return fail(name_of(spec) + " cannot be made: " + std::strerror(error));
    }
    return fail(name_of(spec) + " cannot be made: no free interface index");
}

Status check_device(int descriptor, const TwinSpec& spec, const std::string& netns) {
    ifreq request{};
    if (ioctl(descriptor, TUNGETIFF, &request) != 0)
        return fail(name_of(spec) + ": what the data plane gave back is no TAP or TUN");
    const int type = IFF_TUN | IFF_TAP;
    if ((request.ifr_flags & type) != (device_flags(spec.kind) & type) ||
        spec.interface != std::string(request.ifr_name, strnlen(request.ifr_name, IFNAMSIZ)))
        return fail(name_of(spec) + ": the data plane gave back another interface");
    const Descriptor actual(ioctl(descriptor, TUNGETDEVNETNS));
    const Result<Descriptor> wanted = open_namespace(netns);
    if (!wanted) return tl::unexpected<Error>(wanted.error());
    if (actual.valid() && !same_namespace(actual.get(), wanted->get()))
        return fail(name_of(spec) + ": the data plane gave back one in another namespace");
    return {};
}

}  // namespace wye::kernel
