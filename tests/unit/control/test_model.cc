// Random operations against a naive model: what a lookup gives must be what the model says, also
// after sessions died in the middle and the next one declared everything again.
#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/unit/control/rig.hh"

namespace wye::control::test {
namespace {

/// A next hop by what it is: (kind, vport 0..3, last byte of the gateway).
struct Hop {
    NextHopKind kind = NextHopKind::blackhole;
    int vport = 0;
    int gateway = 0;
    friend auto operator<=>(const Hop&, const Hop&) = default;
};
using Members = std::map<Hop, std::uint32_t>;

/// What should stand, in the words of the model.
struct World {
    std::map<std::pair<int, net::IpPrefix>, Members> routes;  // by VRF
    std::map<std::pair<int, int>, int> neighbors;             // (vport, gateway) → MAC
};

net::IpAddress gateway_address(int vport, int gateway) {
    return net::Ipv4Address::from_host(0xc0000200u + static_cast<std::uint32_t>(vport) * 256u +
                                       static_cast<std::uint32_t>(gateway));
}
net::MacAddress neighbor_mac(int number) {
    return {{2, 0, 0, 9, 0, static_cast<std::uint8_t>(number)}};
}

struct Driver {
    Driver(Rig& r, std::uint32_t seed) : rig(r), random(seed) {}
    Rig& rig;
    std::mt19937 random;
    World world;
    std::optional<Programmer> p;
    Handle vrfs[2]{}, vports[4]{};
    std::map<Hop, Handle> hops;
    std::map<Members, Handle> groups;

    int pick(int limit) { return static_cast<int>(random() % static_cast<unsigned>(limit)); }

    Hop random_hop() {
        static constexpr NextHopKind kinds[] = {NextHopKind::adjacency, NextHopKind::adjacency,
                                                NextHopKind::glean, NextHopKind::blackhole};
        Hop hop{kinds[pick(4)], pick(4), 1 + pick(6)};
        if (hop.kind == NextHopKind::blackhole) hop.vport = 0;
        if (hop.kind != NextHopKind::adjacency) hop.gateway = 0;
        return hop;
    }
    Members random_members() {
        Members members;
        const int count = pick(3) == 0 ? 2 + pick(3) : 1;
        for (int i = 0; i < count; ++i) {
            members[random_hop()] = 1u + static_cast<std::uint32_t>(pick(3));
        }
        if (members.size() == 1) members.begin()->second = 1;
        return members;
    }
    net::IpPrefix random_prefix() {
        const auto length = static_cast<std::uint8_t>(pick(5) == 0 ? 32 : 22 + pick(11));
        const auto address = net::Ipv4Address::from_host(0xc0000200u + (random() & 0x3ffu));
        return {net::mask(address, length), length};
    }

    void must(ring::Command command) {
        const auto completion = p->call(command);
        ASSERT_EQ(completion.outcome, Outcome::accepted) << static_cast<int>(command.header.opcode);
    }
    Handle hop_handle(const Hop& hop) {
        auto& handle = hops[hop];
        if (handle != 0) return handle;
        handle = p->new_handle();
        auto command = make_command(Opcode::nexthop_set);
        auto& set = command.body.nexthop;
        set.nexthop = handle;
        set.kind = hop.kind;
        set.vport = hop.kind == NextHopKind::blackhole ? 0 : vports[hop.vport];
        if (hop.kind == NextHopKind::adjacency)
            set.gateway = gateway_address(hop.vport, hop.gateway);
        must(command);
        return handle;
    }
    Handle group_handle(const Members& members) {
        auto& handle = groups[members];
        if (handle != 0) return handle;
        std::vector<ring::GroupMember> list;
        for (const auto& [hop, weight] : members) list.push_back({hop_handle(hop), weight});
        handle = p->group(list);
        return handle;
    }

    void declare_route(int vrf, const net::IpPrefix& prefix, const Members& members) {
        auto command = make_command(Opcode::route_set);
        command.body.route = {vrfs[vrf], group_handle(members), prefix, 0, {}};
        must(command);
    }
    void declare_neighbor(int vport, int gateway, int number) {
        auto command = make_command(Opcode::neighbor_set);
        command.body.neighbor = {
            vports[vport], gateway_address(vport, gateway), neighbor_mac(number), {}};
        must(command);
    }

