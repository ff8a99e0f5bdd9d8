// The builder thread's side of ACLs: lays out what acl_tree_builder.hh built, as acl_tree.hh says.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "dataplane/table/acl_bits.hh"
#include "dataplane/table/acl_rule.hh"
#include "dataplane/table/acl_tree.hh"
#include "dataplane/table/acl_tree_builder.hh"

namespace wye::table {

struct AclPlan {
    AclTrees ipv4, ipv6;
};

namespace {

constexpr std::size_t kUnitWords = kUnit / 8;

/// The rules of one family, and where they stand in the whole ACL.
struct Family {
    net::IpFamily family;
    std::vector<std::uint32_t> members;
    std::vector<AclBits> rules;  // until the trees have them
};

/// With fewer, building anew is quick, and keeping what it takes to change is not worth the memory.
constexpr std::size_t kKeepPlan = 1000;

Family rules_of(std::span<const AclRuleSpec> all, net::IpFamily family) {
    Family own{family, {}, {}};
    for (std::uint32_t i = 0; i < all.size(); ++i) {
        if (all[i].family != family) continue;
        own.members.push_back(i);
        own.rules.push_back(acl_bits(all[i]));
    }
    return own;
}

/// The compiled form as it grows; its first words are the Acl itself, filled in at the end.
class ImageBuilder {
  public:
    explicit ImageBuilder(std::span<const AclRuleSpec> all) : all_(all), words_(sizeof(Acl) / 8) {}
    /// False: beyond kMaxAclBytes.
    bool add_section(net::IpFamily family, AclSection& section, const AclTrees* former,
                     AclTrees& trees);
    std::vector<std::uint64_t> finish(const Acl& acl) {
        std::memcpy(static_cast<void*>(words_.data()), &acl, sizeof acl);
        return std::move(words_);
    }

  private:
    /// Room for so many bytes; where it begins, in units.
    std::uint32_t extend(std::size_t bytes) {
        const std::size_t at = words_.size();
        words_.resize(at + (bytes + kUnit - 1) / kUnit * kUnitWords);
        return static_cast<std::uint32_t>(at / kUnitWords);
    }
    template <class T>
    T* at(std::uint32_t units) {
        return reinterpret_cast<T*>(words_.data() + units * kUnitWords);
    }
    void write_nodes(const AclTrees& trees, const AclSection& section, std::uint32_t zero_word);
    void write_block(net::IpFamily family, const AclTrees& trees, const std::uint32_t* members,
                     const AclSection& section, std::uint64_t* block);
    void write_blocks(const Family& own, const AclTrees& trees, const AclSection& section);

