// Any sequence of commands, and sessions that end in the middle: the control thread answers each,
// the tables stay sound, and everything goes away in the end.
#include <cstdlib>
#include <memory>

#include "tests/unit/control/garbage.hh"

using namespace wye;
using namespace wye::control::test;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Rig rig;
    std::span<const std::uint8_t> input(data, size);
    std::optional<Programmer> p;
    while (!input.empty()) {
        if (!p || input[0] == 0xff) {
            p.emplace(rig.connect());
            p->begin_replay();
        }
        // Compact records, so that the fuzzer reaches sequences: 32 bytes a command.
        const std::size_t count = std::min<std::size_t>(input.size(), 32);
        post_garbage(*p, input.first(count));
        if (input[count - 1] % 4 == 0) p->settle();
        input = input.subspan(count);
    }
    if (p) p->settle();
    p.emplace(rig.connect());
    p->begin_replay();
    p->end_replay();
    rig.rest();
    const control::Status status = rig.control->status();
    const std::size_t left = status.tenants + status.vrfs + status.vports + status.tunnels +
                             status.acls + status.nexthops + status.groups + status.routes +
                             status.neighbors + status.arena_used + status.arena_retired;
    if (left != 0) std::abort();
    return 0;
}
