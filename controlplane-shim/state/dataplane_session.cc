#include "controlplane-shim/state/dataplane_session.hh"

#include <poll.h>

#include <array>
#include <cstring>
#include <utility>

namespace wye::state {
namespace {

constexpr int kPatienceMilliseconds = 2000;

bool wait_on(int descriptor, short events, int milliseconds) {
    pollfd waiting{descriptor, events, 0};
    return poll(&waiting, 1, milliseconds) > 0;
}

}  // namespace

Result<std::unique_ptr<DataplaneSession>> DataplaneSession::connect(
    const std::string& path, std::vector<ReturnedTwin>& returned) {
    Result<ring::Session> opened = ring::connect_session(path);
    if (!opened) return tl::unexpected<Error>(opened.error());
    std::unique_ptr<DataplaneSession> session(new DataplaneSession(std::move(*opened)));
    const Status taken = session->take_back(returned);
    if (!taken) return tl::unexpected<Error>(taken.error());
    return session;
}

Status DataplaneSession::take_back(std::vector<ReturnedTwin>& returned) {
    while (true) {
        Result<ring::Received> received = ring::receive_message(socket());
        if (!received) return tl::unexpected<Error>(received.error());
        if (received->state == ring::Received::State::closed)
            return fail("the data plane closed the session at once");
        if (received->state == ring::Received::State::nothing) {
            if (!wait_on(socket(), POLLIN, kPatienceMilliseconds))
                return fail("the data plane does not hand back its twins");
            continue;
        }
        const Result<ring::MessageKind> kind = ring::kind_of(received->bytes);
        if (kind && *kind == ring::MessageKind::twins_end) return {};
        if (kind && ring::read_announcement(*kind, received->bytes, announced_)) continue;
        const Result<ring::TwinMessage> twin = ring::decode<ring::TwinMessage>(received->bytes);
        if (!twin) return tl::unexpected<Error>(twin.error());
        if (received->descriptors.size() != 1) return fail("a twin came without its descriptor");
        returned.push_back({*twin, std::move(received->descriptors.front())});
    }
}

bool DataplaneSession::send(ring::Stream stream, std::span<const ring::Command> commands) {
    return alive_ && session_.channel.send(stream, commands);
}

std::size_t DataplaneSession::command_room(ring::Stream stream) const {
    return session_.channel.command_room(stream);
}

std::size_t DataplaneSession::receive_completions(ring::Stream stream,
                                                  std::span<ring::Completion> out) {
    return session_.channel.receive_completions(stream, out);
}

std::size_t DataplaneSession::receive_events(std::span<ring::Event> out) {
    return session_.channel.receive_events(out);
}

bool DataplaneSession::wait(std::chrono::milliseconds limit) {
    // A short sleep, not the wake-up: this is apply(), and answers come within microseconds.
    std::array<pollfd, 1> set{{{socket(), POLLIN, 0}}};
    const int milliseconds =
        static_cast<int>(std::min<std::chrono::milliseconds::rep>(limit.count(), 1));
    if (poll(set.data(), set.size(), milliseconds) > 0) look();
    return alive_;
}

Status DataplaneSession::send_twin(const ring::TwinMessage& message, int descriptor) {
    if (!alive_) return fail("the session is over");
    wait_on(socket(), POLLOUT, kPatienceMilliseconds);
    const std::array<int, 1> descriptors{descriptor};
    return ring::send_message(socket(), ring::bytes_of(message),
                              std::span<const int>(descriptors.data(), descriptor < 0 ? 0u : 1u));
}

void DataplaneSession::look() {
    while (alive_) {
        Result<ring::Received> received = ring::receive_message(socket());
        if (received && received->state == ring::Received::State::nothing) return;
        alive_ = false;
        if (!received) {
            reason_ = received.error().text;
        } else if (received->state == ring::Received::State::message) {
            const auto refusal = ring::decode<ring::Refusal>(received->bytes);
            reason_ = refusal ? ring::words_of(*refusal) : "an unexpected message came";
        }
    }
}

}  // namespace wye::state
