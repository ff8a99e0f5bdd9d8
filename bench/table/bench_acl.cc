// Matching against ACLs, beside DPDK's rte_acl on the same rules and headers, and compiling them.
//
// Rules and headers come from rule_sets.hh, in its three kinds; bursts of 32, as the pipeline's.
// Before a row is measured, ours and the peer's answers to the whole trace are compared.
//
//   acl/KIND/4/N, acl/KIND/6/N   one ACL of N rules; the same with /peer:rte_acl
//   acl/VARIANT/…                the same by each instruction set's variant
//   acl/tenants/N                N ACLs of 100 rules, each packet of a burst of another tenant
//   acl/worst/KIND/N             one header over whole bursts: the slowest of the trace
//   acl/memory/N                 `bytes`: of N ACLs of 100 rules together
//   acl/compile/KIND/N           rules to the compiled form
//   acl/change/KIND/N            the same after one of them was replaced
// For comparisons: --benchmark_repetitions=9 --benchmark_enable_random_interleaving=true
#include <benchmark/benchmark.h>

#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/table/peer_acl.hh"
#include "bench/table/rule_sets.hh"
#include "dataplane/table/acl.hh"
#include "dataplane/table/acl_match.hh"
#include "dataplane/table/arena_writer.hh"

namespace wye::table {
namespace {

using net::IpFamily;

constexpr std::size_t kHeaders = 8192;
constexpr std::size_t kBurst = 32;

ArenaWriter& arena() {
    static ArenaWriter writer = [] {
        ArenaLimits limits;
        limits.heap_bytes = std::uint64_t{2} << 30;
        return std::move(*ArenaWriter::create_anonymous(limits));
    }();
    return writer;
}

struct Placed {
    Ref<Acl> acl;
    std::size_t bytes = 0;
};

Placed place(const std::vector<AclRuleSpec>& rules) {
    const auto image = build_acl(rules);
    if (!image) std::abort();
    const auto acl = arena().allocate<Acl>(image->bytes());
    auto* const extent = arena().writable(Ref<std::byte>{acl.unit});
    if (!image->write(false, 0, {extent, image->bytes()})) std::abort();
    return {acl, image->bytes()};
}

struct SetName {
    RuleSetKind kind;
    IpFamily family;
    std::size_t rules;
    auto operator<=>(const SetName&) const = default;
};

/// A rule set in all its forms, made once.
struct Set {
    explicit Set(const SetName& name)
        : rules(make_rule_set(name.kind, name.family, name.rules, kRuleSetSeed)),
          trace(make_trace(rules, kHeaders, kRuleSetSeed)),
          placed(place(rules)) {}
    static Set& of(const SetName& name) {
        static std::map<SetName, std::unique_ptr<Set>> made;
        auto& set = made[name];
        if (!set) set = std::make_unique<Set>(name);
        return *set;
    }
    /// Null: there is no peer. Aborts if it answers otherwise.
    PeerAcl* peer_of() {
        if (peer_tried) return peer.get();
        peer_tried = true;
        peer = PeerAcl::make(rules);
        if (!peer) return nullptr;
        peer->set_keys(trace);
        for (std::size_t at = 0; at < kHeaders; at += kBurst) {
            peer->classify(at, kBurst);
            for (std::size_t i = 0; i < kBurst; ++i) {
                const auto verdict = match_acl(arena().view(), placed.acl, trace[at + i]);
                const std::uint32_t ours = verdict.rule == kNoRule ? 0 : verdict.rule + 1;
                if (ours == peer->answers[i]) continue;
                std::cerr << "header " << at + i << ": rule " << ours << ", the peer says "
                          << peer->answers[i] << std::endl;
                std::abort();
            }
        }
        return peer.get();
    }
    std::vector<AclRuleSpec> rules;
    std::vector<AclKey> trace;
    Placed placed;
    std::unique_ptr<PeerAcl> peer;
    bool peer_tried = false;
};

template <class Query>
std::vector<Query> queries_of(const std::vector<AclKey>& trace, Ref<Acl> acl) {
    std::vector<Query> queries(trace.size());
    for (std::size_t i = 0; i < trace.size(); ++i) {
        queries[i].acl = acl;
        pack_acl_key(trace[i], queries[i]);
    }
    return queries;
}

void run(const AclMatcher& matcher, std::span<Acl4Query> burst) {
    matcher.match4(arena().view(), burst);
}
void run(const AclMatcher& matcher, std::span<Acl6Query> burst) {
    matcher.match6(arena().view(), burst);
}

template <class Query>
void match_trace(benchmark::State& state, const AclMatcher& matcher, std::vector<Query>& queries) {
    std::size_t at = 0;
    for (auto _ : state) {
        run(matcher, std::span(queries.data() + at, kBurst));
        benchmark::DoNotOptimize(queries[at].verdict);
        at = (at + kBurst) % queries.size();
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBurst));
}

template <class Query>
void match(benchmark::State& state, const AclMatcher& matcher, const SetName& name) {
    Set& set = Set::of(name);
    auto queries = queries_of<Query>(set.trace, set.placed.acl);
    match_trace(state, matcher, queries);
    state.counters["bytes"] = static_cast<double>(set.placed.bytes);
}

void match_peer(benchmark::State& state, const SetName& name) {
    PeerAcl* const peer = Set::of(name).peer_of();
    if (peer == nullptr) {
        state.SkipWithError("the peer does not start, or does not take these rules");
        return;
    }
    std::size_t at = 0;
    for (auto _ : state) {
        peer->classify(at, kBurst);
        benchmark::DoNotOptimize(peer->answers[0]);
        at = (at + kBurst) % kHeaders;
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBurst));
}

