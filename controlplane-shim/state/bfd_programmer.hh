// BfdProgrammer: sessions that FRR's bfdds want, to the data plane, and what becomes of them, back.
//
// bfdd's protocol names no VRF. A bfdd that the command line binds to a VRF speaks for it. Another one's
// sessions are placed by their interface, whose index is some vport's twin; without an interface, by the
// local address (or the neighbour's subnet), if only one VRF has it. What is ambiguous or has no vport is
// refused in words, and looked at again when the topology changes.
//
// Sessions run in the data plane whether bfdd and this process live or not. When a bfdd has connected it
// tells all it has; what of its VRFs it has not told after kSettle is removed. Identity is the session's
// addresses and place, so one that runs is taken over by a bfdd that knows nothing of it, under the
// discriminator that it has on the wire.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane-shim/bfd/links.hh"
#include "controlplane-shim/state/stream_writer.hh"
#include "controlplane-shim/state/topology.hh"
#include "dataplane/table/bfd_file.hh"

namespace wye::state {

class BfdProgrammer final : public bfdd::Sink {
  public:
    static constexpr std::uint16_t kVersion = 4;  // of the vocabulary
    /// A bfdd tells its sessions as it reads its configuration: well within this.
    static constexpr std::chrono::seconds kSettle{15};
    using Clock = std::chrono::steady_clock;

    BfdProgrammer(const Topology& topology, std::function<void(const std::string&)> log)
        : topology_(topology), log_(std::move(log)) {}
    void wire(bfdd::Links& links) { links_ = &links; }

    // bfdd::Sink
    void bfdd_connected(std::size_t link) override;
    void bfdd_gone(std::size_t link) override;
    void bfdd_said(std::size_t link, const bfdd::Message& message) override;

    /// `path`: of the data plane's file of sessions.
    void session_opened(const std::string& path, std::uint16_t version);
    void session_closed();
    void run(StreamWriter& writer);
    void completed(const StreamWriter::Sent& sent, const ring::Completion& completion);
    /// The data plane says so, or events were lost (no handle): look.
    void changed(ring::Handle handle);
    /// VRFs, vports or their addresses may be others now. Also once a second.
    void topology_changed();

    struct Place {
        TableIndex table = kNoIndex;
        VportIndex vport = kNoIndex;  // none: multihop
        net::IpAddress local;
        friend bool operator==(const Place&, const Place&) = default;
    };
    struct Entry {
        bfdd::Request request;
        std::optional<Place> place;  // none: `refused` says why
        ring::Handle handle = ring::kNoHandle;
        bool to_send = false, present = false;
        std::uint32_t slot = 0;  // where present
        std::string refused;
        std::optional<bfdd::StateChange> told;
    };
    using Key = std::pair<std::size_t, std::uint32_t>;  // link, bfdd's id
    [[nodiscard]] const std::map<Key, Entry>& entries() const { return entries_; }
    [[nodiscard]] const std::optional<table::BfdFile>& file() const { return file_; }
    [[nodiscard]] const bfdd::Links* links() const { return links_; }

  private:
    void add(const Key& key, const bfdd::Request& request);
    void remove(const Key& key);
    void place(const Key& key, Entry& entry);
    [[nodiscard]] std::string find_place(const Key& key, const bfdd::Request& request,
                                         Place& found) const;
    [[nodiscard]] std::string find_table(const Key& key, const bfdd::Request& request,
                                         Place& found) const;
    [[nodiscard]] bool has_address(TableIndex table, const bfdd::Request& request) const;
    [[nodiscard]] VportIndex vport_of(const bfdd::Request& request, TableIndex table) const;
    [[nodiscard]] VportIndex vport_towards(const net::IpAddress& remote, TableIndex table) const;
    [[nodiscard]] std::optional<net::IpAddress> local_of(VportIndex vport,
                                                         const net::IpAddress& remote) const;
    [[nodiscard]] std::set<TableIndex> tables_of(std::size_t link) const;
    [[nodiscard]] ring::Command command_of(const Entry& entry) const;
    void tell(const Key& key, Entry& entry);
    void answer_counters(std::size_t link, const bfdd::CountersWanted& wanted);
    [[nodiscard]] const table::BfdRecord* record_of(const Entry& entry) const;
    void begin(std::size_t link);

    const Topology& topology_;
    std::function<void(const std::string&)> log_;
    bfdd::Links* links_ = nullptr;
    std::optional<table::BfdFile> file_;
    bool open_ = false;
    std::map<Key, Entry> entries_;
    std::map<ring::Handle, Key> handles_;
    ring::Handle last_handle_ = ring::kNoHandle;
    std::deque<ring::Command> marks_;  // bfd_begin, bfd_end, bfd_delete: to be sent, in order
    std::map<std::size_t, Clock::time_point> settles_;  // by link: when what is stale goes
};

}  // namespace wye::state
