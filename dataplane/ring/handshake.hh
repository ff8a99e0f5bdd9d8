// The Unix socket between the shim and the data plane: SOCK_SEQPACKET, one message a packet.
//
//   shim → data plane   Hello
//   data plane → shim   Welcome + descriptors {channel memfd, control wake-up, shim wake-up}
//                       or Refusal, in words, and the data plane closes
//   data plane → shim   TwinMessage + descriptor, once for each twin that it still holds
//                       (name and kind; a restarted shim gets its twins back), then TwinsEnd
//   shim → data plane   TwinMessage + descriptor for each new twin; TwinMessage without a
//                       descriptor takes one away
//   either side closes: the session is over, the rings are thrown away, forwarding goes on
//
// One session at a time: a second Hello while one is open is refused, unless the first peer is gone.
// Every message begins with MessageHeader. Unknown kinds and wrong sizes end the session with a
// Refusal that says what was wrong. The socket file is mode 0600 in the instance's run directory.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/base/name.hh"
#include "dataplane/ring/channel.hh"
#include "dataplane/ring/vocabulary.hh"

namespace wye::ring {

constexpr std::uint32_t kHandshakeMagic = 0x31657977;  // "wye1"

enum class MessageKind : std::uint16_t {
    hello = 1, welcome = 2, refusal = 3, twin = 4, twins_end = 5,
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

}  // namespace wye::ring
