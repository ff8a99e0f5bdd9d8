// The crash story: what a killed control process leaves is forwarded from at once, a fresh arena is
// filled by the replay beside it, and workers are switched over.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <thread>

#include "tests/unit/control/rig.hh"

namespace wye::control::test {
namespace {

using wye::testing::ip;
using wye::testing::object_name;

/// A control process with files in a run directory, in place of the Rig's anonymous memory.
struct Process {
    Process(const std::string& run_dir, std::uint64_t instance,
            std::optional<Predecessor> predecessor)
        : counters(*table::CounterFile::open_or_create(run_dir + "/counters", small_counters(),
                                                       counters_kept)),
          liveness(small_limits().nexthops) {
        path = run_dir + "/arena-" + std::to_string(instance);
        auto arena = table::ArenaWriter::create(path, small_limits(), instance);
        Wiring wiring{counters, published, epochs, liveness, {}, {}, nullptr};
        wiring.ports.push_back({object_name("p0"), PortId{0}, true});
        control = std::make_unique<Control>(std::move(*arena), std::move(wiring), test_options(),
                                            std::move(predecessor));
        epochs.register_reader(0);
        channel = std::move(*ring::Channel::create({1024, 2048, 512}));
        control->open_session(*channel);
    }
    ~Process() { epochs.unregister_reader(0); }
    void poll() {
        control->poll();
        epochs.quiescent(0);
    }
    Programmer programmer() {
        auto other = ring::Channel::attach(dup(channel->memfd()), dup(channel->control_wakeup()),
                                           dup(channel->shim_wakeup()));
        return Programmer(std::move(*other), [this] { poll(); });
    }
    VrfId vrf(std::string_view name) const {
        return VrfId{counters.find(table::SlotKind::vrf, name).value_or(VrfId::kNone)};
    }
    /// Where a packet for this address would go; as a worker would see it.
    std::optional<net::IpAddress> gateway(std::string_view vrf_name, std::string_view text) const {
        const table::ArenaView arena = published.view();
        const auto& record = arena.record(arena.header().vrfs, vrf(vrf_name).value);
        const auto leaf = lookup_fib4(arena, record.fib4.load(), ip(text).ipv4());
        if (leaf.is_none()) return std::nullopt;
        return arena.record(arena.header().nexthops, leaf.nexthop().value).gateway;
    }

