#include "dataplane/net/bfd.hh"

#include <array>

namespace wye::net {
namespace {

constexpr unsigned kVersion = 1;
constexpr unsigned kPoll = 0x20, kFinal = 0x10, kIndependent = 0x08, kAuthentication = 0x04,
                   kDemand = 0x02, kMultipoint = 0x01;
constexpr std::size_t kLeastWithAuthentication = 26;

constexpr unsigned flag(bool set, unsigned bit) {
    return set ? bit : 0;
}

}  // namespace

// RFC 5880 6.8.6, down to "If the Your Discriminator field is zero and the State field is not Down
// or AdminDown".
BfdFault parse_bfd(std::span<const std::byte> payload, BfdControl& control) noexcept {
    const auto* const header = header_at<BfdHeader>(payload, 0);
    if (payload.empty()) return BfdFault::length;
    if (static_cast<unsigned>(payload[0]) >> 5 != kVersion) return BfdFault::version;
    if (header == nullptr) return BfdFault::length;
    const unsigned flags = header->state_flags;
    const std::size_t least =
        (flags & kAuthentication) != 0 ? kLeastWithAuthentication : sizeof(BfdHeader);
    if (header->length < least || header->length > payload.size()) return BfdFault::length;
    if (header->detect_multiplier == 0) return BfdFault::multiplier;
    if ((flags & kMultipoint) != 0) return BfdFault::multipoint;
    control.state = static_cast<BfdState>(flags >> 6);
    control.diagnostic = static_cast<BfdDiagnostic>(header->version_diagnostic & 0x1f);
    control.poll = (flags & kPoll) != 0;
    control.final = (flags & kFinal) != 0;
    control.control_plane_independent = (flags & kIndependent) != 0;
    control.authentication = (flags & kAuthentication) != 0;
    control.demand = (flags & kDemand) != 0;
    control.detect_multiplier = header->detect_multiplier;
    control.my_discriminator = header->my_discriminator.host();
    control.your_discriminator = header->your_discriminator.host();
    control.desired_min_tx = header->desired_min_tx.host();
    control.required_min_rx = header->required_min_rx.host();
    control.required_min_echo_rx = header->required_min_echo_rx.host();
    if (control.my_discriminator == 0) return BfdFault::my_discriminator;
    const bool begins = control.state == BfdState::down || control.state == BfdState::admin_down;
    if (control.your_discriminator == 0 && !begins) return BfdFault::your_discriminator;
    return BfdFault::none;
}

BfdHeader make_bfd(const BfdControl& control) noexcept {
    BfdHeader header{};
    header.version_diagnostic = static_cast<std::uint8_t>(
        kVersion << 5 | (static_cast<unsigned>(control.diagnostic) & 0x1fu));
    header.state_flags = static_cast<std::uint8_t>(
        static_cast<unsigned>(control.state) << 6 | flag(control.poll, kPoll) |
        flag(control.final, kFinal) | flag(control.control_plane_independent, kIndependent) |
        flag(control.demand, kDemand));
    header.detect_multiplier = control.detect_multiplier;
    header.length = sizeof header;
    header.my_discriminator = control.my_discriminator;
    header.your_discriminator = control.your_discriminator;
    header.desired_min_tx = control.desired_min_tx;
    header.required_min_rx = control.required_min_rx;
    header.required_min_echo_rx = control.required_min_echo_rx;
    return header;
}

std::string_view bfd_state_name(BfdState state) noexcept {
    constexpr std::array<std::string_view, 4> kNames{"admin-down", "down", "init", "up"};
    return kNames[static_cast<std::size_t>(state) & 3];
}

std::string_view bfd_diagnostic_words(BfdDiagnostic diagnostic) noexcept {
    constexpr std::array<std::string_view, 9> kWords{
        "none",
        "control detection time expired",
        "echo function failed",
        "neighbour signalled session down",
        "forwarding plane reset",
        "path down",
        "concatenated path down",
        "administratively down",
        "reverse concatenated path down",
    };
    const auto index = static_cast<std::size_t>(diagnostic);
    return index < kWords.size() ? kWords[index] : std::string_view("reserved");
}

}  // namespace wye::net
