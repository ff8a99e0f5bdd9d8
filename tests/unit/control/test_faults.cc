// The arena is full at every point of every kind of command. What is refused, as table_full, has
// changed nothing that can be seen or counted; what is accepted all the same is true once there is
// memory again; and what was refused succeeds then.
#include <algorithm>
#include <cctype>
#include <functional>
#include <limits>
#include <map>
#include <stdexcept>

#include "dataplane/ring/text.hh"
#include "dataplane/table/acl.hh"
#include "dataplane/table/arena_walk.hh"
#include "dataplane/table/check_arena.hh"
#include "dataplane/table/vport_key.hh"
#include "tests/unit/control/rig.hh"

namespace wye::control::test {
namespace {

using wye::testing::any_rule;
using wye::testing::ip;
using wye::testing::VportOptions;

constexpr const char* kMacC = "02:00:00:00:00:0c";
constexpr std::uint64_t kForGood = std::numeric_limits<std::uint64_t>::max();

std::vector<ring::AclRule> rules(std::uint16_t port, AclAction action) {
    std::vector<ring::AclRule> made(3, any_rule(action));
    for (std::size_t i = 0; i < made.size(); ++i) {
        made[i].any_protocol = 0;
        made[i].protocol = 17;
        made[i].destination_port_low = made[i].destination_port_high =
            static_cast<std::uint16_t>(port + 7 * i);
    }
    return made;
}

/// A tenant with a bit of everything.
struct World {
    Rig rig;
    Programmer p = rig.connect();
    Basics basics;
    Handle vrf2 = 0, underlay = 0, port1 = 0, b = 0, tunnel = 0, inside = 0, guard = 0;
    Handle hop1 = 0, hop2 = 0, hop3 = 0, glean = 0, local = 0;
    Handle one = 0, two = 0, chained = 0, connected = 0, own = 0;

    World() {
        p.begin_replay();
        basics = make_basics(p);
        vrf2 = p.vrf(basics.tenant, "v2");
        underlay = p.vrf(basics.tenant, "u", true);
        port1 = p.port("p1");
        guard = p.acl(basics.tenant, "guard", rules(53, AclAction::permit));
        VportOptions guarded;
        guarded.vlan = 10;
        guarded.ingress_acl = guard;
        b = p.vport(basics.tenant, basics.vrf, basics.port, "b", kMacB, guarded);
        tunnel = p.tunnel(underlay, "tun", TunnelKind::vxlan, "192.0.2.1", "192.0.2.2", 7);
        inside = p.tunnel_vport(basics.tenant, basics.vrf, tunnel, "inside", kMacC);
        hop1 = p.adjacency(basics.vport, "10.0.0.1");
        hop2 = p.adjacency(b, "10.1.0.1");
        hop3 = p.adjacency(b, "10.1.0.2");
        glean = p.glean(basics.vport);
        local = p.local(basics.vport);
        one = p.group(hop1);
        two = p.group({{hop1, 1}, {hop2, 2}});
        chained = p.group(hop2);
        connected = p.group(glean);
        own = p.group(local);
        p.neighbor(basics.vport, "10.0.0.1", kMacC);
        p.neighbor(basics.vport, "10.0.0.77", kMacB);
        p.route(basics.vrf, "10.0.0.0/24", connected);
        p.route(basics.vrf, "10.0.0.254/32", own);
        p.route(basics.vrf, "0.0.0.0/0", two);
        for (int i = 0; i < 40; ++i) {
            const std::string n = std::to_string(i);
            p.route(basics.vrf, "172." + n + ".0.0/16", chained);
            p.route(basics.vrf, "172." + n + ".64.0/" + std::to_string(18 + i % 14), chained);
            p.route(basics.vrf, "2001:db8:" + n + "::/" + std::to_string(48 + i), chained);
        }
        p.end_replay();
        settle();
    }
    void settle() {
        p.reach();
        rig.rest();
    }