    bool counters_kept = false;
    std::string path;
    table::CounterFile counters;
    table::Published published;
    table::Epochs epochs{2};
    table::Liveness liveness;
    std::unique_ptr<Control> control;
    std::optional<ring::Channel> channel;
};

struct Names {
    Handle vrf, vport;
};
Names declare(Programmer& p, const char* first_tenant) {
    // In another order, so that ids would differ if names did not decide.
    p.tenant(first_tenant);
    const Handle tenant = p.tenant("t");
    const Handle vrf = p.vrf(tenant, "v");
    const Handle vport = p.vport(tenant, vrf, p.port("p0"), "a", kMacA);
    return {vrf, vport};
}

struct Recovery : ::testing::Test {
    Recovery() {
        char name[] = "/tmp/wye-ctrl-XXXXXX";
        run_dir = mkdtemp(name);
    }
    ~Recovery() override { std::filesystem::remove_all(run_dir); }
    std::vector<std::string> arenas() const {
        std::vector<std::string> found;
        for (const auto& entry : std::filesystem::directory_iterator(run_dir)) {
            const std::string name = entry.path().filename();
            if (name.starts_with("arena-")) found.push_back(entry.path());
        }
        return found;
    }
    /// A child that declares, commits if asked to, tells so, and goes on changing routes until it
    /// is killed in the middle.
    void crash(std::uint64_t instance, bool commits) {
        int ready[2];
        ASSERT_EQ(pipe(ready), 0);
        const pid_t child = fork();
        if (child == 0) {
            Process process(run_dir, instance, std::nullopt);
            Programmer p = process.programmer();
            p.begin_replay();
            const Names names = declare(p, "first");
            const Handle group = p.group(p.adjacency(names.vport, "192.0.2.1"));
            p.route(names.vrf, "10.0.0.0/8", group);
            if (commits) p.end_replay();
            for (std::uint32_t i = 0;; ++i) {
                auto command = make_command(i % 3 == 2 ? Opcode::route_delete : Opcode::route_set);
                const net::IpPrefix prefix{
                    net::Ipv4Address::from_host(0x0b000000u + (i * 77 << 8 & 0xffffff)), 24};
                if (i % 3 == 2) {
                    command.body.route_delete = {names.vrf, prefix};
                } else {
                    command.body.route = {names.vrf, group, prefix, 0, {}};
                }
                p.call(command);
                if (i == 500 && write(ready[1], "x", 1) != 1) _exit(1);
            }
        }
        char byte;
        ASSERT_EQ(read(ready[0], &byte, 1), 1);
        usleep(2000);
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        close(ready[0]);
        close(ready[1]);
    }
    std::string run_dir;
};

TEST_F(Recovery, ALeaseIsOfTheArenaThatWorkersForwardFromAndEndsWithTheSwitch) {
    crash(1, true);
    const std::string old_path = run_dir + "/arena-1";
    Process next(run_dir, 2,
                 Predecessor{std::move(*table::ArenaMapping::open(old_path)), old_path});
    const auto before = next.control->grant_lease(std::chrono::seconds(1));
    ASSERT_TRUE(before.has_value()) << before.error().text;
    EXPECT_TRUE(before->is_predecessors);
    EXPECT_EQ(before->arena_instance, 1u);
    Programmer p = next.programmer();
    p.begin_replay();
    declare(p, "other");
    p.end_replay();
    EXPECT_EQ(next.control->end_lease(before->lease).state, ring::LeaseState::superseded);
    const auto after = next.control->grant_lease(std::chrono::seconds(1));
    ASSERT_TRUE(after.has_value()) << after.error().text;
    EXPECT_FALSE(after->is_predecessors);
    EXPECT_EQ(after->arena_instance, 2u);
}

TEST_F(Recovery, ASuccessorForwardsAtOnceAndSwitchesOver) {
    crash(1, true);
    const std::string old_path = run_dir + "/arena-1";
    auto mapping = table::ArenaMapping::open(old_path);
    ASSERT_TRUE(mapping) << mapping.error().text;
    Process next(run_dir, 2, Predecessor{std::move(*mapping), old_path});
    EXPECT_TRUE(next.counters_kept);
    EXPECT_TRUE(next.control->status().recovering);
    // Before anybody has declared anything.
    EXPECT_EQ(next.gateway("v", "10.1.2.3"), ip("192.0.2.1"));
    const auto id = next.vrf("v");
    // A worker looks up all the time and never finds a hole.
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> lookups{0}, misses{0};
    std::thread worker([&] {
        next.epochs.register_reader(1);
        while (!stop.load()) {
            if (next.gateway("v", "10.1.2.3") != ip("192.0.2.1")) ++misses;
            ++lookups;
            next.epochs.quiescent(1);
        }
        next.epochs.unregister_reader(1);
    });
    Programmer p = next.programmer();
    p.begin_replay();
    const Names names = declare(p, "another");
    p.route(names.vrf, "10.0.0.0/8", p.group(p.adjacency(names.vport, "192.0.2.1")));
    EXPECT_TRUE(next.control->status().recovering);
    p.end_replay(ring::Stream::policy);
    EXPECT_TRUE(next.control->status().recovering);
    EXPECT_EQ(arenas().size(), 2u);
    p.end_replay(ring::Stream::routes);
    p.reach();
    for (int i = 0; i < 100000 && next.control->status().recovering; ++i) next.poll();
    EXPECT_FALSE(next.control->status().recovering);
    EXPECT_TRUE(next.control->status().committed);
    while (lookups.load() < 1000) std::this_thread::yield();
    stop = true;
    worker.join();
    EXPECT_EQ(misses.load(), 0u);
    EXPECT_EQ(next.vrf("v"), id);
    EXPECT_EQ(arenas(), std::vector<std::string>{next.path});
    EXPECT_EQ(next.published.view().base(), next.control->arena().base());
    // The names that nobody declared again are free.
    EXPECT_FALSE(next.counters.find(table::SlotKind::tenant, "first"));
    EXPECT_TRUE(next.counters.find(table::SlotKind::tenant, "another"));
    // And it in turn could be succeeded.
    EXPECT_TRUE(table::ArenaMapping::open(next.path));
}

TEST_F(Recovery, AnArenaThatWasNeverCommittedIsNotForwardedFrom) {
    crash(1, false);
    EXPECT_FALSE(table::ArenaMapping::open(run_dir + "/arena-1"));
}

TEST_F(Recovery, ACrashDuringTheReplayLosesNothingOfThePredecessor) {
    crash(1, true);
    crash(2, false);
    const std::string old_path = run_dir + "/arena-1";
    EXPECT_FALSE(table::ArenaMapping::open(run_dir + "/arena-2"));
    auto mapping = table::ArenaMapping::open(old_path);
    ASSERT_TRUE(mapping);
    Process next(run_dir, 3, Predecessor{std::move(*mapping), old_path});
    EXPECT_EQ(next.gateway("v", "10.1.2.3"), ip("192.0.2.1"));
}

TEST_F(Recovery, WithoutAPredecessorOurOwnIsThereAtOnce) {
    Process process(run_dir, 1, std::nullopt);
    EXPECT_EQ(process.published.view().base(), process.control->arena().base());
    EXPECT_FALSE(process.control->status().committed);
    Programmer p = process.programmer();
    p.begin_replay();
    p.end_replay();
    process.poll();
    EXPECT_TRUE(process.control->status().committed);
}

}  // namespace
}  // namespace wye::control::test
