#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "dataplane/table/acl_match.hh"
#include "dataplane/table/arena_writer.hh"
#include "tests/unit/table/acl_random.hh"

namespace wye::table {
namespace {

using net::IpFamily;

ArenaWriter make_arena() {
    ArenaLimits limits;
    limits.tenants = limits.vrfs = limits.vports = limits.tunnels = 16;
    limits.nexthops = limits.groups = 16;
    limits.heap_bytes = std::uint64_t{512} << 20;
    return std::move(*ArenaWriter::create_anonymous(limits));
}

void expect_equal(const AclVerdict& got, const AclVerdict& expected) {
    ASSERT_EQ(got.permit, expected.permit);
    ASSERT_EQ(got.rule, expected.rule);
    ASSERT_EQ(got.counted, expected.counted);
    for (std::uint8_t i = 0; i < got.counted; ++i) {
        ASSERT_EQ(got.count_rules[i], expected.count_rules[i]);
    }
}

/// Compiles into an arena and asks there; the oracle beside it.
class AclUnderTest {
  public:
    AclUnderTest(std::vector<AclRuleSpec> rules, bool default_permit,
                 const AclPlan* former = nullptr)
        : rules_(std::move(rules)), default_permit_(default_permit), arena_(make()) {
        const auto image = build_acl(rules_, former);
        EXPECT_TRUE(image) << (image ? "" : image.error().text);
        bytes_ = image->bytes();
        plan_ = image->plan();
        acl_ = arena_.allocate<Acl>(bytes_);
        // Two copies, the second of which is used: the compiled form is position-independent.
        std::vector<std::byte> elsewhere(bytes_ + 64);
        void* aligned = elsewhere.data();
        std::size_t space = elsewhere.size();
        std::align(64, bytes_, aligned, space);
        const std::span<std::byte> extent(static_cast<std::byte*>(aligned), bytes_);
        const Status compiled = image->write(default_permit, 1234, extent);
        EXPECT_TRUE(compiled) << (compiled ? "" : compiled.error().text);
        std::memcpy(static_cast<void*>(arena_.writable(Ref<std::byte>{acl_.unit})), aligned,
                    bytes_);
    }
    [[nodiscard]] AclVerdict match(const AclKey& key) const {
        return match_acl(arena_.view(), acl_, key);
    }
    [[nodiscard]] AclVerdict match(const AclMatcher& matcher, const AclKey& key) const {
        return key.source.is_ipv4() ? match_by(matcher.match4, key) : match_by(matcher.match6, key);
    }
    /// Every variant that this CPU can run gives the oracle's answer.
    void expect_same(const AclKey& key) const {
        const AclVerdict expected = match_acl_naively(rules_, default_permit_, key);
        for (const AclMatcher& matcher : acl_matchers()) {
            expect_equal(match(matcher, key), expected);
            if (::testing::Test::HasFatalFailure()) FAIL() << matcher.name;
        }
    }
    [[nodiscard]] std::uint32_t counter_base() const {
        return acl_counter_base(arena_.view(), acl_);
    }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    [[nodiscard]] const std::shared_ptr<const AclPlan>& plan() const { return plan_; }

