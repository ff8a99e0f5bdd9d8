// The builder thread's side of ACLs: see acl_bitmap.hh for the structure.
#include <algorithm>
#include <cstring>
#include <map>
#include <new>
#include <string>
#include <unordered_map>
#include <vector>

#include "dataplane/base/bytes.hh"
#include "dataplane/table/acl_bitmap.hh"
#include "dataplane/table/acl_rule.hh"

namespace wye::table {
namespace {

__extension__ using Value = unsigned __int128;  // of any field, an address included
using Words = std::vector<std::uint64_t>;

struct Interval {
    Value first, last;
};

Value value_of(const net::IpAddress& address) noexcept {
    if (address.is_ipv4()) return address.ipv4().host();
    Be64 halves[2];
    std::memcpy(halves, address.bytes.data(), 16);
    return Value{halves[0].host()} << 64 | halves[1].host();
}

Interval interval_of(const net::IpPrefix& prefix) noexcept {
    const unsigned free_bits = net::address_bits(prefix.address.family) - prefix.length;
    const Value first = value_of(prefix.address);
    const Value size_less_one = free_bits == 128 ? ~Value{0} : (Value{1} << free_bits) - 1;
    return {first, first | size_less_one};
}

Interval interval_of(const AclRuleSpec& rule, AclField field) noexcept {
    switch (field) {
        case AclField::source:
            return interval_of(rule.source);
        case AclField::destination:
            return interval_of(rule.destination);
        case AclField::source_port:
            return {rule.source_port_low, rule.source_port_high};
        default:
            return {rule.destination_port_low, rule.destination_port_high};
    }
}

/// Does the rule look at the field?
bool asks(const AclRuleSpec& rule, AclField field) noexcept {
    switch (field) {
        case AclField::state:
            return rule.fragment != FragmentMatch::any || asks_layer4(rule);
        case AclField::protocol:
            return !rule.any_protocol;
        case AclField::source:
            return rule.source.length != 0;
        case AclField::destination:
            return rule.destination.length != 0;
        case AclField::source_port:
            return asks_source_port(rule);
        case AclField::destination_port:
            return asks_destination_port(rule);
        case AclField::tcp_flags:
            return asks_tcp_flags(rule);
        case AclField::icmp_type:
            return !rule.any_icmp;
        case AclField::icmp_code:
            return !rule.any_icmp_code;
        case AclField::dscp:
            return !rule.any_dscp;
    }
    return false;
}

bool accepts_state(const AclRuleSpec& rule, std::uint32_t value) noexcept {
    if (asks_layer4(rule) && (value & acl_state(true, false, false)) == 0) return false;
    const bool is_fragment = (value & acl_state(false, true, false)) != 0;
    switch (rule.fragment) {
        case FragmentMatch::any:
            return true;
        case FragmentMatch::not_fragment:
            return !is_fragment;
        case FragmentMatch::fragment:
            return is_fragment;
        case FragmentMatch::later:
            return (value & acl_state(false, false, true)) != 0;
    }
    return false;
}

/// Of a table field that the rule looks at.
bool accepts(const AclRuleSpec& rule, AclField field, std::uint32_t value) noexcept {
    switch (field) {
        case AclField::state:
            return accepts_state(rule, value);
        case AclField::protocol:
            return value == rule.protocol;
        case AclField::tcp_flags:
            return (value & rule.tcp_flags_mask) == rule.tcp_flags_value;
        case AclField::icmp_type:
            return value == rule.icmp_type;
        case AclField::icmp_code:
            return value == rule.icmp_code;
        default:
            return value == rule.dscp;
    }
}

/// A set of rules with its summary.
class RuleSet {
  public:
    explicit RuleSet(std::size_t rules)
        : words_((rules + 63) / 64), summary_((words_.size() + 63) / 64) {}
    void add(std::size_t rule) {
        words_[rule / 64] |= std::uint64_t{1} << rule % 64;
        summary_[rule / 4096] |= std::uint64_t{1} << rule / 64 % 64;
    }
    void remove(std::size_t rule) {
        words_[rule / 64] &= ~(std::uint64_t{1} << rule % 64);
        if (words_[rule / 64] == 0) summary_[rule / 4096] &= ~(std::uint64_t{1} << rule / 64 % 64);
    }
    [[nodiscard]] const Words& words() const noexcept { return words_; }
    [[nodiscard]] const Words& summary() const noexcept { return summary_; }
    /// Summary, then the words that are not zero.
    [[nodiscard]] Words packed() const {
        Words packed = summary_;
        for (std::size_t i = 0; i < summary_.size(); ++i) {
            for (std::uint64_t left = summary_[i]; left != 0; left &= left - 1) {
                packed.push_back(words_[i * 64 + static_cast<std::size_t>(__builtin_ctzll(left))]);
            }
        }
        return packed;
    }

