// READY=1 arrives where NOTIFY_SOCKET says, in a file or under an abstract name.
#include "dataplane/base/systemd.hh"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>

namespace wye {
namespace {

/// What a supervisor that listens at `name` (as in NOTIFY_SOCKET) hears of a daemon that is ready.
std::string heard_at(const std::string& name) {
    const Descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    if (name.front() == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    tell_systemd_ready();
    std::array<char, 64> buffer;
    const ssize_t got = recv(socket.get(), buffer.data(), buffer.size(), 0);
    return got < 0 ? "nothing" : std::string(buffer.data(), static_cast<std::size_t>(got));
}

TEST(Systemd, HearsOfReadiness) {
    const std::string file = testing::TempDir() + "wye-notify-" + std::to_string(getpid());
    EXPECT_EQ(heard_at(file), "READY=1");
    unlink(file.c_str());
    EXPECT_EQ(heard_at("@wye-notify-" + std::to_string(getpid())), "READY=1");
}

TEST(Systemd, NobodyListensAndNobodyMinds) {
    for (const std::string& name :
         {std::string(), std::string("@"), std::string("/nowhere/at/all"), std::string(200, 'x')}) {
        setenv("NOTIFY_SOCKET", name.c_str(), 1);
        tell_systemd_ready();
    }
    unsetenv("NOTIFY_SOCKET");
    tell_systemd_ready();
}

}  // namespace
}  // namespace wye