    /// A new session that says what stands; `routes_too` false: it dies before it got to them.
    void restart(bool routes_too) {
        p.emplace(rig.connect());
        hops.clear();
        groups.clear();
        for (int i = pick(50); i > 0; --i) p->new_handle();
        p->begin_replay();
        const Handle tenant = p->tenant("t");
        vrfs[0] = p->vrf(tenant, "v0");
        vrfs[1] = p->vrf(tenant, "v1");
        const Handle port = p->port("p0");
        for (int i = 0; i < 4; ++i) {
            vports[i] = p->vport(tenant, vrfs[i / 2], port, "a" + std::to_string(i), kMacA,
                                 {.vlan = static_cast<std::uint16_t>(10 + i)});
        }
        p->end_replay(ring::Stream::policy);
        if (!routes_too) return;
        for (const auto& [key, members] : world.routes)
            declare_route(key.first, key.second, members);
        for (const auto& [key, number] : world.neighbors) {
            declare_neighbor(key.first, key.second, number);
        }
        p->end_replay(ring::Stream::routes);
    }

    void step() {
        const int vrf = pick(2);
        switch (pick(12)) {
            case 0:
            case 1:
            case 2:
            case 3: {
                const net::IpPrefix prefix = random_prefix();
                const Members members = random_members();
                declare_route(vrf, prefix, members);
                world.routes[{vrf, prefix}] = members;
                break;
            }
            case 4:
            case 5: {
                net::IpPrefix prefix = random_prefix();
                if (!world.routes.empty() && pick(2) == 0) {
                    auto it = world.routes.begin();
                    std::advance(it, pick(static_cast<int>(world.routes.size())));
                    if (it->first.first == vrf) prefix = it->first.second;
                }
                auto command = make_command(Opcode::route_delete);
                command.body.route_delete = {vrfs[vrf], prefix};
                must(command);
                world.routes.erase({vrf, prefix});
                break;
            }
            case 6:
            case 7: {
                const int vport = pick(4), gateway = 1 + pick(6), number = pick(200);
                declare_neighbor(vport, gateway, number);
                world.neighbors[{vport, gateway}] = number;
                break;
            }
            case 8: {
                const int vport = pick(4), gateway = 1 + pick(6);
                auto command = make_command(Opcode::neighbor_delete);
                command.body.neighbor_delete = {vports[vport], gateway_address(vport, gateway)};
                must(command);
                world.neighbors.erase({vport, gateway});
                break;
            }
            case 9:
                change_some_group();
                break;
            case 10:
                delete_some_group();
                break;
            default:
                delete_some_hop();
        }
    }
    bool routes_use(const Members& members) const {
        return std::any_of(world.routes.begin(), world.routes.end(),
                           [&](const auto& route) { return route.second == members; });
    }
    /// In place: every route of the group follows.
    void change_some_group() {
        if (groups.empty()) return;
        auto it = groups.begin();
        std::advance(it, pick(static_cast<int>(groups.size())));
        const Members next = random_members();
        if (groups.contains(next)) return;
        const Members old = it->first;
        const Handle handle = it->second;
        std::vector<ring::GroupMember> list;
        for (const auto& [hop, weight] : next) list.push_back({hop_handle(hop), weight});
        p->change_group(handle, list);
        groups.erase(old);
        groups[next] = handle;
        for (auto& [key, members] : world.routes) {
            if (members == old) members = next;
        }
    }
    void delete_some_group() {
        if (groups.empty()) return;
        auto it = groups.begin();
        std::advance(it, pick(static_cast<int>(groups.size())));
        auto command = make_command(Opcode::group_delete);
        command.body.object.object = it->second;
        const bool used = routes_use(it->first);
        ASSERT_EQ(p->call(command).outcome, used ? Outcome::in_use : Outcome::accepted);
        if (!used) groups.erase(it);
    }
    void delete_some_hop() {
        if (hops.empty()) return;
        auto it = hops.begin();
        std::advance(it, pick(static_cast<int>(hops.size())));
        const bool used = std::any_of(groups.begin(), groups.end(), [&](const auto& group) {
            return group.first.contains(it->first);
        });
        auto command = make_command(Opcode::nexthop_delete);
        command.body.object.object = it->second;
        ASSERT_EQ(p->call(command).outcome, used ? Outcome::in_use : Outcome::accepted);
        if (!used) hops.erase(it);
    }

