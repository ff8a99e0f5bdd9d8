// Dataplane: all that wye-dataplane is made of, put together in the order in which it needs each
// other, and taken apart in reverse.
//
// Threads: the caller becomes the control thread (run()); a builder within Control; the host
// thread; a worker for each configured core. Those that are no workers run where the placement has
// them (other_threads.hh), off the workers' cores where there are others.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/main/configuration.hh"
#include "dataplane/main/exit_code.hh"

namespace wye::dataplane {

class Dataplane {
  public:
    /// Takes the run directory, starts DPDK, takes the devices, makes or recovers the tables,
    /// starts the threads. On failure all of it is undone.
    static Outcome<std::unique_ptr<Dataplane>> start(const Configuration& configuration);
    ~Dataplane();
    Dataplane(const Dataplane&) = delete;
    Dataplane& operator=(const Dataplane&) = delete;

    /// Until SIGTERM or SIGINT.
    ExitCode run();

  private:
    struct Parts;
    explicit Dataplane(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

/// Placement alone: prints warnings, fails as start() would (--check).
Outcome<void> check_cores(const Configuration& configuration);

}  // namespace wye::dataplane
