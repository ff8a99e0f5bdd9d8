// The transport half of dataplane/ring/handshake.hh: the Unix socket and its descriptors.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "dataplane/ring/handshake.hh"
#include "dataplane/ring/unix_socket.hh"

namespace wye::ring {
namespace {

std::string errno_text() {
    return std::strerror(errno);
}

using ControlBuffer = std::array<char, CMSG_SPACE(sizeof(int) * (kMaxDescriptors + 1))>;

/// Every descriptor that came with a message, so that none is lost when the message is refused.
std::vector<Descriptor> take_descriptors(msghdr& message) {
    std::vector<Descriptor> taken;
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            taken.emplace_back(fd);
        }
    }
    return taken;
}

Status set_timeouts(int socket, std::chrono::milliseconds timeout) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
    const auto rest = std::chrono::duration_cast<std::chrono::microseconds>(timeout - seconds);
    const timeval value{seconds.count(), rest.count()};
    if (setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value) != 0 ||
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value) != 0) {
        return fail("cannot set the timeouts of a socket: " + errno_text());
    }
    return {};
}

Result<Session> open_session(Descriptor socket, const Received& received,
                             std::vector<Descriptor> descriptors) {
    const Result<Welcome> welcome = decode<Welcome>(received.bytes);
    if (!welcome) return tl::unexpected<Error>(welcome.error());
    if (const Status checked = check_welcome(*welcome); !checked) {
        return tl::unexpected<Error>(checked.error());
    }
    if (descriptors.size() != kMaxDescriptors) {
        return fail("the data plane's welcome came with " + std::to_string(descriptors.size()) +
                    " descriptors instead of " + std::to_string(kMaxDescriptors));
    }
    Result<Channel> channel = Channel::attach(descriptors[0].release(), descriptors[1].release(),
                                              descriptors[2].release());
    if (!channel) return tl::unexpected<Error>(channel.error());
    if (channel->sizes() != welcome->sizes) {
        return fail("the channel has other ring sizes than the data plane's welcome says");
    }
    const int flags = fcntl(socket.get(), F_GETFL);
    if (flags < 0 || fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
        return fail("cannot make the session's socket non-blocking: " + errno_text());
    }
    return Session{std::move(socket), *welcome, std::move(*channel)};
}

}  // namespace

Status send_message(int socket, std::span<const std::byte> bytes,
                    std::span<const int> descriptors) {
    if (bytes.empty() || bytes.size() > kMaxMessageBytes || descriptors.size() > kMaxDescriptors) {
        return fail("a message has 1 to " + std::to_string(kMaxMessageBytes) +
                    " bytes and at most " + std::to_string(kMaxDescriptors) + " descriptors");
    }
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) ControlBuffer control{};
    if (!descriptors.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
    }
    ssize_t sent = 0;
    do {
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) return fail("cannot send to the other side: " + errno_text());
    return {};
}

Result<Received> receive_message(int socket) {
    std::array<std::byte, kMaxMessageBytes> buffer;
    iovec part{buffer.data(), buffer.size()};
    alignas(cmsghdr) ControlBuffer control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = 0;
    // A peer that closed without having read everything is reported once, before what it still
    // said.
    bool reset = false;
    do {
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && (errno == EINTR || (errno == ECONNRESET && !std::exchange(reset, true))));
    Received received;
    if (got < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return received;
        if (errno == ECONNRESET) {
            received.state = Received::State::closed;
            return received;
        }
        return fail("cannot receive from the other side: " + errno_text());
    }
    received.descriptors = take_descriptors(message);
    if ((message.msg_flags & MSG_TRUNC) != 0) {
        return fail("handshake message is longer than " + std::to_string(kMaxMessageBytes) +
                    " bytes");
    }
    if ((message.msg_flags & MSG_CTRUNC) != 0 || received.descriptors.size() > kMaxDescriptors) {
        return fail("handshake message carries more than " + std::to_string(kMaxDescriptors) +
                    " descriptors (or the limit of open files is reached)");
    }
    if (got == 0) {
        received.state = Received::State::closed;
        return received;
    }
    received.state = Received::State::message;
    received.bytes.assign(buffer.begin(), buffer.begin() + got);
    return received;
}

Status send_refusal(int socket, std::string_view text) {
    auto refusal = make_message<Refusal>();
    text.copy(refusal.text.data(), refusal.text.size() - 1);
    return send_message(socket, bytes_of(refusal));
}

Result<Descriptor> listen_sessions(const std::string& path) {
    return listen_unix(path, SOCK_SEQPACKET, "a data plane");
}

Result<Session> connect_session(const std::string& path, std::chrono::milliseconds timeout) {
    Result<Descriptor> connected = connect_unix(path, SOCK_SEQPACKET, "data plane");
    if (!connected) return tl::unexpected<Error>(connected.error());
    Descriptor socket = std::move(*connected);
    if (const Status set = set_timeouts(socket.get(), timeout); !set) {
        return tl::unexpected<Error>(set.error());
    }
    auto hello = make_message<Hello>();
    hello.oldest_version = kOldestVocabularyVersion;
    hello.newest_version = kVocabularyVersion;
    hello.process_id = static_cast<std::uint32_t>(getpid());
    // A data plane that refuses at once may have closed already; then its words are there to read.
    const Status sent = send_message(socket.get(), bytes_of(hello));
    Result<Received> received = receive_message(socket.get());
    if (!received) return tl::unexpected<Error>(received.error());
    if (!sent && received->state != Received::State::message) {
        return tl::unexpected<Error>(sent.error());
    }
    if (received->state == Received::State::nothing) {
        return fail("the data plane on " + path + " did not answer the hello in time");
    }
    if (received->state == Received::State::closed) {
        return fail("the data plane on " + path + " closed without a word");
    }
    std::vector<Descriptor> descriptors = std::move(received->descriptors);
    return open_session(std::move(socket), *received, std::move(descriptors));
}

}  // namespace wye::ring
