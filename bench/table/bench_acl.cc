// Matching against ACLs of 100, 1000 and 10 000 rules, and compiling them.
//
// Rules: TCP, a random source prefix of 16 to 32 bits, for two of three a destination prefix of 8
// to 32 bits, and a destination port or a range; permit or deny. Keys: the addresses of a random
// rule, four of five with its port, so that most are decided by some rule anywhere in the list.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "dataplane/net/ip_protocol.hh"
#include "dataplane/table/acl.hh"
#include "dataplane/table/arena_writer.hh"

namespace wye::table {
namespace {

constexpr std::size_t kKeys = 1 << 14;

class Rules {
  public:
    explicit Rules(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) rules.push_back(rule());
    }
    std::vector<AclKey> keys() {
        std::vector<AclKey> keys;
        while (keys.size() < kKeys) {
            const AclRuleSpec& rule = rules[random_() % rules.size()];
            AclKey key;
            key.source = rule.source.address;
            key.destination = rule.destination.length != 0 ? rule.destination.address : any();
            key.protocol = net::protocol::tcp;
            key.source_port = 40000;
            key.destination_port = random_() % 5 != 0 ? rule.destination_port_low : port();
            key.has_ports = true;
            keys.push_back(key);
        }
        return keys;
    }
    std::vector<AclRuleSpec> rules;

  private:
    net::IpAddress any() {
        return net::Ipv4Address::from_host(static_cast<std::uint32_t>(random_()));
    }
    std::uint16_t port() { return static_cast<std::uint16_t>(random_() % 65536); }
    net::IpPrefix prefix(unsigned shortest) {
        const auto length = static_cast<std::uint8_t>(shortest + random_() % (33 - shortest));
        return {net::mask(any(), length), length};
    }
    AclRuleSpec rule() {
        AclRuleSpec rule;
        rule.source = prefix(16);
        if (random_() % 3 != 0) rule.destination = prefix(8);
        rule.any_protocol = false;
        rule.protocol = net::protocol::tcp;
        rule.destination_port_low = rule.destination_port_high = port();
        if (random_() % 4 == 0) rule.destination_port_high = 65535;
        rule.action = static_cast<AclAction>(random_() % 2);
        return rule;
    }
    std::mt19937_64 random_{1};
};

void match(benchmark::State& state) {
    Rules rules(static_cast<std::size_t>(state.range(0)));
    ArenaLimits limits;
    limits.heap_bytes = std::uint64_t{512} << 20;
    auto arena = ArenaWriter::create_anonymous(limits);
    const auto bytes = measure_acl(rules.rules);
    const auto acl = arena->allocate<Acl>(*bytes);
    auto* extent = arena->writable(Ref<std::byte>{acl.unit});
    if (!compile_acl(rules.rules, true, 0, {extent, *bytes})) std::abort();
    const auto keys = rules.keys();
    std::size_t at = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(match_acl(arena->view(), acl, keys[at]));
        at = (at + 1) % kKeys;
    }
    state.SetItemsProcessed(state.iterations());
    state.counters["bytes"] = static_cast<double>(*bytes);
}

void compile(benchmark::State& state) {
    const Rules rules(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(measure_acl(rules.rules));
}

BENCHMARK(match)->Name("acl/match")->Arg(100)->Arg(1000)->Arg(10000);
BENCHMARK(compile)
    ->Name("acl/compile")
    ->Arg(100)
    ->Arg(1000)
    ->Arg(10000)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace wye::table

BENCHMARK_MAIN();
