// Listener: links, addresses and neighbours of one namespace: a dump, then what changes.
// When the kernel had to throw messages away (ENOBUFS) there is another dump, and the difference to
// what was told before is told.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "controlplane-shim/kernel/kernel.hh"
#include "controlplane-shim/kernel/netlink.hh"

namespace wye::kernel {

class Listener {
  public:
    /// Has told everything that is there when it returns. The sink outlives the listener.
    static Result<std::unique_ptr<Listener>> start(const std::string& netns, KernelSink& sink,
                                                   int receive_buffer);

    /// To be polled for input.
    [[nodiscard]] int descriptor() const { return events_.descriptor(); }
    void run();
    /// For everything that is there and has been told: it is gone (the namespace is not used more).
    void retract();
    /// The kernel itself keeps this neighbour resolved (NTF_EXT_MANAGED, Linux 5.16).
    [[nodiscard]] bool managed(std::uint32_t index, const net::IpAddress& address) const;
    [[nodiscard]] std::size_t dumps() const { return dumps_; }

  private:
    struct Neighbor {
        net::MacAddress mac;
        bool managed = false;
    };
    using AddressKey = std::pair<std::uint32_t, net::InterfaceAddress>;
    using NeighborKey = std::pair<std::uint32_t, net::IpAddress>;

    Listener(std::string netns, KernelSink& sink, NetlinkSocket events, NetlinkSocket requests);
    Status dump_all();
    void on_message(const nlmsghdr* message);
    void on_link(const nlmsghdr* message);
    void on_address(const nlmsghdr* message);
    void on_neighbor(const nlmsghdr* message);
    Status dump_links();
    static std::optional<AddressKey> parse_address(const nlmsghdr* message);
    [[nodiscard]] InterfaceKey key(std::uint32_t index) const { return {netns_, index}; }

    std::string netns_;
    KernelSink& sink_;
    NetlinkSocket events_, requests_;
    std::map<std::uint32_t, Link> links_;
    std::set<AddressKey> addresses_;
    std::map<NeighborKey, Neighbor> neighbors_;
    std::size_t dumps_ = 0;
};

}  // namespace wye::kernel
