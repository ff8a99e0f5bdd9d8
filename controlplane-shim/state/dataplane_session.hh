// DataplaneSession: the CommandSink of a real data plane, over its socket and shared memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "controlplane-shim/state/command_sink.hh"
#include "controlplane-shim/state/twin_set.hh"

namespace wye::state {

class DataplaneSession final : public CommandSink {
  public:
    /// Connects, and takes back the twins that the data plane holds.
    static Result<std::unique_ptr<DataplaneSession>> connect(const std::string& path,
                                                             std::vector<ReturnedTwin>& returned);

    bool send(ring::Stream stream, std::span<const ring::Command> commands) override;
    [[nodiscard]] std::size_t command_room(ring::Stream stream) const override;
    std::size_t receive_completions(ring::Stream stream, std::span<ring::Completion> out) override;
    std::size_t receive_events(std::span<ring::Event> out) override;
    bool wait(std::chrono::milliseconds limit) override;
    Status send_twin(const ring::TwinMessage& message, int descriptor) override;
    void abandon() override { alive_ = false; }

    [[nodiscard]] const ring::Welcome& welcome() const { return session_.welcome; }
    /// Without names if the data plane is too old to tell.
    [[nodiscard]] const ring::Announced& announced() const { return announced_; }
    [[nodiscard]] bool alive() const { return alive_; }
    /// Why it ended, if the data plane said so.
    [[nodiscard]] const std::string& reason() const { return reason_; }

    // To be polled for input: the socket (then look()), and the wake-up between prepare and finish.
    [[nodiscard]] int socket() const { return session_.socket.get(); }
    [[nodiscard]] int wakeup() const { return session_.channel.shim_wakeup(); }
    void look();
    void prepare_sleep() { session_.channel.shim_prepare_sleep(); }
    void finish_sleep() { session_.channel.shim_finish_sleep(); }

  private:
    explicit DataplaneSession(ring::Session session) : session_(std::move(session)) {}
    Status take_back(std::vector<ReturnedTwin>& returned);

    ring::Session session_;
    ring::Announced announced_{};
    bool alive_ = true;
    std::string reason_;
};

}  // namespace wye::state
