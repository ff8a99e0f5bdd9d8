// Lookups in a FIB with all of the real table, and how fast that table goes in.
//
// Addresses: `spread` takes a random prefix and a random address in it, so that every prefix is hit
// alike and nothing is in a cache; `uniform` is random over all addresses (IPv4 only); `zipf` takes
// such addresses by Zipf's law (exponent 1) from 65 536 of them, nearer to what traffic looks like.
// Lookups come in bursts of 64, as the pipeline's do; `single` is the slow path's one at a time.
// WYE_TABLE_FOLDER puts the table into a file in that folder, on hugetlbfs for instance.
// The peers are DPDK's rte_fib and rte_fib6 (peer_fib.hh).
#include <benchmark/benchmark.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/table/peer_fib.hh"
#include "dataplane/table/fib.hh"
#include "tests/unit/table/real_table.hh"

namespace wye::table {
namespace {

constexpr std::size_t kAddresses = 1 << 20;
constexpr std::size_t kBurst = 64;

ArenaLimits limits() {
    ArenaLimits limits;
    limits.heap_bytes = std::uint64_t{1} << 30;
    return limits;
}

/// With WYE_TABLE_FOLDER a file there (to compare kinds of pages), else memory in 4 KiB pages.
ArenaWriter make_arena() {
    const char* folder = std::getenv("WYE_TABLE_FOLDER");
    if (folder == nullptr) return std::move(*ArenaWriter::create_anonymous(limits()));
    static int number = 0;
    const std::string path = std::string(folder) + "/wye-bench-" + std::to_string(++number);
    (void)unlink(path.c_str());
    auto arena = ArenaWriter::create(path, limits(), 1);
    if (!arena) {
        std::cerr << arena.error().text << std::endl;
        std::abort();
    }
    (void)unlink(path.c_str());
    return std::move(*arena);
}

/// The whole table of one family, made once.
struct Table {
    std::vector<RealRoute> routes;
    ArenaWriter arena;
    std::atomic<std::uint32_t> root{0};
    FibWriter writer;

    explicit Table(net::IpFamily family)
        : routes(read_real_table(family)), arena(make_arena()), writer(arena, family, root) {
        for (std::size_t i = 0; i < routes.size(); ++i) {
            if (!writer.insert(routes[i].prefix, routes[i].leaf)) std::abort();
            arena.seal(i);
            arena.release_through(i);
        }
    }
    static Table& of(net::IpFamily family) {
        static Table fib4(net::IpFamily::ipv4);
        static Table fib6(net::IpFamily::ipv6);
        return family == net::IpFamily::ipv4 ? fib4 : fib6;
    }
};

enum class Choice { spread, uniform, zipf };

net::IpAddress address_in(const net::IpPrefix& prefix, std::mt19937_64& random) {
    net::IpAddress address = prefix.address;
    for (unsigned bit = prefix.length; bit < net::address_bits(address.family); ++bit) {
        if (random() % 2 == 0) continue;
        address.bytes[bit / 8] =
            static_cast<std::uint8_t>(address.bytes[bit / 8] | 0x80 >> bit % 8);
    }
    return address;
}

std::vector<net::IpAddress> zipf(const std::vector<net::IpAddress>& from, std::mt19937_64& random) {
    constexpr std::size_t kDistinct = 65536;
    std::vector<double> sums;
    double sum = 0;
    for (std::size_t i = 1; i <= kDistinct; ++i)
        sums.push_back(sum += 1.0 / static_cast<double>(i));
    std::uniform_real_distribution<double> uniform(0, sum);
    std::vector<net::IpAddress> addresses;
    for (std::size_t i = 0; i < kAddresses; ++i) {
        const auto at = std::lower_bound(sums.begin(), sums.end() - 1, uniform(random));
        addresses.push_back(from[static_cast<std::size_t>(at - sums.begin())]);
    }
    return addresses;
}

std::vector<net::IpAddress> choose(const Table& table, Choice choice) {
    std::mt19937_64 random(1);
    std::vector<net::IpAddress> addresses;
    for (std::size_t i = 0; i < kAddresses; ++i) {
        addresses.push_back(
            choice == Choice::uniform
                ? net::Ipv4Address::from_host(static_cast<std::uint32_t>(random()))
                : address_in(table.routes[random() % table.routes.size()].prefix, random));
    }
    return choice == Choice::zipf ? zipf(addresses, random) : addresses;
}

template <class Query>
struct Burst;
template <>
struct Burst<Fib4Query> {
    static constexpr net::IpFamily kFamily = net::IpFamily::ipv4;
    static Fib4Query make(std::uint32_t root, const net::IpAddress& a) {
        return {Ref<Fib4Root>{root}, a.ipv4(), Leaf{}};
    }
    static void look_up(ArenaView arena, std::span<Fib4Query> queries) {
        lookup_fib4(arena, queries);
    }
    static Leaf look_up_one(ArenaView arena, const Fib4Query& query) {
        return lookup_fib4(arena, query.root, query.address);
    }
};
template <>
struct Burst<Fib6Query> {
    static constexpr net::IpFamily kFamily = net::IpFamily::ipv6;
    static Fib6Query make(std::uint32_t root, const net::IpAddress& a) {
        return {Ref<Fib6Root>{root}, a.ipv6(), Leaf{}};
    }
    static void look_up(ArenaView arena, std::span<Fib6Query> queries) {
        lookup_fib6(arena, queries);
    }
    static Leaf look_up_one(ArenaView arena, const Fib6Query& query) {
        return lookup_fib6(arena, query.root, query.address);
    }
};

/// Made once: the benchmark's functions are called many times.
template <class Query>
std::vector<Query>& queries_for(Choice choice) {
    static std::map<Choice, std::vector<Query>> made;
    std::vector<Query>& queries = made[choice];
    if (!queries.empty()) return queries;
    const Table& table = Table::of(Burst<Query>::kFamily);
    for (const auto& address : choose(table, choice)) {
        queries.push_back(Burst<Query>::make(table.root.load(), address));
    }
    return queries;
}

template <class Query>
void lookup(benchmark::State& state, Choice choice) {
    std::vector<Query>& queries = queries_for<Query>(choice);
    const ArenaView arena = Table::of(Burst<Query>::kFamily).arena.view();
    std::size_t at = 0;
    for (auto _ : state) {
        Burst<Query>::look_up(arena, {queries.data() + at, kBurst});
        benchmark::DoNotOptimize(queries[at].leaf);
        at = (at + kBurst) % kAddresses;
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBurst));
}

template <class Query>
void lookup_single(benchmark::State& state, Choice choice) {
    const std::vector<Query>& queries = queries_for<Query>(choice);
    const ArenaView arena = Table::of(Burst<Query>::kFamily).arena.view();
    std::size_t at = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(Burst<Query>::look_up_one(arena, queries[at]));
        at = (at + 1) % kAddresses;
    }
    state.SetItemsProcessed(state.iterations());
}

