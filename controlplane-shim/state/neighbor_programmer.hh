// NeighborProgrammer: MAC addresses of neighbours, from the kernel and from the manifest (which
// wins), to the data plane; one command on its way for each neighbour.
//
// Also the gate for the event `resolve`: Linux's neighbour table has one limit for the whole
// machine, so what one vport may have in it is bounded here, before Linux is asked (RFC 6583 6.2).
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controlplane-shim/state/stream_writer.hh"
#include "controlplane-shim/state/topology.hh"
#include "dataplane/base/clock.hh"

namespace wye::state {

class NeighborProgrammer {
  public:
    explicit NeighborProgrammer(const Topology& topology) : topology_(topology) {}

    void kernel_changed(const kernel::InterfaceKey& interface, const net::IpAddress& address,
                        const std::optional<net::MacAddress>& mac);
    /// Of the kernel's table, wherever the interface is.
    [[nodiscard]] std::optional<net::MacAddress> kernel_mac(const kernel::InterfaceKey& interface,
                                                            const net::IpAddress& address) const;
    void set_static(VportIndex vport, const std::vector<manifest::StaticNeighbor>& neighbors);
    /// The vport came, went, or has another twin.
    void vport_changed(VportIndex vport);

    void session_opened();
    void session_closed();
    void run(StreamWriter& writer);
    /// Of a command neighbor_*; they are answered in order.
    void completed(const ring::Completion& completion);
    void retry_pending();
    /// Everything known was said (not all of it was answered).
    [[nodiscard]] bool declared() const { return queue_.empty() && retry_.empty(); }
    [[nodiscard]] std::size_t count(VportIndex vport) const;
    [[nodiscard]] bool settled() const {
        return queue_.empty() && in_flight_.empty() && retry_.empty();
    }

    struct Entry {
        std::optional<net::MacAddress> wanted;
        std::optional<net::MacAddress> programmed;
        bool in_flight = false;
        bool is_static = false;
        bool kept = false;  // asked for: Linux keeps it resolved
        std::string refused;
    };
    using Key = std::pair<VportIndex, net::IpAddress>;
    [[nodiscard]] const std::map<Key, Entry>& entries() const { return entries_; }
    [[nodiscard]] const Entry* find(const Key& key) const {
        const auto found = entries_.find(key);
        return found == entries_.end() ? nullptr : &found->second;
    }

  private:
    using Neighbors = std::map<net::IpAddress, net::MacAddress>;
    struct InFlight {
        Key key;
        std::optional<net::MacAddress> mac;
    };
    void refresh(const Key& key);
    [[nodiscard]] std::optional<net::MacAddress> wanted(const Key& key, bool& is_static) const;
    void work_on(const Key& key, StreamWriter& writer);

    const Topology& topology_;
    std::map<kernel::InterfaceKey, Neighbors> kernel_;
    std::map<VportIndex, Neighbors> static_;
    std::map<Key, Entry> entries_;
    std::deque<Key> queue_;
    std::deque<InFlight> in_flight_;
    std::vector<Key> retry_;
};

/// How many neighbours may be asked for at once: see may_ask.
class ResolveQuota {
  public:
    static constexpr std::size_t kPendingOfVport = 32;  // unanswered, of one vport
    static constexpr std::size_t kPendingOfAll = 256;   // of all together …
    static constexpr std::size_t kAlways = 4;           // … but so many for every vport even then
    static constexpr std::chrono::seconds kPatience{4};  // Linux gives up after three seconds

    /// True: ask Linux (and it counts). False: asked already, or over a limit (counted).
    bool may_ask(VportIndex vport, const net::IpAddress& address, Nanoseconds now);
    void answered(VportIndex vport, const net::IpAddress& address);
    [[nodiscard]] std::uint64_t refused() const { return refused_; }

  private:
    void forget_old(Nanoseconds now);
    std::map<std::pair<VportIndex, net::IpAddress>, Nanoseconds> pending_;
    std::deque<std::pair<Nanoseconds, std::pair<VportIndex, net::IpAddress>>> by_age_;
    std::map<VportIndex, std::size_t> of_vport_;
    std::uint64_t refused_ = 0;
};

}  // namespace wye::state
