#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "dataplane/main/configuration.hh"

namespace {

using namespace wye;
using namespace wye::dataplane;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kGood = R"(instance: pop-a
idle: poll
workers:
  - core: 1
  - core: 3
memory: {hugepages: never, megabytes: 96}
tables: {folder: /mnt/huge}
ports:
  - {name: wan, kind: af_packet, interface: eth1, mtu: 1600}
  - {name: nic, kind: pci, address: "0000:3b:02.1", rx_descriptors: 1024}
  - {name: gun, kind: vdev, devargs: "net_null0,size=64", promiscuous: false}
  - {name: cap, kind: pcap, receive_file: /tmp/a.pcap, repeat: true}
  - {name: shared, kind: af_xdp, interface: eth2}
  - {name: part, kind: af_xdp, interface: eth3, udp_ports: [8472], vlans: [1, 4094], mode: native,
     zero_copy: required}
  - {name: whole, kind: af_xdp, interface: eth4, steer: all, mode: generic}
eal_drivers: [/opt/a.so]
limits: {vrfs: 100, table_megabytes: 64}
)";

TEST(Configuration, ReadsEveryKey) {
    const auto result = parse_configuration(kGood, "f.yaml");
    ASSERT_THAT(result.problems, IsEmpty());
    const Configuration& c = result.configuration;
    EXPECT_EQ(c.instance, "pop-a");
    EXPECT_EQ(c.run_dir, "/run/wye/pop-a");
    EXPECT_EQ(c.idle, Idle::poll);
    EXPECT_THAT(c.worker_cores, ElementsAre(1u, 3u));
    EXPECT_EQ(c.memory.hugepages, Hugepages::never);
    EXPECT_EQ(c.memory.megabytes, 96u);
    EXPECT_EQ(c.tables.folder, "/mnt/huge");
    ASSERT_EQ(c.ports.size(), 7u);
    EXPECT_EQ(c.ports[0].name.view(), "wan");
    EXPECT_EQ(c.ports[0].interface, "eth1");
    EXPECT_EQ(c.ports[0].mtu, 1600);
    EXPECT_EQ(c.ports[1].pci_address, "0000:3b:02.1");
    EXPECT_EQ(c.ports[1].rx_descriptors, 1024);
    EXPECT_EQ(c.ports[2].devargs, "net_null0,size=64");
    EXPECT_FALSE(c.ports[2].promiscuous);
    EXPECT_TRUE(c.ports[3].repeat);
    EXPECT_EQ(c.ports[4].xdp.steer, drivers::Steer::tunnels);
    EXPECT_THAT(c.ports[4].xdp.udp_ports, ElementsAre(4789, 6081));
    EXPECT_THAT(c.ports[4].xdp.vlans, IsEmpty());
    EXPECT_EQ(c.ports[4].xdp.mode, drivers::XdpMode::automatic);
    EXPECT_EQ(c.ports[4].xdp.zero_copy, drivers::ZeroCopy::automatic);
    EXPECT_EQ(c.ports[5].interface, "eth3");
    EXPECT_THAT(c.ports[5].xdp.udp_ports, ElementsAre(8472));
    EXPECT_THAT(c.ports[5].xdp.vlans, ElementsAre(1, 4094));
    EXPECT_EQ(c.ports[5].xdp.mode, drivers::XdpMode::native);
    EXPECT_EQ(c.ports[5].xdp.zero_copy, drivers::ZeroCopy::required);
    EXPECT_EQ(c.ports[6].xdp.steer, drivers::Steer::all);
    EXPECT_EQ(c.ports[6].xdp.mode, drivers::XdpMode::generic);
    EXPECT_THAT(c.eal_drivers, ElementsAre("/opt/a.so"));
    EXPECT_EQ(c.limits.vrfs, 100u);
    EXPECT_EQ(c.limits.heap_bytes, 64ull << 20);
}

