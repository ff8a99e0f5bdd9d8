#include "dataplane/table/acl_bits.hh"

#include <bit>

#include "dataplane/table/acl_key.hh"
#include "dataplane/table/acl_rule.hh"

namespace wye::table {
namespace {

net::IpAddress ones(std::uint8_t length, net::IpFamily family) noexcept {
    net::IpAddress all;
    all.family = family;
    all.bytes.fill(0xff);
    return net::mask(all, length);
}

template <class Query>
void set_addresses(const AclRuleSpec& rule, AclBits& bits) noexcept {
    Query value{}, care{};
    pack_acl_addresses(rule.source.address, rule.destination.address, value);
    pack_acl_addresses(ones(rule.source.length, rule.family),
                       ones(rule.destination.length, rule.family), care);
    for (std::size_t word = 0; word < acl_address_words(rule.family); ++word) {
        bits.care[word] = care.words[word];
        bits.value[word] = value.words[word] & care.words[word];
    }
}

/// The bits that all values from `first` to `last` have in common, from the top.
std::uint16_t common_bits(std::uint16_t first, std::uint16_t last) noexcept {
    const unsigned differ = static_cast<unsigned>(first ^ last);
    return static_cast<std::uint16_t>(0xffff0000u >> (16 - std::bit_width(differ)));
}

void set_port(std::uint16_t first, std::uint16_t last, std::size_t side, std::uint64_t& value,
              std::uint64_t& care, AclBits& bits) noexcept {
    const std::uint16_t common = common_bits(first, last);
    care |= std::uint64_t{common} << 16 * side;
    value |= std::uint64_t{first} << 16 * side & care;
    bits.first[side] = first;
    bits.last[side] = last;
    // Neither one value nor an aligned power of two: the bits alone do not say it.
    const auto free = static_cast<std::uint16_t>(~common);
    if ((first & free) != 0 || (last & free) != free) bits.has_range = true;
}

std::uint32_t fragment_bits(FragmentMatch wanted) noexcept {
    switch (wanted) {
        case FragmentMatch::any:
            return 0;
        case FragmentMatch::not_fragment:
        case FragmentMatch::fragment:
            return acl_state(false, true, false);
        case FragmentMatch::later:
            return acl_state(false, false, true);
    }
    return 0;
}

void set_layer4(const AclRuleSpec& rule, std::uint64_t& value, std::uint64_t& care,
                AclBits& bits) noexcept {
    const std::uint32_t asked =
        fragment_bits(rule.fragment) | acl_state(asks_layer4(rule), false, false);
    const std::uint32_t wanted =
        rule.fragment == FragmentMatch::not_fragment ? asked & acl_state(true, false, true) : asked;
    care = acl_layer4_word(0, 0, rule.any_protocol ? 0u : 0xffu, rule.tcp_flags_mask,
                           rule.any_dscp ? 0u : 0x3fu, asked);
    value = acl_layer4_word(0, 0, rule.protocol, rule.tcp_flags_value, rule.dscp, wanted) & care;
    if (rule.any_icmp) {
        set_port(rule.source_port_low, rule.source_port_high, 0, value, care, bits);
        set_port(rule.destination_port_low, rule.destination_port_high, 1, value, care, bits);
        return;
    }
    const bool any_code = rule.any_icmp_code;
    set_port(rule.icmp_type, rule.icmp_type, 0, value, care, bits);
    set_port(any_code ? std::uint16_t{0} : rule.icmp_code,
             any_code ? std::uint16_t{0xffff} : rule.icmp_code, 1, value, care, bits);
}

struct Ports {
    std::uint32_t least, greatest, known;
};

Ports ports_of(const AclRegion& region, std::size_t port_word, std::size_t side) noexcept {
    const auto known = static_cast<std::uint32_t>(region.known[port_word] >> 16 * side & 0xffff);
    const auto value = static_cast<std::uint32_t>(region.value[port_word] >> 16 * side & 0xffff);
    return {value, value | (~known & 0xffffu), known};
}

/// The least port not below `bound` that has the known bits; above 0xffff: there is none.
std::uint32_t least_not_below(const Ports& ports, std::uint32_t bound) noexcept {
    if (((bound ^ ports.least) & ports.known) == 0) return bound;
    // It is the bound's front, a one where the bound has a zero, and the least of the rest: the
    // further back that one, the less.
    for (unsigned bit = 0; bit < 16; ++bit) {
        const std::uint32_t one = 1u << bit;
        const std::uint32_t rest = one - 1;
        const bool front_fits = ((bound ^ ports.least) & ports.known & ~(rest | one)) == 0;
        const bool one_fits = (ports.known & one) == 0 || (ports.least & one) != 0;
        if (front_fits && one_fits && (bound & one) == 0) {
            return (bound & ~(rest | one)) | one | (ports.least & rest);
        }
    }
    return 0x10000;
}

}  // namespace

AclBits acl_bits(const AclRuleSpec& rule) noexcept {
    AclBits bits;
    if (rule.family == net::IpFamily::ipv4) {
        set_addresses<Acl4Query>(rule, bits);
    } else {
        set_addresses<Acl6Query>(rule, bits);
    }
    const std::size_t word = acl_address_words(rule.family);
    set_layer4(rule, bits.value[word], bits.care[word], bits);
    bits.only_counts = rule.action == AclAction::count;
    return bits;
}

bool meets_ports(const AclBits& rule, const AclRegion& region, std::size_t port_word) noexcept {
    for (std::size_t side = 0; side < 2; ++side) {
        const Ports ports = ports_of(region, port_word, side);
        if (least_not_below(ports, rule.first[side]) > rule.last[side]) return false;
    }
    return true;
}

bool covers(const AclBits& rule, const AclRegion& region, std::size_t port_word) noexcept {
    for (std::size_t word = 0; word <= port_word; ++word) {
        if ((rule.care[word] & ~region.known[word]) != 0) return false;
    }
    if (!rule.has_range) return true;
    for (std::size_t side = 0; side < 2; ++side) {
        const Ports ports = ports_of(region, port_word, side);
        if (ports.least < rule.first[side] || ports.greatest > rule.last[side]) return false;
    }
    return true;
}

}  // namespace wye::table