/// The peer with all routes, made once; null where it cannot be.
PeerFib* peer_of(net::IpFamily family) {
    static const auto peer4 =
        PeerFib::make(net::IpFamily::ipv4, Table::of(net::IpFamily::ipv4).routes);
    static const auto peer6 =
        PeerFib::make(net::IpFamily::ipv6, Table::of(net::IpFamily::ipv6).routes);
    return family == net::IpFamily::ipv4 ? peer4.get() : peer6.get();
}

template <class Query>
void lookup_peer(benchmark::State& state, Choice choice) {
    PeerFib* peer = peer_of(Burst<Query>::kFamily);
    if (peer == nullptr) {
        state.SkipWithError("the peer does not start, or does not take all of the routes");
        return;
    }
    std::vector<net::IpAddress> addresses;
    for (const Query& query : queries_for<Query>(choice)) addresses.push_back(query.address);
    peer->set_addresses(addresses);
    std::size_t at = 0;
    for (auto _ : state) {
        peer->look_up(at, kBurst);
        benchmark::DoNotOptimize(peer->leaves[0]);
        at = (at + kBurst) % kAddresses;
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBurst));
}

void insert_all(benchmark::State& state, net::IpFamily family) {
    const std::vector<RealRoute>& routes = Table::of(family).routes;
    for (auto _ : state) {
        state.PauseTiming();
        auto arena =
            std::make_unique<ArenaWriter>(std::move(*ArenaWriter::create_anonymous(limits())));
        std::atomic<std::uint32_t> root{0};
        auto writer = std::make_unique<FibWriter>(*arena, family, root);
        state.ResumeTiming();
        for (std::size_t i = 0; i < routes.size(); ++i) {
            if (!writer->insert(routes[i].prefix, routes[i].leaf)) std::abort();
            if (i % 64 != 0) continue;
            arena->seal(i);
            arena->release_through(i);
        }
        state.PauseTiming();
        writer.reset();
        arena.reset();
        state.ResumeTiming();
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(routes.size()));
}

void register_all() {
    const bool with_peers = start_peers();
    const auto add = [](const char* name, auto run, auto argument) {
        return benchmark::RegisterBenchmark(
            name, [run, argument](benchmark::State& state) { run(state, argument); });
    };
    add("fib4/spread", lookup<Fib4Query>, Choice::spread);
    if (with_peers) add("fib4/spread/peer:rte_fib", lookup_peer<Fib4Query>, Choice::spread);
    add("fib4/uniform", lookup<Fib4Query>, Choice::uniform);
    if (with_peers) add("fib4/uniform/peer:rte_fib", lookup_peer<Fib4Query>, Choice::uniform);
    add("fib4/zipf", lookup<Fib4Query>, Choice::zipf);
    if (with_peers) add("fib4/zipf/peer:rte_fib", lookup_peer<Fib4Query>, Choice::zipf);
    add("fib4/single", lookup_single<Fib4Query>, Choice::spread);
    add("fib6/spread", lookup<Fib6Query>, Choice::spread);
    if (with_peers) add("fib6/spread/peer:rte_fib6", lookup_peer<Fib6Query>, Choice::spread);
    add("fib6/zipf", lookup<Fib6Query>, Choice::zipf);
    if (with_peers) add("fib6/zipf/peer:rte_fib6", lookup_peer<Fib6Query>, Choice::zipf);
    add("fib6/single", lookup_single<Fib6Query>, Choice::spread);
    add("fib4/insert", insert_all, net::IpFamily::ipv4)->Unit(benchmark::kMillisecond);
    add("fib6/insert", insert_all, net::IpFamily::ipv6)->Unit(benchmark::kMillisecond);
}

}  // namespace
}  // namespace wye::table

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    wye::table::register_all();
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
