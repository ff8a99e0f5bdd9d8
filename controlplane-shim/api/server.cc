#include "controlplane-shim/api/server.hh"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "dataplane/ring/unix_socket.hh"

namespace wye::api {
namespace {

constexpr std::size_t kChunk = 64 << 10;
/// Of one client in one run(), so that a manifest does not hold up the rest of the shim.
constexpr std::size_t kReadsInOneTurn = 16;

bool would_block() noexcept {
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

/// Root and the user that the shim runs as.
bool may_ask(const ucred& peer) noexcept {
    return peer.uid == 0 || peer.uid == geteuid();
}

std::string error_line(const std::string& text) {
    const nlohmann::json line{{"ok", false}, {"errors", {text}}};
    return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

bool out_of_descriptors() noexcept {
    return errno == EMFILE || errno == ENFILE;
}

Descriptor spare_descriptor() noexcept {
    return Descriptor(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace

Server::Server(Descriptor listener, Descriptor epoll, Service& service, const ServerLimits& limits)
    : listener_(std::move(listener)),
      epoll_(std::move(epoll)),
      spare_(spare_descriptor()),
      service_(&service),
      limits_(limits) {}

Result<Server> Server::listen(const std::string& path, Service& service,
                              const ServerLimits& limits) {
    auto listener = ring::listen_unix(path, SOCK_STREAM, "a shim");
    if (!listener) return tl::unexpected<Error>(listener.error());
    Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = listener->get();
    if (!epoll.valid() || epoll_ctl(epoll.get(), EPOLL_CTL_ADD, listener->get(), &event) != 0) {
        return fail(std::string("cannot watch the API's socket: ") + std::strerror(errno));
    }
    return Server(std::move(*listener), std::move(epoll), service, limits);
}

void Server::run() {
    std::array<epoll_event, 16> events;
    const int ready = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < ready; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (fd == listener_.get()) {
            accept_clients();
        } else if (const auto found = clients_.find(fd); found != clients_.end()) {
            serve(found->second);
        }
    }
}

void Server::refuse(int socket, const std::string& why) {
    const std::string line = error_line(why);
    [[maybe_unused]] const auto sent = send(socket, line.data(), line.size(), MSG_NOSIGNAL);
}

/// A client that is left waiting would keep the listener readable, and the shim's loop spinning.
void Server::refuse_without_descriptors() {
    spare_.reset();
    Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.valid()) {
        refuse(socket.get(), "the shim has no file descriptors left: raise its limit (ulimit -n)");
    }
    socket.reset();
    spare_ = spare_descriptor();
}

void Server::accept_clients() {
    for (;;) {
        Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!socket.valid()) {
            if (out_of_descriptors()) refuse_without_descriptors();
            return;
        }
        ucred peer{};
        socklen_t length = sizeof peer;
        if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 ||
            !may_ask(peer)) {
            refuse(socket.get(), "user id " + std::to_string(peer.uid) +
                                     " may not use this socket: be root or the shim's own user");
            continue;
        }
        if (clients_.size() >= limits_.clients) {
            refuse(socket.get(), "already " + std::to_string(limits_.clients) +
                                     " clients are connected: close one and try again");
            continue;
        }
        const int fd = socket.get();
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) continue;
        clients_[fd].socket = std::move(socket);
    }
}

void Server::watch(const Client& client) const {
    epoll_event event{};
    event.events = client.out.empty() ? EPOLLIN : EPOLLOUT;
    event.data.fd = client.socket.get();
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, client.socket.get(), &event);
}

void Server::serve(Client& client) {
    // With an answer unsent nothing more is read: that is the back-pressure.
    bool open = transmit(client);
    if (open && client.out.empty() && !client.closing) open = receive(client);
    if (open) open = answer_lines(client);
    if (!open || (client.closing && client.out.empty())) {
        clients_.erase(client.socket.get());  // closing takes it out of the epoll set
        return;
    }
    watch(client);
}

bool Server::receive(Client& client) {
    std::array<char, kChunk> chunk;
    for (std::size_t turn = 0; turn < kReadsInOneTurn; ++turn) {
        const ssize_t got = recv(client.socket.get(), chunk.data(), chunk.size(), 0);
        if (got < 0) return would_block() || errno == EINTR;
        if (got == 0) {
            client.closing = true;  // what came before is still answered
            return true;
        }
        client.in.append(chunk.data(), static_cast<std::size_t>(got));
        if (client.in.size() > limits_.line_bytes) return true;
    }
    return true;
}

bool Server::answer_lines(Client& client) {
    while (client.out.empty()) {
        const auto end = client.in.find('\n', client.searched);
        if (end == std::string::npos) {
            client.searched = client.in.size();
            if (client.in.size() <= limits_.line_bytes) return true;
            client.out = error_line("the request is longer than " +
                                    std::to_string(limits_.line_bytes) + " bytes");
            client.in.clear();
            client.searched = 0;
            client.closing = true;
            return transmit(client);
        }
        const std::string line = client.in.substr(0, end);
        client.in.erase(0, end + 1);
        client.searched = 0;
        client.out = answer_line(*service_, line) + "\n";
        if (!transmit(client)) return false;
    }
    return true;
}

bool Server::transmit(Client& client) {
    std::size_t sent = 0;
    while (sent < client.out.size()) {
        const ssize_t n = send(client.socket.get(), client.out.data() + sent,
                               client.out.size() - sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) continue;
            client.out.erase(0, sent);
            return would_block();
        }
        sent += static_cast<std::size_t>(n);
    }
    client.out.clear();
    return true;
}

}  // namespace wye::api
