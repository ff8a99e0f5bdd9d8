#include "dataplane/control/acls.hh"

#include <algorithm>
#include <utility>

#include "dataplane/control/core.hh"
#include "dataplane/control/families.hh"
#include "dataplane/control/fields.hh"
#include "dataplane/control/removal.hh"

namespace wye::control {
namespace {

/// A prefix of length 0 is "any" whatever its address; else it is of the rule's family.
bool adopt_prefix(const net::IpPrefix& in, net::IpFamily family, net::IpPrefix& out) {
    out = net::IpPrefix{};
    out.address.family = family;
    if (in.length == 0) return true;
    if (!is_valid(in) || in.address.family != family) return false;
    out = in;
    return true;
}

Answer check_flags(const ring::AclRule& command) {
    if (!is_flag(command.any_protocol)) return malformed(WYE_FIELD(AclRule, any_protocol));
    if (!is_flag(command.any_icmp)) return malformed(WYE_FIELD(AclRule, any_icmp));
    if (!is_flag(command.any_icmp_code)) return malformed(WYE_FIELD(AclRule, any_icmp_code));
    if (!is_flag(command.any_dscp)) return malformed(WYE_FIELD(AclRule, any_dscp));
    if (command.dscp > 63) return malformed(WYE_FIELD(AclRule, dscp));
    if ((command.tcp_flags_value & ~command.tcp_flags_mask) != 0) {
        return malformed(WYE_FIELD(AclRule, tcp_flags_value));
    }
    if (command.fragment > FragmentMatch::later) return malformed(WYE_FIELD(AclRule, fragment));
    if (command.action > AclAction::count) return malformed(WYE_FIELD(AclRule, action));
    if (!all_zero(command.reserved)) return malformed(WYE_FIELD(AclRule, reserved));
    return accept();
}

Answer parse(const ring::AclRule& command, table::AclRuleSpec& rule) {
    if (command.family != net::IpFamily::ipv4 && command.family != net::IpFamily::ipv6) {
        return malformed(WYE_FIELD(AclRule, family));
    }
    if (!adopt_prefix(command.source, command.family, rule.source)) {
        return malformed(WYE_FIELD(AclRule, source));
    }
    if (!adopt_prefix(command.destination, command.family, rule.destination)) {
        return malformed(WYE_FIELD(AclRule, destination));
    }
    if (command.source_port_low > command.source_port_high) {
        return malformed(WYE_FIELD(AclRule, source_port_low));
    }
    if (command.destination_port_low > command.destination_port_high) {
        return malformed(WYE_FIELD(AclRule, destination_port_low));
    }
    if (const Answer flags = check_flags(command); !flags.accepted()) return flags;
    rule.family = command.family;
    rule.source_port_low = command.source_port_low;
    rule.source_port_high = command.source_port_high;
    rule.destination_port_low = command.destination_port_low;
    rule.destination_port_high = command.destination_port_high;
    rule.any_protocol = command.any_protocol == 1;
    rule.protocol = command.protocol;
    rule.any_icmp = command.any_icmp == 1;
    rule.icmp_type = command.icmp_type;
    rule.any_icmp_code = command.any_icmp_code == 1;
    rule.icmp_code = command.icmp_code;
    rule.tcp_flags_mask = command.tcp_flags_mask;
    rule.tcp_flags_value = command.tcp_flags_value;
    rule.any_dscp = command.any_dscp == 1;
    rule.dscp = command.dscp;
    rule.fragment = command.fragment;
    rule.action = command.action;
    return accept();
}

struct Standing {
    const std::vector<table::AclRuleSpec>* rules = nullptr;
    bool default_permit = false;
};

/// The rules as the open transaction would have them; none: there is no such ACL yet.
Standing standing_rules(Core& core, AccessList& acl) {
    if (Transaction* const open = open_transaction(core, *acl.tenant)) {
        if (const auto staged = open->acls.find(&acl); staged != open->acls.end()) {
            if (!staged->second) return {};
            return {&staged->second->rules, staged->second->default_permit};
        }
    }
    if (!acl.compiled) return {};
    return {&acl.rules, acl.default_permit};
}

/// Rules of the tenant's other ACLs that count: declared in this replay, or standing.
std::size_t rules_of_others(Core& core, const Tenant& tenant, const AccessList* self) {
    std::size_t rules = 0;
    for (const auto& [name, acl] : core.acls.all()) {
        if (acl.get() == self || acl->tenant != &tenant) continue;
        if (acl->dying || core.is_stale(*acl)) continue;
        const Standing standing = standing_rules(core, *acl);
        if (standing.rules != nullptr) rules += standing.rules->size();
    }
    return rules;
}

void discard_build(Core& core, AclBuild& build) {
    if (build.extent) core.arena.discard(build.extent, build.bytes);
    build.extent = {};
}

/// One step further; waits while the builder has it. The control thread reserves the extent.
Answer advance(Core& core, AclAssembly& assembly, const ObjectName& name, const AccessList* acl) {
    if (!assembly.build) {
        const auto count = static_cast<std::uint32_t>(assembly.rules.size());
        const auto base = core.wiring.counters.claim_rules(name, count);
        if (!base) return refuse(ring::Outcome::table_full);
        assembly.build = std::make_shared<AclBuild>();
        assembly.build->rules = assembly.rules;
        assembly.build->default_permit = assembly.begin.default_permit == 1;
        assembly.build->counter_base = *base;
        if (acl != nullptr) assembly.build->former = acl->plan;
        core.builder.submit(assembly.build);
    }
    AclBuild& build = *assembly.build;
    if (build.busy.load(std::memory_order_acquire)) return wait_for(Wait::builder);
    if (build.step == AclBuild::Step::measured) {
        build.extent = core.arena.allocate<table::Acl>(build.bytes);
        if (!build.extent) return refuse(ring::Outcome::table_full);
        auto* const memory = reinterpret_cast<std::byte*>(core.arena.writable(build.extent));
        build.memory = {memory, build.bytes};
        core.builder.submit(assembly.build);
        if (build.busy.load(std::memory_order_acquire)) return wait_for(Wait::builder);
    }
    if (build.step == AclBuild::Step::compiled) return accept();
    return refuse(ring::Outcome::table_full);
}

/// After a refusal: the counters are again those of the rules that stand.
void restore_counters(Core& core, const ObjectName& name, const AccessList* acl) {
    if (acl == nullptr || !acl->compiled) {
        core.wiring.counters.release_rules(name);
    } else {
        core.wiring.counters.claim_rules(name, static_cast<std::uint32_t>(acl->rules.size()));
    }
}

Answer stage(Core& core, AccessList& acl, std::optional<StagedAcl> staged) {
    if (Transaction* const open = open_transaction(core, *acl.tenant)) {
        std::optional<StagedAcl>& slot = open->acls[&acl];
        if (slot && slot->compiled) core.arena.discard(slot->compiled, slot->bytes);
        slot = std::move(staged);
        return accept();
    }
    Transaction own{.tenant = acl.tenant, .vports = {}, .acls = {}};
    own.acls.emplace(&acl, std::move(staged));
    const Answer published = publish(core, own);
    if (!published.accepted()) roll_back(core, own);
    return published;
}

Answer commit(Core& core, AclAssembly& assembly) {
    const ring::AclBegin& begin = assembly.begin;
    Tenant* const tenant = core.tenants.find(begin.tenant);
    if (tenant == nullptr) return unknown(begin.tenant);
    const auto match = core.acls.match(begin.acl, begin.name);
    if (!match.problem.accepted()) return match.problem;
    AccessList* acl = match.object;
    if (acl != nullptr && acl->tenant != tenant) return refuse(ring::Outcome::in_use, begin.acl);
    const bool default_permit = begin.default_permit == 1;
    if (acl != nullptr && !assembly.build) {
        const Standing standing = standing_rules(core, *acl);
        if (standing.rules != nullptr && *standing.rules == assembly.rules &&
            standing.default_permit == default_permit) {
            core.acls.bind(*acl, begin.acl);
            core.declare(*acl);
            return accept();
        }
    }
    if (rules_of_others(core, *tenant, acl) + assembly.rules.size() > tenant->quotas.acl_rules) {
        return refuse(ring::Outcome::quota_exceeded);
    }
    if (const Answer built = advance(core, assembly, begin.name, acl); !built.accepted()) {
        return built;
    }
    if (acl == nullptr) {
        acl = &core.acls.add(begin.name);
        acl->tenant = tenant;
        ++tenant->acls;
    }
    StagedAcl staged{std::move(assembly.rules), default_permit,
                     std::exchange(assembly.build->extent, {}), assembly.build->bytes,
                     std::move(assembly.build->plan)};
    const Answer published = stage(core, *acl, std::move(staged));
    if (!published.accepted()) return published;
    core.acls.bind(*acl, begin.acl);
    core.declare(*acl);
    return accept();
}

void free_acl(Core& core, AccessList& acl) {
    --acl.tenant->acls;
    core.acls.remove(acl);
}

}  // namespace

Answer begin_acl(Core& core, const ring::AclBegin& command) {
    if (command.acl == ring::kNoHandle) return malformed(WYE_FIELD(AclBegin, acl));
    const auto name = valid_name(command.name);
    if (!name) return malformed(WYE_FIELD(AclBegin, name));
    if (command.rules > table::kMaxAclRules) return malformed(WYE_FIELD(AclBegin, rules));
    if (!is_flag(command.default_permit)) return malformed(WYE_FIELD(AclBegin, default_permit));
    if (!all_zero(command.reserved)) return malformed(WYE_FIELD(AclBegin, reserved));
    const Tenant* const tenant = core.tenants.find(command.tenant);
    if (tenant == nullptr) return unknown(command.tenant);
    if (command.rules > tenant->quotas.acl_rules) return refuse(ring::Outcome::quota_exceeded);
    const auto match = core.acls.match(command.acl, *name);
    if (!match.problem.accepted()) return match.problem;
    abandon_assembly(core);  // one that was never committed
    core.session.acl.emplace();
    core.session.acl->begin = command;
    core.session.acl->begin.name = *name;
    return accept();
}

Answer add_acl_rule(Core& core, const ring::AclRule& command) {
    auto& assembly = core.session.acl;
    if (!assembly || assembly->begin.acl != command.acl || assembly->broken ||
        command.index != assembly->rules.size() || command.index >= assembly->begin.rules) {
        return refuse(ring::Outcome::out_of_order, command.index);
    }
    table::AclRuleSpec rule;
    const Answer parsed = parse(command, rule);
    assembly->broken = !parsed.accepted();
    if (parsed.accepted()) assembly->rules.push_back(rule);
    return parsed;
}

Answer commit_acl(Core& core, ring::Handle handle) {
    auto& assembly = core.session.acl;
    if (!assembly || assembly->begin.acl != handle) return refuse(ring::Outcome::out_of_order);
    const bool whole =
        !assembly->broken && (assembly->build || assembly->rules.size() == assembly->begin.rules);
    const Answer answer = whole ? commit(core, *assembly) : refuse(ring::Outcome::out_of_order);
    if (answer.wait != Wait::no) return answer;
    if (!answer.accepted() && assembly->build) {
        const AccessList* const acl = core.acls.find(assembly->begin.name);
        restore_counters(core, assembly->begin.name, acl);
    }
    abandon_assembly(core);
    return answer;
}

Answer delete_acl(Core& core, ring::Handle handle) {
    AccessList* const acl = core.acls.find(handle);
    if (acl == nullptr) return unknown(handle);
    if (is_acl_used(core, *acl)) return refuse(ring::Outcome::in_use, handle);
    return stage(core, *acl, std::nullopt);
}

bool remove_acl(Core& core, AccessList& acl) {
    if (is_acl_used(core, acl)) return false;
    std::optional<StagedAcl> gone;
    finish_acl_change(core, acl, gone);
    return true;
}

bool is_acl_used(Core& core, const AccessList& acl) {
    const Transaction* const open = open_transaction(core, *acl.tenant);
    return std::any_of(acl.tenant->slots.begin(), acl.tenant->slots.end(), [&](Vport* vport) {
        if (vport == nullptr) return false;
        const auto settings = staged_settings(open, *vport);
        return settings && (settings->ingress == &acl || settings->egress == &acl);
    });
}

void finish_acl_change(Core& core, AccessList& acl, std::optional<StagedAcl>& staged) {
    if (acl.compiled) core.arena.retire(acl.compiled, acl.bytes);
    acl.compiled = {};
    core.changed = true;
    if (staged) {
        acl.rules = std::move(staged->rules);
        acl.default_permit = staged->default_permit;
        acl.compiled = staged->compiled;
        acl.bytes = staged->bytes;
        acl.plan = std::move(staged->plan);
        return;
    }
    core.acls.unbind(acl);
    acl.dying = true;
    core.frees.after([&core, &acl] {
        core.wiring.counters.release_rules(acl.name);
        core.acls.remove(acl);
    });
    --acl.tenant->acls;
}

void discard_acl_change(Core& core, AccessList& acl, std::optional<StagedAcl>& staged) {
    if (staged) {
        core.arena.discard(staged->compiled, staged->bytes);
        restore_counters(core, acl.name, &acl);
    }
    if (!acl.compiled) free_acl(core, acl);  // made by this transaction
}

void abandon_assembly(Core& core) {
    auto& assembly = core.session.acl;
    if (assembly && assembly->build) core.abandoned_builds.push_back(assembly->build);
    assembly.reset();
}

void free_abandoned_builds(Core& core) {
    std::erase_if(core.abandoned_builds, [&](const std::shared_ptr<AclBuild>& build) {
        if (build->busy.load(std::memory_order_acquire)) return false;
        discard_build(core, *build);
        return true;
    });
}

}  // namespace wye::control
