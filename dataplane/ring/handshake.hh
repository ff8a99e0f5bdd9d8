// The Unix socket between the shim and the data plane: SOCK_SEQPACKET, one message a packet.
//
//   shim → data plane   Hello
//   data plane → shim   Welcome + descriptors {channel memfd, control wake-up, shim wake-up}
//                       or Refusal, in words, and the data plane closes
//   data plane → shim   VariantsMessage, AdmissionMessage; in sessions of version 4 and later a
//                       PortMessage for each port
//   data plane → shim   TwinMessage + descriptor, once for each twin that it still holds
//                       (name and kind; a restarted shim gets its twins back), then TwinsEnd
//   shim → data plane   TwinMessage + descriptor for each new twin; TwinMessage without a
//                       descriptor takes one away
//   either side closes: the session is over, the rings are thrown away, forwarding goes on
//
// One session at a time: a second Hello while one is open is refused, unless the first peer is
// gone. Every message begins with MessageHeader. Unknown kinds and wrong sizes end the session with
// a Refusal that says what was wrong. The socket file is mode 0600 in the instance's run directory.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/descriptor.hh"
#include "dataplane/base/name.hh"
#include "dataplane/base/result.hh"
#include "dataplane/ring/channel.hh"
#include "dataplane/ring/vocabulary.hh"

