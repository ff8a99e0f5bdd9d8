// The reader's side of ACLs: see acl_bitmap.hh for the structure.
#include "dataplane/table/acl.hh"

#include <bit>
#include <cstring>

#include "dataplane/table/acl_bitmap.hh"

namespace wye::table {
namespace {

/// The last of the ascending `bounds` that is not above `value`; bounds[0] is the least value.
template <class Bound, class Value>
std::uint32_t last_not_above(const Bound* bounds, std::uint32_t count, Value value) noexcept {
    std::uint32_t first = 0;
    while (count > 1) {
        const std::uint32_t half = count / 2;
        first = bounds[first + half] <= value ? first + half : first;
        count -= half;
    }
    return first;
}

struct Bound6 {
    std::uint64_t high, low;
    friend bool operator<=(const Bound6& a, const Bound6& b) noexcept {
        return a.high < b.high || (a.high == b.high && a.low <= b.low);
    }
};

std::uint32_t class_of_address(const Acl& acl, const AclFieldIndex& index,
                               const net::IpAddress& address) noexcept {
    if (address.is_ipv4()) {
        return last_not_above(reinterpret_cast<const std::uint32_t*>(acl.words(index.bounds)),
                              index.classes, address.ipv4().host());
    }
    Be64 halves[2];
    std::memcpy(halves, address.bytes.data(), 16);
    return last_not_above(reinterpret_cast<const Bound6*>(acl.words(index.bounds)), index.classes,
                          Bound6{halves[0].host(), halves[1].host()});
}

std::uint32_t class_of_port(const Acl& acl, const AclFieldIndex& index,
                            std::uint16_t port) noexcept {
    return last_not_above(reinterpret_cast<const std::uint32_t*>(acl.words(index.bounds)),
                          index.classes, std::uint32_t{port});
}

std::uint32_t class_of(const Acl& acl, const AclFieldIndex& index, const AclKey& key) noexcept {
    switch (index.field) {
        case AclField::state:
            return acl_state(key.has_ports, key.is_fragment, key.is_later_fragment);
        case AclField::protocol:
            return key.protocol;
        case AclField::source:
            return class_of_address(acl, index, key.source);
        case AclField::destination:
            return class_of_address(acl, index, key.destination);
        case AclField::source_port:
            return class_of_port(acl, index, key.source_port);
        case AclField::destination_port:
            return class_of_port(acl, index, key.destination_port);
        case AclField::tcp_flags:
            return key.tcp_flags;
        case AclField::icmp_type:
            return key.icmp_type;
        case AclField::icmp_code:
            return key.icmp_code;
        case AclField::dscp:
            return key.dscp & 63u;
    }
    return 0;
}

/// One field's set of rules for this key, walked from the front.
struct Set {
    const std::uint64_t* base_summary;
    const std::uint64_t* delta_summary;
    const std::uint64_t* base;
    const std::uint64_t* delta;  // the words of it that are not zero, from here on
};

struct Sets {
    Set sets[kAclFields];
    std::uint32_t count = 0;

    [[nodiscard]] std::uint64_t summary(std::uint32_t i) const noexcept {
        std::uint64_t common = ~std::uint64_t{0};
        for (std::uint32_t f = 0; f < count; ++f) {
            common &= sets[f].base_summary[i] | sets[f].delta_summary[i];
        }
        return common;
    }
    /// Word `bit` of summary word `i`.
    [[nodiscard]] std::uint64_t word(std::uint32_t i, unsigned bit) const noexcept {
        const std::uint64_t mask = std::uint64_t{1} << bit;
        std::uint64_t common = ~std::uint64_t{0};
        for (std::uint32_t f = 0; f < count && common != 0; ++f) {
            const Set& set = sets[f];
            std::uint64_t rules = set.base[i * 64 + bit];
            if ((set.delta_summary[i] & mask) != 0) {
                rules |= set.delta[std::popcount(set.delta_summary[i] & (mask - 1))];
            }
            common &= rules;
        }
        return common;
    }
    void pass(std::uint32_t i) noexcept {
        for (std::uint32_t f = 0; f < count; ++f) {
            sets[f].delta += std::popcount(sets[f].delta_summary[i]);
        }
    }
};

Sets sets_of(const Acl& acl, const AclSection& section, const AclKey& key) noexcept {
    Sets sets;
    sets.count = section.fields;
    for (std::uint32_t f = 0; f < section.fields; ++f) {
        const AclFieldIndex& index = section.index[f];
        const auto* deltas = reinterpret_cast<const AclOffset*>(acl.words(index.deltas));
        const std::uint64_t* delta = acl.words(deltas[class_of(acl, index, key)]);
        const std::uint64_t* base = acl.words(index.base);
        sets.sets[f] = {base, delta, base + section.summary_words, delta + section.summary_words};
    }
    return sets;
}

/// Takes the matching rules of one word in order; true: one decided.
bool take_rules(const std::uint32_t* actions, std::uint64_t rules, AclVerdict& verdict) noexcept {
    for (; rules != 0; rules &= rules - 1) {
        const std::uint32_t word = actions[std::countr_zero(rules)];
        const auto action = static_cast<AclAction>(word >> 24);
        const std::uint32_t rule = word & 0xffffff;
        if (action != AclAction::count) {
            verdict.permit = action == AclAction::permit;
            verdict.rule = rule;
            return true;
        }
        if (verdict.counted < kMaxCountRules) verdict.count_rules[verdict.counted++] = rule;
    }
    return false;
}

bool take_first(const Acl& acl, const AclSection& section, const AclKey& key,
                AclVerdict& verdict) noexcept {
    Sets sets = sets_of(acl, section, key);
    const auto* actions = reinterpret_cast<const std::uint32_t*>(acl.words(section.actions));
    for (std::uint32_t i = 0; i < section.summary_words; ++i) {
        for (std::uint64_t live = sets.summary(i); live != 0; live &= live - 1) {
            const auto bit = static_cast<unsigned>(std::countr_zero(live));
            const std::uint64_t rules = sets.word(i, bit);
            if (rules != 0 && take_rules(actions + (i * 64 + bit) * 64, rules, verdict)) {
                return true;
            }
        }
        sets.pass(i);
    }
    return false;
}

}  // namespace

AclVerdict match_acl(ArenaView arena, Ref<Acl> ref, const AclKey& key) noexcept {
    const Acl& acl = *arena.at(ref);
    AclVerdict verdict{acl.default_permit != 0, kNoRule, 0, {}};
    const AclSection& section = key.source.is_ipv4() ? acl.ipv4 : acl.ipv6;
    if (section.rules != 0 && take_first(acl, section, key, verdict)) return verdict;
    // RFC 7112 5, RFC 1858 3: a first fragment (or a whole packet) whose header chain is cut short
    // is not permitted by default where a rule would have looked at layer 4.
    if (section.has_layer4 != 0 && !key.has_ports && !key.is_later_fragment) {
        verdict.permit = false;
    }
    return verdict;
}

std::uint32_t acl_counter_base(ArenaView arena, Ref<Acl> acl) noexcept {
    return arena.at(acl)->counter_base;
}

}  // namespace wye::table
