#include "bench/table/rule_sets.hh"

#include <algorithm>
#include <random>
#include <set>
#include <span>
#include <tuple>

#include "dataplane/net/ip_protocol.hh"

namespace wye::table {
namespace {

/// std::mt19937_64 is the same everywhere; the library's distributions are not.
class Dice {
  public:
    explicit Dice(std::uint64_t seed) : engine_(seed) {}
    std::uint64_t bits() { return engine_(); }
    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(engine_() >> 32) % n; }
    bool percent(unsigned chance) { return below(100) < chance; }

  private:
    std::mt19937_64 engine_;
};

struct Share {
    unsigned percent;
    std::uint8_t value;
};

std::uint8_t choose(std::span<const Share> shares, Dice& dice) {
    unsigned left = dice.below(100);
    for (const Share& share : shares) {
        if (left < share.percent) return share.value;
        left -= share.percent;
    }
    return shares.back().value;
}

/// ClassBench's five classes of port.
enum PortClass : std::uint8_t { any, high, low, range, exact };

/// What a kind is made of. Prefix lengths are those of IPv4; IPv6 takes 16 + 3/2 of the length, so
/// that /32 becomes /64, and makes a third of these /128.
struct Recipe {
    const char* name;
    std::vector<Share> lengths;  // pairs: index in kPairs
    std::vector<Share> protocols;
    std::vector<Share> source_ports, destination_ports;
    unsigned skew;  // percent for the heavier branch
};

struct Pair {
    std::uint8_t source, destination;
};
constexpr std::uint8_t kGre = 47;
constexpr Pair kPairs[] = {{0, 0},   {0, 24},  {0, 32},  {24, 0},  {32, 0},  {16, 24}, {24, 16},
                           {24, 24}, {21, 32}, {24, 32}, {27, 30}, {32, 24}, {32, 32}, {8, 24}};

const Recipe& recipe_of(RuleSetKind kind) {
    using namespace net::protocol;
    static const Recipe access{"access",
                               {{1, 0},
                                {3, 1},
                                {5, 2},
                                {2, 3},
                                {1, 4},
                                {5, 5},
                                {4, 6},
                                {14, 7},
                                {12, 8},
                                {16, 9},
                                {8, 10},
                                {7, 11},
                                {20, 12},
                                {2, 13}},
                               {{72, tcp}, {17, udp}, {5, icmp}, {6, 0}},
                               {{97, any}, {2, high}, {0, low}, {0, range}, {1, exact}},
                               {{26, any}, {4, high}, {2, low}, {8, range}, {60, exact}},
                               75};
    static const Recipe firewall{"firewall",
                                 {{2, 0},
                                  {14, 1},
                                  {16, 2},
                                  {12, 3},
                                  {11, 4},
                                  {4, 5},
                                  {4, 6},
                                  {8, 7},
                                  {4, 8},
                                  {6, 9},
                                  {3, 10},
                                  {5, 11},
                                  {10, 12},
                                  {1, 13}},
                                 {{58, tcp}, {28, udp}, {6, icmp}, {8, 0}},
                                 {{72, any}, {14, high}, {1, low}, {3, range}, {10, exact}},
                                 {{30, any}, {8, high}, {2, low}, {12, range}, {48, exact}},
                                 70};
    static const Recipe chain{"chain",
                              {{1, 0},
                               {4, 1},
                               {9, 2},
                               {4, 3},
                               {8, 4},
                               {5, 5},
                               {5, 6},
                               {12, 7},
                               {6, 8},
                               {9, 9},
                               {4, 10},
                               {9, 11},
                               {22, 12},
                               {2, 13}},
                              {{48, tcp}, {27, udp}, {12, icmp}, {5, kGre}, {8, 0}},
                              {{82, any}, {6, high}, {1, low}, {2, range}, {9, exact}},
                              {{38, any}, {5, high}, {3, low}, {6, range}, {48, exact}},
                              72};
    return kind == RuleSetKind::access ? access : kind == RuleSetKind::firewall ? firewall : chain;
}

std::uint64_t mix(std::uint64_t x) noexcept {
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return x ^ x >> 32;
}

class Generator {
  public:
    Generator(RuleSetKind kind, net::IpFamily family, std::uint64_t seed)
        : recipe_(recipe_of(kind)), family_(family), seed_(seed), dice_(seed) {}
    AclRuleSpec rule();

  private:
    net::IpPrefix prefix(std::uint8_t length, std::uint64_t tree);
    void ports(const std::vector<Share>& classes, std::uint16_t& first, std::uint16_t& last);

