#include "drivers/ethdev/local_socket.hh"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "dataplane/base/descriptor.hh"

namespace wye::drivers {

Status make_room_for_socket(const std::string& path, int type) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return fail(fmt::format("the path of a socket has at most {} characters",
                                sizeof address.sun_path - 1));
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    struct stat found {};
    if (lstat(path.c_str(), &found) != 0) return {};
    if (!S_ISSOCK(found.st_mode)) return fail(fmt::format("{} is there and no socket", path));
    const Descriptor probe(socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int connected =
        connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    if (connected == 0 || errno != ECONNREFUSED) {
        return fail(fmt::format("another process listens on {}", path));
    }
    if (unlink(path.c_str()) == 0) return {};
    return fail(fmt::format("{} cannot be removed: {}", path, std::strerror(errno)));
}

Status set_socket_mode(const std::string& path, mode_t mode) {
    if (chmod(path.c_str(), mode) == 0) return {};
    return fail(fmt::format("{} does not get its mode: {}", path, std::strerror(errno)));
}

PrivateFiles::PrivateFiles() noexcept : before_(umask(0077)) {}
PrivateFiles::~PrivateFiles() {
    (void)umask(before_);
}

}  // namespace wye::drivers
