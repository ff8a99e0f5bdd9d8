#include "dataplane/main/lease_server.hh"

#include <sys/socket.h>

#include <array>
#include <chrono>
#include <utility>

#include "dataplane/ring/lease.hh"

namespace wye::dataplane {
namespace {

constexpr std::size_t kMostReaders = 32;
constexpr std::chrono::seconds kMoment{2};

}  // namespace

LeaseServer::LeaseServer(Descriptor listener, control::Control& control)
    : listener_(std::move(listener)), control_(control) {}

LeaseServer::~LeaseServer() {
    for (const Reader& reader : readers_) {
        if (reader.lease != 0) (void)control_.end_lease(reader.lease);
    }
}

void LeaseServer::serve() {
    std::erase_if(readers_, [this](Reader& reader) {
        if (listen_to(reader)) return false;
        if (reader.lease != 0) (void)control_.end_lease(reader.lease);
        return true;
    });
    accept_readers();
}

void LeaseServer::wait_for(std::vector<pollfd>& set) const {
    set.push_back({listener_.get(), POLLIN, 0});
    for (const Reader& reader : readers_) set.push_back({reader.socket.get(), POLLIN, 0});
}

void LeaseServer::accept_readers() {
    while (true) {
        Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!socket.valid()) return;
        if (readers_.size() >= kMostReaders) {
            (void)ring::send_refusal(socket.get(), "too many readers have connected");
            continue;
        }
        readers_.push_back({std::move(socket), monotonic_now() + kMoment});
        if (!listen_to(readers_.back())) readers_.pop_back();
    }
}

bool LeaseServer::listen_to(Reader& reader) {
    const int socket = reader.socket.get();
    const auto received = ring::receive_message(socket);
    if (!received) {
        (void)ring::send_refusal(socket, received.error().text);
        return false;
    }
    if (received->state == ring::Received::State::closed) return false;
    if (received->state == ring::Received::State::nothing) {
        return monotonic_now() < reader.deadline;
    }
    if (reader.lease != 0) {
        release(reader, received->bytes);
        return false;
    }
    const Status granted = grant(reader, received->bytes);
    if (!granted) (void)ring::send_refusal(socket, granted.error().text);
    return granted.has_value();
}

Status LeaseServer::grant(Reader& reader, std::span<const std::byte> bytes) {
    const auto request = ring::decode<ring::LeaseRequest>(bytes);
    if (!request) return tl::unexpected(request.error());
    if (request->version != ring::kLeaseVersion) {
        return fail("the reader asks for a lease of version " + std::to_string(request->version) +
                    ", this data plane grants version " + std::to_string(ring::kLeaseVersion) +
                    ": use the same build of both");
    }
    const auto terms = control_.grant_lease(std::chrono::milliseconds(request->milliseconds));
    if (!terms) return tl::unexpected(terms.error());
    auto message = ring::make_message<ring::LeaseGrant>();
    message.version = ring::kLeaseVersion;
    message.milliseconds = static_cast<std::uint32_t>(terms->granted.count());
    message.lease = terms->lease;
    message.arena_instance = terms->arena_instance;
    message.epoch = terms->epoch;
    message.deadline = terms->deadline.count();
    message.is_predecessors = terms->is_predecessors ? 1 : 0;
    reader.lease = terms->lease;
    reader.deadline = terms->deadline + kMoment;
    const std::array<int, 2> descriptors{terms->arena.get(), terms->page.get()};
    const Status sent =
        ring::send_message(reader.socket.get(), ring::bytes_of(message), descriptors);
    if (!sent) (void)control_.end_lease(std::exchange(reader.lease, 0));
    return sent;
}

/// Ends the lease of this connection, whatever was said.
void LeaseServer::release(const Reader& reader, std::span<const std::byte> bytes) {
    const auto asked = ring::decode<ring::LeaseRelease>(bytes);
    const control::LeaseEnd end = control_.end_lease(reader.lease);
    if (!asked || asked->lease != reader.lease) {
        (void)ring::send_refusal(
            reader.socket.get(),
            asked ? "this is not the lease of this connection" : asked.error().text);
        return;
    }
    auto answer = ring::make_message<ring::LeaseReleased>();
    answer.state = end.state;
    answer.epoch = end.epoch;
    (void)ring::send_message(reader.socket.get(), ring::bytes_of(answer));
}

}  // namespace wye::dataplane
