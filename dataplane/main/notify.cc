#include "dataplane/main/notify.hh"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "dataplane/base/descriptor.hh"

namespace wye::dataplane {
namespace {

/// sd_notify's protocol: one datagram; a leading @ stands for an abstract name.
void notify_systemd() {
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    if (path == nullptr || std::strlen(path) < 2 || std::strlen(path) >= sizeof address.sun_path) {
        return;
    }
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path, std::strlen(path));
    if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
    const Descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    constexpr std::string_view kReady = "READY=1";
    (void)sendto(socket.get(), kReady.data(), kReady.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address), length);
}

}  // namespace

void tell_ready(const std::string& line) {
    std::printf("wye-dataplane: ready, %s\n", line.c_str());
    std::fflush(stdout);
    notify_systemd();
}

void say(const std::string& text) {
    std::fprintf(stderr, "wye-dataplane: %s\n", text.c_str());
}

}  // namespace wye::dataplane
