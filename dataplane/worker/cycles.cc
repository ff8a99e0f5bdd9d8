#include "dataplane/worker/cycles.hh"

#include <chrono>
#include <thread>

#include "dataplane/base/clock.hh"

namespace wye::worker {
namespace {

std::uint64_t measure() {
    using namespace std::chrono_literals;
    const auto begin = monotonic_now();
    const std::uint64_t first = read_cycles();
    std::this_thread::sleep_for(10ms);
    const std::uint64_t cycles = read_cycles() - first;
    const auto elapsed = static_cast<std::uint64_t>((monotonic_now() - begin).count());
    return cycles * 1'000'000 / (elapsed / 1000);
}

}  // namespace

std::uint64_t cycles_per_second() {
    static const std::uint64_t rate = measure();
    return rate;
}

}  // namespace wye::worker
