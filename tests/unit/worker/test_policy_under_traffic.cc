// A tenant's policy changes while a worker forwards: no packet is judged by a mixture of two policies
// or by none.
//
// Under policy A only even destination ports pass, both ACLs say so: that of the vport where packets
// come in and that of the vport where they go out; under B only odd ones. Each burst has as many of
// either, of both families. So a burst of which other than one half, all of it even or all of it odd,
// leaves was not judged by one policy: a mixture passes neither or both, no policy passes both.
//
// 2 million packets; 100 million with WYE_TEST_FULL=1.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>

#include "dataplane/table/reason.hh"
#include "dataplane/worker/worker.hh"
#include "tests/unit/control/rig.hh"

namespace wye::worker {
namespace {

using control::test::Basics;
using control::test::Handle;
using control::test::make_command;
using control::test::Opcode;
using control::test::Programmer;
using control::test::Rig;
using pipeline::Frame;
using pipeline::kMaxBurst;

constexpr std::uint16_t kFirstPort = 5000;
constexpr std::size_t kPorts = 16;  // destination ports, as many even as odd
constexpr std::uint64_t kPackets = 2'000'000, kPacketsInFull = 100'000'000;

/// Buffers of one burst: the frames of a turn are all done before the next one is received.
class BurstPool final : public pipeline::FramePool {
  public:
    static constexpr std::size_t kBytes = 512;
    bool allocate(Frame&) noexcept override { return false; }  // no ICMP errors
    void release(std::span<const Frame> frames) noexcept override { released += frames.size(); }
    Frame frame(std::size_t i) noexcept {
        Frame frame;
        frame.buffer = frame.data = memory_.data() + i * kBytes + pipeline::kMinHeadroom;
        frame.headroom = pipeline::kMinHeadroom;
        return frame;
    }
    std::uint64_t released = 0;

  private:
    alignas(64) std::array<std::byte, kMaxBurst * kBytes> memory_{};
};

using Template = std::array<std::uint8_t, 64>;

/// UDP to the port: IPv4 where it is below the middle of its parity, IPv6 else.
Template make_template(bool v4, std::uint16_t port) {
    Template bytes{};
    const std::array<std::uint8_t, 12> macs{2, 0, 0, 0, 0, 0x0a, 2, 0, 0, 0, 0, 0x99};
    std::memcpy(bytes.data(), macs.data(), macs.size());
    std::uint8_t* const ip = bytes.data() + 14;
    std::uint8_t* const udp = ip + (v4 ? 20 : 40);
    const auto set16 = [](std::uint8_t* at, std::size_t value) {
        at[0] = static_cast<std::uint8_t>(value >> 8);
        at[1] = static_cast<std::uint8_t>(value);
    };
    set16(bytes.data() + 12, v4 ? 0x0800 : 0x86dd);
    if (v4) {
        const std::array<std::uint8_t, 20> header{0x45, 0, 0,  28, 0, 0, 0,  0, 64, 17,
                                                  0,    0, 10, 0,  0, 9, 10, 9, 0,  1};
        std::memcpy(ip, header.data(), header.size());
        std::uint32_t sum = 0;
        for (std::size_t i = 0; i < 20; i += 2) sum += ip[i] * 256u + ip[i + 1];
        while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
        set16(ip + 10, ~sum & 0xffff);
    } else {
        const std::array<std::uint8_t, 8> start{0x60, 0, 0, 0, 0, 8, 17, 64};
        std::memcpy(ip, start.data(), start.size());
        const std::array<std::uint8_t, 4> network{0x20, 0x01, 0x0d, 0xb8};
        std::memcpy(ip + 8, network.data(), network.size());
        std::memcpy(ip + 24, network.data(), network.size());
        ip[23] = ip[39] = 1;
        ip[29] = 9;
    }
    set16(udp, 40000);
    set16(udp + 2, port);
    set16(udp + 4, 8);
    return bytes;
}

/// Burst after burst of the same 32 packets.
class Source final : public PortIo {
  public:
    Source(BurstPool& pool, std::uint64_t packets) : pool_(pool), left_(packets / kMaxBurst) {
        for (std::size_t i = 0; i < kMaxBurst; ++i) {
            templates_[i] = make_template(i % 2 == 0 || i >= kPorts * 3 / 2,
                                          static_cast<std::uint16_t>(kFirstPort + i % kPorts));
        }
    }
    std::size_t receive(std::span<Frame> out) noexcept override {
        const std::uint64_t left = left_.load(std::memory_order_relaxed);
        if (left == 0) return 0;
        left_.store(left - 1, std::memory_order_relaxed);
        for (std::size_t i = 0; i < kMaxBurst; ++i) {
            out[i] = pool_.frame(i);
            std::memcpy(out[i].data, templates_[i].data(), templates_[i].size());
            out[i].length = static_cast<std::uint32_t>(templates_[i].size());
            out[i].tailroom = BurstPool::kBytes - pipeline::kMinHeadroom - 64;
        }
        return kMaxBurst;
    }
    std::size_t transmit(std::span<const Frame> frames) noexcept override { return frames.size(); }
    /// Bursts that are still to come. Any thread.
    [[nodiscard]] std::uint64_t left() const noexcept {
        return left_.load(std::memory_order_relaxed);
    }

