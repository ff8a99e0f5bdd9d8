#include "dataplane/main/session_server.hh"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "dataplane/pipeline/plain_sixteen.hh"
#include "dataplane/table/acl_match.hh"
#include "dataplane/table/fib.hh"

namespace wye::dataplane {

using control::TwinRegistry;
using ring::Received;

namespace {

constexpr std::size_t kMostVisitors = 16;
constexpr std::chrono::seconds kTimeForHello{2};

void refuse(const Descriptor& socket, const std::string& text) {
    fmt::print(stderr, "wye-dataplane: session refused: {}\n", text);
    (void)ring::send_refusal(socket.get(), text);
}

bool has_room(int socket) {
    pollfd entry{socket, POLLOUT, 0};
    return poll(&entry, 1, 0) == 1 && (entry.revents & POLLOUT) != 0;
}

ObjectName name(std::string_view variant) {
    return ObjectName::from(variant).value_or(ObjectName{});
}

ring::VariantsMessage variants() {
    auto message = ring::make_message<ring::VariantsMessage>();
    message.fib4 = name(table::fib_variant());
    message.fib6 = name(table::fib6_variant());
    message.acl = name(table::acl_matchers().front().name);
    return message;
}

ring::AdmissionMessage admission() {
    auto message = ring::make_message<ring::AdmissionMessage>();
    message.variant = name(pipeline::admission_variant());
    return message;
}

}  // namespace

SessionServer::SessionServer(Descriptor listener, control::Control& control,
                             const SessionSettings& settings)
    : listener_(std::move(listener)), control_(control), settings_(settings) {}

SessionServer::~SessionServer() {
    close_session();
}

ring::Channel* SessionServer::channel() noexcept {
    return session_ ? &session_->channel : nullptr;
}

void SessionServer::serve() {
    listen_to_session();  // first: whose end was read makes room for the next
    accept_visitors();
    listen_to_visitors();
    hand_back_twins();
}

void SessionServer::wait_for(std::vector<pollfd>& set) const {
    set.push_back({listener_.get(), POLLIN, 0});
    for (const Visitor& visitor : visitors_) set.push_back({visitor.socket.get(), POLLIN, 0});
    if (!session_) return;
    const int wanted = session_->handed_back ? POLLIN : POLLIN | POLLOUT;
    set.push_back({session_->socket.get(), static_cast<short>(wanted), 0});
}

void SessionServer::accept_visitors() {
    while (true) {
        Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!socket.valid()) return;
        if (visitors_.size() >= kMostVisitors) {
            refuse(socket, "too many have connected and not said hello");
            continue;
        }
        visitors_.push_back({std::move(socket), monotonic_now() + kTimeForHello});
    }
}

void SessionServer::listen_to_visitors() {
    std::erase_if(visitors_, [this](Visitor& visitor) { return !listen_to(visitor); });
}

bool SessionServer::listen_to(Visitor& visitor) {
    const auto received = ring::receive_message(visitor.socket.get());
    if (!received) {
        refuse(visitor.socket, received.error().text);
        return false;
    }
    if (received->state == Received::State::closed) return false;
    if (received->state == Received::State::nothing) {
        if (monotonic_now() < visitor.deadline) return true;
        refuse(visitor.socket, "no hello within two seconds");
        return false;
    }
    if (const auto hello = ring::decode<ring::Hello>(received->bytes)) {
        greet(visitor, *hello);
    } else {
        refuse(visitor.socket, hello.error().text);
    }
    return false;
}

void SessionServer::greet(Visitor& visitor, const ring::Hello& hello) {
    const auto version = ring::choose_version(hello);
    if (!version) return refuse(visitor.socket, version.error().text);
    if (session_) {
        if (!peer_is_gone()) {
            return refuse(visitor.socket, "another wye-shim has a session; stop it first");
        }
        close_session();
    }
    if (const Status opened = open(visitor, *version); !opened) {
        refuse(visitor.socket, opened.error().text);
    }
}

