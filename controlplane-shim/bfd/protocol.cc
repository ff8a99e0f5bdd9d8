#include "controlplane-shim/bfd/protocol.hh"

#include <algorithm>
#include <cstring>

#include "dataplane/base/bytes.hh"

namespace wye::bfdd {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kLongest = 4096;  // many times what there is
constexpr std::uint64_t kPacketBytes = sizeof(net::BfdHeader);

enum class Type : std::uint16_t {
    echo_request = 0,
    echo_reply = 1,
    add_session = 2,
    delete_session = 3,
    state_change = 4,
    request_counters = 5,
    counters = 6,
};

enum Flag : std::uint32_t {
    kMultihop = 1 << 0,
    kDemand = 1 << 1,
    kIndependent = 1 << 2,
    kEcho = 1 << 3,
    kIpv6 = 1 << 4,
    kPassive = 1 << 5,
    kShutdown = 1 << 6,
};

struct Frame {
    std::uint8_t version;
    std::uint8_t zero;
    Be16 type;
    Be16 id;
    Be16 length;  // of the whole message
};
static_assert(sizeof(Frame) == 8);

struct SessionBody {
    Be32 flags;
    std::array<std::uint8_t, 16> source, destination;
    Be32 id;
    Be32 min_tx, min_rx, min_echo_tx, min_echo_rx, hold_time;
    std::uint8_t ttl;
    std::uint8_t detect_multiplier;
    Be16 zero;
    Be32 interface_index;
    std::array<char, 64> interface_name;
};
static_assert(sizeof(SessionBody) == 132);

struct StateBody {
    Be32 id, remote_id, remote_flags, desired_tx, required_rx, required_echo_rx;
    std::uint8_t state, diagnostics, detect_multiplier, padding;
};
static_assert(sizeof(StateBody) == 28);

struct CountersBody {
    Be32 id;
    Be32 padding;
    Be64 bytes_in, packets_in, bytes_out, packets_out;
    std::array<Be64, 4> echo;
};
static_assert(sizeof(CountersBody) == 72);

template <class Body>
std::optional<Body> body_of(std::span<const std::uint8_t> message) {
    if (message.size() < sizeof(Frame) + sizeof(Body)) return std::nullopt;
    Body body;
    std::memcpy(&body, message.data() + sizeof(Frame), sizeof body);
    return body;
}

template <class Body>
std::vector<std::uint8_t> make(Type type, std::uint16_t id, const Body& body) {
    const Frame frame{kVersion, 0, static_cast<std::uint16_t>(type), id,
                      static_cast<std::uint16_t>(sizeof(Frame) + sizeof(Body))};
    std::vector<std::uint8_t> bytes(sizeof frame + sizeof body);
    std::memcpy(bytes.data(), &frame, sizeof frame);
    std::memcpy(bytes.data() + sizeof frame, &body, sizeof body);
    return bytes;
}

net::IpAddress address_of(const std::array<std::uint8_t, 16>& bytes, bool ipv6) {
    if (ipv6) return net::Ipv6Address{bytes};
    net::IpAddress address;
    std::copy_n(bytes.begin(), 4, address.bytes.begin());
    return address;
}

Request request_of(const SessionBody& body) {
    Request request;
    const std::uint32_t flags = body.flags.host();
    const bool ipv6 = (flags & kIpv6) != 0;
    request.id = body.id.host();
    const net::IpAddress local = address_of(body.source, ipv6);
    if (std::any_of(local.bytes.begin(), local.bytes.end(), [](auto b) { return b != 0; })) {
        request.local = local;
    }
    request.remote = address_of(body.destination, ipv6);
    request.multihop = (flags & kMultihop) != 0;
    request.demand = (flags & kDemand) != 0;
    request.control_plane_independent = (flags & kIndependent) != 0;
    request.echo = (flags & kEcho) != 0;
    request.passive = (flags & kPassive) != 0;
    request.shutdown = (flags & kShutdown) != 0;
    request.desired_min_tx = body.min_tx.host();
    request.required_min_rx = body.min_rx.host();
    request.least_hop_limit = body.ttl;
    request.detect_multiplier = body.detect_multiplier;
    request.interface_index = body.interface_index.host();
    const auto& name = body.interface_name;
    request.interface_name.assign(name.begin(), std::find(name.begin(), name.end(), '\0'));
    return request;
}

}  // namespace

bool Decoder::feed(std::span<const std::uint8_t> bytes, std::vector<Message>& out) {
    pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    std::size_t at = 0;
    while (pending_.size() - at >= sizeof(Frame)) {
        Frame frame;
        std::memcpy(&frame, pending_.data() + at, sizeof frame);
        const std::size_t length = frame.length.host();
        if (frame.version != kVersion) {
            error_ = "it speaks version " + std::to_string(frame.version) +
                     " of the data plane protocol, not " + std::to_string(kVersion);
            return false;
        }
        if (length < sizeof frame || length > kLongest) {
            error_ = "a message of " + std::to_string(length) + " bytes";
            return false;
        }
        if (pending_.size() - at < length) break;
        if (!decode(std::span(pending_).subspan(at, length), out)) return false;
        at += length;
    }
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(at));
    return true;
}

bool Decoder::decode(std::span<const std::uint8_t> message, std::vector<Message>& out) {
    Frame frame;
    std::memcpy(&frame, message.data(), sizeof frame);
    const auto type = static_cast<Type>(frame.type.host());
    bool whole = true;
    if (type == Type::add_session || type == Type::delete_session) {
        const auto body = body_of<SessionBody>(message);
        whole = body.has_value();
        if (whole && type == Type::add_session) out.emplace_back(Add{request_of(*body)});
        if (whole && type == Type::delete_session) out.emplace_back(Delete{body->id.host()});
    } else if (type == Type::request_counters) {
        const auto id = body_of<Be32>(message);
        whole = id.has_value();
        if (whole) out.emplace_back(CountersWanted{id->host(), frame.id.host()});
    } else if (type == Type::echo_request) {
        const auto times = body_of<std::array<std::uint8_t, 16>>(message);
        whole = times.has_value();
        if (whole) out.emplace_back(Echo{frame.id.host(), *times});
    }
    // Others: answers to what we do not ask, or of a later FRR. Their length is known, so they are passed.
    if (!whole) {
        error_ = "a message of type " + std::to_string(frame.type.host()) + " with only " +
                 std::to_string(message.size()) + " bytes";
    }
    return whole;
}

std::vector<std::uint8_t> encode(const StateChange& change) {
    StateBody body{};
    body.id = change.id;
    body.remote_id = change.remote_discriminator;
    body.remote_flags = (change.remote_independent ? 1u : 0u) | (change.remote_demand ? 2u : 0u);
    body.desired_tx = change.remote_desired_min_tx;
    body.required_rx = change.remote_required_min_rx;
    body.state = static_cast<std::uint8_t>(change.state);
    body.diagnostics = static_cast<std::uint8_t>(change.diagnostic);
    body.detect_multiplier = change.remote_detect_multiplier;
    return make(Type::state_change, 0, body);
}

std::vector<std::uint8_t> encode(const Counters& counters, std::uint16_t message) {
    CountersBody body{};
    body.id = counters.id;
    body.packets_in = counters.packets_in;
    body.bytes_in = counters.packets_in * kPacketBytes;
    body.packets_out = counters.packets_out;
    body.bytes_out = counters.packets_out * kPacketBytes;
    return make(Type::counters, message, body);
}

std::vector<std::uint8_t> encode_reply(const Echo& echo) {
    return make(Type::echo_reply, echo.message, echo.times);
}

}  // namespace wye::bfdd
