// The shim's end of service.hh: a Unix stream socket, one request a line, one answer a line.
//
// Owner: the shim's main thread, which polls descriptor() (an epoll set of its own) and calls run()
// when it is readable. Nothing blocks: a client that does not read its answer is not read from
// until it does, and costs at most one request and its answer.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <map>
#include <string>

#include "controlplane-shim/api/service.hh"
#include "dataplane/base/descriptor.hh"
#include "dataplane/base/result.hh"

namespace wye::api {

struct ServerLimits {
    std::size_t line_bytes = std::size_t{20} << 20;  // a manifest of 16 MiB and its escapes
    std::size_t clients = 32;
};

class Server {
  public:
    /// Mode 0600; refused when somebody answers on the path. The service outlives the server.
    static Result<Server> listen(const std::string& path, Service& service,
                                 const ServerLimits& limits = {});
    Server(Server&&) noexcept = default;
    Server& operator=(Server&&) noexcept = default;

    [[nodiscard]] int descriptor() const noexcept { return epoll_.get(); }
    /// Serves what is ready now; never blocks.
    void run();
    [[nodiscard]] std::size_t clients() const noexcept { return clients_.size(); }

  private:
    struct Client {
        Descriptor socket;
        std::string in, out;
        bool closing = false;      // when `out` is sent
        std::size_t searched = 0;  // of `in`, without an end of line
    };

    Server(Descriptor listener, Descriptor epoll, Service& service, const ServerLimits& limits);
    void accept_clients();
    void refuse_without_descriptors();
    void refuse(int socket, const std::string& why);
    void serve(Client& client);
    // False: the connection is broken.
    bool receive(Client& client);
    bool transmit(Client& client);
    bool answer_lines(Client& client);
    void watch(const Client& client) const;

    Descriptor listener_, epoll_;
    Descriptor spare_;  // given up for a moment to refuse a client when there are no others
    Service* service_;
    ServerLimits limits_;
    std::map<int, Client> clients_;
};

/// One request to one answer, both as lines without their end. Exposed for tests: no bytes from a
/// client can make it throw.
std::string answer_line(Service& service, const std::string& line);

}  // namespace wye::api
