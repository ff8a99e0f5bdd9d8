// CommandSink: one session with the data plane, as the programmers see it. The real one is
// dataplane_session.hh; tests have a fake data plane that completes, refuses and dies.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>

#include "dataplane/base/result.hh"
#include "dataplane/ring/handshake.hh"
#include "dataplane/ring/vocabulary.hh"

namespace wye::state {

class CommandSink {
  public:
    virtual ~CommandSink() = default;
    /// All or nothing; false: no room now, or the session is over.
    virtual bool send(ring::Stream stream, std::span<const ring::Command> commands) = 0;
    [[nodiscard]] virtual std::size_t command_room(ring::Stream stream) const = 0;
    virtual std::size_t receive_completions(ring::Stream stream,
                                            std::span<ring::Completion> out) = 0;
    virtual std::size_t receive_events(std::span<ring::Event> out) = 0;
    /// Blocks until there may be something to receive, at most `limit`. False: the session is over.
    virtual bool wait(std::chrono::milliseconds limit) = 0;
    /// The descriptor stays the caller's; -1 takes the twin away.
    virtual Status send_twin(const ring::TwinMessage& message, int descriptor) = 0;
    /// Ends the session: what was answered made no sense. A new one begins with a replay.
    virtual void abandon() = 0;
};

}  // namespace wye::state
