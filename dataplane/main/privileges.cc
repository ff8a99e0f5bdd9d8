#include "dataplane/main/privileges.hh"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace wye::dataplane {

Status drop_privileges(bool keep_net_admin) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return fail(fmt::format("no_new_privs: {}", std::strerror(errno)));
    }
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[2] = {};
    if (syscall(SYS_capget, &header, sets) != 0) {
        return fail(fmt::format("capabilities cannot be read: {}", std::strerror(errno)));
    }
    const std::uint32_t kept = keep_net_admin ? 1u << CAP_NET_ADMIN : 0;
    sets[0].permitted &= kept;
    sets[0].effective &= kept;
    sets[1].permitted = sets[1].effective = 0;
    sets[0].inheritable = sets[1].inheritable = 0;
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &header, sets) != 0) {
        return fail(fmt::format("capabilities cannot be given up: {}", std::strerror(errno)));
    }
    return {};
}

}  // namespace wye::dataplane
