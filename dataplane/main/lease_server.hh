// LeaseServer: the data plane's end of the lease socket (dataplane/ring/lease.hh).
//
// Who connects has a moment to ask, and who has a lease a moment after its end to release it; then
// the data plane closes. Nothing here blocks. Control thread only.
#pragma once

#include <poll.h>

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/base/clock.hh"
#include "dataplane/base/descriptor.hh"
#include "dataplane/control/control.hh"

namespace wye::dataplane {

class LeaseServer {
  public:
    LeaseServer(Descriptor listener, control::Control& control);
    ~LeaseServer();
    LeaseServer(const LeaseServer&) = delete;
    LeaseServer& operator=(const LeaseServer&) = delete;

    /// Whatever can be done now, without waiting.
    void serve();
    /// What to wait for before serve() can do more.
    void wait_for(std::vector<pollfd>& set) const;

  private:
    struct Reader {
        Descriptor socket;
        Nanoseconds deadline;
        std::uint64_t lease = 0;  // 0: has not asked
    };

    void accept_readers();
    /// False: done with.
    bool listen_to(Reader& reader);
    Status grant(Reader& reader, std::span<const std::byte> bytes);
    void release(const Reader& reader, std::span<const std::byte> bytes);

    Descriptor listener_;
    control::Control& control_;
    std::vector<Reader> readers_;
};

}  // namespace wye::dataplane