    // The model's answer.
    const Members* longest(int vrf, const net::IpAddress& address, int below) const {
        for (int length = below; length >= 0; --length) {
            const auto bits = static_cast<std::uint8_t>(length);
            const auto found = world.routes.find({vrf, {net::mask(address, bits), bits}});
            if (found != world.routes.end()) return &found->second;
        }
        return nullptr;
    }
    Members expected(int vrf, const net::IpAddress& address) const {
        if (world.routes.contains({vrf, {address, 32}})) {
            return world.routes.at({vrf, {address, 32}});
        }
        const Members* const cover = longest(vrf, address, 31);
        if (cover == nullptr) return {};
        for (int vport = vrf * 2; vport < vrf * 2 + 2; ++vport) {
            if (!cover->contains(Hop{NextHopKind::glean, vport, 0})) continue;
            for (const auto& [key, number] : world.neighbors) {
                if (key.first == vport && gateway_address(vport, key.second) == address) {
                    return {{Hop{NextHopKind::adjacency, vport, key.second}, 1}};
                }
            }
        }
        return *cover;
    }

    // The tables' answer.
    Hop hop_of(NextHopId id) const {
        const auto& record = rig.view().record(rig.view().header().nexthops, id.value);
        Hop hop{record.kind, 0, 0};
        for (int i = 0; i < 4; ++i) {
            if (record.vport == rig.vport("a" + std::to_string(i))) hop.vport = i;
        }
        if (record.kind == NextHopKind::adjacency) hop.gateway = record.gateway.bytes[3];
        if (record.kind == NextHopKind::adjacency) check_rewrite(record, hop);
        return hop;
    }
    void check_rewrite(const table::NextHop& record, const Hop& hop) const {
        const auto bytes = rig.rewrite(record);
        const auto neighbor = world.neighbors.find({hop.vport, hop.gateway});
        if (neighbor == world.neighbors.end()) {
            EXPECT_TRUE(bytes.empty());
        } else {
            ASSERT_EQ(bytes.size(), 16u);
            EXPECT_TRUE(std::equal(bytes.begin(), bytes.begin() + 6,
                                   neighbor_mac(neighbor->second).bytes.begin()));
        }
    }
    std::set<Hop> found(int vrf, const net::IpAddress& address) const {
        const table::Leaf leaf = rig.lookup("v" + std::to_string(vrf), net::to_string(address));
        if (leaf.is_none()) return {};
        if (!leaf.is_group()) return {hop_of(leaf.nexthop())};
        const auto& group = rig.view().record(rig.view().header().groups, leaf.group().value);
        const table::GroupTable& table = *rig.view().at(group.table.load());
        std::set<Hop> hops_found;
        for (std::uint32_t i = 0; i <= table.bucket_mask; ++i) {
            hops_found.insert(hop_of(table.buckets()[i]));
        }
        return hops_found;
    }
    void check() {
        rig.rest();
        for (int i = 0; i < 200; ++i) {
            const int vrf = pick(2);
            const net::IpAddress address =
                net::Ipv4Address::from_host(0xc0000200u + (random() & 0x3ffu));
            std::set<Hop> wanted;
            for (const auto& [hop, weight] : expected(vrf, address)) wanted.insert(hop);
            ASSERT_EQ(found(vrf, address), wanted) << vrf << ' ' << net::to_string(address);
        }
        EXPECT_EQ(rig.control->status().routes, world.routes.size());
        EXPECT_EQ(rig.control->status().neighbors, world.neighbors.size());
    }
};

class Model : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(Model, LookupsAreWhatTheModelSays) {
    Rig rig;
    Driver driver(rig, GetParam());
    driver.restart(true);
    for (int round = 0; round < 60 && !::testing::Test::HasFailure(); ++round) {
        if (driver.pick(4) == 0) {
            if (driver.pick(2) == 0) driver.restart(false);
            driver.restart(true);
            driver.check();
        }
        for (int i = 0; i < 40; ++i) driver.step();
        driver.check();
    }
    // And it all goes away.
    driver.p.emplace(rig.connect());
    driver.p->begin_replay();
    driver.p->end_replay();
    rig.rest();
    const Status status = rig.control->status();
    EXPECT_EQ(status.nexthops, 0u);
    EXPECT_EQ(status.groups, 0u);
    EXPECT_EQ(status.host_routes, 0u);
    EXPECT_EQ(status.arena_used, 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Model, ::testing::Range(1u, 9u));

}  // namespace
}  // namespace wye::control::test
