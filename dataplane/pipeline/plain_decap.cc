// PlainLane, decapsulate: what was for the end of a tunnel.
#include "dataplane/pipeline/plain_lists.hh"
#include "dataplane/pipeline/tunnel_steps.hh"

namespace wye::pipeline {

/// Over IPv4, without a checksum over the payload and without options: else the general steps see.
[[gnu::noinline]] void PlainLane::decapsulate(Context& context) noexcept {
    std::array<PlainRun*, kMaxBurst> inner;
    std::size_t found = 0;
    for (std::size_t j = 0; j < end_count_; ++j) {
        const Entry entry = ends_[j];
        inner[found] = find_end(context, entry);
        if (inner[found] != nullptr) {
            ends_[found++] = entry;
        } else {
            give_up(context, entry);
        }
    }
    end_count_ = 0;
    runs_.resolve(context);
    for (std::size_t j = 0; j < found; ++j) {
        const Entry& entry = ends_[j];
        if (strip(entry, *inner[j])) [[likely]] {
            --entry.run->not_asked4;
        } else {
            give_up(context, entry);
        }
    }
}

/// The run of what lies inside; null: the general steps see.
inline PlainRun* PlainLane::find_end(Context& context, const Entry& entry) noexcept {
    const std::uint32_t length = entry.length();
    const std::byte* const l3 = entry.l3();
    if (PlainIpv4::protocol(l3) != net::protocol::udp || length < kTunnelHeaders + kShortestFrame) {
        return nullptr;
    }
    const auto udp = load<std::uint64_t>(l3 + sizeof(net::Ipv4Header));
    const std::uint32_t udp_length = byteswap(static_cast<std::uint16_t>(udp >> 32));
    if (udp >> 48 != 0 || udp_length + sizeof(net::Ipv4Header) != length) return nullptr;
    const auto port = static_cast<std::uint16_t>(udp >> 16);
    const auto header = load<std::uint64_t>(l3 + kTunnelOuter);
    const auto addresses = load<std::uint64_t>(l3 + PlainIpv4::kAddresses);
    const std::uint64_t hash = __builtin_ia32_crc32di(header >> 32 & 0x00ff'ffff, addresses);
    TunnelEnd& end = tunnel_ends_[hash % kTunnelEnds];
    const bool same = addresses == end.addresses && (header & end.mask) == end.header &&
                      port == end.port && entry.run->rows == end.outer_rows &&
                      entry.run->vrf == end.outer_vrf;
    return same && runs_.take_again(end.run) ? &end.run : begin_end(context, entry, end);
}

/// A tunnel's end that is not known, or no more.
[[gnu::noinline]] PlainRun* PlainLane::begin_end(Context& context, const Entry& entry,
                                                 TunnelEnd& end) noexcept {
    const std::byte* const l3 = entry.l3();
    const auto& ip = net::header<net::Ipv4Header>(l3);
    const auto& udp = net::header<net::UdpHeader>(l3 + sizeof ip);
    table::TunnelKey key{};
    key.remote = ip.source;
    key.local = ip.destination;
    const auto match = find_tunnel_end(context.arena, entry.run->vrf, udp.destination_port.host(),
                                       net::header<net::VxlanHeader>(l3 + kTunnelOuter).vni(), key);
    if (!match || !match->tunnel.valid()) return nullptr;
    // VXLAN: the flag that there is a VNI. GENEVE: version 0, no options, no control, Ethernet.
    const bool vxlan = match->kind == TunnelKind::vxlan;
    constexpr std::uint64_t kVni = std::uint64_t{0x00ff'ffff} << 32;
    const std::uint64_t mask = kVni | (vxlan ? net::kVxlanFlagVni : 0xffff'80ffu);
    const auto header = load<std::uint64_t>(l3 + kTunnelOuter) & mask;
    if ((header & ~kVni) != (vxlan ? net::kVxlanFlagVni : 0x5865'0000u)) return nullptr;
    PlainRun& inner = runs_.begin(context, match->tunnel, *entry.run, end.run);
    if (&inner == &end.run) {
        end.addresses = load<std::uint64_t>(l3 + PlainIpv4::kAddresses);
        end.mask = mask;
        end.header = header;
        end.port = udp.destination_port.raw();
        end.outer_rows = entry.run->rows;
        end.outer_vrf = entry.run->vrf;
    }
    return &inner;
}

inline bool PlainLane::strip(const Entry& outer, PlainRun& inner) noexcept {
    const std::byte* const link = outer.l3() + kTunnelHeaders;
    if (load<std::uint64_t>(link) << 16 != inner.mac) [[unlikely]]
        return false;
    const auto type = load<std::uint16_t>(link + inner.l3_offset - sizeof(Be16));
    if (type == PlainIpv4::kEtherType) return strip_as<PlainIpv4>(outer, inner, ipv4_);
    return type == PlainIpv6::kEtherType && strip_as<PlainIpv6>(outer, inner, ipv6_);
}

template <class Family>
[[gnu::always_inline]] inline bool PlainLane::strip_as(const Entry& outer, PlainRun& inner,
                                                       List<Family>& list) noexcept {
    const std::byte* const l3 = outer.l3() + kTunnelHeaders + inner.l3_offset;
    const net::Ecn ecn = net::ecn_of(Family::traffic_class(l3));
    if (net::decapsulate_ecn(ecn, net::ecn_of(PlainIpv4::traffic_class(outer.l3()))) != ecn) {
        return false;
    }
    const auto stripped = static_cast<std::uint16_t>(outer.run->l3_offset + kTunnelHeaders);
    outer.frame->strip(stripped);
    if (!enter_as<Family>({outer.frame, &inner}, list)) [[unlikely]] {
        outer.frame->prepend(stripped);
        return false;
    }
    return true;
}

}  // namespace wye::pipeline
