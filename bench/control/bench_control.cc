// The control thread with the real table, over the rings as the shim drives it: how fast routes change,
// and how much of the arena tables take.
//
//   routes/changes       changes of random routes of the whole IPv4 table: half get another next hop,
//                        half are withdrawn or come back. From ring to published: a batch lies in
//                        the command ring when the clock (CPU time) starts, which stops when its
//                        completions lie in theirs, and counts what was freed meanwhile. Making
//                        commands and reading completions is the shim's, and not counted
//   routes/fib           the same changes to the FIB's writer alone
//   table/fib4, fib6     `bytes`: the arena's heap with the whole table of one family in it
//   vrf/empty            `bytes`: what one VRF without routes adds, both families together
//   vrfs/4096            `bytes`: 4096 VRFs with the same 100 IPv4 and 20 IPv6 prefixes each, which are
//                        spread over the real table
#include <benchmark/benchmark.h>

#include <atomic>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "dataplane/table/vrf.hh"
#include "tests/unit/control/rig.hh"
#include "tests/unit/table/real_table.hh"

namespace wye::control::test {
namespace {

constexpr std::size_t kBatch = 512;  // as many as the control thread takes in one poll
constexpr std::uint32_t kNextHops = 1024;
constexpr std::uint32_t kVrfs = 4096;
constexpr std::uint32_t kRoutes4 = 100, kRoutes6 = 20;

table::ArenaLimits limits() {
    table::ArenaLimits limits = small_limits();
    limits.tenants = limits.vrfs = 2 * kVrfs;
    limits.nexthops = limits.groups = 2 * kNextHops;
    limits.heap_bytes = std::uint64_t{1} << 30;
    return limits;
}

table::CounterLimits counter_limits() {
    table::CounterLimits limits = small_counters();
    limits.tenants = limits.vrfs = 2 * kVrfs;
    return limits;
}

ring::Command setting(Handle vrf, const net::IpPrefix& prefix, Handle group) {
    auto command = make_command(Opcode::route_set);
    command.body.route.vrf = vrf;
    command.body.route.group = group;
    command.body.route.prefix = prefix;
    return command;
}
ring::Command withdrawal(Handle vrf, const net::IpPrefix& prefix) {
    auto command = make_command(Opcode::route_delete);
    command.body.route_delete.vrf = vrf;
    command.body.route_delete.prefix = prefix;
    return command;
}

std::uint64_t thread_nanoseconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1000000000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}

/// One VRF and `kNextHops` groups of one next hop each.
struct Router {
    Rig rig{test_options(), limits(), counter_limits()};
    Programmer programmer = rig.connect();
    Basics basics;
    std::vector<Handle> groups;

