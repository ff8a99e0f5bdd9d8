#include "dataplane/ring/unix_socket.hh"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace wye::ring {
namespace {

std::string errno_text() {
    return std::strerror(errno);
}

Result<sockaddr_un> unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        return fail("socket path " + path + " must have 1 to " +
                    std::to_string(sizeof address.sun_path - 1) + " bytes");
    }
    path.copy(address.sun_path, path.size());
    return address;
}

/// The socket calls take the general type.
const sockaddr* general(const sockaddr_un& address) noexcept {
    return reinterpret_cast<const sockaddr*>(&address);
}

bool answered(const sockaddr_un& address, int type) {
    const Descriptor probe(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (connect(probe.get(), general(address), sizeof address) == 0) return true;
    return errno == EAGAIN;  // listening, its backlog is full
}

}  // namespace

Result<Descriptor> listen_unix(const std::string& path, int type, const std::string& who) {
    const Result<sockaddr_un> address = unix_address(path);
    if (!address) return tl::unexpected<Error>(address.error());
    if (answered(*address, type)) {
        return fail(who + " already answers on " + path +
                    ": stop it, or give this one another instance name");
    }
    struct stat status {};
    if (lstat(path.c_str(), &status) == 0) {
        if (!S_ISSOCK(status.st_mode)) return fail(path + " exists and is no socket: remove it");
        unlink(path.c_str());
    }
    Descriptor listener(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // The mode before bind is the mode that the file is made with: there is no moment in between.
    if (!listener.valid() || fchmod(listener.get(), 0600) != 0 ||
        bind(listener.get(), general(*address), sizeof *address) != 0 ||
        listen(listener.get(), 16) != 0) {
        return fail("cannot listen on " + path + ": " + errno_text());
    }
    return listener;
}

Result<Descriptor> connect_unix(const std::string& path, int type, const std::string& who) {
    const Result<sockaddr_un> address = unix_address(path);
    if (!address) return tl::unexpected<Error>(address.error());
    Descriptor connected(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    if (!connected.valid()) return fail("cannot make a socket: " + errno_text());
    if (connect(connected.get(), general(*address), sizeof *address) != 0) {
        return fail("no " + who + " answers on " + path + " (" + errno_text() + ")");
    }
    return connected;
}

}  // namespace wye::ring