  private:
    Words words_, summary_;
};

struct WordsHash {
    std::size_t operator()(const Words& words) const noexcept {
        std::uint64_t h = words.size();
        for (const std::uint64_t word : words) h = (h ^ word ^ h >> 29) * 0x9e3779b97f4a7c15u;
        return h ^ h >> 32;
    }
};

/// The compiled form as it grows; its first words are the Acl itself, filled in at the end.
class Image {
  public:
    Image() : words_(sizeof(Acl) / 8) {}
    AclOffset append(const Words& words) {
        const auto at = static_cast<AclOffset>(words_.size());
        words_.insert(words_.end(), words.begin(), words.end());
        return at;
    }
    AclOffset append(const std::vector<std::uint32_t>& values) {
        Words packed((values.size() + 1) / 2);
        if (!values.empty()) std::memcpy(packed.data(), values.data(), values.size() * 4);
        return append(packed);
    }
    /// Equal ones are kept once.
    AclOffset append_delta(Words delta) {
        const auto known = deltas_.find(delta);
        if (known != deltas_.end()) return known->second;
        const AclOffset at = append(delta);
        deltas_.emplace(std::move(delta), at);
        return at;
    }
    /// A delta may not be shared between sections, whose summaries differ in length.
    void end_section() { deltas_.clear(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return words_.size() * 8; }
    [[nodiscard]] const Words& words() const noexcept { return words_; }

  private:
    Words words_;
    std::unordered_map<Words, AclOffset, WordsHash> deltas_;
};

class SectionBuilder {
  public:
    SectionBuilder(std::span<const AclRuleSpec> rules, net::IpFamily family, Image& image)
        : all_(rules), family_(family), image_(image) {
        for (std::uint32_t i = 0; i < rules.size(); ++i) {
            if (rules[i].family == family) members_.push_back(i);
        }
    }
    /// False: beyond kMaxAclBytes.
    bool build(AclSection& section);

  private:
    [[nodiscard]] const AclRuleSpec& rule(std::size_t member) const {
        return all_[members_[member]];
    }
    bool add_field(AclSection& section, AclField field);
    void add_table(AclFieldIndex& index, const std::vector<std::uint32_t>& asking);
    bool add_intervals(AclFieldIndex& index, const std::vector<std::uint32_t>& asking);
    AclOffset append_bounds(AclField field, const std::vector<Value>& bounds);

