// BFD control packets (RFC 5880 4.1) and the UDP ports that carry them (RFC 5881 4, RFC 5883 5).
// Bytes in, values out; whose session a packet belongs to is decided elsewhere (dataplane/bfd).
// Without an authentication section (RFC 5880 4.2): one that is there is only noted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "dataplane/base/bytes.hh"
#include "dataplane/net/wire.hh"

namespace wye::net {

constexpr std::uint16_t kBfdSingleHopPort = 3784;
constexpr std::uint16_t kBfdMultihopPort = 4784;
/// Source ports are 49152 to 65535 (RFC 5881 4).
constexpr std::uint16_t kBfdFirstSourcePort = 49152;
/// What a single-hop packet is sent with, and must arrive with (RFC 5881 5, RFC 5082).
constexpr std::uint8_t kBfdHopLimit = 255;

enum class BfdState : std::uint8_t { admin_down = 0, down = 1, init = 2, up = 3 };

/// RFC 5880 4.1.
enum class BfdDiagnostic : std::uint8_t {
    none = 0,
    detection_expired = 1,
    echo_failed = 2,
    neighbor_down = 3,
    forwarding_reset = 4,
    path_down = 5,
    concatenated_path_down = 6,
    administratively_down = 7,
    reverse_concatenated_path_down = 8,
};

struct BfdHeader {
    std::uint8_t version_diagnostic;
    std::uint8_t state_flags;
    std::uint8_t detect_multiplier;
    std::uint8_t length;
    Be32 my_discriminator, your_discriminator;
    Be32 desired_min_tx, required_min_rx, required_min_echo_rx;  // microseconds
};
static_assert(sizeof(BfdHeader) == 24 && WireFormat<BfdHeader>);

struct BfdControl {
    BfdState state = BfdState::down;
    BfdDiagnostic diagnostic = BfdDiagnostic::none;  // any 5-bit value may come
    bool poll = false;
    bool final = false;
    bool control_plane_independent = false;
    bool authentication = false;
    bool demand = false;
    std::uint8_t detect_multiplier = 0;
    std::uint32_t my_discriminator = 0, your_discriminator = 0;
    std::uint32_t desired_min_tx = 0, required_min_rx = 0, required_min_echo_rx = 0;
    friend bool operator==(const BfdControl&, const BfdControl&) = default;
};

/// Why RFC 5880 6.8.6 discards a packet before any session is asked, in its order.
enum class BfdFault : std::uint8_t {
    none,
    version,             // not 1
    length,              // below 24 (26 with A), or beyond the UDP payload
    multiplier,          // Detect Mult is zero
    multipoint,          // M is set
    my_discriminator,    // zero
    your_discriminator,  // zero, and the state is neither Down nor AdminDown
};

BfdFault parse_bfd(std::span<const std::byte> payload, BfdControl& control) noexcept;
/// Version 1, without authentication, M clear: 24 bytes.
BfdHeader make_bfd(const BfdControl& control) noexcept;

std::string_view bfd_state_name(BfdState state) noexcept;
/// In words, as RFC 5880 4.1 has them.
std::string_view bfd_diagnostic_words(BfdDiagnostic diagnostic) noexcept;

}  // namespace wye::net
