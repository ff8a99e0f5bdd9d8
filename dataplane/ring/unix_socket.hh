// Unix sockets as wye uses them: a listener whose file is mode 0600 from its first moment, which
// replaces what a dead process left but neither a living one's socket nor another file.
#pragma once

#include <sys/un.h>

#include <string>

#include "dataplane/base/descriptor.hh"
#include "dataplane/base/result.hh"

namespace wye::ring {

/// `type`: SOCK_STREAM or SOCK_SEQPACKET. Non-blocking. `who` answers there already, in the error's
/// words: "a data plane".
Result<Descriptor> listen_unix(const std::string& path, int type, const std::string& who);

/// Blocking. The error names `who` should have answered.
Result<Descriptor> connect_unix(const std::string& path, int type, const std::string& who);

}  // namespace wye::ring
