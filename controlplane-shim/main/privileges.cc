#include "controlplane-shim/main/privileges.hh"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

namespace wye::shim {

Status drop_privileges() {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail(std::string("no_new_privs: ") + std::strerror(errno));
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[2] = {};
    if (syscall(SYS_capget, &header, sets) != 0)
        return fail(std::string("capabilities cannot be read: ") + std::strerror(errno));
    constexpr std::uint32_t kKept = 1u << CAP_NET_ADMIN | 1u << CAP_SYS_ADMIN;
    sets[0].permitted &= kKept;
    sets[0].effective &= kKept;
    sets[1].permitted = sets[1].effective = 0;
    sets[0].inheritable = sets[1].inheritable = 0;
    static_cast<void>(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    if (syscall(SYS_capset, &header, sets) != 0)
        return fail(std::string("capabilities cannot be given up: ") + std::strerror(errno));
    return {};
}

}  // namespace wye::shim
