// The run directory of an instance: made if need be, and locked while the process lives.
#pragma once

#include <string>

#include "dataplane/base/descriptor.hh"
#include "dataplane/main/exit_code.hh"

namespace wye::dataplane {

/// The lock; refused (running) while another process holds it. A dead process holds nothing.
Outcome<Descriptor> take_run_dir(const std::string& path);

/// Takes away what only a running process has, the socket and the lock file. Call it with the lock
/// held: whoever waits for the file then finds out that it is no longer the one of that name.
void leave_run_dir(const std::string& path);

}  // namespace wye::dataplane
