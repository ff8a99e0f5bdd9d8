// Lookups in a FIB with all of the real table, how fast that table goes in, and how fast it changes.
//
// Addresses: `spread` takes a random prefix and a random address in it, so that every prefix is hit
// alike and nothing is in a cache; `uniform` is random over all addresses (IPv4 only); `zipf` takes
// such addresses by Zipf's law (exponent 1) from 65 536 of them, nearer to what traffic looks like.
// Lookups come in bursts of 32, as the pipeline's do; `single` is the slow path's one at a time.
// WYE_TABLE_FOLDER puts the table into a file in that folder, on hugetlbfs for instance.
// The peers are DPDK's rte_fib and rte_fib6 (peer_fib.hh), each measured by turns with ours (pairs.hh).
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
#include <utility>
#include <vector>

#include "bench/table/pairs.hh"
#include "bench/table/peer_fib.hh"
#include "dataplane/table/fib.hh"
#include "dataplane/table/fib6_lookup.hh"
#include "dataplane/table/fib_lookup.hh"
#include "tests/unit/table/real_table.hh"

namespace wye::table {
namespace {

constexpr std::size_t kAddresses = 1 << 20;
constexpr std::size_t kBurst = 32;

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

/// What differs between the families.
struct Family4 {
    using Root = Fib4Root;
    using Address = net::Ipv4Address;
    static constexpr net::IpFamily kFamily = net::IpFamily::ipv4;
    static Address address(const net::IpAddress& a) { return a.ipv4(); }
    static constexpr const char* kName = "fib4";
    using Variant = FibVariant;
    static auto& variants() { return fib_variants; }
    static constexpr auto look_up =
        static_cast<void (*)(ArenaView, std::span<const Ref<Root>>, std::span<const Address>,
                             std::span<Leaf>) noexcept>(lookup_fib4);
    static Leaf look_up_one(ArenaView arena, Ref<Root> root, const Address& address) {
        return lookup_fib4(arena, root, address);
    }
};
struct Family6 {
    using Root = Fib6Root;
    using Address = net::Ipv6Address;
    static constexpr net::IpFamily kFamily = net::IpFamily::ipv6;
    static Address address(const net::IpAddress& a) { return a.ipv6(); }
    static constexpr const char* kName = "fib6";
    using Variant = Fib6Variant;
    static auto& variants() { return fib6_variants; }
    static constexpr auto look_up =
        static_cast<void (*)(ArenaView, std::span<const Ref<Root>>, std::span<const Address>,
                             std::span<Leaf>) noexcept>(lookup_fib6);
    static Leaf look_up_one(ArenaView arena, Ref<Root> root, const Address& address) {
        return lookup_fib6(arena, root, address);
    }
};

/// Made once: the benchmark's functions are called many times.
const std::vector<net::IpAddress>& addresses_for(net::IpFamily family, Choice choice) {
    static std::map<std::pair<net::IpFamily, Choice>, std::vector<net::IpAddress>> made;
    std::vector<net::IpAddress>& addresses = made[{family, choice}];
    if (addresses.empty()) addresses = choose(Table::of(family), choice);
    return addresses;
}

template <class Family>
std::vector<typename Family::Address> own_addresses(Choice choice) {
    std::vector<typename Family::Address> own;
    for (const auto& a : addresses_for(Family::kFamily, choice)) own.push_back(Family::address(a));
    return own;
}

template <class Family>
Ref<typename Family::Root> root_of() {
    return {Table::of(Family::kFamily).root.load()};
}

/// Ours over all the addresses, a burst at a time.
template <class Family>
class Lookups {
  public:
    explicit Lookups(Choice choice)
        : addresses_(own_addresses<Family>(choice)), roots_(kBurst, root_of<Family>()) {}
    void burst(std::size_t at) {
        Family::look_up(arena_, roots_, {addresses_.data() + at, kBurst}, leaves_);
        benchmark::DoNotOptimize(leaves_[0]);
    }