  private:
    BurstPool& pool_;
    std::atomic<std::uint64_t> left_;
    std::array<Template, kMaxBurst> templates_;
};

/// Judges what leaves of each burst.
class Judge final : public PortIo {
  public:
    std::size_t receive(std::span<Frame>) noexcept override { return 0; }
    std::size_t transmit(std::span<const Frame> frames) noexcept override {
        std::size_t odd = 0;
        for (const Frame& frame : frames) {
            const bool v4 = frame.data[12] == std::byte{0x08};
            odd += std::to_integer<std::size_t>(frame.data[v4 ? 37 : 57]) & 1;
        }
        const bool one_policy =
            frames.size() == kMaxBurst / 2 && (odd == 0 || odd == frames.size());
        if (!one_policy) ++wrong;
        ++bursts[odd == 0 ? 0 : 1];
        return frames.size();
    }
    std::uint64_t wrong = 0;
    std::uint64_t bursts[2] = {0, 0};  // all even, others
};

/// Permits one parity of the ports, in an order and with fill-in that differ with `round`.
std::vector<ring::AclRule> rules_of(unsigned parity, unsigned round) {
    std::vector<ring::AclRule> rules;
    const auto add = [&rules](std::uint16_t port, AclAction action) {
        for (const net::IpFamily family : {net::IpFamily::ipv4, net::IpFamily::ipv6}) {
            ring::AclRule rule = wye::testing::any_rule(action, family);
            rule.any_protocol = 0;
            rule.protocol = 17;
            rule.destination_port_low = rule.destination_port_high = port;
            rules.push_back(rule);
        }
    };
    for (unsigned i = 0; i < round % 7 * 5; ++i) {
        add(static_cast<std::uint16_t>(100 + i + round % 50), AclAction::deny);
    }
    for (unsigned i = 0; i < kPorts / 2; ++i) {
        const unsigned which = (i + round) % (kPorts / 2);
        add(static_cast<std::uint16_t>(kFirstPort + 2 * which + parity), AclAction::permit);
    }
    return rules;
}

struct Network {
    Rig rig;
    Programmer p;
    Basics basics;
    Handle out = 0, port_of_out = 0;
    Handle ingress[2] = {0, 0}, egress[2] = {0, 0};  // of policies A and B
    unsigned swapped = 0;  // 1: the ACLs named after A have B's rules and the other way round
    std::uint64_t changes = 0;
    std::function<void()> between = [] {};  // the commands of a change

