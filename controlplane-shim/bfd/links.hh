// Links: the connections to FRR's bfdds, one Unix socket each. bfdd listens, we connect, and try again
// every second while it is away. One thread, nothing blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "controlplane-shim/bfd/protocol.hh"
#include "dataplane/base/descriptor.hh"
#include "dataplane/base/result.hh"

namespace wye::bfdd {

/// Where a bfdd listens, and for which VRF of the manifest it speaks: its protocol does not say.
struct Address {
    std::string path;
    std::string vrf;  // empty: any, told by interface or address
    friend bool operator==(const Address&, const Address&) = default;
};
/// "unix:/PATH" or "VRF=unix:/PATH".
Result<Address> parse_address(const std::string& text);

class Sink {
  public:
    virtual ~Sink() = default;
    virtual void bfdd_connected(std::size_t link) = 0;  // all of its sessions follow
    virtual void bfdd_gone(std::size_t link) = 0;
    virtual void bfdd_said(std::size_t link, const Message& message) = 0;
};

class Links {
  public:
    /// Before privileges are given up: afterwards the sockets of FRR's user can still be connected to.
    static Result<std::unique_ptr<Links>> make(std::vector<Address> addresses, Sink& sink);

    /// Readable when run() has work.
    [[nodiscard]] int descriptor() const { return epoll_.get(); }
    void run();
    /// Once a second: tries those that are away.
    void tick();

    [[nodiscard]] const std::vector<Address>& addresses() const { return addresses_; }
    [[nodiscard]] bool connected(std::size_t link) const { return links_[link].socket.valid(); }
    void send(std::size_t link, const std::vector<std::uint8_t>& bytes);

  private:
    struct Link {
        Descriptor socket;
        Decoder decoder;
        std::vector<std::uint8_t> unsent;
        bool waits_to_write = false;
        std::string said;  // the last reason for not being connected, said once
    };
    Links(std::vector<Address> addresses, Sink& sink);
    void connect(std::size_t index);
    void read(std::size_t index);
    bool write(Link& link);
    void watch(std::size_t index, bool to_write, bool is_new);
    void close(std::size_t index, const std::string& reason);

    std::vector<Address> addresses_;
    Sink& sink_;
    Descriptor epoll_;
    std::vector<Link> links_;
};

}  // namespace wye::bfdd
