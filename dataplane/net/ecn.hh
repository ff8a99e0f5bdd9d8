// ECN through tunnels: RFC 6040, which RFC 9601 extends to shims like VXLAN and RFC 8926 4.4.2
// demands for GENEVE. ECN is set apart from DSCP everywhere, never as one byte (RFC 9601 4).
#pragma once

#include <cstdint>
#include <optional>

namespace wye::net {

/// The two low bits of the IPv4 type of service or the IPv6 traffic class.
enum class Ecn : std::uint8_t { not_ect = 0, ect1 = 1, ect0 = 2, ce = 3 };

constexpr Ecn ecn_of(std::uint8_t traffic_class) noexcept {
    return static_cast<Ecn>(traffic_class & 3);
}
constexpr std::uint8_t with_ecn(std::uint8_t traffic_class, Ecn ecn) noexcept {
    return static_cast<std::uint8_t>((traffic_class & 0xfc) | static_cast<unsigned>(ecn));
}

/// Normal mode (RFC 6040 4.1): the outer field is the inner one, CE included.
constexpr Ecn encapsulate_ecn(Ecn inner) noexcept {
    return inner;
}

/// The inner field after decapsulation; nothing: the packet must be dropped (RFC 6040 4.2).
constexpr std::optional<Ecn> decapsulate_ecn(Ecn inner, Ecn outer) noexcept {
    if (inner == Ecn::not_ect) {
        if (outer == Ecn::ce) return std::nullopt;
        return Ecn::not_ect;
    }
    // Of inner and outer the more severe: CE > ECT(1) > ECT(0) > Not-ECT.
    if (inner == Ecn::ce || outer == Ecn::ce) return Ecn::ce;
    if (inner == Ecn::ect1 || outer == Ecn::ect1) return Ecn::ect1;
    return Ecn::ect0;
}

/// Decapsulation leaves the inner field as it is: one shift and test of a constant.
constexpr bool ecn_stays(Ecn inner, Ecn outer) noexcept {
    constexpr unsigned kStays = [] {
        unsigned stays = 0;
        for (unsigned i = 0; i < 16; ++i) {
            const Ecn in = ecn_of(static_cast<std::uint8_t>(i >> 2));
            if (decapsulate_ecn(in, ecn_of(static_cast<std::uint8_t>(i))) == in) stays |= 1u << i;
        }
        return stays;
    }();
    return (kStays >> (static_cast<unsigned>(inner) << 2 | static_cast<unsigned>(outer)) & 1) != 0;
}

}  // namespace wye::net