TEST(Configuration, ReportsAllProblemsAtOnceWithTheirLines) {
    const auto result = parse_configuration(R"(instance: "not a name"
wokers: []
workers:
  - core: 1
  - core: 1
  - core: many
idle: lazy
ports:
  - {name: a, kind: af_packet, interface: eth1}
  - {name: a, kind: tap, interface: eth1, address: 1}
  - {name: c, kind: floppy}
  - {kind: pci, address: "3b:02.1"}
  - {name: d, kind: pcap, mtu: 70000, rx_descriptors: 100}
tables: {folder: huge}
)",
                                            "f.yaml");
    EXPECT_THAT(
        result.problems,
        testing::UnorderedElementsAre(
            HasSubstr("f.yaml:1: instance: should be"), HasSubstr("f.yaml:2: wokers: is no key"),
            HasSubstr("f.yaml:5: workers[1].core: core 1 is taken by workers[0]"),
            HasSubstr("f.yaml:6: workers[2].core: \"many\" should be a number"),
            HasSubstr("f.yaml:7: idle: \"lazy\" should be one of poll, adaptive"),
            HasSubstr("f.yaml:10: ports[1].name: \"a\" is also ports[0]"),
            HasSubstr("f.yaml:10: ports[1]: interface eth1 is also that of ports[0]"),
            HasSubstr("f.yaml:10: ports[1].address: is no key"),
            HasSubstr("f.yaml:11: ports[2].kind: \"floppy\" should be one of"),
            HasSubstr("f.yaml:12: ports[3].name: is missing"),
            HasSubstr("f.yaml:12: ports[3].address: should be a PCI address"),
            HasSubstr("f.yaml:13: ports[4]: needs receive_file"),
            HasSubstr("f.yaml:13: ports[4].mtu: \"70000\" should be a number from 576 to 9216"),
            HasSubstr("f.yaml:13: ports[4].rx_descriptors: no power of two"),
            HasSubstr("f.yaml:14: tables.folder: should be auto or an absolute path")));
}

TEST(Configuration, WhatAfXdpCannotTakeIsSaid) {
    const auto result = parse_configuration(R"(workers: [{core: 0}]
ports:
  - {name: a, kind: af_xdp, interface: eth1, vlans: [0, 7, 7, many], udp_ports: [70000]}
  - {name: b, kind: af_xdp, interface: eth2, udp_ports: []}
  - {name: c, kind: af_xdp, interface: eth3, steer: all, vlans: [7]}
  - {name: d, kind: af_xdp, interface: eth4, mode: generic, zero_copy: required}
  - {name: e, kind: af_xdp, interface: eth5, udp_ports: [1, 2, 3, 4, 5, 6, 7, 8, 9]}
  - {name: f, kind: af_xdp, steer: some}
  - {name: g, kind: af_packet, interface: eth2, vlans: [7]}
)",
                                            "f");
    EXPECT_THAT(
        result.problems,
        testing::UnorderedElementsAre(
            HasSubstr("vlans: \"0\" should be a number from 1 to 4094"),
            HasSubstr("vlans: 7 is there twice"), HasSubstr("vlans: \"many\" should be a number"),
            HasSubstr("udp_ports: \"70000\" should be a number from 1 to 65535"),
            HasSubstr("f:4: ports[1].udp_ports: nothing is left for the router"),
            HasSubstr("f:5: ports[2].vlans: says nothing beside steer: all"),
            HasSubstr("f:6: ports[3].zero_copy: cannot be had in generic mode"),
            HasSubstr("f:7: ports[4].udp_ports: at most 8 ports"),
            HasSubstr("f:8: ports[5].interface: is missing"),
            HasSubstr("f:8: ports[5].steer: \"some\" should be one of tunnels, all"),
            HasSubstr("f:9: ports[6].vlans: is no key"),
            HasSubstr("f:9: ports[6]: interface eth2 is also that of ports[1]")));
}

TEST(Configuration, APortOnSharedMemoryIsItsOwnersAloneUnlessSaidOtherwise) {
    const auto result = parse_configuration(R"(workers: [{core: 0}]
ports:
  - {name: a, kind: memif, socket: /run/a.sock}
  - {name: b, kind: memif, socket: /run/a.sock, id: 4294967295, socket_mode: 0660}
  - {name: c, kind: memif, socket: /run/c.sock, role: client, buffer_bytes: 4096, zero_copy: true}
  - {name: d, kind: vhost_user, socket: /run/d.sock, role: server, socket_mode: "640"}
  - {name: e, kind: vhost_user, socket: /run/e.sock, role: client, receive_queues: 2, mtu: 9000}
)",
                                            "f");
    ASSERT_THAT(result.problems, IsEmpty());
    const auto& ports = result.configuration.ports;
    ASSERT_EQ(ports.size(), 5u);
    EXPECT_EQ(ports[0].kind, drivers::PortKind::memif);
    EXPECT_EQ(ports[0].socket.path, "/run/a.sock");
    EXPECT_TRUE(ports[0].socket.listens);
    EXPECT_EQ(ports[0].socket.mode, 0600);
    EXPECT_EQ(ports[0].socket.id, 0u);
    EXPECT_EQ(ports[0].socket.buffer_bytes, 0);  // a whole frame
    EXPECT_FALSE(ports[0].socket.zero_copy);
    EXPECT_EQ(ports[0].receive_queues, 0);
    EXPECT_EQ(ports[1].socket.id, 4294967295u);
    EXPECT_EQ(ports[1].socket.mode, 0660);
    EXPECT_FALSE(ports[2].socket.listens);
    EXPECT_EQ(ports[2].socket.buffer_bytes, 4096);
    EXPECT_TRUE(ports[2].socket.zero_copy);
    EXPECT_EQ(ports[3].kind, drivers::PortKind::vhost_user);
    EXPECT_TRUE(ports[3].socket.listens);
    EXPECT_EQ(ports[3].socket.mode, 0640);
    EXPECT_FALSE(ports[4].socket.listens);
    EXPECT_EQ(ports[4].socket.mode, 0600);
    EXPECT_EQ(ports[4].receive_queues, 2);
    EXPECT_EQ(ports[4].mtu, 9000);
}

