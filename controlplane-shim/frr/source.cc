// The route source: a listening Unix socket, at most one plugin, acknowledgements in batches.
#include <grp.h>
#include <pwd.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <poll.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include "controlplane-shim/frr/decoder.hh"
#include "controlplane-shim/frr/route_source.hh"
#include "controlplane-shim/frr/zebra-plugin/protocol.h"
#include "dataplane/base/descriptor.hh"

namespace wye::frr {

namespace {

/// What one run() reads at most: about 3 600 routes of one next hop.
constexpr std::size_t kReadChunk = std::size_t{64} * 1024;
constexpr int kChunksPerRun = 4;

void log(const std::string& text) {
    std::fprintf(stderr, "wye-shim: zebra: %s\n", text.c_str());
}

std::string reason() {
    return std::strerror(errno);
}

void watch(int epoll, int operation, int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    ::epoll_ctl(epoll, operation, fd, &event);
}

/// The process at the other end has gone, or closed its side.
bool is_dead(int fd) {
    pollfd state{fd, POLLRDHUP, 0};
    return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/// `version`: what the connection will speak, or, in a refusal, what this side could have.
wye_zebra_hello_reply make_reply(bool accepted, std::uint32_t version, const std::string& text) {
    wye_zebra_hello_reply reply{};
    reply.frame = {sizeof reply, WYE_ZEBRA_HELLO_REPLY, 0};
    reply.magic = WYE_ZEBRA_MAGIC;
    reply.version = version;
    reply.accepted = accepted ? 1 : 0;
    text.copy(reply.text, sizeof reply.text - 1);
    return reply;
}

void refuse(int fd, const std::string& text) {
    log(text);
    const auto reply = make_reply(false, WYE_ZEBRA_VERSION, text);
    // The last word of a connection: if it does not fit, the other side sees the end alone.
    (void)!::send(fd, &reply, sizeof reply, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/// Who may be zebra: root, the user that runs the shim, and FRR's own user. Else a reason why not.
std::optional<std::string> refuse_peer(int fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return reason();
    if (peer.uid == 0 || peer.uid == ::geteuid()) return std::nullopt;
    const passwd* const frr = ::getpwnam("frr");
    if (frr != nullptr && frr->pw_uid == peer.uid) return std::nullopt;
    return "process " + std::to_string(peer.pid) + " of user id " + std::to_string(peer.uid) +
           " was refused: only root and the user frr may send routes";
}

/// Everything that belongs to one connection.
struct Connection {
    Connection(Descriptor fd, RouteSink& sink, std::uint32_t id)
        : socket(std::move(fd)), decoder(sink, id), number(id) {}

    Descriptor socket;
    Decoder decoder;
    std::uint32_t number;
    bool accepted = false;  // HELLO answered
    bool broken = false;    // a send failed; run() closes it
    bool waits_to_write = false;
    std::vector<std::uint64_t> installed, refused;  // acknowledgements not yet encoded
    std::vector<std::uint8_t> output;               // encoded, not yet sent
};

template <class T>
void append(std::vector<std::uint8_t>& output, const T* values, std::size_t count = 1) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(values);
    output.insert(output.end(), bytes, bytes + sizeof(T) * count);
}

void encode_acknowledgements(std::vector<std::uint8_t>& output, std::vector<std::uint64_t>& ids,
                             wye_zebra_result result) {
    for (std::size_t at = 0; at < ids.size(); at += WYE_ZEBRA_MAX_ACKNOWLEDGED) {
        const std::size_t count =
            std::min<std::size_t>(WYE_ZEBRA_MAX_ACKNOWLEDGED, ids.size() - at);
        wye_zebra_acknowledge message{};
        message.frame.length =
            static_cast<std::uint16_t>(sizeof message + count * sizeof(std::uint64_t));
        message.frame.type = WYE_ZEBRA_ACKNOWLEDGE;
        message.result = result;
        append(output, &message);
        append(output, ids.data() + at, count);
    }
    ids.clear();
}

class Source final : public RouteSource {
  public:
    Source(Descriptor listener, Descriptor epoll, std::string path, RouteSink& sink)
        : listener_(std::move(listener)),
          epoll_(std::move(epoll)),
          path_(std::move(path)),
          sink_(sink) {
        watch(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), EPOLLIN);
    }
    ~Source() override { ::unlink(path_.c_str()); }
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    [[nodiscard]] int descriptor() const override { return epoll_.get(); }
    [[nodiscard]] bool connected() const override { return connection_ && connection_->accepted; }

    void run() override {
        if (connection_) receive();
        accept_one();
        flush();
        if (connection_ && connection_->broken) close("the connection broke");
    }

    void acknowledge(Operation operation, bool installed) override {
        if (!connection_ || operation.connection != connection_->number) return;
        (installed ? connection_->installed : connection_->refused).push_back(operation.id);
    }

    void flush() override {
        if (!connected()) return;
        encode_acknowledgements(connection_->output, connection_->installed, WYE_ZEBRA_INSTALLED);
        encode_acknowledgements(connection_->output, connection_->refused, WYE_ZEBRA_REFUSED);
        send_output();
    }

  private:
    void accept_one() {
        Descriptor fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (fd.get() < 0) return;
        if (const auto why = refuse_peer(fd.get())) return refuse(fd.get(), *why);
        if (connection_ && connection_->accepted && !is_dead(connection_->socket.get())) {
            return refuse(fd.get(), "a second zebra was refused: process " +
                                        std::to_string(connection_->decoder.hello()->process) +
                                        " is connected");
        }
        if (connection_) close("a new zebra took its place");
        watch(epoll_.get(), EPOLL_CTL_ADD, fd.get(), EPOLLIN);
        connection_.emplace(std::move(fd), sink_, ++connections_);
    }

    void receive() {
        std::array<std::uint8_t, kReadChunk> buffer;
        for (int chunk = 0; chunk < kChunksPerRun; ++chunk) {
            const auto got = ::recv(connection_->socket.get(), buffer.data(), buffer.size(), 0);
            if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
            if (got < 0) return close(reason());
            if (got == 0) return close("it closed the connection");
            const Status status =
                connection_->decoder.feed(std::span(buffer.data(), static_cast<std::size_t>(got)));
            if (!connection_->accepted && connection_->decoder.hello()) greet();
            if (!status) return close_for(status.error());
            if (static_cast<std::size_t>(got) < buffer.size()) return;
        }
    }

    void greet() {
        const auto& hello = *connection_->decoder.hello();
        const auto reply = make_reply(true, hello.version, "welcome");
        append(connection_->output, &reply);
        connection_->accepted = true;
        log("process " + std::to_string(hello.process) + " of FRR " + hello.frr_version +
            " is connected");
    }

    void send_output() {
        auto& output = connection_->output;
        while (!output.empty()) {
            const auto sent = ::send(connection_->socket.get(), output.data(), output.size(),
                                     MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0 && errno == EINTR) continue;
            if (sent < 0) {
                connection_->broken = errno != EAGAIN;
                break;
            }
            output.erase(output.begin(), output.begin() + sent);
        }
        const bool waits = !output.empty() && !connection_->broken;
        if (waits == std::exchange(connection_->waits_to_write, waits)) return;
        watch(epoll_.get(), EPOLL_CTL_MOD, connection_->socket.get(),
              waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }

    void close_for(const Error& error) {
        const std::string text = "the plugin sent " + error.text;
        if (connection_->accepted) return close(text);
        refuse(connection_->socket.get(), text);
        close("not accepted");
    }

    void close(const std::string& why) {
        const bool was_accepted = connection_->accepted;
        connection_.reset();  // also takes it out of the epoll set
        if (!was_accepted) return;
        log("disconnected: " + why + "; forwarding goes on with the routes as they are");
        sink_.disconnected();
    }

    Descriptor listener_, epoll_;
    std::string path_;
    RouteSink& sink_;
    std::optional<Connection> connection_;
    std::uint32_t connections_ = 0;
};

/// A socket that nobody listens at is left from a shim that died: it may be removed.
Status remove_left_over(const std::string& path, const sockaddr_un& address) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return {};
    if (!S_ISSOCK(status.st_mode)) return fail(path + " exists and is not a socket");
    const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        return fail(path + " is in use: another wye-shim serves it; stop that one first");
    }
    ::unlink(path.c_str());
    return {};
}

}  // namespace

Result<std::unique_ptr<RouteSource>> make_route_source(const std::string& path, RouteSink& sink) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        return fail("the zebra socket's path '" + path + "' must have 1 to " +
                    std::to_string(sizeof address.sun_path - 1) + " bytes");
    }
    path.copy(address.sun_path, path.size());
    if (Status status = remove_left_over(path, address); !status) {
        return tl::unexpected(status.error());
    }
    Descriptor listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (listener.get() < 0 || epoll.get() < 0) return fail("no socket for zebra: " + reason());
    // Nobody but us can connect before listen(), so mode and group are right when it counts.
    if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return fail("cannot make the zebra socket " + path + ": " + reason());
    }
    const group* const frr = ::getgrnam("frr");
    const bool shared = frr != nullptr && ::lchown(path.c_str(), ::geteuid(), frr->gr_gid) == 0;
    if (!shared) log("no group frr, or it cannot be given: only root can connect to " + path);
    ::chmod(path.c_str(), shared ? 0660 : 0600);
    if (::listen(listener.get(), 4) != 0) return fail("cannot listen at " + path + ": " + reason());
    return std::make_unique<Source>(std::move(listener), std::move(epoll), path, sink);
}

}  // namespace wye::frr
