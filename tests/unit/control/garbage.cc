#include "tests/unit/control/garbage.hh"

#include <array>
#include <cstring>

namespace wye::control::test {

using wye::testing::ip;
using wye::testing::object_name;

namespace {

constexpr Handle kFar = 1000000;

constexpr Opcode kOpcodes[] = {
    Opcode::barrier,       Opcode::replay_begin,      Opcode::replay_end,
    Opcode::tenant_set,    Opcode::tenant_delete,     Opcode::vrf_set,
    Opcode::vrf_delete,    Opcode::port_bind,         Opcode::tunnel_set,
    Opcode::tunnel_delete, Opcode::vport_set,         Opcode::vport_set,
    Opcode::vport_delete,  Opcode::acl_begin,         Opcode::acl_rule,
    Opcode::acl_commit,    Opcode::acl_delete,        Opcode::transaction_begin,
    Opcode::nexthop_set,   Opcode::nexthop_delete,    Opcode::group_set,
    Opcode::group_delete,  Opcode::route_set,         Opcode::route_set,
    Opcode::route_delete,  Opcode::neighbor_set,      Opcode::neighbor_delete,
    Opcode::nexthop_set,   Opcode::transaction_abort, Opcode::transaction_commit,
};

struct Bender {
    const std::uint8_t* choice;
    std::uint32_t next() { return *choice++; }
    Handle handle() { return 1 + next() % 6; }
    Handle handle_or_none() { return next() % 4; }
    ObjectName name() { return *ObjectName::from(std::string("n") + char('a' + next() % 6)); }
    net::IpAddress address() {
        return next() % 2 == 0
                   ? net::IpAddress(net::Ipv4Address::from_host(0x0a000000u + next() % 32))
                   : ip(next() % 2 == 0 ? "2001:db8::1" : "2001:db8::2");
    }
    net::IpPrefix prefix() {
        const net::IpAddress a = address();
        const auto length = static_cast<std::uint8_t>(net::address_bits(a.family) - next() % 8);
        return {net::mask(a, length), length};
    }
    net::MacAddress station() { return {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(next())}}; }
};

void bend_policy(ring::Command& command, Bender& b) {
    auto& body = command.body;
    switch (command.header.opcode) {
        case Opcode::tenant_set:
            body.tenant = {b.handle(),   b.name(),     b.next() % 8, b.next() % 8,
                           b.next() % 8, b.next() % 8, b.next()};
            break;
        case Opcode::vrf_set:
            body.vrf = {b.handle(),
                        b.handle(),
                        b.name(),
                        b.next() % 4,
                        static_cast<std::uint8_t>(b.next() % 2),
                        static_cast<std::uint8_t>(b.next() % 2),
                        {}};
            break;
        case Opcode::port_bind:
            body.port = {b.handle(), object_name(b.next() % 2 == 0 ? "p0" : "p1")};
            break;
        case Opcode::tunnel_set:
            body.tunnel = {b.handle(),
                           b.handle(),
                           b.name(),
                           b.address(),
                           b.address(),
                           b.next() % 3,
                           0,
                           b.next() % 2 == 0 ? TunnelKind::vxlan : TunnelKind::geneve,
                           0,
                           0,
                           0,
                           0,
                           0};
            break;
        case Opcode::vport_set: {
            ring::VportSet& set = body.vport;
            set = {b.handle(),
                   b.handle(),
                   b.handle(),
                   b.handle(),
                   b.handle(),
                   b.name(),
                   b.station(),
                   1500,
                   static_cast<std::uint16_t>(1 + b.next() % 5),
                   kNoVlan,
                   b.handle_or_none(),
                   b.handle_or_none(),
                   b.next() % 3 == 0 ? VportKind::tunnel : VportKind::port,
                   1,
                   static_cast<std::uint8_t>(b.next() % 2),
                   0};
            break;
        }
        case Opcode::acl_begin:
            body.acl = {b.handle(), b.handle(), b.name(), b.next() % 3, 1, {}};
            break;
        case Opcode::acl_rule: {
            const Handle acl = b.handle();
            const std::uint32_t index = b.next() % 3;
            body.rule = wye::testing::any_rule(AclAction::permit);
            body.rule.acl = acl;
            body.rule.index = index;
            break;
        }
        default:
            body.object.object = b.handle();
    }
}

void bend_routes(ring::Command& command, Bender& b) {
    auto& body = command.body;
    switch (command.header.opcode) {
        case Opcode::nexthop_set:
            body.nexthop = {b.handle(),
                            b.handle(),
                            b.address(),
                            static_cast<NextHopKind>(1 + b.next() % 6),
                            {}};
            break;
        case Opcode::group_set: {
            ring::GroupSet& set = body.group;
            set.group = b.handle();
            set.total = set.count = static_cast<std::uint16_t>(1 + b.next() % 3);
            set.offset = set.reserved = 0;
            for (auto& member : set.members) member = {b.handle(), 1 + b.next() % 4};
            break;
        }
        case Opcode::route_set:
            body.route = {b.handle(), b.handle(), b.prefix(), 0, {}};
            break;
        case Opcode::route_delete:
            body.route_delete = {b.handle(), b.prefix()};
            break;
        case Opcode::neighbor_set:
            body.neighbor = {b.handle(), b.address(), b.station(), {}};
            break;
        case Opcode::neighbor_delete:
            body.neighbor_delete = {b.handle(), b.address()};
            break;
        default:
            body.object.object = b.handle();
    }
}

}  // namespace