TEST(Configuration, WhatAPortOnSharedMemoryCannotTakeIsSaid) {
    const std::string text = R"(workers: [{core: 0}]
ports:
  - {name: a, kind: memif}
  - {name: b, kind: memif, socket: run/b.sock, role: master}
  - {name: c, kind: memif, socket: "/run/c,id=7", id: 4294967296}
  - {name: d, kind: memif, socket: "/run/d e", socket_mode: rw, id: -1}
  - {name: e, kind: memif, socket: /run/e, role: client, buffer_bytes: 255}
  - {name: f, kind: memif, socket: /run/f, zero_copy: true}
  - {name: g, kind: memif, socket: /run/g, socket_mode: "1600", zero_copy: perhaps}
  - {name: h, kind: vhost_user, socket: /run/h, id: 1, buffer_bytes: 2048, zero_copy: true}
  - {name: i, kind: vhost_user, socket: /run/f, socket_mode: "60"}
  - {name: j, kind: vhost_user, socket: /run/h, socket_mode: "0680"}
  - {name: k, kind: memif, socket: /run/e, role: client, buffer_bytes: 65536}
  - {name: l, kind: vhost_user, socket: /run/l, role: client, socket_mode: "0660"}
  - {name: m, kind: memif, socket: /run/m, buffer_bytes: 4096}
  - {name: n, kind: vhost_user, interface: eth0, socket: /run/)" +
                             std::string(103, 'n') + R"(}
  - {name: o, kind: memif, socket: /run/)" +
                             std::string(102, 'o') + R"(, socket_mode: "00600"}
  - {name: p, kind: memif, socket: /run/p, role: client, mtu: 9000, buffer_bytes: 4096}
  - {name: q, kind: memif, socket: /run/q, role: client, buffer_bytes: 1521}
)";
    EXPECT_THAT(
        parse_configuration(text, "f").problems,
        testing::UnorderedElementsAre(
            HasSubstr("f:3: ports[0].socket: is missing"),
            HasSubstr("f:4: ports[1].socket: should be an absolute path of less than 108"),
            HasSubstr("f:4: ports[1].role: \"master\" should be one of server, client"),
            HasSubstr("f:5: ports[2].socket: should be an absolute path"),
            HasSubstr("f:5: ports[2].id: \"4294967296\" should be a number from 0 to 4294967295"),
            HasSubstr("f:6: ports[3].socket: should be an absolute path"),
            HasSubstr("f:6: ports[3].socket_mode: should be an octal mode like 0660"),
            HasSubstr("f:6: ports[3].id: \"-1\" should be a number"),
            HasSubstr("f:7: ports[4].buffer_bytes: \"255\" should be a number from 256 to 65535"),
            HasSubstr("f:8: ports[5].zero_copy: only a client"),
            HasSubstr("f:9: ports[6].socket_mode: should be an octal mode"),
            HasSubstr("f:9: ports[6].zero_copy: \"perhaps\" should be"),
            HasSubstr("f:10: ports[7].id: is no key"),
            HasSubstr("f:10: ports[7].buffer_bytes: is no key"),
            HasSubstr("f:10: ports[7].zero_copy: is no key"),
            HasSubstr("f:11: ports[8].socket_mode: should be an octal mode"),
            HasSubstr("f:11: ports[8].socket: /run/f is also that of ports[5], of another kind"),
            HasSubstr("f:12: ports[9].socket_mode: should be an octal mode"),
            HasSubstr("f:12: ports[9]: socket /run/h is also that of ports[7]"),
            HasSubstr("f:13: ports[10].buffer_bytes: \"65536\" should be a number"),
            HasSubstr("f:13: ports[10]: interface 0 on socket /run/e is also that of ports[4]"),
            HasSubstr("f:14: ports[11].socket_mode: says nothing in a client"),
            HasSubstr("f:15: ports[12].buffer_bytes: says nothing in a server"),
            HasSubstr("f:16: ports[13].interface: is no key"),
            HasSubstr("f:16: ports[13].socket: should be an absolute path of less than 108"),
            HasSubstr("f:17: ports[14].socket_mode: should be an octal mode"),
            HasSubstr("f:18: ports[15].buffer_bytes: a buffer should hold a whole frame, which has "
                      "up to 9022 bytes"),
            HasSubstr("f:19: ports[16].buffer_bytes: a buffer should hold a whole frame, which has "
                      "up to 1522 bytes")));
}

