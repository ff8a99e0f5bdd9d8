#include "bench/table/peer_acl.hh"

#include <rte_acl.h>
#include <rte_eal.h>
#include <rte_memory.h>

#include <cstddef>
#include <cstring>
#include <string>

namespace wye::table {
namespace {

/// EAL without hugepages and devices, with AVX-512 allowed; once.
bool start_eal() {
    static const bool started = [] {
        std::vector<std::string> words{"bench",
                                       "--no-huge",
                                       "--no-shconf",
                                       "--no-pci",
                                       "-m",
                                       "1024",
                                       "--log-level=error",
                                       "--file-prefix=wye-bench-acl",
                                       "--force-max-simd-bitwidth=512"};
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        return rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0;
    }();
    return started;
}

constexpr std::size_t kMaxFields = 11;
RTE_ACL_RULE_DEF(PeerRule, kMaxFields);

/// As rte_acl wants a header: network order, one byte first, then groups of four bytes.
struct PeerKey {
    std::uint8_t protocol, padding[3];
    std::uint8_t bytes[40];  // source, destination, ports
};

std::uint8_t address_words(net::IpFamily family) {
    return family == net::IpFamily::ipv4 ? 1 : 4;
}

void set_addresses(PeerRule& rule, std::size_t field, const net::IpPrefix& prefix,
                   std::uint8_t words) {
    for (std::uint8_t word = 0; word < words; ++word) {
        const auto* const bytes = prefix.address.bytes.data() + std::size_t{word} * 4;
        const int left = prefix.length - word * 32;
        rule.field[field + word].value.u32 = std::uint32_t{bytes[0]} << 24 |
                                             std::uint32_t{bytes[1]} << 16 |
                                             std::uint32_t{bytes[2]} << 8 | bytes[3];
        rule.field[field + word].mask_range.u32 = static_cast<std::uint32_t>(left < 0    ? 0
                                                                             : left > 32 ? 32
                                                                                         : left);
    }
}

PeerRule peer_rule(const AclRuleSpec& rule, std::uint32_t number, std::uint8_t words) {
    PeerRule made{};
    made.data.category_mask = 1;
    made.data.priority = static_cast<std::int32_t>(RTE_ACL_MAX_PRIORITY - number);
    made.data.userdata = number;
    made.field[0].value.u8 = rule.any_protocol ? std::uint8_t{0} : rule.protocol;
    made.field[0].mask_range.u8 = rule.any_protocol ? 0 : 0xff;
    set_addresses(made, 1, rule.source, words);
    set_addresses(made, 1u + words, rule.destination, words);
    const std::size_t ports = 1u + 2u * words;
    made.field[ports].value.u16 = rule.source_port_low;
    made.field[ports].mask_range.u16 = rule.source_port_high;
    made.field[ports + 1].value.u16 = rule.destination_port_low;
    made.field[ports + 1].mask_range.u16 = rule.destination_port_high;
    return made;
}

rte_acl_config config_for(std::uint8_t words) {
    rte_acl_config config{};
    config.num_categories = 1;
    config.num_fields = 3u + 2u * words;
    config.defs[0] = {RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, 0, offsetof(PeerKey, protocol)};
    const auto offset = static_cast<std::uint32_t>(offsetof(PeerKey, bytes));
    for (std::uint8_t i = 0; i < 2 * words; ++i) {
        const auto field = static_cast<std::uint8_t>(1 + i);
        config.defs[field] = {RTE_ACL_FIELD_TYPE_MASK, 4, field, field, offset + 4u * i};
    }
    for (std::uint8_t i = 0; i < 2; ++i) {
        const auto group = static_cast<std::uint8_t>(1 + 2 * words);
        const auto field = static_cast<std::uint8_t>(group + i);
        config.defs[field] = {RTE_ACL_FIELD_TYPE_RANGE, 2, field, group,
                              offset + 8u * words + 2u * i};
    }
    return config;
}

}  // namespace

struct PeerAcl::Impl {
    rte_acl_ctx* context = nullptr;
    std::vector<PeerKey> keys;
    std::vector<const std::uint8_t*> pointers;
    ~Impl() { rte_acl_free(context); }
    [[nodiscard]] bool build(std::span<const AclRuleSpec> rules);
};

bool PeerAcl::Impl::build(std::span<const AclRuleSpec> rules) {
    static int number = 0;
    const std::string name = "peer" + std::to_string(++number);
    const std::uint8_t words = address_words(rules.front().family);
    rte_acl_config config = config_for(words);
    rte_acl_param parameters{};
    parameters.name = name.c_str();
    parameters.socket_id = SOCKET_ID_ANY;
    parameters.rule_size = static_cast<std::uint32_t>(RTE_ACL_RULE_SZ(config.num_fields));
    parameters.max_rule_num = static_cast<std::uint32_t>(rules.size());
    context = rte_acl_create(&parameters);
    if (context == nullptr) return false;
    for (std::uint32_t i = 0; i < rules.size(); ++i) {
        const PeerRule rule = peer_rule(rules[i], i + 1, words);
        const auto* const plain = reinterpret_cast<const rte_acl_rule*>(&rule);
        if (rte_acl_add_rules(context, plain, 1) != 0) return false;
    }
    return rte_acl_build(context, &config) == 0 &&
           rte_acl_set_ctx_classify(context, RTE_ACL_CLASSIFY_AVX512X32) == 0;
}

std::unique_ptr<PeerAcl> PeerAcl::make(std::span<const AclRuleSpec> rules) {
    if (rules.empty() || !start_eal()) return nullptr;
    auto impl = std::make_unique<Impl>();
    if (!impl->build(rules)) return nullptr;
    return std::unique_ptr<PeerAcl>(new PeerAcl(std::move(impl)));
}

PeerAcl::PeerAcl(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PeerAcl::~PeerAcl() = default;

void PeerAcl::set_keys(std::span<const AclKey> keys) {
    impl_->keys.assign(keys.size(), PeerKey{});
    impl_->pointers.clear();
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const AclKey& from = keys[i];
        PeerKey& to = impl_->keys[i];
        const std::size_t size = net::address_bits(from.source.family) / 8u;
        const Be16 ports[2] = {Be16{from.source_port}, Be16{from.destination_port}};
        to.protocol = from.protocol;
        std::memcpy(to.bytes, from.source.bytes.data(), size);
        std::memcpy(to.bytes + size, from.destination.bytes.data(), size);
        std::memcpy(to.bytes + 2 * size, ports, 4);
        impl_->pointers.push_back(reinterpret_cast<const std::uint8_t*>(&to));
    }
}

void PeerAcl::classify(std::size_t at, std::size_t count) {
    answers.resize(count);
    rte_acl_classify(impl_->context, impl_->pointers.data() + at, answers.data(),
                     static_cast<std::uint32_t>(count), 1);
}

}  // namespace wye::table
