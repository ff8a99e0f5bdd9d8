// Compiles rules made of the input and matches keys made of it: the compiled form must say what the
// naive matcher says, and raw rules must be either refused or compiled within the measured size.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "tests/unit/table/acl_random.hh"

namespace {

using namespace wye;         // NOLINT: a program of its own
using namespace wye::table;  // NOLINT

/// Numbers from the input; zeros when it has ended.
struct InputSource {
    const std::uint8_t* data;
    std::size_t size;
    std::uint32_t operator()(std::uint32_t below) {
        const std::size_t take = below <= 256 ? 1 : below <= 65536 ? 2 : 4;
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < take && size != 0; ++i, ++data, --size) {
            value = value << 8 | *data;
        }
        return value % below;
    }
    /// Any bytes as a rule, with values that no parser would let through.
    AclRuleSpec raw_rule() {
        AclRuleSpec rule;
        rule.family = static_cast<net::IpFamily>((*this)(8));
        rule.source.length = static_cast<std::uint8_t>((*this)(256));
        rule.source.address.family = static_cast<net::IpFamily>(4 + (*this)(3));
        rule.source.address.bytes[(*this)(16)] = static_cast<std::uint8_t>((*this)(256));
        rule.any_protocol = (*this)(2) == 0;
        rule.protocol = static_cast<std::uint8_t>((*this)(256));
        rule.source_port_low = static_cast<std::uint16_t>((*this)(65536));
        rule.any_icmp = (*this)(2) == 0;
        rule.any_icmp_code = (*this)(2) == 0;
        rule.tcp_flags_mask = static_cast<std::uint8_t>((*this)(256));
        rule.tcp_flags_value = static_cast<std::uint8_t>((*this)(256));
        rule.any_dscp = (*this)(2) == 0;
        rule.dscp = static_cast<std::uint8_t>((*this)(256));
        rule.fragment = static_cast<FragmentMatch>((*this)(5));
        rule.action = static_cast<AclAction>((*this)(4));
        return rule;
    }
};

void require(bool condition, const char* what) {
    if (condition) return;
    std::fprintf(stderr, "%s\n", what);
    std::abort();
}

bool same(const AclVerdict& a, const AclVerdict& b) {
    return a.permit == b.permit && a.rule == b.rule && a.counted == b.counted &&
           std::memcmp(a.count_rules, b.count_rules, a.counted * sizeof a.count_rules[0]) == 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    InputSource source{data, size};
    AclCrowd<InputSource> crowd(source);
    std::vector<AclRuleSpec> rules;
    const std::uint32_t count = source(150);
    for (std::uint32_t i = 0; i < count && source.size != 0; ++i) {
        const auto family = source(3) == 0 ? net::IpFamily::ipv6 : net::IpFamily::ipv4;
        rules.push_back(source(64) == 63 ? source.raw_rule() : crowd.rule(family));
    }
    const bool default_permit = source(2) == 0;
    const auto image = build_acl(rules);
    if (!image) return 0;
    // An arena of nothing but a unit of header and the extent.
    const std::size_t total = kUnit + (image->bytes() + kUnit - 1) / kUnit * kUnit;
    const std::unique_ptr<std::byte, decltype(&std::free)> memory(
        static_cast<std::byte*>(std::aligned_alloc(kUnit, total)), &std::free);
    std::memset(memory.get(), 0, total);
    require(image->write(default_permit, 0, {memory.get() + kUnit, image->bytes()}).has_value(),
            "what was measured cannot be written");
    const ArenaView arena(memory.get());
    for (int i = 0; i < 16; ++i) {
        const AclKey key = crowd.key(source(3) == 0 ? net::IpFamily::ipv6 : net::IpFamily::ipv4);
        require(
            same(match_acl(arena, Ref<Acl>{1}, key), match_acl_naively(rules, default_permit, key)),
            "the compiled ACL and the rules disagree");
    }
    return 0;
}
