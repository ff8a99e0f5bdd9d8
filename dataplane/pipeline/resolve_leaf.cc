#include "dataplane/pipeline/resolve_leaf.hh"

namespace wye::pipeline {
namespace {

const table::GroupTable* group_table(const Context& context, table::Leaf leaf) noexcept {
    const auto& header = context.arena.header();
    if (leaf.group().value >= header.limits.groups) return nullptr;
    const auto ref = context.arena.record(header.groups, leaf.group().value).table.load();
    return ref ? context.arena.at(ref) : nullptr;
}

/// Its neighbour does not answer: one by itself holds packets and asks, a group has others.
bool is_resolved(const table::NextHop& nexthop) noexcept {
    return nexthop.kind != NextHopKind::adjacency ||
           nexthop.active.load(std::memory_order_relaxed) != table::Rewrite::incomplete;
}

}  // namespace

const table::NextHop* alive_nexthop(const Context& context, NextHopId id) noexcept {
    const auto& header = context.arena.header();
    if (id.value >= header.limits.nexthops) return nullptr;
    const table::NextHop& nexthop = context.arena.record(header.nexthops, id.value);
    if (nexthop.kind == NextHopKind::none) return nullptr;
    return context.liveness->alive(id, nexthop.generation) ? &nexthop : nullptr;
}

NextHopId choose_nexthop(const Context& context, table::Leaf leaf,
                         std::uint32_t flow_hash) noexcept {
    if (leaf.is_none()) return {};
    NextHopId id = leaf.nexthop();
    if (leaf.is_group()) {
        const table::GroupTable* group = group_table(context, leaf);
        id = group == nullptr ? NextHopId{} : group->buckets()[flow_hash & group->bucket_mask];
    }
    const auto& header = context.arena.header();
    if (id.value < header.limits.nexthops) {
        __builtin_prefetch(&context.arena.record(header.nexthops, id.value));
    }
    return id;
}

const table::NextHop* resolve_nexthop(const Context& context, table::Leaf leaf, NextHopId chosen,
                                      std::uint32_t flow_hash) noexcept {
    const table::NextHop* nexthop = alive_nexthop(context, chosen);
    if (!leaf.is_group() || (nexthop != nullptr && is_resolved(*nexthop))) return nexthop;
    const table::NextHop* unresolved = nexthop;
    const table::GroupTable* group = group_table(context, leaf);
    if (group == nullptr || group->member_count == 0) return unresolved;
    // The bucket came from the low bits, so the replacement comes from the high ones.
    std::uint32_t member =
        static_cast<std::uint32_t>((std::uint64_t{flow_hash} * group->member_count) >> 32);
    for (std::uint32_t tried = 0; tried < group->member_count; ++tried) {
        nexthop = alive_nexthop(context, group->members()[member]);
        if (nexthop != nullptr && is_resolved(*nexthop)) return nexthop;
        if (unresolved == nullptr) unresolved = nexthop;
        member = member + 1 == group->member_count ? 0 : member + 1;
    }
    return unresolved;
}

}  // namespace wye::pipeline