TEST(Configuration, WhatIsMissingIsSaid) {
    EXPECT_THAT(parse_configuration("{}", "f").problems,
                ElementsAre(HasSubstr("workers: is missing"), HasSubstr("ports: is missing")));
}

TEST(Configuration, WrongShapesAreProblemsNotCrashes) {
    for (const char* text :
         {"", "- a\n- b\n", "42", "workers: 3\nports: {a: b}\n", "workers: [1, 2]\nports: [x]\n",
          "memory: []\nlimits: 3\n", "workers: [{core: 0}, {core: [1]}]\nports: [[]]\n", "a: [\n",
          "instance: {a: b}\n", "instance: a\ninstance: b\n",
          "eal_drivers: [[1]]\nworkers: [{core: 0}]\nports: []\n", "? [a]\n: b\n",
          "workers: &w [*w]\n", "\x01\x02"}) {
        EXPECT_FALSE(parse_configuration(text, "f").problems.empty()) << text;
    }
}

TEST(Configuration, ReadsTheFileThatIsShipped) {
    const auto result = read_configuration(WYE_SOURCE_DIR "/conf/dataplane.yaml");
    EXPECT_THAT(result.problems, IsEmpty());
    EXPECT_FALSE(result.configuration.ports.empty());
}

TEST(Configuration, AFileThatIsNotThere) {
    EXPECT_THAT(read_configuration("/nonexistent/x.yaml").problems,
                ElementsAre(HasSubstr("/nonexistent/x.yaml:1: cannot be read")));
}

Configuration with_ports(const std::string& ports) {
    const auto read = parse_configuration("workers: [{core: 1}]\nports:\n" + ports, "d.yaml");
    EXPECT_THAT(read.problems, IsEmpty());
    return read.configuration;
}

TEST(Configuration, AVfIsFoundByNameOrByPfAndNumber) {
    namespace fs = std::filesystem;
    const std::string folder = testing::TempDir() + "/find_ports";
    fs::remove_all(folder);
    const std::string pf = folder + "/bus/pci/devices/0000:3b:00.0";
    fs::create_directories(pf);
    fs::create_directories(folder + "/vf");
    fs::create_symlink("../0000:3b:10.1", pf + "/virtfn1");
    fs::create_symlink("/sys/bus/pci/devices/0000:3b:10.0", folder + "/vf/wan");
    const wye::drivers::SysTree sys(folder);

    auto configuration = with_ports(
        "  - {name: a, kind: pci, vf: wan}\n"
        "  - {name: b, kind: pci, pf: \"0000:3b:00.0\", number: 1}\n");
    ASSERT_TRUE(find_ports(configuration, sys, folder + "/vf").has_value());
    EXPECT_EQ(configuration.ports[0].pci_address, "0000:3b:10.0");
    EXPECT_EQ(configuration.ports[1].pci_address, "0000:3b:10.1");

    const auto failed = [&](const std::string& ports) {
        auto wrong = with_ports(ports);
        const auto found = find_ports(wrong, sys, folder + "/vf");
        return found ? std::string() : found.error().text;
    };
    EXPECT_THAT(failed("  - {name: a, kind: pci, vf: lan}"),
                HasSubstr("port \"a\": no VF is called lan"));
    EXPECT_THAT(failed("  - {name: a, kind: pci, pf: \"0000:3b:00.0\", number: 7}"),
                HasSubstr("has no VF 7"));
    EXPECT_THAT(failed("  - {name: a, kind: pci, vf: wan}\n"
                       "  - {name: b, kind: pci, address: \"0000:3b:10.0\"}"),
                HasSubstr("ports \"a\" and \"b\" are both PCI device 0000:3b:10.0"));
    fs::remove_all(folder);
}

TEST(Configuration, APciPortSaysItsDeviceInOneWay) {
    const auto problems = [](const std::string& port) {
        return parse_configuration(
                   "workers: [{core: 1}]\nports: [{name: a, kind: pci" + port + "}]", "d.yaml")
            .problems;
    };
    EXPECT_THAT(problems(", vf: x"), IsEmpty());
    EXPECT_THAT(problems(""), ElementsAre(HasSubstr("should have one of address")));
    EXPECT_THAT(problems(", vf: x, address: \"0000:3b:02.1\""),
                ElementsAre(HasSubstr("should have one of address")));
    EXPECT_THAT(problems(", pf: eno1"), ElementsAre(HasSubstr("pf and number belong together")));
    EXPECT_THAT(problems(", vf: x, number: 1"),
                ElementsAre(HasSubstr("pf and number belong together")));
    EXPECT_THAT(problems(", vf: a b"), ElementsAre(HasSubstr("should be 1 to 31")));
}

}  // namespace