  private:
    std::vector<typename Family::Address> addresses_;
    ArenaView arena_ = Table::of(Family::kFamily).arena.view();
    std::vector<Ref<typename Family::Root>> roots_;
    std::vector<Leaf> leaves_ = std::vector<Leaf>(kBurst);
};

template <class Family>
void lookup(benchmark::State& state, Choice choice) {
    Lookups<Family> lookups(choice);
    state.SetLabel(std::string(Family::variants().in_use().name));
    std::size_t at = 0;
    for (auto _ : state) {
        lookups.burst(at);
        at = (at + kBurst) % kAddresses;
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBurst));
}

/// The same in one of the variants.
template <class Family>
void lookup_variant(benchmark::State& state, const typename Family::Variant* variant) {
    const auto& before = Family::variants().in_use();
    Family::variants().use(*variant);
    lookup<Family>(state, Choice::spread);
    Family::variants().use(before);
}
template <class Family>
void register_variants() {
    for (const auto& variant : Family::variants().all()) {
        if (!variant.is_supported()) continue;
        const std::string name = std::string(Family::kName) + "/spread/variant:" + variant.name;
        benchmark::RegisterBenchmark(name.c_str(), [&variant](benchmark::State& state) {
            lookup_variant<Family>(state, &variant);
        });
    }
}

template <class Family>
void lookup_single(benchmark::State& state, Choice choice) {
    const auto addresses = own_addresses<Family>(choice);
    const ArenaView arena = Table::of(Family::kFamily).arena.view();
    std::size_t at = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(Family::look_up_one(arena, root_of<Family>(), addresses[at]));
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

template <class Family>
void lookup_pairs(benchmark::State& state, Choice choice) {
    PeerFib* peer = peer_of(Family::kFamily);
    if (peer == nullptr) {
        state.SkipWithError("the peer does not start, or does not take all of the routes");
        return;
    }
    state.SetLabel(std::string(Family::variants().in_use().name) + " beside " +
                   std::string(peer->variant()));
    peer->set_addresses(addresses_for(Family::kFamily, choice));
    Lookups<Family> lookups(choice);
    measure_pairs(
        state, kAddresses,
        [&] {
            for (std::size_t at = 0; at < kAddresses; at += kBurst) lookups.burst(at);
        },
        [&] {
            for (std::size_t at = 0; at < kAddresses; at += kBurst) {
                peer->look_up(at, kBurst);
                benchmark::DoNotOptimize(peer->leaves[0]);
            }
        });
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

/// The whole table of one family, in random order, that changes. As the control thread does, it asks
/// for what changes further on will look at, and reclaims memory.
class ChangingTable {
  public:
    explicit ChangingTable(net::IpFamily family)
        : routes_(Table::of(family).routes), arena_(make_arena()), writer_(arena_, family, root_) {
        std::shuffle(routes_.begin(), routes_.end(), std::mt19937_64(2));
        for (std::size_t i = 0; i < routes_.size(); ++i) insert(i);
    }
    [[nodiscard]] std::size_t size() const { return routes_.size(); }
    /// Of route `index`, modulo the table's size; with another leaf each time.
    void insert(std::size_t index) {
        prefetch(index);
        RealRoute& route = routes_[index % routes_.size()];
        route.leaf = Leaf::of(NextHopId{(route.leaf.nexthop().value + 1) % 1024});
        if (!writer_.insert(route.prefix, route.leaf)) std::abort();
        settle();
    }
    void erase(std::size_t index) {
        prefetch(index);
        if (!writer_.erase(routes_[index % routes_.size()].prefix)) std::abort();
        settle();
    }

  private:
    void prefetch(std::size_t index) const {
        const auto ahead = [&](std::size_t distance, FibStage stage) {
            writer_.prefetch(routes_[(index + distance) % routes_.size()].prefix, stage);
        };
        ahead(12, FibStage::node);
        ahead(8, FibStage::routes);
        ahead(4, FibStage::leaves);
    }
    void settle() {
        if (++epoch_ % 64 != 0) return;
        arena_.seal(epoch_);
        arena_.release_through(epoch_);
    }
    std::vector<RealRoute> routes_;
    ArenaWriter arena_;
    std::atomic<std::uint32_t> root_{0};
    FibWriter writer_;
    std::uint64_t epoch_ = 0;
};
constexpr std::size_t kAway = 4096;  // so many routes are erased at a time

/// Each route gets another leaf.
void replace_routes(benchmark::State& state, net::IpFamily family) {
    ChangingTable table(family);
    std::size_t at = 0;
    for (auto _ : state) table.insert(at++);
    state.SetItemsProcessed(state.iterations());
}

/// Each route is erased and comes back.
void reinsert_routes(benchmark::State& state, net::IpFamily family) {
    ChangingTable table(family);
    for (std::size_t i = 0; i < kAway; ++i) table.erase(i);
    std::size_t at = 0;
    for (auto _ : state) {
        table.insert(at);
        table.erase(at + kAway);
        ++at;
    }
    state.SetItemsProcessed(state.iterations() * 2);
}

/// The same, but only erasing is timed. A function of its own for callgrind.
[[gnu::noinline]] void erase_some(ChangingTable& table, std::size_t from) {
    for (std::size_t i = 0; i < kAway; ++i) table.erase(from + i);
}
void erase_routes(benchmark::State& state, net::IpFamily family) {
    ChangingTable table(family);
    std::size_t at = 0;
    for (auto _ : state) {
        erase_some(table, at);
        state.PauseTiming();
        for (std::size_t i = 0; i < kAway; ++i) table.insert(at + i);
        state.ResumeTiming();
        at += kAway;
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kAway));
}

void register_all() {
    const bool with_peers = start_peers();
    const auto add = [](const char* name, auto run, auto argument) {
        return benchmark::RegisterBenchmark(
            name, [run, argument](benchmark::State& state) { run(state, argument); });
    };
    add("fib4/spread", lookup<Family4>, Choice::spread);
    if (with_peers) add("fib4/spread/pairs:rte_fib", lookup_pairs<Family4>, Choice::spread);
    add("fib4/uniform", lookup<Family4>, Choice::uniform);
    if (with_peers) add("fib4/uniform/pairs:rte_fib", lookup_pairs<Family4>, Choice::uniform);
    add("fib4/zipf", lookup<Family4>, Choice::zipf);
    if (with_peers) add("fib4/zipf/pairs:rte_fib", lookup_pairs<Family4>, Choice::zipf);
    register_variants<Family4>();
    add("fib4/single", lookup_single<Family4>, Choice::spread);
    add("fib6/spread", lookup<Family6>, Choice::spread);
    if (with_peers) add("fib6/spread/pairs:rte_fib6", lookup_pairs<Family6>, Choice::spread);
    add("fib6/zipf", lookup<Family6>, Choice::zipf);
    if (with_peers) add("fib6/zipf/pairs:rte_fib6", lookup_pairs<Family6>, Choice::zipf);
    register_variants<Family6>();
    add("fib6/single", lookup_single<Family6>, Choice::spread);
    add("fib4/insert", insert_all, net::IpFamily::ipv4)->Unit(benchmark::kMillisecond);
    add("fib6/insert", insert_all, net::IpFamily::ipv6)->Unit(benchmark::kMillisecond);
    for (const auto family : {net::IpFamily::ipv4, net::IpFamily::ipv6}) {
        const std::string name = family == net::IpFamily::ipv4 ? "fib4/" : "fib6/";
        add((name + "replace").c_str(), replace_routes, family);
        add((name + "reinsert").c_str(), reinsert_routes, family);
        add((name + "erase").c_str(), erase_routes, family);
    }
}

}  // namespace
}  // namespace wye::table

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    wye::table::register_all();
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