    const Recipe& recipe_;
    net::IpFamily family_;
    std::uint64_t seed_;
    Dice dice_;
};

/// A walk down the skewed tree: which branch is the heavier one is a hash of the way to it.
net::IpPrefix Generator::prefix(std::uint8_t length, std::uint64_t tree) {
    if (length == 0) return {};
    if (family_ == net::IpFamily::ipv6) {
        const bool host = length == 32 && dice_.below(3) == 0;
        length = static_cast<std::uint8_t>(host ? 128 : 16 + length * 3 / 2);
    } else if (length < 32 && length > 8) {  // some variation around what the pair says
        length = static_cast<std::uint8_t>(length + dice_.below(4) - 1);
    }
    net::IpPrefix prefix;
    prefix.length = length;
    prefix.address.family = family_;
    std::uint64_t way = mix(seed_ ^ tree);
    for (unsigned bit = 0; bit < length; ++bit) {
        // The first bits of all addresses are alike, the last ones are evenly spread.
        const unsigned skew = bit < 6 ? 93 : bit < 24 ? recipe_.skew : 55;
        const bool one = (way >> 13 & 1) == (dice_.percent(skew) ? 1u : 0u);
        if (one) {
            prefix.address.bytes[bit / 8] =
                static_cast<std::uint8_t>(prefix.address.bytes[bit / 8] | 0x80 >> bit % 8);
        }
        way = mix(way + (one ? 1 : 2));
    }
    return prefix;
}

void Generator::ports(const std::vector<Share>& classes, std::uint16_t& first,
                      std::uint16_t& last) {
    static constexpr std::uint16_t kKnown[] = {80,  443, 22,   53,   25,   123,  161,  110,
                                               143, 389, 1433, 1521, 3306, 3389, 5060, 8080};
    switch (choose(classes, dice_)) {
        case high:
            first = 1024;
            return;
        case low:
            last = 1023;
            return;
        case range:
            first = static_cast<std::uint16_t>(dice_.below(60000));
            last =
                static_cast<std::uint16_t>(first + 1 + dice_.below(dice_.percent(60) ? 20 : 5000));
            return;
        case exact:
            first = dice_.percent(70) ? kKnown[dice_.below(16)]
                                      : static_cast<std::uint16_t>(dice_.below(65536));
            last = first;
            return;
        default:
            return;
    }
}

AclRuleSpec Generator::rule() {
    AclRuleSpec rule;
    rule.family = family_;
    const Pair& pair = kPairs[choose(recipe_.lengths, dice_)];
    rule.source = prefix(pair.source, 1);
    rule.destination = prefix(pair.destination, 2);
    rule.protocol = choose(recipe_.protocols, dice_);
    rule.any_protocol = rule.protocol == 0;
    if (rule.protocol == net::protocol::icmp && family_ == net::IpFamily::ipv6) {
        rule.protocol = net::protocol::icmpv6;
    }
    if (!rule.any_protocol && net::has_port_numbers(rule.protocol)) {
        ports(recipe_.source_ports, rule.source_port_low, rule.source_port_high);
        ports(recipe_.destination_ports, rule.destination_port_low, rule.destination_port_high);
    }
    rule.action = dice_.percent(70) ? AclAction::permit : AclAction::deny;
    return rule;
}

auto content_of(const AclRuleSpec& rule) {
    return std::tuple(rule.source, rule.destination, rule.protocol, rule.source_port_low,
                      rule.source_port_high, rule.destination_port_low, rule.destination_port_high);
}

/// Bits that the rule looks at, roughly.
unsigned speciality(const AclRuleSpec& rule) {
    const auto port = [](std::uint16_t first, std::uint16_t last) {
        return first == last ? 16u : last - first < 0x8000 ? 8u : 0u;
    };
    return rule.source.length + rule.destination.length + (rule.any_protocol ? 0u : 8u) +
           port(rule.source_port_low, rule.source_port_high) +
           port(rule.destination_port_low, rule.destination_port_high);
}

net::IpAddress point_in(const net::IpPrefix& prefix, net::IpFamily family, Dice& dice) {
    net::IpAddress address = prefix.address;
    address.family = family;
    for (unsigned bit = prefix.length; bit < net::address_bits(family); ++bit) {
        if (dice.below(2) == 0) continue;
        address.bytes[bit / 8] =
            static_cast<std::uint8_t>(address.bytes[bit / 8] | 0x80 >> bit % 8);
    }
    return address;
}

std::uint16_t port_in(std::uint16_t first, std::uint16_t last, Dice& dice) {
    return static_cast<std::uint16_t>(first + dice.below(std::uint32_t{last} - first + 1));
}

AclKey header_in(const AclRuleSpec& rule, Dice& dice) {
    AclKey key;
    key.source = point_in(rule.source, rule.family, dice);
    key.destination = point_in(rule.destination, rule.family, dice);
    key.protocol = rule.any_protocol ? std::uint8_t{net::protocol::tcp} : rule.protocol;
    key.has_ports = true;
    if (net::has_port_numbers(key.protocol)) {
        key.source_port = port_in(rule.source_port_low, rule.source_port_high, dice);
        key.destination_port = port_in(rule.destination_port_low, rule.destination_port_high, dice);
    }
    return key;
}

}  // namespace

const char* to_string(RuleSetKind kind) noexcept {
    return recipe_of(kind).name;
}

std::vector<AclRuleSpec> make_rule_set(RuleSetKind kind, net::IpFamily family, std::size_t rules,
                                       std::uint64_t seed) {
    Generator generator(kind, family, seed);
    Dice dice(seed + 1);
    std::set<decltype(content_of(AclRuleSpec{}))> known;
    std::vector<std::pair<unsigned, AclRuleSpec>> made;
    while (made.size() < rules) {
        const AclRuleSpec rule = generator.rule();
        if (!known.insert(content_of(rule)).second) continue;
        made.emplace_back(speciality(rule) + dice.below(16), rule);
    }
    std::stable_sort(made.begin(), made.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<AclRuleSpec> set;
    for (const auto& [order, rule] : made) set.push_back(rule);
    return set;
}

std::vector<AclKey> make_trace(const std::vector<AclRuleSpec>& rules, std::size_t headers,
                               std::uint64_t seed) {
    Dice dice(seed + 2);
    std::vector<AclKey> trace;
    while (trace.size() < headers) {
        if (!trace.empty() && dice.below(4) == 0) {
            const std::size_t recent = std::min<std::size_t>(trace.size(), 64);
            trace.push_back(
                trace[trace.size() - 1 - dice.below(static_cast<std::uint32_t>(recent))]);
            continue;
        }
        AclRuleSpec rule = rules[dice.below(static_cast<std::uint32_t>(rules.size()))];
        if (dice.below(10) == 0) {
            const net::IpFamily family = rule.family;
            rule = AclRuleSpec{};
            rule.family = family;
        }
        trace.push_back(header_in(rule, dice));
    }
    return trace;
}

}  // namespace wye::table