    // What can be seen, in words.
    std::string hop(NextHopId id) {
        const auto& record = rig.view().record(rig.view().header().nexthops, id.value);
        std::string words = std::to_string(static_cast<int>(record.kind)) + " vport " +
                            std::to_string(record.vport.value) + " " +
                            net::to_string(record.gateway) + " by";
        for (const std::uint8_t byte : rig.rewrite(record)) words += " " + std::to_string(byte);
        return words;
    }
    std::string leaf(table::Leaf found) {
        if (found.is_none()) return "none";
        if (!found.is_group()) return hop(found.nexthop());
        auto arena = checked();
        const auto members = table::read_group(arena, found.group());
        if (!members) return members.error().text;
        std::vector<std::string> words;
        for (const NextHopId member : members->members) words.push_back(hop(member));
        std::sort(words.begin(), words.end());
        std::string all = "group of " + std::to_string(members->buckets);
        for (const std::string& word : words) all += ", " + word;
        return all;
    }
    table::CheckedArena checked() {
        const table::ArenaView view = rig.view();
        return *table::CheckedArena::of(view, [view] { return view.header().size.load(); });
    }
    std::string acl(table::Ref<table::Acl> compiled) {
        std::string words;
        for (const unsigned port : {53u, 60u, 67u, 80u, 87u, 94u, 443u}) {
            table::AclKey key{};
            key.source = ip("198.51.100.1");
            key.destination = ip("10.0.0.1");
            key.protocol = 17;
            key.destination_port = static_cast<std::uint16_t>(port);
            key.has_ports = true;
            words += !compiled ? '-' : match_acl(rig.view(), compiled, key).permit ? 'p' : 'd';
        }
        return words;
    }
    std::string vport(const char* name) {
        const table::VportPolicy* const slot = rig.policy(name);
        if (slot == nullptr) return "none";
        return net::to_string(slot->mac) + " mtu " + std::to_string(slot->mtu) + " vrf " +
               std::to_string(slot->vrf.value) + (slot->admin_up != 0 ? " up " : " down ") +
               acl(slot->ingress_acl) + " " + acl(slot->egress_acl) + " " +
               net::to_string(slot->source4) + " " + net::to_string(slot->source6);
    }
    std::string name_at(std::uint16_t port, std::uint16_t vlan) {
        const VportId id = table::find_vport(rig.view(), port, vlan, kNoVlan);
        return id.valid() ? std::string(rig.counters.name(table::SlotKind::vport, id.value))
                          : "none";
    }
    std::map<std::string, std::string> picture() {
        std::map<std::string, std::string> seen;
        for (const char* vrf : {"v", "v2", "u", "new"}) {
            if (!rig.vrf(vrf).valid()) continue;
            for (const char* address :
                 {"10.0.0.1", "10.0.0.2", "10.0.0.77", "10.0.0.254", "10.0.1.1", "172.3.0.1",
                  "172.3.64.1", "172.9.64.0", "172.9.65.1", "172.20.200.1", "203.0.113.9",
                  "2001:db8:3::1", "2001:db8:39::1", "2001:db8:ffff::1"}) {
                seen[std::string(vrf) + " " + address] = leaf(rig.lookup(vrf, address));
            }
        }
        for (const char* name : {"a", "b", "inside", "c", "d"}) seen[name] = vport(name);
        for (const std::uint16_t port : {std::uint16_t{0}, std::uint16_t{1}}) {
            for (const std::uint16_t vlan : {kNoVlan, std::uint16_t{10}, std::uint16_t{20}}) {
                seen["at " + std::to_string(port) + "." + std::to_string(vlan)] =
                    name_at(port, vlan);
            }
        }
        for (const std::uint32_t vni : {7u, 8u}) {
            table::TunnelKey key{};
            key.kind = TunnelKind::vxlan;
            key.underlay = rig.vrf("u");
            key.local = ip("192.0.2.1");
            key.remote = ip("192.0.2.2");
            key.vni = vni;
            seen["vni " + std::to_string(vni)] =
                table::find_tunnel(rig.view(), key).valid() ? "found" : "none";
        }
        const Status status = rig.control->status();
        seen["counts"] = std::to_string(status.tenants) + " tenants, " +
                         std::to_string(status.vrfs) + " VRFs, " + std::to_string(status.vports) +
                         " vports, " + std::to_string(status.tunnels) + " tunnels, " +
                         std::to_string(status.acls) + " ACLs, " + std::to_string(status.nexthops) +
                         " next hops, " + std::to_string(status.groups) + " groups, " +
                         std::to_string(status.routes) + " routes, " +
                         std::to_string(status.neighbors) + " neighbours, " +
                         std::to_string(status.host_routes) + " host routes";
        auto arena = checked();
        const auto report = table::check_arena(
            arena, [](table::SlotKind, std::uint32_t slot) { return std::to_string(slot); });
        seen["check"] = report ? "ok" : report.error().text;
        return seen;
    }
    std::size_t used() { return rig.control->status().arena_used; }
};

using Act = std::function<void(World&)>;
struct Case {
    const char* name;
    Act act;
    Act prepare = [](World&) {};
};

/// As one transaction; what is refused on the way is taken back.
void transaction(World& w, const Act& staged) {
    w.p.begin_transaction(w.basics.tenant);
    try {
        staged(w);
    } catch (const std::runtime_error&) {
        w.p.abort_transaction(w.basics.tenant);
        throw;
    }
    w.p.commit_transaction(w.basics.tenant);
}

ring::Command vport_command(const World& w, Handle handle, const char* name) {
    auto command = make_command(Opcode::vport_set);
    ring::VportSet& vport = command.body.vport;
    vport.vport = handle;
    vport.tenant = w.basics.tenant;
    vport.vrf = w.basics.vrf;
    vport.port = w.basics.port;
    vport.kind = VportKind::port;
    vport.name = wye::testing::object_name(name);
    vport.mac = wye::testing::mac(kMacB);
    vport.mtu = 1500;
    vport.vlan = 10;
    vport.inner_vlan = kNoVlan;
    vport.ingress_acl = w.guard;
    vport.admin_up = 1;
    return command;
}
void must(World& w, const ring::Command& command) {
    const auto completion = w.p.call(command);
    if (completion.outcome != Outcome::accepted) {
        throw std::runtime_error(std::string(ring::to_string(completion.outcome)));
    }
}
void change_b(World& w, const std::function<void(ring::VportSet&)>& change) {
    auto command = vport_command(w, w.b, "b");
    change(command.body.vport);
    must(w, command);
}

/// So many next hops that the record of the next one lies on a page of its own.
void fill_page_of_nexthops(World& w) {
    constexpr std::size_t kPage = 4096;
    for (int i = 0; w.rig.control->status().nexthops * sizeof(table::NextHop) % kPage != 0; ++i) {
        w.p.adjacency(w.b, "10.1.1." + std::to_string(i));
    }
}
void fill_table(World& w, std::size_t routes) {
    auto command = make_command(Opcode::route_set);
    command.body.route.vrf = w.basics.vrf;
    command.body.route.group = w.one;
    while (w.rig.control->status().routes < routes) {
        for (std::uint32_t i = 0; i < 400; ++i) {
            const auto n = static_cast<std::uint32_t>(w.rig.control->status().routes) + i;
            command.body.route.prefix = {net::Ipv4Address::from_host(0x40000000u + n * 256u), 24};
            w.p.post(command);
        }
        if (w.p.settle() != 0) throw std::logic_error("no room for the table");
    }
}

std::vector<Case> cases() {
    return {
        {"first IPv4 route of a VRF", [](World& w) { w.p.route(w.vrf2, "10.0.0.0/8", w.one); }},
        {"first IPv6 route of a VRF",
         [](World& w) { w.p.route(w.vrf2, "2001:db8::/33", w.chained); }},
        {"default route of a VRF", [](World& w) { w.p.route(w.vrf2, "0.0.0.0/0", w.one); }},
        {"longer route", [](World& w) { w.p.route(w.basics.vrf, "172.3.0.1/32", w.one); }},
        {"longer IPv6 route",
         [](World& w) { w.p.route(w.basics.vrf, "2001:db8:3::1/128", w.one); }},
        {"route to another group",
         [](World& w) { w.p.route(w.basics.vrf, "172.3.0.0/16", w.two); }},
        {"route withdrawn", [](World& w) { w.p.delete_route(w.basics.vrf, "172.9.64.0/27"); }},
        {"IPv6 route withdrawn",
         [](World& w) { w.p.delete_route(w.basics.vrf, "2001:db8:3::/51"); }},
        {"connected route withdrawn",
         [](World& w) { w.p.delete_route(w.basics.vrf, "10.0.0.0/24"); }},
        {"connected route", [](World& w) { w.p.route(w.basics.vrf, "10.0.0.0/25", w.connected); }},
        {"connected route over neighbours",
         [](World& w) { w.p.route(w.basics.vrf, "10.0.0.0/24", w.connected); },
         [](World& w) { w.p.delete_route(w.basics.vrf, "10.0.0.0/24"); }},
        {"route in place of a host route",
         [](World& w) { w.p.route(w.basics.vrf, "10.0.0.77/32", w.two); }},
        {"host route in place of a route",
         [](World& w) { w.p.delete_route(w.basics.vrf, "10.0.0.77/32"); },
         [](World& w) { w.p.route(w.basics.vrf, "10.0.0.77/32", w.two); }},
        {"own address", [](World& w) { w.p.route(w.basics.vrf, "10.0.0.253/32", w.own); }},
        {"last route of a VRF", [](World& w) { w.p.delete_route(w.vrf2, "10.0.0.0/8"); },
         [](World& w) { w.p.route(w.vrf2, "10.0.0.0/8", w.one); }},
        {"route that makes a table of another form",
         [](World& w) { w.p.route(w.basics.vrf, "172.3.0.1/32", w.one); },
         [](World& w) { fill_table(w, 8000); }},
        {"next hop", [](World& w) { w.p.adjacency(w.b, "10.1.0.9"); }, fill_page_of_nexthops},
        {"group of several",
         [](World& w) {
             w.p.group({{w.hop1, 3}, {w.hop2, 1}, {w.hop3, 1}});
         }},
        {"members of a group of several",
         [](World& w) {
             w.p.change_group(w.two, {{w.hop2, 1}, {w.hop3, 5}});
         }},
        {"member of a group of one with routes",
         [](World& w) {
             w.p.change_group(w.chained, {{w.hop3, 1}});
         }},
        {"group of one with routes to several",
         [](World& w) {
             w.p.change_group(w.chained, {{w.hop1, 1}, {w.hop3, 1}});
         }},
        {"neighbour", [](World& w) { w.p.neighbor(w.basics.vport, "10.0.0.2", kMacB); }},
        {"neighbour that moves",
         [](World& w) { w.p.neighbor(w.basics.vport, "10.0.0.77", kMacC); }},
        {"neighbour gone", [](World& w) { w.p.delete_neighbor(w.basics.vport, "10.0.0.77"); }},
        {"tenant", [](World& w) { w.p.tenant("new"); }},
        {"VRF", [](World& w) { w.p.vrf(w.basics.tenant, "new"); }},
        {"tunnel",
         [](World& w) {
             w.p.tunnel(w.underlay, "tun2", TunnelKind::vxlan, "192.0.2.1", "192.0.2.2", 8);
         }},
        {"vport",
         [](World& w) { w.p.vport(w.basics.tenant, w.vrf2, w.port1, "c", kMacC, {.vlan = 20}); }},
        {"vport in a tunnel",
         [](World& w) {
             const Handle tunnel =
                 w.p.tunnel(w.underlay, "tun2", TunnelKind::vxlan, "192.0.2.1", "192.0.2.2", 8);
             try {
                 w.p.tunnel_vport(w.basics.tenant, w.vrf2, tunnel, "d", kMacC);
             } catch (const std::runtime_error&) {
                 w.p.remove(Opcode::tunnel_delete, tunnel);
                 throw;
             }
         }},
        {"vport's settings",
         [](World& w) {
             change_b(w, [](ring::VportSet& vport) {
                 vport.mtu = 1400;
                 vport.ingress_acl = ring::kNoHandle;
             });
         }},
        {"vport that moves", [](World& w) { change_b(w, [](auto& vport) { vport.vlan = 20; }); }},
        {"vport to another VRF",
         [](World& w) { change_b(w, [&](auto& vport) { vport.vrf = w.vrf2; }); }},
        {"vport down", [](World& w) { change_b(w, [](auto& vport) { vport.admin_up = 0; }); }},
        {"vport gone", [](World& w) { w.p.remove(Opcode::vport_delete, w.inside); }},
        {"ACL",
         [](World& w) { w.p.acl(w.basics.tenant, "new", rules(80, AclAction::deny), true); }},
        {"ACL in use changed",
         [](World& w) {
             auto begin = make_command(Opcode::acl_begin);
             begin.body.acl.acl = w.guard;
             begin.body.acl.tenant = w.basics.tenant;
             begin.body.acl.name = wye::testing::object_name("guard");
             begin.body.acl.rules = 1;
             must(w, begin);
             auto rule = make_command(Opcode::acl_rule);
             rule.body.rule = rules(443, AclAction::permit).front();
             rule.body.rule.acl = w.guard;
             must(w, rule);
             w.p.remove(Opcode::acl_commit, w.guard);
         }},
        {"policy of a tenant",
         [](World& w) {
             transaction(w, [](World& x) {
                 const Handle acl = x.p.acl(x.basics.tenant, "new", rules(80, AclAction::permit));
                 x.p.vport(x.basics.tenant, x.basics.vrf, x.port1, "c", kMacC,
                           {.vlan = 20, .egress_acl = acl});
                 change_b(x, [&](ring::VportSet& vport) {
                     vport.ingress_acl = acl;
                     vport.port = x.port1;
                 });
                 x.p.remove(Opcode::vport_delete, x.inside);
             });
         }},
    };
}

class ControlFaults : public ::testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Commands, ControlFaults, ::testing::Range<std::size_t>(0, cases().size()),
                         [](const auto& which) {
                             std::string name = cases()[which.param].name;
                             for (char& c : name) {
                                 if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                             }
                             return name;
                         });

/// True if it was refused.
bool is_refused(World& w, const Act& act) {
    try {
        act(w);
    } catch (const std::runtime_error& refused) {
        EXPECT_NE(std::string(refused.what()).find("table_full"), std::string::npos)
            << refused.what();
        return true;
    }
    return false;
}

TEST_P(ControlFaults, RefusedCommandsHaveChangedNothing) {
    const Case tried = cases()[GetParam()];
    World golden;
    tried.prepare(golden);
    golden.settle();
    tried.act(golden);
    golden.settle();
    const auto wanted = golden.picture();
    const std::size_t wanted_bytes = golden.used();
    for (const std::uint64_t failures : {std::uint64_t{1}, kForGood}) {
        for (std::uint64_t passes = 0, more = 1; more != 0; passes += 1 + passes / 16) {
            SCOPED_TRACE(std::to_string(passes) + " allocations and then " +
                         (failures == 1 ? "one refused" : "all refused"));
            World w;
            tried.prepare(w);
            w.settle();
            const auto before = w.picture();
            const std::size_t bytes = w.used();
            w.rig.faults = {passes, failures, 0};
            const bool refused = is_refused(w, tried.act);
            more = w.rig.faults.refused;
            w.rig.faults.failures = 0;
            w.settle();
            if (refused) {
                ASSERT_NE(more, 0u);
                ASSERT_EQ(w.picture(), before);
                ASSERT_EQ(w.used(), bytes);
                tried.act(w);
                w.settle();
            }
            ASSERT_EQ(w.picture(), wanted);
            // A table's better form may still be missing.
            if (refused || more == 0) {
                ASSERT_EQ(w.used(), wanted_bytes);
            }
        }
    }
}

}  // namespace
}  // namespace wye::control::test
