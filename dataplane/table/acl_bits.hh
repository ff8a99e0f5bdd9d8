// A rule as the tree builder sees it: for each word of the packed key (acl_key.hh) which bits it
// asks for, and the two port ranges that bits cannot say.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/table/acl.hh"

namespace wye::table {

constexpr std::size_t kMaxKeyWords = 5;

/// Address words and, behind them, the word of ports: how a family's key is cut.
constexpr std::size_t acl_address_words(net::IpFamily family) noexcept {
    return family == net::IpFamily::ipv4 ? 1 : 4;
}

struct AclBits {
    std::array<std::uint64_t, kMaxKeyWords> value{}, care{};
    /// Source and destination port (or ICMP type and code), inclusive. One value, or all, is in
    /// `value` and `care`, too; of a true range the bits that all its values share.
    std::array<std::uint16_t, 2> first{0, 0}, last{0xffff, 0xffff};
    bool has_range = false;  // a true range is among them
    bool only_counts = false;
    friend bool operator==(const AclBits&, const AclBits&) = default;
};

AclBits acl_bits(const AclRuleSpec& rule) noexcept;

/// Keys of which some bits are known: what is left of them at a node of a tree.
struct AclRegion {
    std::array<std::uint64_t, kMaxKeyWords> value{}, known{};
};

/// Some port within the range of `side` has the region's known bits. The other fields' bits are
/// what a node's index says already.
bool meets_ports(const AclBits& rule, const AclRegion& region, std::size_t port_word) noexcept;
/// Every key of the region, of which some match, matches.
bool covers(const AclBits& rule, const AclRegion& region, std::size_t port_word) noexcept;

}  // namespace wye::table
