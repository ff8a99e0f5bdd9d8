// WorkerKeeper: who starts, moves and ends workers, as the control thread sees it. Implemented by
// the owner of the workers (dataplane/worker/crew.hh, by dataplane/main).
#pragma once

#include <cstdint>

#include "dataplane/ring/vocabulary.hh"

namespace wye::control {

/// All calls come from the control thread and do not block. What is refused has changed nothing.
class WorkerKeeper {
  public:
    virtual ~WorkerKeeper() = default;
    virtual ring::Outcome add(std::uint32_t worker, std::uint32_t core, bool shares_core) = 0;
    virtual ring::Outcome move(std::uint32_t worker, std::uint32_t core, bool shares_core) = 0;
    /// Accepted when it begins to leave.
    virtual ring::Outcome remove(std::uint32_t worker) = 0;
    virtual ring::Outcome place(std::uint32_t queue, std::uint32_t worker) = 0;
};

}  // namespace wye::control