Status SessionServer::open(Visitor& visitor, std::uint16_t version) {
    auto channel = ring::Channel::create(settings_.sizes);
    if (!channel) return tl::unexpected(channel.error());
    const ring::Welcome welcome =
        ring::make_welcome(version, settings_.workers, settings_.instance, settings_.sizes);
    const std::array<int, 3> descriptors{channel->memfd(), channel->control_wakeup(),
                                         channel->shim_wakeup()};
    const Status sent =
        ring::send_message(visitor.socket.get(), ring::bytes_of(welcome), descriptors);
    if (!sent) return sent;
    if (const Status told = announce(visitor.socket.get(), version); !told) return told;
    session_.emplace(Session{std::move(visitor.socket), std::move(*channel), {}, false});
    for (const auto& [key, twin] : control_.twins().all()) session_->to_hand_back.push_back(key);
    control_.open_session(session_->channel);
    return {};
}

Status SessionServer::announce(int socket, std::uint16_t version) const {
    Status told = ring::send_message(socket, ring::bytes_of(variants()));
    if (told) told = ring::send_message(socket, ring::bytes_of(admission()));
    if (version < ring::kPortsVersion || !settings_.ports) return told;
    for (const ring::PortMessage& port : settings_.ports()) {
        if (told) told = ring::send_message(socket, ring::bytes_of(port));
    }
    return told;
}

bool SessionServer::peer_is_gone() const {
    char byte = 0;
    const ssize_t n = recv(session_->socket.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
}

void SessionServer::hand_back_twins() {
    while (session_ && !session_->handed_back && has_room(session_->socket.get())) {
        if (session_->to_hand_back.empty()) {
            const auto end = ring::make_message<ring::TwinsEnd>();
            session_->handed_back = true;
            (void)ring::send_message(session_->socket.get(), ring::bytes_of(end));
            return;
        }
        const TwinRegistry::Key key = session_->to_hand_back.back();
        session_->to_hand_back.pop_back();
        const auto found = control_.twins().all().find(key);
        if (found == control_.twins().all().end()) continue;
        auto message = ring::make_message<ring::TwinMessage>();
        message.kind = key.kind;
        message.attach = 1;
        message.interface_index = found->second.interface_index;
        message.object = key.object;
        const std::array<int, 1> descriptor{found->second.descriptor.get()};
        // A peer that is gone shows itself at the next receive.
        (void)ring::send_message(session_->socket.get(), ring::bytes_of(message), descriptor);
    }
}

void SessionServer::listen_to_session() {
    while (session_) {
        auto received = ring::receive_message(session_->socket.get());
        if (received && received->state == Received::State::nothing) return;
        if (received && received->state == Received::State::closed) return close_session();
        const Status taken =
            received ? receive_twin(*received) : Status(tl::unexpected(received.error()));
        if (!taken) {
            refuse(session_->socket, taken.error().text);
            return close_session();
        }
    }
}

Status SessionServer::receive_twin(Received& received) {
    const auto message = ring::decode<ring::TwinMessage>(received.bytes);
    if (!message) return tl::unexpected(message.error());
    const bool known_kind =
        message->kind == ring::TwinKind::vport_tap || message->kind == ring::TwinKind::vrf_inject;
    if (!known_kind || !message->object.valid() || message->attach > 1) {
        return fail("a twin's message holds impossible values");
    }
    if (received.descriptors.size() != message->attach) {
        return fail(fmt::format("the twin \"{}\" came with {} descriptors instead of {}",
                                message->object.view(), received.descriptors.size(),
                                message->attach));
    }
    const TwinRegistry::Key key{message->kind, message->object};
    if (message->attach == 1) {
        control_.twins().put(key, std::move(received.descriptors[0]), message->interface_index);
    } else {
        control_.twins().take_away(key);
    }
    return {};
}

void SessionServer::close_session() {
    if (!session_) return;
    control_.close_session();
    session_.reset();
}

}  // namespace wye::dataplane
