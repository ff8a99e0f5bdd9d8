// The Unix socket by which a memif or vhost-user port meets its other end, on the file system.
//
// A port that listens takes the place of a socket that a dead process left, never of one that somebody
// answers on. It is made with mode 0600 from its first moment, then given the mode that is configured.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "dataplane/base/result.hh"

namespace wye::drivers {

/// A process has the socket open. It is not connected to, so nobody there is disturbed: DPDK 22.11's
/// memif ends its process when one that connects hangs up at once.
[[nodiscard]] bool is_listened_on(const std::string& path);
/// Removes a socket that nobody has.
Status make_room_for_socket(const std::string& path);

/// That a port of this process listens on a path, while it lives: interfaces of memif may share one.
/// Owner: the control thread.
class SocketClaim {
  public:
    /// Makes room, unless this process has the socket.
    static Result<SocketClaim> make(const std::string& path);
    SocketClaim(SocketClaim&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    SocketClaim& operator=(SocketClaim&&) = delete;
    ~SocketClaim();

  private:
    explicit SocketClaim(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

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
