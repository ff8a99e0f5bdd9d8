// The production pipeline on plain memory, burst by burst: what a packet costs between receive and
// transmit, buffers and devices left out. The whole path, with them, is `scripts/bench whole-path`.
#include <benchmark/benchmark.h>

#include "bench/pipeline/path.hh"

namespace wye::pipeline::test {
namespace {

void run(benchmark::State& state, std::unique_ptr<Path> path) {
    for (auto _ : state) path->run_burst();
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kMaxBurst));
}

void route(benchmark::State& state) {
    run(state, Path::route());
}
void route6(benchmark::State& state) {
    run(state, Path::route(net::IpFamily::ipv6));
}
void route_acl(benchmark::State& state) {
    run(state, Path::route_acl());
}
void route_acl_geneve(benchmark::State& state) {
    run(state, Path::encap(TunnelKind::geneve));
}
void geneve_acl_route(benchmark::State& state) {
    run(state, Path::decap(TunnelKind::geneve));
}
BENCHMARK(route);
BENCHMARK(route6);
BENCHMARK(route_acl);
BENCHMARK(route_acl_geneve);
BENCHMARK(geneve_acl_route);

}  // namespace
}  // namespace wye::pipeline::test

BENCHMARK_MAIN();
