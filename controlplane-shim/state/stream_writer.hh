// StreamWriter: numbers the commands of one stream of one session and sends them in batches.
// What finds no room in the ring waits here; producers look at backlog() and stop for a while.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "controlplane-shim/state/command_sink.hh"

namespace wye::state {

class StreamWriter {
  public:
    /// Above this many unsent commands a producer makes no more.
    static constexpr std::size_t kBacklog = 1024;
    static constexpr std::size_t kBatch = 256;

    explicit StreamWriter(ring::Stream stream) : stream_(stream) {}

    /// Gives the command the next sequence number.
    std::uint32_t push(ring::Command command) {
        command.header.sequence = ++sequence_;
        outbox_.push_back(command);
        open_.push_back({sequence_, command.header.opcode, command.body.object.object});
        ++commands_;
        return sequence_;
    }
    /// What was asked, when its answer comes: every body begins with the handle of its object.
    struct Sent {
        std::uint32_t sequence;
        ring::Opcode opcode;
        ring::Handle object;
    };
    /// The command that the completion answers; none: it answers nothing that was asked next.
    std::optional<Sent> match(const ring::Completion& completion) {
        if (open_.empty() || open_.front().sequence != completion.sequence) return std::nullopt;
        const Sent sent = open_.front();
        open_.pop_front();
        return sent;
    }
    /// Sent or not, commands without an answer.
    [[nodiscard]] std::size_t open() const { return open_.size(); }
    /// True when nothing is left to send.
    bool flush(CommandSink& sink) {
        while (sent_ < outbox_.size()) {
            const std::size_t room = sink.command_room(stream_);
            const std::size_t count = std::min({kBatch, room, outbox_.size() - sent_});
            if (count == 0 || !sink.send(stream_, {outbox_.data() + sent_, count})) break;
            sent_ += count;
        }
        if (sent_ == outbox_.size()) {
            outbox_.clear();
            sent_ = 0;
        }
        return outbox_.empty();
    }
    [[nodiscard]] std::size_t backlog() const { return outbox_.size() - sent_; }
    [[nodiscard]] bool full() const { return backlog() >= kBacklog; }
    [[nodiscard]] std::uint32_t sequence() const { return sequence_; }  // of the last one
    [[nodiscard]] std::uint64_t commands() const { return commands_; }  // over all sessions
    void reset() {
        outbox_.clear();
        open_.clear();
        sent_ = 0;
        sequence_ = 0;
    }

  private:
    ring::Stream stream_;
    std::uint32_t sequence_ = 0;
    std::uint64_t commands_ = 0;
    std::size_t sent_ = 0;
    std::vector<ring::Command> outbox_;
    std::deque<Sent> open_;
};

}  // namespace wye::state