    static control::Options options() {
        control::Options options = control::test::test_options();
        options.builder_thread = true;
        options.hung_after = std::chrono::seconds(20);
        return options;
    }
    static table::CounterLimits counters() {
        table::CounterLimits limits = control::test::small_counters();
        limits.workers = 2;
        limits.ports = 4;
        return limits;
    }
    Network() : rig(options(), control::test::small_limits(), counters()), p(rig.connect()) {
        p.begin_replay();
        basics = control::test::make_basics(p);
        port_of_out = p.port("p1");
        out = p.vport(basics.tenant, basics.vrf, port_of_out, "out", control::test::kMacB);
        const Handle hop4 = p.adjacency(out, "10.9.255.1"), hop6 = p.adjacency(out, "2001:db8::9");
        p.neighbor(out, "10.9.255.1", "02:00:00:00:00:77");
        p.neighbor(out, "2001:db8::9", "02:00:00:00:00:77");
        p.route(basics.vrf, "10.9.0.0/16", p.group(hop4));
        p.route(basics.vrf, "2001:db8::/32", p.group(hop6));
        for (unsigned which = 0; which < 2; ++which) {
            const std::string name(1, static_cast<char>('A' + which));
            ingress[which] = p.acl(basics.tenant, "in" + name, rules_of(which, 0));
            egress[which] = p.acl(basics.tenant, "out" + name, rules_of(which, 3));
        }
        change(0);
        p.end_replay();
        p.reach();
    }
    void set_vport(Handle handle, const char* name, const char* port_mac, Handle port, Handle in,
                   Handle eg) {
        auto command = make_command(Opcode::vport_set);
        ring::VportSet& vport = command.body.vport;
        vport.vport = handle;
        vport.tenant = basics.tenant;
        vport.vrf = basics.vrf;
        vport.port = port;
        vport.kind = VportKind::port;
        vport.name = wye::testing::object_name(name);
        vport.mac = wye::testing::mac(port_mac);
        vport.mtu = 1500;
        vport.vlan = vport.inner_vlan = kNoVlan;
        vport.ingress_acl = in;
        vport.egress_acl = eg;
        vport.admin_up = 1;
        ASSERT_EQ(p.call(command).outcome, ring::Outcome::accepted);
        between();
    }
    void set_acl(Handle handle, const std::string& name, const std::vector<ring::AclRule>& rules) {
        auto begin = make_command(Opcode::acl_begin);
        begin.body.acl.acl = handle;
        begin.body.acl.tenant = basics.tenant;
        begin.body.acl.name = wye::testing::object_name(name);
        begin.body.acl.rules = static_cast<std::uint32_t>(rules.size());
        p.post(begin);
        for (std::uint32_t i = 0; i < rules.size(); ++i) {
            auto command = make_command(Opcode::acl_rule);
            command.body.rule = rules[i];
            command.body.rule.acl = handle;
            command.body.rule.index = i;
            p.post(command);
        }
        p.remove(Opcode::acl_commit, handle);
        between();
    }
    /// To policy A (0) or B (1): the vports take the other ACLs.
    void change(unsigned which) {
        p.begin_transaction(basics.tenant);
        set_vport(basics.vport, "a", control::test::kMacA, basics.port, ingress[which],
                  ring::kNoHandle);
        set_vport(out, "out", control::test::kMacB, port_of_out, ring::kNoHandle, egress[which]);
        p.commit_transaction(basics.tenant);
        ++changes;
    }
    /// The other way: the vports' ACLs get the other policy's rules, and lend it their names.
    void rewrite(unsigned round) {
        p.begin_transaction(basics.tenant);
        for (unsigned slot = 0; slot < 2; ++slot) {
            const std::string name(1, static_cast<char>('A' + slot));
            const unsigned parity = slot ^ swapped ^ 1u;
            set_acl(ingress[slot], "in" + name, rules_of(parity, round));
            set_acl(egress[slot], "out" + name, rules_of(parity, round + 3));
        }
        swapped ^= 1u;
        p.commit_transaction(basics.tenant);
        ++changes;
    }
};

TEST(Policy, NoPacketIsJudgedByAMixtureOrByNone) {
    const bool in_full = std::getenv("WYE_TEST_FULL") != nullptr;
    const std::uint64_t packets = in_full ? kPacketsInFull : kPackets;
    Network network;
    BurstPool pool;
    Rig& rig = network.rig;
    Options options;
    options.id = WorkerId{1};
    options.idle = Idle::poll;
    const table::CounterBlock counters = rig.counters.block(WorkerId{1});
    Worker worker(options, {.pool = pool,
                            .published = rig.published,
                            .epochs = rig.epochs,
                            .liveness = rig.liveness,
                            .counters = counters});
    auto source = std::make_unique<Source>(pool, packets);
    auto judge = std::make_unique<Judge>();
    const Source& coming = *source;
    const Judge& judged = *judge;
    worker.add_port(PortId{0}, std::move(source));
    worker.add_port(PortId{1}, std::move(judge));
    std::atomic<bool> done{false};
    std::thread thread([&] {
        rig.epochs.register_reader(1);
        while (coming.left() != 0) worker.turn();
        rig.epochs.unregister_reader(1);
        done = true;
    });
    // Of some changes the commands are bursts apart, also where both threads have one core.
    bool spread = false;
    network.between = [&coming, &spread] {
        if (!spread) return;
        const std::uint64_t left = coming.left();
        while (coming.left() != 0 && coming.left() + 2 > left) std::this_thread::yield();
    };
    for (unsigned round = 0; !done; ++round) {
        spread = round % 64 < 8;
        if (round % 8 == 7) {
            network.rewrite(round);
        } else {
            network.change(round % 2);
        }
        if (HasFailure()) break;
    }
    thread.join();
    const std::uint64_t bursts = packets / kMaxBurst;
    EXPECT_EQ(judged.wrong, 0u);
    EXPECT_EQ(judged.bursts[0] + judged.bursts[1], bursts) << "a burst of which nothing left";
    EXPECT_EQ(pool.released, packets / 2);
    const table::LedgerRow& row = counters.ports[table::port_row(PortId{0})];
    EXPECT_EQ(row.drops[static_cast<std::size_t>(table::Reason::acl_ingress_denied)].get(),
              packets / 2);
    EXPECT_GT(judged.bursts[0], 0u);
    EXPECT_GT(judged.bursts[1], 0u);
    EXPECT_GT(network.changes, in_full ? 500u : 5u);
    std::printf("%llu packets, %llu changes of policy, %llu bursts by A's parity, %llu by B's\n",
                static_cast<unsigned long long>(packets),
                static_cast<unsigned long long>(network.changes),
                static_cast<unsigned long long>(judged.bursts[0]),
                static_cast<unsigned long long>(judged.bursts[1]));
}

}  // namespace
}  // namespace wye::worker
