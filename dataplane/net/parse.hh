// The one bounded parser: bytes → offsets and layer-4 key. It never reads beyond the span that it
// is given, whatever the lengths inside say, and keeps no pointer.
//
// What it refuses is what a router must not forward (truncated, wrong version, impossible lengths).
// What is odd but must be forwarded is accepted, and said in the result: a packet whose layer-4
// header is not there (a later fragment, a chain that is cut short or too long) has
// `l4_offset == kNoOffset`. Checksums and addresses are the validating steps' business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/base/model.hh"
#include "dataplane/net/address.hh"
#include "dataplane/net/ethernet.hh"

namespace wye::net {

constexpr std::uint16_t kNoOffset = 0xffff;

/// Ethernet with none, one or two tags.
struct LinkLayout {
    std::uint16_t payload_offset;
    std::uint16_t ether_type;  // of the payload, behind the tags
    std::uint16_t vlan;        // outer tag, kNoVlan: none (also for VLAN id 0, a priority tag)
    std::uint16_t inner_vlan;
    std::uint8_t tags;  // how many are in the bytes
};

/// False: shorter than its header and tags. A third tag is left as the payload's EtherType.
inline bool parse_link(std::span<const std::byte> frame, LinkLayout& layout) noexcept {
    const auto* ethernet = header_at<EthernetHeader>(frame, 0);
    if (ethernet == nullptr) return false;
    layout = {sizeof(EthernetHeader), ethernet->type.host(), kNoVlan, kNoVlan, 0};
    while (layout.tags < 2 && is_vlan_type(layout.ether_type)) {
        const auto* tag = header_at<VlanTag>(frame, layout.payload_offset);
        if (tag == nullptr) return false;
        // IEEE 802.1Q 9.6: VLAN id 0 carries a priority only, the frame is untagged.
        const std::uint16_t vlan = tag->vlan() == 0 ? kNoVlan : tag->vlan();
        (layout.tags == 0 ? layout.vlan : layout.inner_vlan) = vlan;
        layout.ether_type = tag->type.host();
        layout.payload_offset = static_cast<std::uint16_t>(layout.payload_offset + sizeof(VlanTag));
        ++layout.tags;
    }
    return true;
}

enum class IpFault : std::uint8_t { none, truncated, version, header_length };

/// What a packet's headers say. Offsets are from the beginning of the IP header.
struct IpLayout {
    IpFamily family;
    std::uint8_t protocol;    // of layer 4, behind extension headers; of the last one that was read
    std::uint16_t l4_offset;  // kNoOffset: the layer-4 header is not there, or not whole
    std::uint16_t length;     // of the IP packet, header included; never beyond the bytes
    bool is_fragment;         // MF set or offset not zero
    bool is_later_fragment;   // offset not zero
    bool has_options;         // IPv4 options, or an IPv6 hop-by-hop header
    // The layer-4 key; zero where it does not apply.
    std::uint16_t source_port, destination_port;
    std::uint8_t tcp_flags, icmp_type, icmp_code;
};

/// At most this many extension headers are walked.
constexpr unsigned kMaxExtensionHeaders = 8;

/// `bytes` begins at the IP header and may be longer than the packet (link padding).
IpFault parse_ipv4(std::span<const std::byte> bytes, IpLayout& layout) noexcept;
IpFault parse_ipv6(std::span<const std::byte> bytes, IpLayout& layout) noexcept;

}  // namespace wye::net
