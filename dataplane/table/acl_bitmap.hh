// The compiled ACL: aggregated bit vectors (Lakshman, Stiliadis 1998; Baboescu, Varghese 2001).
//
// Each family has a section with its rules in order, numbered from 0. For each field that any rule
// looks at, the field's value range is cut into classes (elementary intervals, or a table for
// narrow fields), and each class has the set of the rules that accept it, one bit a rule. The rules
// that match a packet are the intersection over the fields; the first bit is the first match.
//
// A set is kept in two parts, since most rules do not look at most fields: `base`, the rules that
// accept every value, one for the field; and a delta for each class, of which only the words that
// are not zero are kept. Above both lies a summary, one bit for each word of 64 rules. So a lookup
// first intersects summaries (3 words for 10 000 rules), and then touches words in which all fields
// still have a candidate. Equal deltas are kept once.
//
// Everything is addressed by offsets in 64-bit words from the Acl itself: position-independent,
// immutable. Writer: compile_acl on the builder thread. Readers: workers, under RCU.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/table/acl.hh"

namespace wye::table {

enum class AclField : std::uint32_t {
    state,  // is_fragment, is_later_fragment, has_ports: 8 values
    protocol,
    source,
    destination,
    source_port,
    destination_port,
    tcp_flags,
    icmp_type,
    icmp_code,
    dscp,
};
constexpr std::size_t kAclFields = 10;

constexpr bool is_interval_field(AclField field) noexcept {
    return field >= AclField::source && field <= AclField::destination_port;
}

/// Values of a field that is looked up in a table.
constexpr std::uint32_t acl_table_size(AclField field) noexcept {
    return field == AclField::state ? 8 : field == AclField::dscp ? 64 : 256;
}

/// Bits of AclField::state.
constexpr std::uint32_t acl_state(bool has_ports, bool is_fragment, bool is_later) noexcept {
    return (has_ports ? 1u : 0u) | (is_fragment ? 2u : 0u) | (is_later ? 4u : 0u);
}

using AclOffset = std::uint32_t;  // in 64-bit words from the Acl

struct AclFieldIndex {
    AclField field;
    std::uint32_t classes;
    /// First value of each class, ascending: std::uint32_t for IPv4 addresses and for ports, pairs
    /// of std::uint64_t (high, low) for IPv6 addresses. Class 0 begins at 0. Not for table fields.
    AclOffset bounds;
    AclOffset deltas;  // AclOffset of each class's delta: summary words, then its words
    AclOffset base;    // summary words, then all words
    std::uint32_t padding;
};

struct AclSection {
    std::uint32_t rules;
    std::uint32_t words;          // 64 rules each
    std::uint32_t summary_words;  // 64 words each
    std::uint32_t fields;         // those that any rule looks at
    AclOffset actions;            // std::uint32_t a rule: index in the whole ACL, AclAction on top
    std::uint32_t has_layer4;     // a rule looks at ports, ICMP or TCP flags
    AclFieldIndex index[kAclFields];
};

constexpr std::uint32_t acl_action_word(std::uint32_t rule, AclAction action) noexcept {
    return rule | static_cast<std::uint32_t>(action) << 24;
}
static_assert(kMaxAclRules <= 1u << 24);

struct alignas(64) Acl {
    std::uint32_t counter_base;
    std::uint32_t default_permit;
    AclSection ipv4, ipv6;

    [[nodiscard]] const std::uint64_t* words(AclOffset offset) const noexcept {
        return reinterpret_cast<const std::uint64_t*>(this) + offset;
    }
};

/// A compiled ACL beyond this is refused.
constexpr std::size_t kMaxAclBytes = std::size_t{256} << 20;

}  // namespace wye::table