/// Packet i of the trace belongs to tenant i modulo their number.
void match_tenants(benchmark::State& state, std::size_t tenants) {
    std::vector<Acl4Query> queries(kHeaders);
    for (std::size_t tenant = 0; tenant < tenants; ++tenant) {
        const auto rules =
            make_rule_set(kRuleSetKinds[tenant % 3], IpFamily::ipv4, 100, kTenantSeed + tenant);
        const auto trace = make_trace(rules, kHeaders / tenants, kTenantSeed + tenant);
        const auto own = queries_of<Acl4Query>(trace, place(rules).acl);
        for (std::size_t i = 0; i < own.size(); ++i) queries[i * tenants + tenant] = own[i];
    }
    match_trace(state, acl_matchers().front(), queries);
}

/// The header of the trace whose burst takes longest.
std::size_t slowest(const std::vector<Acl4Query>& queries) {
    double most = 0;
    std::size_t slowest = 0;
    for (std::size_t i = 0; i < queries.size(); i += 4) {
        std::vector<Acl4Query> burst(kBurst, queries[i]);
        double least = 1e9;
        for (int round = 0; round < 12; ++round) {
            const auto start = std::chrono::steady_clock::now();
            for (int times = 0; times < 8; ++times) match_acls(arena().view(), burst);
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
            least = std::min(least, took.count());
        }
        if (least <= most) continue;
        most = least;
        slowest = i;
    }
    return slowest;
}

void match_worst(benchmark::State& state, const SetName& name) {
    Set& set = Set::of(name);
    static std::map<SetName, std::size_t> known;
    const auto queries = queries_of<Acl4Query>(set.trace, set.placed.acl);
    if (known.count(name) == 0) known[name] = slowest(queries);
    std::vector<Acl4Query> burst(kBurst, queries[known[name]]);
    match_trace(state, acl_matchers().front(), burst);
}

void memory(benchmark::State& state, std::size_t acls) {
    std::size_t bytes = 0;
    for (auto _ : state) {
        for (std::size_t i = 0; i < acls; ++i) {
            const auto rules =
                make_rule_set(kRuleSetKinds[i % 3], IpFamily::ipv4, 100, kTenantSeed + i);
            bytes += (build_acl(rules)->bytes() + kUnit - 1) / kUnit * kUnit;
        }
    }
    state.counters["bytes"] = static_cast<double>(bytes) / static_cast<double>(state.iterations());
}

