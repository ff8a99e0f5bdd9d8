// PlainLane, decapsulate: what was for the end of a tunnel, as its lookup says.
#include "dataplane/pipeline/plain_strip.hh"
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
        if (!strip(entry, entry.length(), *inner[j])) [[unlikely]]
            give_up(context, entry);
    }
}

/// The run of what lies inside; null: the general steps see.
inline PlainRun* PlainLane::find_end(Context& context, const Entry& entry) noexcept {
    const std::uint32_t length = entry.length();
    const std::byte* const l3 = entry.l3();
    if (PlainIpv4::protocol(l3) != net::protocol::udp || length < kLeastTunnelPacket ||
        PlainIpv4::udp_faults(l3, length) != 0) {
        return nullptr;
    }
    TunnelEnd& end = slot_of(l3);
    if (end.differs(*entry.run, l3) != 0 || !runs_.take_again(end.run)) {
        return begin_end(context, entry, end);
    }
    end.state = state_;
    return &end.run;
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
        end.state = state_;
        end.addresses = load<std::uint64_t>(l3 + PlainIpv4::kAddresses);
        end.mask = mask;
        end.header = header;
        end.port = udp.destination_port.raw();
        end.outer_rows = entry.run->rows;
        end.outer_vrf = entry.run->vrf;
    }
    return &inner;
}

}  // namespace wye::pipeline