    std::span<const AclRuleSpec> all_;
    std::vector<std::uint64_t> words_;
};

void ImageBuilder::write_nodes(const AclTrees& trees, const AclSection& section,
                               std::uint32_t zero_word) {
    auto* const nodes = at<AclNode>(section.nodes);
    for (std::size_t i = 0; i < trees.nodes.size(); ++i) {
        const AclTrees::Node& node = trees.nodes[i];
        nodes[i] =
            node.blocks != 0
                ? AclNode{node.next | std::uint64_t{node.blocks} << 32, 0, zero_word}
                : AclNode{node.mask,
                          static_cast<std::int32_t>(node.next) - static_cast<std::int32_t>(i),
                          node.word};
    }
}

void ImageBuilder::write_block(net::IpFamily family, const AclTrees& trees,
                               const std::uint32_t* members, const AclSection& section,
                               std::uint64_t* block) {
    const std::size_t ports = acl_address_words(family);
    const auto range_word = [&](const AclBits& rule, bool last) {
        const auto& port = last ? rule.last : rule.first;
        return (rule.value[ports] & ~std::uint64_t{0xffffffff}) | std::uint32_t{port[0]} |
               std::uint64_t{port[1]} << 16;
    };
    for (std::size_t lane = 0; lane < kAclBlockRules; ++lane) {
        std::uint64_t* word = block + lane;
        if (members[lane] == AclTrees::kNoMember) {
            // No care, and a range that has not its zero.
            word += 2 * kAclBlockRules * section.address_words;
            word[kAclBlockRules] = word[2 * kAclBlockRules] = ~std::uint64_t{0};
            continue;
        }
        const AclBits& rule = trees.rules[members[lane]];
        for (std::size_t i = 0; i < section.address_words; ++i, word += 2 * kAclBlockRules) {
            word[0] = rule.value[i];
            word[kAclBlockRules] = rule.care[i];
        }
        word[0] = rule.care[ports] | 0xffffffff;
        word[kAclBlockRules] = range_word(rule, false);
        word[2 * kAclBlockRules] = range_word(rule, true);
    }
}

void ImageBuilder::write_blocks(const Family& own, const AclTrees& trees,
                                const AclSection& section) {
    const std::size_t block_words = acl_block_units(section.address_words) * kUnitWords;
    auto* block = at<std::uint64_t>(section.blocks);
    auto* const actions = at<std::uint32_t>(section.actions);
    for (std::size_t i = 0; i < trees.members.size(); i += kAclBlockRules) {
        write_block(own.family, trees, &trees.members[i], section, block);
        block += block_words;
    }
    for (std::size_t i = 0; i < trees.members.size(); ++i) {
        if (trees.members[i] == AclTrees::kNoMember) continue;
        const std::uint32_t rule = own.members[trees.members[i]];
        actions[i] = acl_action_word(rule, all_[rule].action);
    }
}

std::uint8_t used_address_words(const Family& own) {
    std::size_t used = 1;
    for (const AclBits& rule : own.rules) {
        for (std::size_t word = used; word < acl_address_words(own.family); ++word) {
            if (rule.care[word] != 0) used = word + 1;
        }
    }
    return static_cast<std::uint8_t>(used);
}

bool ImageBuilder::add_section(net::IpFamily family, AclSection& section, const AclTrees* former,
                               AclTrees& trees) {
    Family own = rules_of(all_, family);
    section.rules = static_cast<std::uint32_t>(own.rules.size());
    if (own.rules.empty()) return true;
    section.address_words = used_address_words(own);
    trees = build_acl_trees(std::move(own.rules), family, former);
    for (const std::uint32_t member : own.members) {
        if (asks_layer4(all_[member])) section.has_layer4 = 1;
        if (all_[member].action == AclAction::count) section.has_count = 1;
    }
    section.trees = static_cast<std::uint8_t>(trees.roots.size());
    for (std::size_t tree = 0; tree < trees.roots.size(); ++tree) {
        section.roots[tree] = trees.roots[tree];
        section.depths[tree] = static_cast<std::uint8_t>(trees.depths[tree]);
    }
    section.node_count = static_cast<std::uint32_t>(trees.nodes.size());
    section.block_count = static_cast<std::uint32_t>(trees.members.size() / kAclBlockRules);
    const std::size_t block_bytes = acl_block_units(section.address_words) * kUnit;
    const std::size_t bytes = words_.size() * 8 + trees.nodes.size() * sizeof(AclNode) +
                              section.block_count * (block_bytes + 4 * kAclBlockRules);
    if (bytes > kMaxAclBytes) return false;
    section.nodes = extend(trees.nodes.size() * sizeof(AclNode));
    section.blocks = extend(section.block_count * block_bytes);
    section.actions = extend(trees.members.size() * 4);
    const auto zero_word = static_cast<std::uint32_t>(acl_address_words(family) + 1);
    write_nodes(trees, section, zero_word);
    write_blocks(own, trees, section);
    return true;
}

}  // namespace

Result<AclImage> build_acl(std::span<const AclRuleSpec> rules, const AclPlan* former) {
    if (Status sound = check_acl_rules(rules); !sound) return tl::unexpected(sound.error());
    Acl acl{};
    ImageBuilder image(rules);
    auto plan = std::make_shared<AclPlan>();
    if (!image.add_section(net::IpFamily::ipv4, acl.ipv4,
                           former != nullptr ? &former->ipv4 : nullptr, plan->ipv4) ||
        !image.add_section(net::IpFamily::ipv6, acl.ipv6,
                           former != nullptr ? &former->ipv6 : nullptr, plan->ipv6)) {
        return fail("the " + std::to_string(rules.size()) + " rules compile to more than " +
                    std::to_string(kMaxAclBytes >> 20) +
                    " MiB: use fewer rules whose prefixes or port ranges overlap");
    }
    if (rules.size() < kKeepPlan) plan.reset();
    return AclImage(image.finish(acl), std::move(plan));
}

Status AclImage::write(bool default_permit, std::uint32_t counter_base,
                       std::span<std::byte> extent) const {
    if (bytes() > extent.size()) {
        return fail("the compiled ACL takes " + std::to_string(bytes()) +
                    " bytes, the extent has " + std::to_string(extent.size()));
    }
    std::memcpy(extent.data(), words_.data(), bytes());
    auto* const acl = reinterpret_cast<Acl*>(extent.data());
    acl->counter_base = counter_base;
    acl->default_permit = default_permit ? 1 : 0;
    return {};
}

}  // namespace wye::table