namespace wye::ring {

constexpr std::uint32_t kHandshakeMagic = 0x31657977;  // "wye1"

enum class MessageKind : std::uint16_t {
    hello = 1,
    welcome = 2,
    refusal = 3,
    twin = 4,
    twins_end = 5,
    // dataplane/ring/lease.hh
    lease_request = 6,
    lease_grant = 7,
    lease_release = 8,
    lease_released = 9,
    variants = 10,
    admission = 11,
    port = 12,
};

struct MessageHeader {
    std::uint32_t magic = kHandshakeMagic;
    MessageKind kind;
    std::uint16_t size;  // of the whole message
};

struct Hello {
    MessageHeader header;
    std::uint16_t oldest_version;  // of the vocabulary that the shim can speak
    std::uint16_t newest_version;
    std::uint32_t process_id;
};

struct Welcome {
    MessageHeader header;
    std::uint16_t version;  // of the vocabulary in this session
    std::uint16_t workers;
    std::uint32_t process_id;
    std::uint64_t instance;  // changes when the data plane restarts: its tables are then empty
    ChannelSizes sizes;
    std::uint32_t command_size;  // sizeof(Command) and so on: a mismatch is refused in words
    std::uint32_t completion_size;
    std::uint32_t event_size;
};

/// Which variant of its lookups the data plane's CPU gets; for people.
struct VariantsMessage {
    MessageHeader header;
    ObjectName fib4, fib6, acl;
};

/// And which one its admission of packets gets.
struct AdmissionMessage {
    MessageHeader header;
    ObjectName variant;
};

/// How a port of the data plane's configuration runs, as its driver and the kernel say once it does; for
/// people. Texts are zero-terminated; empty: there is nothing of that kind.
struct PortMessage {
    MessageHeader header;
    ObjectName port;
    std::uint16_t receive_queues;
    std::uint8_t reserved[2];
    std::array<char, 36> driver;     // net_ice, af_xdp
    std::array<char, 64> mode;       // native, generic; Vector AVX512
    std::array<char, 32> buffers;    // zero-copy, copying
    std::array<char, 128> takes;     // of what comes to an interface that is shared with the kernel
    std::array<char, 128> offloads;  // that are in use
};

struct Refusal {
    MessageHeader header;
    std::array<char, 240> text;  // zero-terminated, for people
};

/// A twin is a TAP of a vport (frames), or the `inject` TUN of a VRF (bare IP packets).
enum class TwinKind : std::uint8_t { vport_tap = 1, vrf_inject = 2 };

/// Named, not by handle: it may arrive before the object is declared and outlives the session.
struct TwinMessage {
    MessageHeader header;
    TwinKind kind;
    std::uint8_t attach;  // 1 with a descriptor, 0: detach
    std::uint8_t reserved[2];
    std::uint32_t interface_index;  // in the kernel, for people
    ObjectName object;              // vport or VRF
};

struct TwinsEnd {
    MessageHeader header;
};

// Encoding and decoding. A message is its struct; what makes one is that it was checked.

template <class M>
inline constexpr MessageKind kKindOf = MessageKind{0};
template <>
inline constexpr MessageKind kKindOf<Hello> = MessageKind::hello;
template <>
inline constexpr MessageKind kKindOf<Welcome> = MessageKind::welcome;
template <>
inline constexpr MessageKind kKindOf<VariantsMessage> = MessageKind::variants;
template <>
inline constexpr MessageKind kKindOf<AdmissionMessage> = MessageKind::admission;
template <>
inline constexpr MessageKind kKindOf<PortMessage> = MessageKind::port;
template <>
inline constexpr MessageKind kKindOf<Refusal> = MessageKind::refusal;
template <>
inline constexpr MessageKind kKindOf<TwinMessage> = MessageKind::twin;
template <>
inline constexpr MessageKind kKindOf<TwinsEnd> = MessageKind::twins_end;

/// A zeroed message with its header filled in.
template <class M>
M make_message() noexcept {
    static_assert(kKindOf<M> != MessageKind{0});
    M message{};
    message.header = {kHandshakeMagic, kKindOf<M>, sizeof(M)};
    return message;
}
template <class M>
std::span<const std::byte> bytes_of(const M& message) noexcept {
    return std::as_bytes(std::span<const M, 1>(&message, 1));
}

/// Of what kind the message is; fails when it is cut short, of another magic, kind or size.
Result<MessageKind> kind_of(std::span<const std::byte> message);
std::string_view to_string(MessageKind kind) noexcept;
/// Text that came from the other side, made safe to print.
std::string words_of(std::span<const char> text);
/// The same of a refusal, which has some words in any case.
std::string words_of(const Refusal& refusal);
/// What does not fit is cut.
void set_words(std::span<char> text, std::string_view words) noexcept;

/// The message of that type; a Refusal in its place becomes an Error with its words.
template <class M>
Result<M> decode(std::span<const std::byte> message) {
    const Result<MessageKind> kind = kind_of(message);
    if (!kind) return tl::unexpected<Error>(kind.error());
    if (*kind == MessageKind::refusal && kKindOf<M> != MessageKind::refusal) {
        Refusal refusal;
        std::memcpy(&refusal, message.data(), sizeof refusal);
        return fail(words_of(refusal));
    }
    if (*kind != kKindOf<M>) {
        return fail("expected the message " + std::string(to_string(kKindOf<M>)) + ", got " +
                    std::string(to_string(*kind)));
    }
    M decoded;
    std::memcpy(&decoded, message.data(), sizeof decoded);
    return decoded;
}

/// What the data plane tells of itself: of no ports if it is too old to.
struct Announced {
    ObjectName fib4, fib6, acl, admission;
    std::vector<PortMessage> ports;
};
/// Whether the message, of that kind, is one of those.
bool read_announcement(MessageKind kind, std::span<const std::byte> message, Announced& announced);

/// Data plane: the version of the session, or in words why there is none.
Result<std::uint16_t> choose_version(const Hello& hello);
/// Since which version of the vocabulary there is a PortMessage.
constexpr std::uint16_t kPortsVersion = 4;

/// Shim: refuses a Welcome whose version or sizes this build does not speak.
Status check_welcome(const Welcome& welcome);
Welcome make_welcome(std::uint16_t version, std::uint16_t workers, std::uint64_t instance,
                     const ChannelSizes& sizes);

// Transport.

constexpr std::size_t kMaxMessageBytes = 512;
constexpr std::size_t kMaxDescriptors = 3;

struct Received {
    enum class State : std::uint8_t { message, closed, nothing } state = State::nothing;
    std::vector<std::byte> bytes;
    std::vector<Descriptor> descriptors;
};

/// Sends one message; the descriptors stay the caller's.
Status send_message(int socket, std::span<const std::byte> bytes,
                    std::span<const int> descriptors = {});
/// `nothing` on a non-blocking socket (or after its receive timeout) without a message. A message
/// that is too long, or has too many descriptors, is an error.
Result<Received> receive_message(int socket);
/// Says why in words; what does not fit is cut. The caller then closes.
Status send_refusal(int socket, std::string_view text);

/// Data plane: a listening socket, non-blocking, mode 0600. A socket left by a dead process is
/// replaced, one that somebody answers on is refused.
Result<Descriptor> listen_sessions(const std::string& path);

/// Shim: an open session. The socket is non-blocking; what follows on it are twins.
struct Session {
    Descriptor socket;
    Welcome welcome{};
    Channel channel;
};
/// Hello → Welcome and channel; a refusal is the error, in the data plane's words.
Result<Session> connect_session(const std::string& path,
                                std::chrono::milliseconds timeout = std::chrono::seconds(2));

}  // namespace wye::ring