void declare_victim(Programmer& p) {
    while (p.new_handle() < kFar) continue;
    p.begin_replay();
    const Handle tenant = p.tenant("victim");
    const Handle vrf = p.vrf(tenant, "victim");
    const Handle vport = p.vport(tenant, vrf, p.port("p1"), "victim", kMacA, {.vlan = 4000});
    p.neighbor(vport, "203.0.113.1", kMacB);
    p.route(vrf, "198.51.100.0/24", p.group(p.adjacency(vport, "203.0.113.1")));
}

void expect_victim_unharmed(Rig& rig) {
    const table::Leaf leaf = rig.lookup("victim", "198.51.100.9");
    ASSERT_FALSE(leaf.is_none());
    const auto* const nexthop = rig.nexthop(leaf);
    ASSERT_NE(nexthop, nullptr);
    EXPECT_EQ(nexthop->gateway, ip("203.0.113.1"));
    EXPECT_EQ(nexthop->vport, rig.vport("victim"));
    EXPECT_EQ(rig.rewrite(*nexthop).size(), 16u);
    ASSERT_NE(rig.policy("victim"), nullptr);
    EXPECT_EQ(rig.policy("victim")->admin_up, 1);
    EXPECT_TRUE(rig.lookup("victim", "10.0.0.1").is_none());
}

void post_garbage(Programmer& p, std::span<const std::uint8_t> bytes) {
    std::array<std::uint8_t, kGarbageBytes> input{};
    std::memcpy(input.data(), bytes.data(), std::min(bytes.size(), input.size()));
    ring::Command command;
    command.header.opcode = kOpcodes[input[0] % std::size(kOpcodes)];
    const bool replay = command.header.opcode <= Opcode::barrier;
    const ring::Stream stream = replay ? static_cast<ring::Stream>(input[1] % 2)
                                       : wye::testing::stream_of(command.header.opcode);
    if (command.header.opcode == Opcode::replay_end && input[2] != 0) return;  // seldom
    std::memcpy(command.body.bytes.data(), input.data() + 16, command.body.bytes.size());
    Bender bender{input.data() + 16};
    const bool raw = input[3] % 8 == 0;
    if (!raw && stream == ring::Stream::policy) bend_policy(command, bender);
    if (!raw && stream == ring::Stream::routes) bend_routes(command, bender);
    if (!raw && input[4] % 16 == 0) {  // one byte of it flipped
        command.body.bytes[input[5] % command.body.bytes.size()] ^= input[6];
    }
    p.post(stream, command);
}

}  // namespace wye::control::test