    Router() {
        programmer.begin_replay();
        basics = make_basics(programmer);
        for (std::uint32_t i = 0; i < kNextHops; ++i) {
            const auto gateway = net::Ipv4Address::from_host(0xac1f0001u + i);
            groups.push_back(
                programmer.group(programmer.adjacency(basics.vport, net::to_string(gateway))));
        }
        programmer.end_replay();
        programmer.reach();
    }
    void set(Handle vrf, const net::IpPrefix& prefix, Handle group) {
        programmer.post(setting(vrf, prefix, group));
    }
    void settle() {
        if (programmer.settle() != 0) std::abort();
    }
    void load(const std::vector<table::RealRoute>& routes) {
        for (const table::RealRoute& route : routes) {
            set(basics.vrf, route.prefix, groups[route.leaf.nexthop().value % kNextHops]);
        }
        settle();
    }
    /// Of the heap, when nothing waits to be freed.
    std::uint64_t used() {
        settle();
        rig.rest();
        return rig.control->status().arena_used;
    }
};

/// What is timed. A function of its own for callgrind: --toggle-collect='*publish*'.
[[gnu::noinline]] void publish(Rig& rig) {
    rig.poll();
}

void changes(benchmark::State& state) {
    static Router router;
    static const auto routes = table::read_real_table(net::IpFamily::ipv4);
    static std::vector<bool> present;
    static std::mt19937_64 random(1);
    if (present.empty()) {
        router.load(routes);
        present.assign(routes.size(), true);
    }
    std::vector<ring::Command> batch(kBatch);
    for (auto _ : state) {
        for (std::size_t i = 0; i < kBatch; ++i) {
            const std::size_t which = random() % routes.size();
            const bool withdraw = present[which] && i % 2 == 0;
            const Handle group = router.groups[random() % kNextHops];
            batch[i] = withdraw ? withdrawal(router.basics.vrf, routes[which].prefix)
                                : setting(router.basics.vrf, routes[which].prefix, group);
            present[which] = !withdraw;
        }
        router.programmer.post(ring::Stream::routes, batch);
        const std::uint64_t begin = thread_nanoseconds();
        publish(router.rig);
        state.SetIterationTime(static_cast<double>(thread_nanoseconds() - begin) * 1e-9);
        router.settle();
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}

void fib_changes(benchmark::State& state) {
    static const auto routes = table::read_real_table(net::IpFamily::ipv4);
    static auto arena = table::ArenaWriter::create_anonymous(limits());
    static std::atomic<std::uint32_t> root{0};
    static table::FibWriter fib(*arena, net::IpFamily::ipv4, root);
    static std::vector<bool> present;
    static std::mt19937_64 random(1);
    static std::uint64_t epoch = 0;
    const auto insert = [&](const net::IpPrefix& prefix, std::uint32_t nexthop) {
        if (!fib.insert(prefix, table::Leaf::of(NextHopId{nexthop % kNextHops}))) std::abort();
    };
    if (present.empty()) {
        for (const auto& route : routes) insert(route.prefix, route.leaf.nexthop().value);
        present.assign(routes.size(), true);
    }
    for (auto _ : state) {
        for (std::size_t i = 0; i < kBatch; ++i) {
            const std::size_t which = random() % routes.size();
            const auto nexthop = static_cast<std::uint32_t>(random());
            const bool withdraw = present[which] && i % 2 == 0;
            if (!withdraw) insert(routes[which].prefix, nexthop);
            if (withdraw && !fib.erase(routes[which].prefix)) std::abort();
            present[which] = !withdraw;
        }
        arena->seal(++epoch);
        arena->release_through(epoch);
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}

std::uint64_t bytes_of_table(net::IpFamily family) {
    Router router;
    const std::uint64_t before = router.used();
    const auto routes = table::read_real_table(family);
    router.load(routes);
    const std::uint64_t after = router.used();
    for (std::size_t i = 0; i < routes.size(); i += 1001) {
        if (router.rig.lookup("v", net::to_string(routes[i].prefix.address)).is_none())
            std::abort();
    }
    return after - before;
}

/// `count` routes of the real table, spread over it.
std::vector<table::RealRoute> sample(net::IpFamily family, std::size_t count) {
    const auto all = table::read_real_table(family);
    std::vector<table::RealRoute> chosen;
    for (std::size_t i = 0; i < count; ++i) chosen.push_back(all[i * (all.size() / count)]);
    return chosen;
}

/// What `count` VRFs add, with their records.
std::uint64_t bytes_of_vrfs(std::uint32_t count, const std::vector<table::RealRoute>& routes) {
    Router router;
    const std::uint64_t before = router.used();
    for (std::uint32_t i = 0; i < count; ++i) {
        const Handle vrf = router.programmer.vrf(router.basics.tenant, "v" + std::to_string(i));
        for (const table::RealRoute& route : routes) {
            router.set(vrf, route.prefix, router.groups[route.leaf.nexthop().value % kNextHops]);
        }
    }
    return router.used() - before + count * sizeof(table::Vrf);
}

/// Measured once, however often it is asked for.
template <class Measure>
void memory(benchmark::State& state, const Measure& measure) {
    static const auto bytes = static_cast<double>(measure());
    for (auto _ : state) benchmark::DoNotOptimize(bytes);
    state.counters["bytes"] = bytes;
}

void table_fib4(benchmark::State& state) {
    memory(state, [] { return bytes_of_table(net::IpFamily::ipv4); });
}
void table_fib6(benchmark::State& state) {
    memory(state, [] { return bytes_of_table(net::IpFamily::ipv6); });
}
void vrf_empty(benchmark::State& state) {
    memory(state, [] { return bytes_of_vrfs(1000, {}) / 1000; });
}
void vrfs_4096(benchmark::State& state) {
    memory(state, [] {
        auto routes = sample(net::IpFamily::ipv4, kRoutes4);
        const auto routes6 = sample(net::IpFamily::ipv6, kRoutes6);
        routes.insert(routes.end(), routes6.begin(), routes6.end());
        return bytes_of_vrfs(kVrfs, routes);
    });
}
BENCHMARK(changes)->Name("routes/changes")->UseManualTime();
BENCHMARK(fib_changes)->Name("routes/fib");
BENCHMARK(table_fib4)->Name("table/fib4")->Iterations(1);
BENCHMARK(table_fib6)->Name("table/fib6")->Iterations(1);
BENCHMARK(vrf_empty)->Name("vrf/empty")->Iterations(1);
BENCHMARK(vrfs_4096)->Name("vrfs/4096")->Iterations(1);

}  // namespace
}  // namespace wye::control::test

BENCHMARK_MAIN();
