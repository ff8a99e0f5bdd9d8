// How wye-dataplane ends, for whoever starts it. docs/configuration.md has the same list.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace wye::dataplane {

enum class ExitCode : int {
    ok = 0,             // ended by SIGTERM or SIGINT; --check found nothing wrong
    failed = 1,         // anything that has no code of its own
    usage = 2,          // wrong command line
    configuration = 3,  // the configuration has problems; each was printed
    run_dir = 4,        // the run directory or a file in it cannot be made
    running = 5,        // another wye-dataplane has this instance
    core = 6,           // a core is missing, not allowed, or given twice
    environment = 7,    // DPDK does not start, or there is not enough memory
    device = 8,         // a port's device is missing, in use, or does not do what is asked
};

struct Failure {
    ExitCode code;
    std::string text;
};
template <class T>
using Outcome = tl::expected<T, Failure>;

inline tl::unexpected<Failure> failure(ExitCode code, std::string text) {
    return tl::unexpected<Failure>(Failure{code, std::move(text)});
}

}  // namespace wye::dataplane
