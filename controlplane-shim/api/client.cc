#include "controlplane-shim/api/client.hh"

#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "dataplane/ring/unix_socket.hh"

namespace wye::api {
namespace {

using nlohmann::json;

constexpr time_t kPatienceSeconds = 60;

Result<Reply> decode(const std::string& line) {
    const json answer = json::parse(line, nullptr, false);
    if (!answer.is_object() || !answer.contains("ok") || !answer["ok"].is_boolean()) {
        return fail("the answer is none of a shim: is the socket the right one?");
    }
    Reply reply{answer["ok"].get<bool>(), answer.value("result", json()), {}};
    const json errors = answer.value("errors", json::array());
    if (!errors.is_array()) return fail("the answer's errors are no list");
    for (const json& error : errors) {
        reply.errors.push_back(error.is_string() ? error.get<std::string>() : error.dump());
    }
    return reply;
}

}  // namespace

Result<Client> Client::connect(const std::string& path) {
    auto socket = ring::connect_unix(path, SOCK_STREAM, "shim");
    if (!socket) return tl::unexpected<Error>(socket.error());
    const timeval patience{kPatienceSeconds, 0};
    if (setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0) {
        return fail(std::string("cannot set a socket's timeout: ") + std::strerror(errno));
    }
    return Client(std::move(*socket));
}

Result<Reply> Client::apply(const std::string& file_name, const std::string& text) {
    return call({{"call", "apply"}, {"file", file_name}, {"text", text}});
}

Result<Reply> Client::worker(json request) {
    request["call"] = "worker";
    return call(request);
}

Result<Reply> Client::show(const std::string& what, const json& filter) {
    return call({{"call", "show"}, {"what", what}, {"filter", filter}});
}

Result<Reply> Client::call(const json& request) {
    const std::string line = request.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    for (std::size_t sent = 0; sent < line.size();) {
        const ssize_t n = send(socket_.get(), line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;  // it closed, perhaps with words: read them
        sent += static_cast<std::size_t>(n);
    }
    std::array<char, 65536> chunk;
    for (;;) {
        const auto end = in_.find('\n');
        if (end != std::string::npos) {
            const std::string answer = in_.substr(0, end);
            in_.erase(0, end + 1);
            return decode(answer);
        }
        const ssize_t n = recv(socket_.get(), chunk.data(), chunk.size(), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return fail("the shim did not answer within " + std::to_string(kPatienceSeconds) +
                        " s: is it stopped?");
        }
        if (n < 0) return fail(std::string("the shim does not answer: ") + std::strerror(errno));
        if (n == 0) return fail("the shim closed without an answer");
        in_.append(chunk.data(), static_cast<std::size_t>(n));
    }
}

}  // namespace wye::api
