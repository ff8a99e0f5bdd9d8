// The threads that are no workers (control, builder, host, and DPDK's own): where they may run.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <vector>

namespace wye::dataplane {

using Cpus = std::vector<std::uint32_t>;  // by the numbers that Linux gives them

/// Those that the plan has for them, as far as this process may use them; else whatever the workers
/// leave. Empty: nothing is left, so they stay where they are.
Cpus cpus_for_others(const Cpus& planned, const Cpus& usable, const Cpus& workers);

/// Those that the calling thread may use.
Cpus usable_cpus();
/// All that this process has now.
std::vector<pid_t> threads_of_process();
/// Each may run on any of these CPUs (no more than 1024). One that has ended meanwhile is passed over.
void pin_threads(std::span<const pid_t> threads, const Cpus& cpus);

}  // namespace wye::dataplane