  private:
    template <class Query>
    AclVerdict match_by(void (*run)(ArenaView, std::span<Query>) noexcept,
                        const AclKey& key) const {
        Query query;
        query.acl = acl_;
        pack_acl_key(key, query);
        run(arena_.view(), std::span(&query, 1));
        return query.verdict;
    }
    static ArenaWriter make() { return make_arena(); }
    std::vector<AclRuleSpec> rules_;
    bool default_permit_;
    ArenaWriter arena_;
    Ref<Acl> acl_;
    std::size_t bytes_ = 0;
    std::shared_ptr<const AclPlan> plan_;
};

struct RandomSource {
    std::mt19937 engine;
    std::uint32_t operator()(std::uint32_t below) {
        return static_cast<std::uint32_t>(engine() % below);
    }
};

AclKey tcp_key(const char* source, const char* destination, std::uint16_t port) {
    AclKey key;
    key.source = *net::parse_ip(source);
    key.destination = *net::parse_ip(destination);
    key.protocol = net::protocol::tcp;
    key.source_port = 40000;
    key.destination_port = port;
    key.has_ports = true;
    key.tcp_flags = 0x02;
    return key;
}

AclRuleSpec tcp_port_rule(std::uint16_t port, AclAction action) {
    AclRuleSpec rule;
    rule.any_protocol = false;
    rule.protocol = net::protocol::tcp;
    rule.destination_port_low = rule.destination_port_high = port;
    rule.action = action;
    return rule;
}

TEST(Acl, RandomRulesAgainstTheNaiveMatcher) {
    for (unsigned seed = 0; seed < 150; ++seed) {
        RandomSource source{std::mt19937(seed)};
        AclCrowd<RandomSource> crowd(source);
        const auto family = [&source] { return source(3) != 0 ? IpFamily::ipv4 : IpFamily::ipv6; };
        std::vector<AclRuleSpec> rules;
        const std::uint32_t count = source(seed % 3 == 0 ? 400 : 40);
        for (std::uint32_t i = 0; i < count; ++i) {
            rules.push_back(crowd.rule(family()));
            if (seed % 2 == 0 && source(3) != 0) rules.back().action = AclAction::count;
        }
        const AclUnderTest acl(rules, source(2) == 0);
        for (int i = 0; i < 800; ++i) {
            AclKey key = crowd.key(family());
            if (!rules.empty() && source(2) == 0) {  // near a rule
                const AclRuleSpec& rule = rules[source(count)];
                if (rule.source.length != 0) key.source = rule.source.address;
                if (rule.destination.length != 0 && rule.family == key.source.family) {
                    key.destination = rule.destination.address;
                }
                if (key.source.family != key.destination.family) continue;
                if (!rule.any_protocol) key.protocol = rule.protocol;
            }
            acl.expect_same(key);
            if (HasFatalFailure()) FAIL() << "seed " << seed;
        }
    }
}

// One rule with one condition; the packet that meets it and packets that miss it by one.
TEST(Acl, EveryFieldDecides) {
    const AclKey base = tcp_key("10.1.2.3", "192.0.2.9", 80);
    struct Case {
        const char* what;
        std::function<void(AclRuleSpec&)> condition;
        std::function<void(AclKey&)> miss;
    };
    const Case cases[] = {
        {"source", [](auto& r) { r.source = *net::parse_prefix("10.1.2.0/24"); },
         [](auto& k) { k.source = *net::parse_ip("10.1.3.0"); }},
        {"source, one below", [](auto& r) { r.source = *net::parse_prefix("10.1.2.0/24"); },
         [](auto& k) { k.source = *net::parse_ip("10.1.1.255"); }},
        {"destination", [](auto& r) { r.destination = *net::parse_prefix("192.0.2.9/32"); },
         [](auto& k) { k.destination = *net::parse_ip("192.0.2.10"); }},
        {"protocol",
         [](auto& r) {
             r.any_protocol = false;
             r.protocol = 6;
         },
         [](auto& k) { k.protocol = 17; }},
        {"source port",
         [](auto& r) {
             r.any_protocol = false;
             r.protocol = 6;
             r.source_port_low = 39999;
             r.source_port_high = 40000;
         },
         [](auto& k) { k.source_port = 40001; }},
        {"destination port",
         [](auto& r) {
             r.any_protocol = false;
             r.protocol = 6;
             r.destination_port_low = 80;
         },
         [](auto& k) { k.destination_port = 79; }},
        {"TCP flags",
         [](auto& r) {
             r.any_protocol = false;
             r.protocol = 6;
             r.tcp_flags_mask = 0x12;
             r.tcp_flags_value = 0x02;
         },
         [](auto& k) { k.tcp_flags = 0x12; }},
        {"DSCP",
         [](auto& r) {
             r.any_dscp = false;
             r.dscp = 0;
         },
         [](auto& k) { k.dscp = 46; }},
        {"not a fragment", [](auto& r) { r.fragment = FragmentMatch::not_fragment; },
         [](auto& k) { k.is_fragment = true; }},
        {"family", [](auto&) {},
         [](auto& k) {
             k.source = *net::parse_ip("2001:db8::1");
             k.destination = *net::parse_ip("2001:db8::2");
         }},
    };
    for (const Case& c : cases) {
        AclRuleSpec rule;
        rule.action = AclAction::permit;
        c.condition(rule);
        const AclUnderTest acl({rule}, false);
        AclKey key = base;
        EXPECT_TRUE(acl.match(key).permit) << c.what;
        EXPECT_EQ(acl.match(key).rule, 0u) << c.what;
        c.miss(key);
        EXPECT_FALSE(acl.match(key).permit) << c.what;
        EXPECT_EQ(acl.match(key).rule, kNoRule) << c.what;
    }
}

TEST(Acl, IcmpTypeAndCode) {
    AclRuleSpec rule;
    rule.family = IpFamily::ipv6;
    rule.any_protocol = false;
    rule.protocol = net::protocol::icmpv6;
    rule.any_icmp = rule.any_icmp_code = false;
    rule.icmp_type = 1;
    rule.icmp_code = 4;
    rule.action = AclAction::permit;
    const AclUnderTest acl({rule}, false);
    AclKey key = tcp_key("2001:db8::1", "2001:db8::2", 0);
    key.protocol = net::protocol::icmpv6;
    key.icmp_type = 1;
    key.icmp_code = 4;
    EXPECT_TRUE(acl.match(key).permit);
    key.icmp_code = 3;
    EXPECT_FALSE(acl.match(key).permit);
    key.icmp_code = 4;
    key.icmp_type = 2;
    EXPECT_FALSE(acl.match(key).permit);
}

TEST(Acl, FirstMatchWinsAndCountRulesGoOn) {
    AclRuleSpec count;
    count.action = AclAction::count;
    AclRuleSpec other_count = tcp_port_rule(443, AclAction::count);
    const AclUnderTest acl(
        {count, tcp_port_rule(80, AclAction::deny), other_count, count,
         tcp_port_rule(443, AclAction::permit), tcp_port_rule(443, AclAction::deny)},
        false);
    const auto denied = acl.match(tcp_key("10.0.0.1", "10.0.0.2", 80));
    EXPECT_FALSE(denied.permit);
    EXPECT_EQ(denied.rule, 1u);
    ASSERT_EQ(denied.counted, 1u);
    EXPECT_EQ(denied.count_rules[0], 0u);
    const auto permitted = acl.match(tcp_key("10.0.0.1", "10.0.0.2", 443));
    EXPECT_TRUE(permitted.permit);
    EXPECT_EQ(permitted.rule, 4u);
    ASSERT_EQ(permitted.counted, 3u);
    EXPECT_EQ(permitted.count_rules[1], 2u);
    EXPECT_EQ(permitted.count_rules[2], 3u);
    const auto by_default = acl.match(tcp_key("10.0.0.1", "10.0.0.2", 22));
    EXPECT_EQ(by_default.rule, kNoRule);
    EXPECT_EQ(by_default.counted, 2u);
    EXPECT_EQ(acl.counter_base(), 1234u);
}

TEST(Acl, AtMostSoManyCountRulesAreNamed) {
    AclRuleSpec count;
    count.action = AclAction::count;
    std::vector<AclRuleSpec> rules(200, count);
    rules.push_back(tcp_port_rule(80, AclAction::permit));
    const AclUnderTest acl(rules, false);
    const auto verdict = acl.match(tcp_key("10.0.0.1", "10.0.0.2", 80));
    EXPECT_TRUE(verdict.permit);
    EXPECT_EQ(verdict.rule, 200u);
    EXPECT_EQ(verdict.counted, kMaxCountRules);
}

// standards 26: a packet whose layer-4 header is not there matches no rule that asks for it, and is
// not permitted by default where a rule would have asked.
TEST(Acl, WhatCannotBeSeenIsNotPermitted) {
    AclKey tiny = tcp_key("10.0.0.1", "10.0.0.2", 80);
    tiny.has_ports = false;
    tiny.is_fragment = true;  // first fragment, cut within the TCP header
    AclKey later = tiny;
    later.is_later_fragment = true;
    AclKey first = tcp_key("10.0.0.1", "10.0.0.2", 80);
    first.is_fragment = true;

    const AclUnderTest permits({tcp_port_rule(80, AclAction::permit)}, false);
    EXPECT_FALSE(permits.match(tiny).permit);
    EXPECT_FALSE(permits.match(later).permit);
    EXPECT_TRUE(permits.match(first).permit);  // its ports are there

    const AclUnderTest denies({tcp_port_rule(22, AclAction::deny)}, true);
    EXPECT_FALSE(denies.match(tiny).permit);
    EXPECT_EQ(denies.match(tiny).rule, kNoRule);
    EXPECT_TRUE(denies.match(later).permit);  // nothing to put together without a first fragment
    EXPECT_TRUE(denies.match(first).permit);

    AclRuleSpec by_address;
    by_address.source = *net::parse_prefix("172.16.0.0/12");
    const AclUnderTest layer3({by_address}, true);
    EXPECT_TRUE(layer3.match(tiny).permit);  // no rule looks at layer 4

    AclRuleSpec no_fragments;
    no_fragments.fragment = FragmentMatch::later;
    const AclUnderTest drops({no_fragments}, true);
    EXPECT_FALSE(drops.match(later).permit);
    EXPECT_TRUE(drops.match(first).permit);
    no_fragments.fragment = FragmentMatch::fragment;
    const AclUnderTest drops_all({no_fragments}, true);
    EXPECT_FALSE(drops_all.match(later).permit);
    EXPECT_FALSE(drops_all.match(first).permit);
    EXPECT_TRUE(drops_all.match(tcp_key("10.0.0.1", "10.0.0.2", 80)).permit);
}

TEST(Acl, WithoutRulesTheDefaultDecides) {
    EXPECT_TRUE(AclUnderTest({}, true).match(tcp_key("10.0.0.1", "10.0.0.2", 80)).permit);
    const auto denied = AclUnderTest({}, false).match(tcp_key("::1", "::2", 80));
    EXPECT_FALSE(denied.permit);
    EXPECT_EQ(denied.rule, kNoRule);
}

TEST(Acl, TenThousandRules) {
    RandomSource source{std::mt19937(9)};
    AclCrowd<RandomSource> crowd(source);
    std::vector<AclRuleSpec> rules;
    for (std::uint32_t i = 0; i < 10000; ++i) {
        AclRuleSpec rule = tcp_port_rule(static_cast<std::uint16_t>(source(5) * 100 + 1),
                                         static_cast<AclAction>(source(2)));
        const auto prefix = [&source](std::uint8_t length) {
            return net::IpPrefix{
                net::mask(net::Ipv4Address::from_host(source(1u << 31) * 2), length), length};
        };
        rule.source = prefix(static_cast<std::uint8_t>(16 + source(17)));
        if (source(3) != 0) rule.destination = prefix(static_cast<std::uint8_t>(8 + source(25)));
        rules.push_back(rule);
    }
    const AclUnderTest acl(rules, true);
    EXPECT_LT(acl.bytes(), 32u << 20);
    int decided = 0;
    for (int i = 0; i < 4000; ++i) {
        AclKey key = tcp_key("1.1.1.1", "2.2.2.2", 1);
        const AclRuleSpec& rule = rules[source(10000)];
        key.source = rule.source.address;
        key.destination = rule.destination.address;
        key.destination_port = rule.destination_port_low;
        if (i % 5 == 0) key.destination_port = 7;
        acl.expect_same(key);
        ASSERT_FALSE(HasFatalFailure());
        decided += acl.match(key).rule != kNoRule ? 1 : 0;
    }
    EXPECT_GT(decided, 3000);
}

/// Rules of tenants that know nothing of each other, and bursts in which their packets mix.
template <class Query>
void match_mixed_bursts(IpFamily family, void (*match)(ArenaView, std::span<Query>) noexcept) {
    constexpr std::size_t kAcls = 12;
    RandomSource source{std::mt19937(77)};
    AclCrowd<RandomSource> crowd(source);
    ArenaWriter arena = make_arena();
    std::vector<std::vector<AclRuleSpec>> rules(kAcls);
    std::vector<Ref<Acl>> acls;
    for (std::size_t i = 0; i < kAcls; ++i) {
        for (std::uint32_t n = source(i % 4 == 0 ? 300 : 30); n != 0; --n) {
            rules[i].push_back(crowd.rule(family));
            if (i % 2 == 0 && rules[i].back().action == AclAction::count) {
                rules[i].back().action = AclAction::deny;
            }
        }
        const auto image = build_acl(rules[i]);
        ASSERT_TRUE(image);
        acls.push_back(arena.allocate<Acl>(image->bytes()));
        const std::span extent(arena.writable(Ref<std::byte>{acls.back().unit}), image->bytes());
        ASSERT_TRUE(image->write(i % 3 == 0, 0, extent));
    }
    for (std::size_t size = 1; size < 100; ++size) {
        std::vector<Query> burst(size);
        std::vector<AclVerdict> expected;
        for (Query& query : burst) {
            const std::size_t which = source(kAcls);
            const AclKey key = crowd.key(family);
            query.acl = acls[which];
            pack_acl_key(key, query);
            expected.push_back(match_acl_naively(rules[which], which % 3 == 0, key));
        }
        match(arena.view(), burst);
        for (std::size_t i = 0; i < size; ++i) {
            expect_equal(burst[i].verdict, expected[i]);
            ASSERT_FALSE(::testing::Test::HasFatalFailure()) << "burst of " << size << ", " << i;
        }
    }
}

TEST(Acl, BurstsMixTheAclsOfTenants) {
    for (const AclMatcher& matcher : acl_matchers()) {
        SCOPED_TRACE(matcher.name);
        match_mixed_bursts<Acl4Query>(IpFamily::ipv4, matcher.match4);
        match_mixed_bursts<Acl6Query>(IpFamily::ipv6, matcher.match6);
    }
}

// Every port around the ends of ranges that are no powers of two, nested and overlapping.
TEST(Acl, PortRangesToTheLastPort) {
    RandomSource source{std::mt19937(5)};
    std::vector<AclRuleSpec> rules;
    std::vector<std::uint16_t> ends;
    for (int i = 0; i < 300; ++i) {
        AclRuleSpec rule = tcp_port_rule(0, static_cast<AclAction>(source(2)));
        const auto range = [&](std::uint16_t& first, std::uint16_t& last) {
            first = static_cast<std::uint16_t>(source(65536));
            last = static_cast<std::uint16_t>(first + source(65536u - first));
            ends.insert(ends.end(), {first, last});
        };
        range(rule.destination_port_low, rule.destination_port_high);
        if (i % 2 == 0) range(rule.source_port_low, rule.source_port_high);
        rules.push_back(rule);
    }
    const AclUnderTest acl(rules, true);
    AclKey key = tcp_key("10.0.0.1", "10.0.0.2", 0);
    for (const std::uint16_t end : ends) {
        for (const int beside : {-1, 0, 1}) {
            key.destination_port = static_cast<std::uint16_t>(end + beside);
            key.source_port = ends[source(static_cast<std::uint32_t>(ends.size()))];
            acl.expect_same(key);
            std::swap(key.source_port, key.destination_port);
            acl.expect_same(key);
            ASSERT_FALSE(HasFatalFailure());
        }
    }
}

/// Adds, takes away, replaces or moves a few rules near each other.
void change(std::vector<AclRuleSpec>& rules, RandomSource& source, AclCrowd<RandomSource>& crowd) {
    const auto size = static_cast<std::uint32_t>(rules.size());
    const auto at = rules.begin() + source(size - 20);
    const auto new_rule = [&] {
        AclRuleSpec rule = source(6) == 0
                               ? AclRuleSpec{}
                               : crowd.rule(source(4) == 0 ? IpFamily::ipv6 : IpFamily::ipv4);
        rule.action = static_cast<AclAction>(source(3));
        return rule;
    };
    switch (source(4)) {
        case 0:
            rules.insert(at, new_rule());
            return;
        case 1:
            rules.erase(at, at + 1 + source(4));
            return;
        case 2:
            *at = new_rule();
            return;
        default:
            std::swap(*at, *(at + 1 + source(15)));
            return;
    }
}

// Each version is built from the plan of the one before, a hundred times in a row.
TEST(Acl, ChangesOfFewRules) {
    for (unsigned seed = 0; seed < 3; ++seed) {
        RandomSource source{std::mt19937(seed)};
        AclCrowd<RandomSource> crowd(source);
        std::vector<AclRuleSpec> rules;
        for (std::uint32_t i = 0; i < 1300; ++i) {
            rules.push_back(crowd.rule(i % 5 == 0 ? IpFamily::ipv6 : IpFamily::ipv4));
            // Few that match much, or nothing behind the front would ever be asked.
            while (i < 1250 && rules.back().source.length + rules.back().destination.length < 24) {
                rules.back() = crowd.rule(rules.back().family);
            }
        }
        std::shared_ptr<const AclPlan> plan;
        for (int version = 0; version < 100; ++version) {
            const AclUnderTest acl(rules, false, plan.get());
            plan = acl.plan();
            ASSERT_NE(plan, nullptr);
            for (int i = 0; i < 100; ++i) {
                AclKey key = crowd.key(i % 5 == 0 ? IpFamily::ipv6 : IpFamily::ipv4);
                const AclRuleSpec& rule = rules[source(static_cast<std::uint32_t>(rules.size()))];
                if (rule.family == key.source.family) {
                    if (rule.source.length != 0) key.source = rule.source.address;
                    if (rule.destination.length != 0) key.destination = rule.destination.address;
                    if (!rule.any_protocol) key.protocol = rule.protocol;
                }
                acl.expect_same(key);
                ASSERT_FALSE(HasFatalFailure()) << "seed " << seed << ", version " << version;
            }
            change(rules, source, crowd);
        }
    }
}

TEST(Acl, SixtyFourThousandRules) {
    RandomSource source{std::mt19937(64)};
    std::vector<AclRuleSpec> rules;
    for (std::uint32_t i = 0; i < 64000; ++i) {
        AclRuleSpec rule = tcp_port_rule(static_cast<std::uint16_t>(source(1000)),
                                         static_cast<AclAction>(source(2)));
        const auto length = static_cast<std::uint8_t>(20 + source(13));
        rule.source = {
            net::mask(net::Ipv4Address::from_host(0x0a000000u + source(1u << 22)), length), length};
        if (source(4) == 0) rule.destination = *net::parse_prefix("192.0.2.0/24");
        rules.push_back(rule);
    }
    const AclUnderTest acl(rules, false);
    EXPECT_LT(acl.bytes(), 64u << 20);
    for (int i = 0; i < 500; ++i) {
        const AclRuleSpec& rule = rules[source(64000)];
        AclKey key = tcp_key("1.1.1.1", "192.0.2.9", rule.destination_port_low);
        key.source = rule.source.address;
        if (i % 5 == 0) key.destination_port = 1001;
        acl.expect_same(key);
        ASSERT_FALSE(HasFatalFailure());
    }
}

TEST(Acl, RefusesInWords) {
    const auto refusal = [](const std::function<void(AclRuleSpec&)>& spoil) {
        std::vector<AclRuleSpec> rules(3);
        spoil(rules[1]);
        const auto image = build_acl(rules);
        EXPECT_FALSE(image);
        return image ? std::string() : image.error().text;
    };
    const auto names_rule_2 = [](const std::string& text) {
        return text.rfind("rule 2: ", 0) == 0;
    };
    EXPECT_TRUE(names_rule_2(refusal([](auto& r) { r.destination_port_low = 80; })));
    EXPECT_TRUE(names_rule_2(refusal([](auto& r) {
        r.any_protocol = false;
        r.protocol = 6;
        r.source_port_low = 80;
        r.source_port_high = 79;
    })));
    EXPECT_TRUE(names_rule_2(refusal([](auto& r) { r.tcp_flags_mask = 2; })));
    EXPECT_TRUE(names_rule_2(refusal([](auto& r) {
        r.any_protocol = false;
        r.protocol = 6;
        r.tcp_flags_mask = 2;
        r.tcp_flags_value = 3;
    })));
    EXPECT_TRUE(names_rule_2(refusal([](auto& r) { r.any_icmp = false; })));
    EXPECT_TRUE(names_rule_2(refusal([](auto& r) {
        r.any_protocol = false;
        r.protocol = 1;
        r.any_icmp_code = false;
    })));
    EXPECT_TRUE(names_rule_2(refusal([](auto& r) {
        r.any_dscp = false;
        r.dscp = 64;
    })));
    EXPECT_TRUE(
        names_rule_2(refusal([](auto& r) { r.source = *net::parse_prefix("2001:db8::/32"); })));
    EXPECT_TRUE(names_rule_2(refusal([](auto& r) {
        r.destination = {*net::parse_ip("10.0.0.1"), 24};
    })));
    EXPECT_TRUE(names_rule_2(refusal([](auto& r) {
        r.destination = {*net::parse_ip("10.0.0.1"), 33};
    })));
    EXPECT_TRUE(names_rule_2(refusal([](auto& r) { r.action = static_cast<AclAction>(9); })));
    EXPECT_TRUE(names_rule_2(refusal([](auto& r) { r.fragment = static_cast<FragmentMatch>(9); })));
    const std::vector<AclRuleSpec> many(kMaxAclRules + 1);
    const auto too_many = build_acl(many);
    ASSERT_FALSE(too_many);
    EXPECT_NE(too_many.error().text.find("at most 65536 rules"), std::string::npos);
}

TEST(Acl, RefusesAnExtentThatIsTooSmall) {
    const std::vector<AclRuleSpec> rules(3);
    const auto image = build_acl(rules);
    ASSERT_TRUE(image);
    for (const std::size_t missing : {std::size_t{1}, std::size_t{64}, image->bytes()}) {
        std::vector<std::byte> extent(image->bytes() - missing);
        EXPECT_FALSE(image->write(true, 0, extent));
    }
}

}  // namespace
}  // namespace wye::table
