// The Unix socket by which a memif or vhost-user port meets its other end, on the file system.
//
// A port that listens takes the place of a socket that a dead process left, never of one that somebody
// answers on. It is made with mode 0600 from its first moment, then given the mode that is configured.
#pragma once

#include <sys/types.h>

#include <string>

#include "dataplane/base/result.hh"

namespace wye::drivers {

/// `type`: SOCK_STREAM or SOCK_SEQPACKET, as its protocol has it.
Status make_room_for_socket(const std::string& path, int type);
Status set_socket_mode(const std::string& path, mode_t mode);

/// While it lives, what this process makes is for its owner alone. The umask is the process's: only
/// at start, before other threads make files.
class PrivateFiles {
  public:
    PrivateFiles() noexcept;
    ~PrivateFiles();
    PrivateFiles(const PrivateFiles&) = delete;
    PrivateFiles& operator=(const PrivateFiles&) = delete;

  private:
    mode_t before_;
};

}  // namespace wye::drivers