    std::span<const AclRuleSpec> all_;
    net::IpFamily family_;
    Image& image_;
    std::vector<std::uint32_t> members_;  // indexes in all_
};

void SectionBuilder::add_table(AclFieldIndex& index, const std::vector<std::uint32_t>& asking) {
    std::vector<std::uint32_t> deltas;
    index.classes = acl_table_size(index.field);
    for (std::uint32_t value = 0; value < index.classes; ++value) {
        RuleSet accepting(members_.size());
        for (const std::uint32_t member : asking) {
            if (accepts(rule(member), index.field, value)) accepting.add(member);
        }
        deltas.push_back(image_.append_delta(accepting.packed()));
    }
    index.deltas = image_.append(deltas);
}

AclOffset SectionBuilder::append_bounds(AclField field, const std::vector<Value>& bounds) {
    const bool is_address = field == AclField::source || field == AclField::destination;
    if (is_address && family_ == net::IpFamily::ipv6) {
        Words pairs;
        for (const Value bound : bounds) {
            pairs.push_back(static_cast<std::uint64_t>(bound >> 64));
            pairs.push_back(static_cast<std::uint64_t>(bound));
        }
        return image_.append(pairs);
    }
    std::vector<std::uint32_t> values;
    for (const Value bound : bounds) values.push_back(static_cast<std::uint32_t>(bound));
    return image_.append(values);
}

/// A sweep over the values: at each bound rules come and go, and between bounds lies one class.
bool SectionBuilder::add_intervals(AclFieldIndex& index, const std::vector<std::uint32_t>& asking) {
    struct Change {
        std::vector<std::uint32_t> come, go;
    };
    std::map<Value, Change> changes;
    changes[0];
    for (const std::uint32_t member : asking) {
        const Interval interval = interval_of(rule(member), index.field);
        changes[interval.first].come.push_back(member);
        if (interval.last != ~Value{0}) changes[interval.last + 1].go.push_back(member);
    }
    RuleSet accepting(members_.size());
    std::vector<Value> bounds;
    std::vector<std::uint32_t> deltas;
    const Value greatest = index.field >= AclField::source_port ? Value{0xffff}
                           : family_ == net::IpFamily::ipv4     ? Value{0xffffffff}
                                                                : ~Value{0};
    for (const auto& [value, change] : changes) {
        if (value > greatest) break;
        for (const std::uint32_t member : change.go) accepting.remove(member);
        for (const std::uint32_t member : change.come) accepting.add(member);
        const AclOffset delta = image_.append_delta(accepting.packed());
        if (!deltas.empty() && deltas.back() == delta) continue;
        bounds.push_back(value);
        deltas.push_back(delta);
        if (image_.bytes() > kMaxAclBytes) return false;
    }
    index.classes = static_cast<std::uint32_t>(bounds.size());
    index.bounds = append_bounds(index.field, bounds);
    index.deltas = image_.append(deltas);
    return true;
}

bool SectionBuilder::add_field(AclSection& section, AclField field) {
    std::vector<std::uint32_t> asking;
    RuleSet indifferent(members_.size());
    for (std::uint32_t member = 0; member < members_.size(); ++member) {
        if (asks(rule(member), field)) {
            asking.push_back(member);
        } else {
            indifferent.add(member);
        }
    }
    // One field is there in any case: it says which bits are rules.
    if (asking.empty() && field != AclField::protocol) return true;
    AclFieldIndex& index = section.index[section.fields++];
    index.field = field;
    index.base = image_.append(indifferent.summary());
    image_.append(indifferent.words());
    if (is_interval_field(field)) return add_intervals(index, asking);
    add_table(index, asking);
    return image_.bytes() <= kMaxAclBytes;
}

bool SectionBuilder::build(AclSection& section) {
    section.rules = static_cast<std::uint32_t>(members_.size());
    if (members_.empty()) return true;
    section.words = (section.rules + 63) / 64;
    section.summary_words = (section.words + 63) / 64;
    std::vector<std::uint32_t> actions;
    for (const std::uint32_t member : members_) {
        actions.push_back(acl_action_word(member, all_[member].action));
        if (asks_layer4(all_[member])) section.has_layer4 = 1;
    }
    section.actions = image_.append(actions);
    for (std::uint32_t field = 0; field < kAclFields; ++field) {
        if (!add_field(section, static_cast<AclField>(field))) return false;
    }
    image_.end_section();
    return true;
}

Result<Image> build_image(std::span<const AclRuleSpec> rules, Acl& acl) {
    if (Status sound = check_acl_rules(rules); !sound) return tl::unexpected(sound.error());
    Image image;
    for (const net::IpFamily family : {net::IpFamily::ipv4, net::IpFamily::ipv6}) {
        SectionBuilder builder(rules, family, image);
        if (!builder.build(family == net::IpFamily::ipv4 ? acl.ipv4 : acl.ipv6)) {
            return fail("the " + std::to_string(rules.size()) + " rules compile to more than " +
                        std::to_string(kMaxAclBytes >> 20) +
                        " MiB: use fewer rules whose prefixes or port ranges overlap");
        }
    }
    return image;
}

}  // namespace

Result<std::size_t> measure_acl(std::span<const AclRuleSpec> rules) {
    Acl acl{};
    const auto image = build_image(rules, acl);
    if (!image) return tl::unexpected(image.error());
    return image->bytes();
}

Status compile_acl(std::span<const AclRuleSpec> rules, bool default_permit,
                   std::uint32_t counter_base, std::span<std::byte> extent) {
    Acl acl{};
    const auto image = build_image(rules, acl);
    if (!image) return tl::unexpected(image.error());
    if (image->bytes() > extent.size()) {
        return fail("the compiled ACL takes " + std::to_string(image->bytes()) +
                    " bytes, the extent has " + std::to_string(extent.size()));
    }
    acl.counter_base = counter_base;
    acl.default_permit = default_permit ? 1 : 0;
    std::memcpy(extent.data(), image->words().data(), image->bytes());
    new (extent.data()) Acl(acl);
    return {};
}

}  // namespace wye::table
