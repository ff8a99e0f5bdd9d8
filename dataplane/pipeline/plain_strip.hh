// PlainLane, out of a tunnel: at admission, if this end of it is known.
// Private to plain_*.cc.
#pragma once

#include <bit>

#include "dataplane/net/ecn.hh"
#include "dataplane/pipeline/plain_lists.hh"

namespace wye::pipeline {

constexpr std::uint32_t kLeastTunnelPacket = kTunnelHeaders + kShortestFrame;

inline std::uint64_t PlainLane::TunnelEnd::differs(const PlainRun& outer,
                                                   const std::byte* l3) const noexcept {
    constexpr std::size_t kPort =
        sizeof(net::Ipv4Header) + offsetof(net::UdpHeader, destination_port);
    const auto rows = [](const LedgerRows& of) { return std::bit_cast<std::uint64_t>(of); };
    return (load<std::uint64_t>(l3 + PlainIpv4::kAddresses) ^ addresses) |
           ((load<std::uint64_t>(l3 + kTunnelOuter) & mask) ^ header) |
           (rows(outer.rows) ^ rows(outer_rows)) | (outer.vrf.value ^ outer_vrf.value) |
           (load<std::uint16_t>(l3 + kPort) ^ port);
}

inline PlainLane::TunnelEnd& PlainLane::slot_of(const std::byte* l3) noexcept {
    const auto header = load<std::uint64_t>(l3 + kTunnelOuter);
    const std::uint64_t hash = __builtin_ia32_crc32di(
        header >> 32 & 0x00ff'ffff, load<std::uint64_t>(l3 + PlainIpv4::kAddresses));
    return tunnel_ends_[hash % kTunnelEnds];
}

template <class Family>
[[gnu::always_inline]] inline bool PlainLane::strip_as(const Entry& outer, std::uint32_t length,
                                                       PlainRun& inner,
                                                       List<Family>& list) noexcept {
    constexpr std::uint32_t kStripped = kTunnelHeaders + sizeof(net::EthernetHeader);
    std::byte* const l3 = outer.l3() + kStripped;
    if (!net::ecn_stays(net::ecn_of(Family::traffic_class(l3)),
                        net::ecn_of(PlainIpv4::traffic_class(outer.l3())))) [[unlikely]] {
        return false;
    }
    return enter_as<Family>(Entry(*outer.frame, inner, l3), length - kStripped, list);
}

/// Enters what is inside an outer packet of `length` bytes, with which its frame ends.
[[gnu::always_inline]] inline bool PlainLane::strip(const Entry& outer, std::uint32_t length,
                                                    PlainRun& inner) noexcept {
    const std::byte* const link = outer.l3() + kTunnelHeaders;
    if (load<std::uint64_t>(link) << 16 != inner.mac) [[unlikely]]
        return false;
    const auto type = load<std::uint16_t>(link + offsetof(net::EthernetHeader, type));
    if (type == PlainIpv4::kEtherType) return strip_as<PlainIpv4>(outer, length, inner, ipv4_);
    return type == PlainIpv6::kEtherType && strip_as<PlainIpv6>(outer, length, inner, ipv6_);
}

/// Enters what is inside an outer packet of `length` bytes that was not entered itself. That it is for
/// this router, and for this tunnel, has been concluded of another packet with the same addresses from
/// the same tables; so the caller counts it as looked up. `faults` is not zero if it is no plain UDP
/// packet. False: nothing has happened.
[[gnu::always_inline]] inline bool PlainLane::strip_known(const Entry& outer, std::uint32_t length,
                                                          std::uint64_t faults) noexcept {
    if (length < kLeastTunnelPacket) return false;
    const std::byte* const l3 = outer.l3();
    TunnelEnd& end = slot_of(l3);
    faults |=
        (end.state ^ state_) | end.differs(*outer.run, l3) | PlainIpv4::udp_faults(l3, length);
    if (faults != 0) return false;
    if (!end.run.is_taken) runs_.take_again(end.run);
    return strip(outer, length, end.run);
}

}  // namespace wye::pipeline
