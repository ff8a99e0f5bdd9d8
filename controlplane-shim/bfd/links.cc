#include "controlplane-shim/bfd/links.hh"

#include <pwd.h>
#include <sys/epoll.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace wye::bfdd {
namespace {

constexpr std::size_t kMostUnsent = std::size_t{1} << 20;  // of a bfdd that does not read
constexpr std::size_t kReadChunk = std::size_t{64} * 1024;

void log(const std::string& text) {
    std::fprintf(stderr, "wye-shim: bfdd: %s\n", text.c_str());
}

std::string words_of(int error) {
    return std::strerror(error);
}

uid_t frr_user() {
    const passwd* const frr = getpwnam("frr");
    return frr != nullptr ? frr->pw_uid : geteuid();
}

/// bfdd's socket is its user's alone (mode 0750). We have no right to pass over permissions, but kept
/// that user as our saved one, so we may be it for the file system for the moment of a connect().
class AsFrrUser {
  public:
    AsFrrUser() { setfsuid(frr_user()); }
    ~AsFrrUser() { setfsuid(geteuid()); }
    AsFrrUser(const AsFrrUser&) = delete;
    AsFrrUser& operator=(const AsFrrUser&) = delete;
};

}  // namespace

Result<Address> parse_address(const std::string& text) {
    constexpr std::string_view kScheme = "unix:";
    Address address;
    const auto equals = text.find('=');
    std::string rest = text;
    if (equals != std::string::npos && text.compare(0, kScheme.size(), kScheme) != 0) {
        address.vrf = text.substr(0, equals);
        rest = text.substr(equals + 1);
        if (address.vrf.empty()) return fail("--bfdd " + text + ": the VRF before = is missing");
    }
    if (rest.compare(0, kScheme.size(), kScheme) != 0 || rest.size() == kScheme.size() ||
        rest[kScheme.size()] != '/') {
        return fail(
            "--bfdd " + text +
            ": only Unix sockets are taken, as unix:/PATH or VRF=unix:/PATH; start bfdd with "
            "--dplaneaddr unix:/PATH (a TCP port of bfdd takes anybody for its data plane)");
    }
    address.path = rest.substr(kScheme.size());
    if (address.path.size() >= sizeof(sockaddr_un::sun_path)) {
        return fail("--bfdd " + text + ": the path is too long for a socket");
    }
    return address;
}

Links::Links(std::vector<Address> addresses, Sink& sink)
    : addresses_(std::move(addresses)), sink_(sink), links_(addresses_.size()) {}

Result<std::unique_ptr<Links>> Links::make(std::vector<Address> addresses, Sink& sink) {
    std::unique_ptr<Links> made(new Links(std::move(addresses), sink));
    made->epoll_ = Descriptor(epoll_create1(EPOLL_CLOEXEC));
    if (!made->epoll_.valid()) return fail("epoll: " + words_of(errno));
    if (geteuid() == 0 && setresuid(getuid(), geteuid(), frr_user()) != 0) {
        return fail("the user frr cannot be kept for bfdd's socket: " + words_of(errno));
    }
    return made;
}

void Links::watch(std::size_t index, bool to_write, bool is_new) {
    epoll_event event{};
    event.events = EPOLLIN | (to_write ? EPOLLOUT : 0u);
    event.data.u64 = index;
    links_[index].waits_to_write = to_write;
    (void)epoll_ctl(epoll_.get(), is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
                    links_[index].socket.get(), &event);
}

void Links::connect(std::size_t index) {
    Link& link = links_[index];
    const std::string& path = addresses_[index].path;
    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    int error = 0;
    {
        const AsFrrUser as_frr;
        if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
            error = errno;
        }
    }
    if (error != 0) {
        const std::string reason = "waiting for " + path + ": " + words_of(error);
        if (link.said != reason) log(reason);
        link.said = reason;
        return;
    }
    link = Link{};
    link.socket = std::move(socket);
    watch(index, false, true);
    log("connected to " + path);
    sink_.bfdd_connected(index);
}

void Links::tick() {
    for (std::size_t i = 0; i < links_.size(); ++i) {
        if (!links_[i].socket.valid()) connect(i);
    }
}

void Links::run() {
    std::array<epoll_event, 8> events;
    const int ready = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < ready; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        const std::size_t index = event.data.u64;
        if ((event.events & EPOLLOUT) != 0 && !write(links_[index])) {
            close(index, words_of(errno));
        } else if ((event.events & EPOLLOUT) != 0 && links_[index].unsent.empty()) {
            watch(index, false, false);
        }
        if (links_[index].socket.valid() && (event.events & ~EPOLLOUT) != 0) read(index);
    }
}

void Links::read(std::size_t index) {
    std::array<std::uint8_t, kReadChunk> bytes;
    const ssize_t n = recv(links_[index].socket.get(), bytes.data(), bytes.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return close(index, n == 0 ? "it has closed the connection" : words_of(errno));
    std::vector<Message> messages;
    Decoder& decoder = links_[index].decoder;
    const bool good = decoder.feed(std::span(bytes).first(static_cast<std::size_t>(n)), messages);
    const std::string error = decoder.error();
    for (const Message& message : messages) sink_.bfdd_said(index, message);
    if (!good) close(index, error);
}

bool Links::write(Link& link) {
    while (!link.unsent.empty()) {
        const ssize_t n = ::send(link.socket.get(), link.unsent.data(), link.unsent.size(),
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) return errno == EAGAIN || errno == EINTR;
        link.unsent.erase(link.unsent.begin(), link.unsent.begin() + n);
    }
    return true;
}

void Links::send(std::size_t index, const std::vector<std::uint8_t>& bytes) {
    Link& link = links_[index];
    if (!link.socket.valid()) return;
    if (link.unsent.size() + bytes.size() > kMostUnsent)
        return;  // read() will see it end, or it reads
    link.unsent.insert(link.unsent.end(), bytes.begin(), bytes.end());
    // One that has gone is found out by run(), not here, in the middle of whoever sends.
    (void)write(link);
    if (!link.unsent.empty() && !link.waits_to_write) watch(index, true, false);
}

void Links::close(std::size_t index, const std::string& reason) {
    log(addresses_[index].path + ": " + reason + "; its sessions run on");
    links_[index] = Link{};
    sink_.bfdd_gone(index);
}

}  // namespace wye::bfdd
