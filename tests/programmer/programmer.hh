// Programmer: drives a data plane over one session, in place of a shim. For tests and bench.
//
// call() sends one command and waits for its completion; post() only sends, settle() waits for all
// of them. The named functions make commands with handles of their own choosing and throw when the
// data plane refuses; for refusals use call() with a command of one's own. Where the control thread
// runs in the test's own thread, `pump` lets it run.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataplane/base/descriptor.hh"
#include "dataplane/net/address.hh"
#include "dataplane/ring/channel.hh"
#include "dataplane/ring/handshake.hh"
#include "dataplane/ring/vocabulary.hh"

namespace wye::testing {

using ring::Handle;

/// Addresses and prefixes from text; throws on what is none.
net::IpAddress ip(std::string_view text);
net::IpPrefix prefix(std::string_view text);
net::MacAddress mac(std::string_view text);
ObjectName object_name(std::string_view text);

/// A command with its opcode; fill in the body.
ring::Command make_command(ring::Opcode opcode);
ring::Stream stream_of(ring::Opcode opcode);

struct VportOptions {
    std::uint16_t vlan = kNoVlan, inner_vlan = kNoVlan;
    std::uint16_t mtu = 1500;
    bool admin_up = true;
    Handle ingress_acl = ring::kNoHandle, egress_acl = ring::kNoHandle;
};

class Programmer {
  public:
    using Pump = std::function<void()>;
    explicit Programmer(ring::Channel channel, Pump pump = {});
    /// Over the socket, to another process or thread; twins handed back are in `twins`.
    static Programmer connect(const std::string& socket_path);

    // Commands as they are.
    ring::Completion call(ring::Command command);
    ring::Completion call(ring::Stream stream, ring::Command command);  // barrier, replays
    void post(ring::Command command);
    void post(ring::Stream stream, ring::Command command);
    /// All in one batch, without looking for completions; throws when the ring has no room.
    void post(ring::Stream stream, std::span<ring::Command> commands);
    /// Waits for everything posted; how many were refused. The refusals are in refusals().
    std::size_t settle();
    [[nodiscard]] const std::vector<ring::Completion>& refusals() const { return refusals_; }
    /// Waits until all workers have reached the epoch of the last completion.
    void reach();
    void reach(std::uint64_t epoch);
    [[nodiscard]] std::uint64_t last_epoch() const { return last_epoch_; }
    /// Events other than epoch_reached, since the last call.
    std::vector<ring::Event> take_events();

    // Replays.
    void begin_replay();  // both streams
    void end_replay();    // both streams, routes last
    void begin_replay(ring::Stream stream);
    void end_replay(ring::Stream stream);

    // Objects. The handle is a new one, unless the function takes one.
    Handle tenant(std::string_view name);
    Handle vrf(Handle tenant, std::string_view name, bool underlay = false);
    Handle port(std::string_view name);
    Handle vport(Handle tenant, Handle vrf, Handle port, std::string_view name,
                 std::string_view mac_address, VportOptions options = {});
    Handle tunnel_vport(Handle tenant, Handle vrf, Handle tunnel, std::string_view name,
                        std::string_view mac_address, VportOptions options = {});
    Handle tunnel(Handle underlay, std::string_view name, TunnelKind kind, std::string_view local,
                  std::string_view remote, std::uint32_t vni);
    Handle acl(Handle tenant, std::string_view name, const std::vector<ring::AclRule>& rules,
               bool default_permit = false);
    Handle adjacency(Handle vport, std::string_view gateway);
    Handle glean(Handle vport);
    Handle local(Handle vport);
    Handle special(NextHopKind kind);  // blackhole, unreachable, prohibit
    Handle group(const std::vector<ring::GroupMember>& members);
    Handle group(Handle nexthop);  // of one member
    void change_group(Handle group, const std::vector<ring::GroupMember>& members);
    void route(Handle vrf, std::string_view prefix, Handle group);
    void delete_route(Handle vrf, std::string_view prefix);
    void neighbor(Handle vport, std::string_view address, std::string_view mac_address);
    void delete_neighbor(Handle vport, std::string_view address);
    void remove(ring::Opcode opcode, Handle object);  // *_delete
    void begin_transaction(Handle tenant);
    void commit_transaction(Handle tenant);
    void abort_transaction(Handle tenant);

    // Twins, only with a socket.
    void attach_twin(ring::TwinKind kind, std::string_view object, int descriptor,
                     std::uint32_t interface_index = 0);
    void detach_twin(ring::TwinKind kind, std::string_view object);
    struct Twin {
        ring::TwinMessage message;
        Descriptor descriptor;
    };
    std::vector<Twin> twins;

    Handle new_handle() { return ++last_handle_; }
    /// Of a data plane that was connected to by its socket.
    [[nodiscard]] const ring::Announced& announced() const { return announced_; }
    [[nodiscard]] const ring::Welcome& welcome() const { return welcome_; }
    ring::Channel& channel() { return channel_; }
    int socket() const { return socket_.get(); }

  private:
    void wait();
    void collect();
    void must(const ring::Command& command);
    Handle nexthop(NextHopKind kind, Handle vport, const net::IpAddress& gateway);
    void send_group(Handle group, const std::vector<ring::GroupMember>& members);

    ring::Channel channel_;
    Pump pump_;
    Descriptor socket_;
    ring::Announced announced_{};
    ring::Welcome welcome_{};
    Handle last_handle_ = 0;
    std::uint32_t sent_[2] = {0, 0};
    std::uint32_t completed_[2] = {0, 0};
    ring::Completion last_[2]{};
    std::uint64_t last_epoch_ = 0, reached_ = 0;
    std::vector<ring::Completion> refusals_;
    std::vector<ring::Event> events_;
};

/// A rule that matches everything of the family; narrow it down.
ring::AclRule any_rule(AclAction action, net::IpFamily family = net::IpFamily::ipv4);

}  // namespace wye::testing