void compile(benchmark::State& state, const SetName& name) {
    const auto rules = make_rule_set(name.kind, name.family, name.rules, kRuleSetSeed);
    std::size_t bytes = 0;
    for (auto _ : state) {
        const auto image = build_acl(rules);
        if (!image) std::abort();
        bytes = image->bytes();
    }
    state.counters["bytes"] = static_cast<double>(bytes);
}

/// One rule replaced, somewhere.
void change(benchmark::State& state, const SetName& name) {
    auto rules = make_rule_set(name.kind, name.family, name.rules, kRuleSetSeed);
    auto plan = build_acl(rules)->plan();
    auto others = make_rule_set(name.kind, name.family, 1000, kRuleSetSeed + 1);
    std::size_t at = 0;
    for (auto _ : state) {
        at = (at + 7919) % rules.size();
        std::swap(rules[at], others[at % others.size()]);
        const auto image = build_acl(rules, plan.get());
        if (!image) std::abort();
        plan = image->plan();
    }
}

template <class Query>
void register_set(const SetName& name) {
    const std::string label = std::string(to_string(name.kind)) +
                              (name.family == IpFamily::ipv4 ? "/4/" : "/6/") +
                              std::to_string(name.rules);
    benchmark::RegisterBenchmark(("acl/" + label).c_str(), [name](benchmark::State& state) {
        match<Query>(state, acl_matchers().front(), name);
    });
    benchmark::RegisterBenchmark(("acl/" + label + "/peer:rte_acl").c_str(),
                                 [name](benchmark::State& state) { match_peer(state, name); });
    for (const AclMatcher& matcher : acl_matchers()) {
        benchmark::RegisterBenchmark(
            ("acl/" + std::string(matcher.name) + "/" + label).c_str(),
            [name, &matcher](benchmark::State& state) { match<Query>(state, matcher, name); });
    }
}

void register_kind(RuleSetKind kind) {
    for (const std::size_t rules : {100u, 1000u, 10000u}) {
        register_set<Acl4Query>({kind, IpFamily::ipv4, rules});
    }
    for (const std::size_t rules : {100u, 1000u}) {
        register_set<Acl6Query>({kind, IpFamily::ipv6, rules});
    }
    for (const std::size_t rules : {100u, 10000u}) {
        const SetName name{kind, IpFamily::ipv4, rules};
        benchmark::RegisterBenchmark(
            ("acl/worst/" + std::string(to_string(kind)) + "/" + std::to_string(rules)).c_str(),
            [name](benchmark::State& state) { match_worst(state, name); });
    }
    const SetName large{kind, IpFamily::ipv4, 10000};
    benchmark::RegisterBenchmark(("acl/change/" + std::string(to_string(kind)) + "/10000").c_str(),
                                 [large](benchmark::State& state) { change(state, large); })
        ->Unit(benchmark::kMillisecond);
    for (const std::size_t rules : {100u, 1000u, 10000u, 64000u}) {
        const SetName name{kind, IpFamily::ipv4, rules};
        benchmark::RegisterBenchmark(
            ("acl/compile/" + std::string(to_string(kind)) + "/" + std::to_string(rules)).c_str(),
            [name](benchmark::State& state) { compile(state, name); })
            ->Unit(benchmark::kMillisecond);
    }
}

void register_all() {
    for (const RuleSetKind kind : kRuleSetKinds) register_kind(kind);
    for (const std::size_t tenants : {1u, 8u, 32u}) {
        benchmark::RegisterBenchmark(
            ("acl/tenants/" + std::to_string(tenants)).c_str(),
            [tenants](benchmark::State& state) { match_tenants(state, tenants); });
    }
    benchmark::RegisterBenchmark("acl/memory/4096",
                                 [](benchmark::State& state) { memory(state, 4096); })
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
}

}  // namespace
}  // namespace wye::table

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    wye::table::register_all();
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
