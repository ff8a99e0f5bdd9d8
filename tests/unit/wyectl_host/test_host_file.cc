// host.yaml: what is read, and every problem with its line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane-shim/host/sriov/host_file.hh"

namespace wye::host {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> problems(const std::string& text) {
    std::vector<std::string> list;
    for (const auto& problem : parse_host_file(text, "host.yaml").problems) {
        list.push_back(problem.to_string());
    }
    return list;
}

TEST(HostFile, IsReadWhole) {
    const auto read = parse_host_file(R"(
physical_functions:
  - interface: eno1
    vfs: 2
    functions:
      - number: 1
        name: wan
        mac: "02:00:00:00:00:01"
        vlan: 100
        vlan_protocol: 802.1ad
        vlan_priority: 3
        trust: true
        spoof_check: false
        min_rate: 10
        max_rate: 1000
        link_state: enable
        driver: kernel
  - address: "0000:3b:00.1"
    vfs: 0
)",
                                      "host.yaml");
    ASSERT_THAT(read.problems, IsEmpty());
    ASSERT_EQ(read.file->pfs.size(), 2u);
    const HostFile::Vf& vf = read.file->pfs[0].vfs.at(0);
    EXPECT_EQ(read.file->pfs[0].device, "eno1");
    EXPECT_EQ(read.file->pfs[1].device, "0000:3b:00.1");
    EXPECT_EQ(vf.number, 1u);
    EXPECT_EQ(vf.name, "wan");
    EXPECT_EQ(net::to_string(*vf.attributes.mac), "02:00:00:00:00:01");
    EXPECT_EQ(*vf.attributes.vlan, (VfAttributes::Vlan{100, 3, 0x88a8}));
    EXPECT_EQ(*vf.attributes.rate, (VfAttributes::Rate{10, 1000}));
    EXPECT_TRUE(*vf.attributes.trust);
    EXPECT_FALSE(*vf.attributes.spoof_check);
    EXPECT_EQ(*vf.attributes.link_state, LinkState::enable);
    EXPECT_EQ(vf.driver, HostFile::Driver::kernel);
}

TEST(HostFile, TheExampleIsGood) {
    const auto read = read_host_file(WYE_SOURCE_DIR "/conf/host.yaml");
    EXPECT_THAT(read.problems, IsEmpty());
}

TEST(HostFile, EveryProblemAtOnceWithItsLine) {
    EXPECT_THAT(
        problems(R"(physical_functions:
  - interface: eno1
    address: "0000:3b:00.0"
    vfs: 300
    colour: red
  - address: 3b:00
    vfs: 2
    functions:
      - number: 2
        mac: ff:ff:ff:ff:ff:ff
      - name: a
        vlan_protocol: 802.1ad
      - number: 0
        address: "0000:3b:10.0"
        name: a
        driver: igb_uio
        min_rate: 9
        max_rate: 3
)"),
        ElementsAre(HasSubstr("host.yaml:2: physical_functions[0].interface: give either"),
                    HasSubstr("host.yaml:4: physical_functions[0].vfs: \"300\" must be"),
                    HasSubstr("host.yaml:5: physical_functions[0].colour: is no known key"),
                    HasSubstr("host.yaml:6: physical_functions[1].address: should be a PCI"),
                    HasSubstr("host.yaml:9: physical_functions[1].functions[0].number: VFs "
                              "are numbered from 0: with vfs: 2 the last is 1"),
                    HasSubstr("host.yaml:10: physical_functions[1].functions[0].mac"),
                    HasSubstr("host.yaml:11: physical_functions[1].functions[1]: give "
                              "either number or address"),
                    HasSubstr("functions[1].vlan_protocol: needs vlan"),
                    HasSubstr("host.yaml:13: physical_functions[1].functions[2].number: "
                              "give either number or address"),
                    HasSubstr("name: a is also that of physical_functions[1].functions[1]"),
                    HasSubstr("driver: \"igb_uio\" must be auto, vfio-pci or kernel"),
                    HasSubstr("min_rate: is more than max_rate")));
}

TEST(HostFile, WhatIsNoFile) {
    EXPECT_THAT(problems("a: [b"), ElementsAre(HasSubstr("host.yaml:")));
    EXPECT_THAT(problems("{}"), ElementsAre(HasSubstr("has no physical_functions")));
    const auto absent = read_host_file("/nowhere/host.yaml");
    ASSERT_EQ(absent.problems.size(), 1u);
    EXPECT_EQ(absent.problems[0].to_string(),
              "/nowhere/host.yaml: cannot be read: No such file or directory");
}

}  // namespace
}  // namespace wye::host
