#include "drivers/ethdev/local_socket.hh"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>

#include "dataplane/base/descriptor.hh"

namespace wye::drivers {

namespace {

/// Paths, one for each port that listens there.
std::multiset<std::string>& claimed() {
    static std::multiset<std::string> paths;
    return paths;
}

}  // namespace

bool is_listened_on(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return false;
    std::memcpy(address.sun_path, path.data(), path.size());
    // Of a type that no protocol of ours has: unix(7) answers EPROTOTYPE where a process has the
    // socket, ECONNREFUSED where none does.
    const Descriptor probe(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int connected =
        connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    return connected == 0 || (errno != ECONNREFUSED && errno != ENOENT);
}

Status make_room_for_socket(const std::string& path) {
    constexpr std::size_t kMost = sizeof(sockaddr_un::sun_path) - 1;
    if (path.size() > kMost) {
        return fail(fmt::format("the path of a socket has at most {} characters", kMost));
    }
    struct stat found {};
    if (lstat(path.c_str(), &found) != 0) return {};
    if (!S_ISSOCK(found.st_mode)) return fail(fmt::format("{} is there and no socket", path));
    if (is_listened_on(path)) return fail(fmt::format("another process listens on {}", path));
    if (unlink(path.c_str()) == 0) return {};
    return fail(fmt::format("{} cannot be removed: {}", path, std::strerror(errno)));
}

Result<SocketClaim> SocketClaim::make(const std::string& path) {
    if (!claimed().contains(path)) {
        if (auto room = make_room_for_socket(path); !room) return tl::unexpected(room.error());
    }
    claimed().insert(path);
    return SocketClaim(path);
}

SocketClaim::~SocketClaim() {
    if (const auto mine = claimed().find(path_); mine != claimed().end()) claimed().erase(mine);
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
