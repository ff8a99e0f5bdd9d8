// plan, apply and release on a fake machine, with every single change made to fail.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include "controlplane-shim/host/sriov/record.hh"
#include "controlplane-shim/host/sriov/sriov.hh"
#include "drivers/sriov/find_function.hh"
#include "tests/unit/wyectl_host/fake_machine.hh"

namespace wye::host {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kTwoVfs = R"(
physical_functions:
  - interface: eno1
    vfs: 2
    functions:
      - {number: 0, name: wan, mac: "02:00:00:00:00:01", vlan: 100, trust: true}
      - {address: "0000:3b:10.1", name: lan, spoof_check: false, max_rate: 500, driver: kernel}
)";
constexpr const char* kVf0 = "0000:3b:10.0";
constexpr const char* kVf1 = "0000:3b:10.1";

HostFile file_of(const std::string& text) {
    auto read = parse_host_file(text, "host.yaml");
    for (const auto& problem : read.problems) ADD_FAILURE() << problem.to_string();
    return read.file.value_or(HostFile{});
}

class Sriov : public testing::Test {
  protected:
    Sriov() { machine_.add_pf("0000:3b:00.0", "eno1"); }
    SriovReport apply(const std::string& text, bool recreate = false) {
        return apply_sriov(machine_.system(), file_of(text), {recreate});
    }
    SriovReport plan(const std::string& text, bool recreate = false) {
        return plan_sriov(machine_.system(), file_of(text), {recreate});
    }
    SriovReport release(bool really = true) { return release_sriov(machine_.system(), really); }
    [[nodiscard]] bool has_record() { return fs::exists(machine_.system().state + "/record.json"); }
    Result<std::string> named(const std::string& name) {
        return drivers::find_named_vf(name, machine_.system().state + "/vf");
    }
    FakeMachine machine_{testing::TempDir() + "/fake_machine"};
};

TEST_F(Sriov, PlanSaysAllAndChangesNothing) {
    const std::string before = machine_.picture();
    const SriovReport report = plan(kTwoVfs);
    EXPECT_THAT(report.errors, IsEmpty());
    EXPECT_THAT(report.steps,
                ElementsAre("0000:3b:00.0 (eno1): create 2 VFs",
                            "VF 0 of 0000:3b:00.0 (eno1): mac 02:00:00:00:00:01",
                            "VF 0 of 0000:3b:00.0 (eno1): vlan 100",
                            "VF 0 of 0000:3b:00.0 (eno1): trust true",
                            "VF 1 of 0000:3b:00.0 (eno1): spoof_check false",
                            "VF 1 of 0000:3b:00.0 (eno1): min_rate, max_rate 0, 500 Mb/s",
                            "VF 0 of 0000:3b:00.0 (eno1): driver vfio-pci",
                            "VF 1 of 0000:3b:00.0 (eno1): the kernel's driver",
                            "name lan: VF 1 of 0000:3b:00.0", "name wan: VF 0 of 0000:3b:00.0"));
    EXPECT_EQ(machine_.picture(), before);
    EXPECT_FALSE(fs::exists(machine_.system().state));
}

TEST_F(Sriov, ApplyMakesWhatIsAskedFor) {
    const SriovReport report = apply(kTwoVfs);
    EXPECT_THAT(report.errors, IsEmpty());
    EXPECT_TRUE(report.changed);
    EXPECT_EQ(machine_.driver_of(kVf0), "vfio-pci");
    EXPECT_EQ(machine_.driver_of(kVf1), "igbvf");
    const auto& vfs = machine_.attributes["eno1"];
    EXPECT_EQ(vfs[0].vlan->id, 100);
    EXPECT_TRUE(*vfs[0].trust);
    EXPECT_FALSE(*vfs[1].spoof_check);
    EXPECT_EQ(vfs[1].rate->high, 500u);
    EXPECT_EQ(machine_.read_number("bus/pci/devices/0000:3b:00.0/sriov_drivers_autoprobe"), 1u);
    EXPECT_EQ(*named("wan"), kVf0);
    EXPECT_EQ(*named("lan"), kVf1);
    EXPECT_EQ(*drivers::find_vf(machine_, "eno1", 1), kVf1);
}

TEST_F(Sriov, ASecondApplyChangesNothing) {
    ASSERT_THAT(apply(kTwoVfs).errors, IsEmpty());
    const int writes = machine_.writes;
    const std::string before = machine_.picture();
    const SriovReport again = apply(kTwoVfs);
    EXPECT_THAT(again.errors, IsEmpty());
    EXPECT_THAT(again.steps, IsEmpty());
    EXPECT_FALSE(again.changed);
    EXPECT_EQ(machine_.writes, writes);
    EXPECT_EQ(machine_.picture(), before);
    EXPECT_THAT(plan(kTwoVfs).steps, IsEmpty());
}

TEST_F(Sriov, ReleaseBringsBackWhatWasThere) {
    const std::string before = machine_.picture();
    ASSERT_THAT(apply(kTwoVfs).errors, IsEmpty());
    EXPECT_THAT(release(false).steps, Contains("0000:3b:00.0 (eno1): remove its 2 VFs"));
    EXPECT_NE(machine_.picture(), before);
    EXPECT_THAT(release().errors, IsEmpty());
    EXPECT_EQ(machine_.picture(), before);
    EXPECT_FALSE(has_record());
    EXPECT_FALSE(named("wan").has_value());
    EXPECT_THAT(release().notes, ElementsAre(HasSubstr("nothing was applied")));
}

TEST_F(Sriov, VfsThatWereThereGetTheirAttributesAndDriversBack) {
    ASSERT_EQ(machine_.write("bus/pci/devices/0000:3b:00.0/sriov_numvfs", "2"), 0);
    machine_.attributes["eno1"][0].vlan->id = 7;
    const std::string before = machine_.picture();
    ASSERT_THAT(apply(kTwoVfs).errors, IsEmpty());
    EXPECT_EQ(machine_.driver_of(kVf0), "vfio-pci");
    EXPECT_EQ(machine_.attributes["eno1"][0].vlan->id, 100);
    machine_.attributes["eno1"][0].link_state = LinkState::disable;  // somebody else's
    ASSERT_THAT(release().errors, IsEmpty());
    EXPECT_EQ(machine_.driver_of(kVf0), "igbvf");
    EXPECT_EQ(machine_.attributes["eno1"][0].vlan->id, 7);
    EXPECT_EQ(*machine_.attributes["eno1"][0].link_state, LinkState::disable);
    machine_.attributes["eno1"][0].link_state = LinkState::automatic;
    EXPECT_EQ(machine_.picture(), before);
}

TEST_F(Sriov, AnotherNumberOfForeignVfsNeedsToBeAskedFor) {
    ASSERT_EQ(machine_.write("bus/pci/devices/0000:3b:00.0/sriov_numvfs", "1"), 0);
    const std::string before = machine_.picture();
    EXPECT_THAT(apply(kTwoVfs).errors, ElementsAre(AllOf(HasSubstr("has 1 VFs that wyectl did not"),
                                                         HasSubstr("--recreate"))));
    EXPECT_EQ(machine_.picture(), before);
    EXPECT_THAT(apply(kTwoVfs, true).errors, IsEmpty());
    EXPECT_EQ(machine_.driver_of(kVf0), "vfio-pci");
    EXPECT_THAT(release().errors, IsEmpty());
    EXPECT_EQ(machine_.picture(), before);
}

TEST_F(Sriov, WhatIsTakenOutOfTheFileGoesBack) {
    ASSERT_THAT(apply(kTwoVfs).errors, IsEmpty());
    ASSERT_THAT(apply("physical_functions: [{interface: eno1, vfs: 2, functions: [{number: 0, "
                      "trust: true}]}]")
                    .errors,
                IsEmpty());
    const auto& vfs = machine_.attributes["eno1"];
    EXPECT_EQ(vfs[0].vlan->id, 0);
    EXPECT_TRUE(*vfs[0].trust);
    EXPECT_TRUE(*vfs[1].spoof_check);
    EXPECT_EQ(vfs[1].rate->high, 0u);
    EXPECT_EQ(machine_.driver_of(kVf1), "vfio-pci");
    EXPECT_FALSE(named("wan").has_value());
    ASSERT_THAT(apply("physical_functions: []").errors, IsEmpty());
    EXPECT_EQ(machine_.read_number("bus/pci/devices/0000:3b:00.0/sriov_numvfs"), 0u);
    EXPECT_FALSE(has_record());
}

TEST_F(Sriov, OwnVfsMayBecomeMore) {
    const std::string before = machine_.picture();
    ASSERT_THAT(apply(kTwoVfs).errors, IsEmpty());
    ASSERT_THAT(apply("physical_functions: [{interface: eno1, vfs: 3}]").errors, IsEmpty());
    EXPECT_EQ(machine_.driver_of("0000:3b:10.2"), "vfio-pci");
    ASSERT_THAT(release().errors, IsEmpty());
    EXPECT_EQ(machine_.picture(), before);
}

TEST_F(Sriov, AfterARebootTheSameIsMadeAgain) {
    ASSERT_THAT(apply(kTwoVfs).errors, IsEmpty());
    const std::string applied = machine_.picture();
    // What a boot leaves of it: no VFs, an empty /run.
    fs::remove_all(machine_.system().state);
    ASSERT_EQ(machine_.write("bus/pci/devices/0000:3b:00.0/sriov_numvfs", "0"), 0);
    ASSERT_THAT(apply(kTwoVfs).errors, IsEmpty());
    EXPECT_EQ(machine_.picture(), applied);
    EXPECT_EQ(*named("wan"), kVf0);
}

TEST_F(Sriov, AFailureAnywhereLeavesEverythingAsItWas) {
    const std::string before = machine_.picture();
    int failed = 0;
    for (int at = 0;; ++at) {
        machine_.changes = 0;
        machine_.fail_at = at;
        const SriovReport report = apply(kTwoVfs);
        if (report.errors.empty() && machine_.changes <= at) break;  // past the last change
        // Two may fail without harm: sriov_drivers_autoprobe only saves a needless probe.
        if (!report.errors.empty()) {
            ++failed;
            EXPECT_THAT(report.errors.front(),
                        AllOf(HasSubstr("step "), HasSubstr(" failed: "), HasSubstr("(")))
                << at;
            EXPECT_EQ(report.errors.back(), "everything is as it was before") << at;
            EXPECT_FALSE(report.changed);
            // load_vfio is not undone, and autoprobe may have failed to go back.
            machine_.put("bus/pci/devices/0000:3b:00.0/sriov_drivers_autoprobe", "1");
            EXPECT_EQ(machine_.picture(), before) << at;
            EXPECT_FALSE(has_record()) << at;
            EXPECT_FALSE(named("wan").has_value()) << at;
        }
        machine_.fail_at = -1;
        ASSERT_THAT(release().errors, IsEmpty());
        machine_.put("bus/pci/devices/0000:3b:00.0/sriov_drivers_autoprobe", "1");
        fs::remove(machine_.full("bus/pci/drivers/vfio-pci"));
        ASSERT_EQ(machine_.picture(), before) << at;
        ASSERT_LT(at, 100);
    }
    EXPECT_GE(failed, 10);
}

TEST_F(Sriov, AFailureOfASecondApplyKeepsTheFirst) {
    ASSERT_THAT(apply(kTwoVfs).errors, IsEmpty());
    const std::string first = machine_.picture();
    const std::string other =
        "physical_functions: [{interface: eno1, vfs: 2, functions: [{number: 0, name: other, vlan: "
        "9}, {number: 1, trust: true}]}]";
    int failed = 0;
    for (int at = 0;; ++at) {
        machine_.changes = 0;
        machine_.fail_at = at;
        const SriovReport report = apply(other);
        machine_.fail_at = -1;
        if (report.errors.empty()) break;
        ++failed;
        EXPECT_EQ(report.errors.back(), "everything is as it was before") << at;
        EXPECT_EQ(machine_.picture(), first) << at;
        EXPECT_EQ(*named("wan"), kVf0);
        ASSERT_LT(at, 100);
    }
    EXPECT_GE(failed, 5);
    EXPECT_EQ(*named("other"), kVf0);
}

TEST_F(Sriov, WhenRollingBackFailsTooTheRecordIsKept) {
    const std::string before = machine_.picture();
    machine_.fail_at = 5;
    machine_.fail_count = 50;
    const SriovReport report = apply(kTwoVfs);
    EXPECT_THAT(report.errors, Contains(HasSubstr("rolling back failed")));
    EXPECT_THAT(report.errors.back(), HasSubstr("wyectl host release --yes"));
    EXPECT_TRUE(has_record());
    machine_.fail_at = -1;
    EXPECT_THAT(release().errors, IsEmpty());
    machine_.put("bus/pci/devices/0000:3b:00.0/sriov_drivers_autoprobe", "1");
    EXPECT_EQ(machine_.picture(), before);
}

TEST_F(Sriov, VfsInUseAreLeftAlone) {
    ASSERT_THAT(apply(kTwoVfs).errors, IsEmpty());
    machine_.open_group(kVf0, "4711");
    const std::string before = machine_.picture();
    EXPECT_THAT(release().errors, ElementsAre(AllOf(HasSubstr("0000:3b:10.0, is in use"),
                                                    HasSubstr("process 4711 has it open"))));
    EXPECT_EQ(machine_.picture(), before);
    EXPECT_THAT(apply("physical_functions: [{interface: eno1, vfs: 1}]").errors,
                Contains(HasSubstr("is in use")));
    fs::create_directories(machine_.full("bus/pci/devices/0000:3b:10.1/net/eth7"));
    machine_.put("bus/pci/devices/0000:3b:10.1/net/eth7/flags", "0x1003");
    EXPECT_THAT(release().errors, Contains(HasSubstr("ip link set eth7 down")));
    EXPECT_THAT(apply(kTwoVfs).errors, IsEmpty());  // what needs no change is no problem
}

TEST_F(Sriov, Mlx5StaysWithTheKernel) {
    machine_.add_pf("0000:af:00.0", "ens5f0np0", 4, "0x15b3");
    EXPECT_THAT(plan("physical_functions: [{interface: ens5f0np0, vfs: 1}]").steps,
                Contains(HasSubstr("the kernel's driver")));
    EXPECT_THAT(plan("physical_functions: [{interface: ens5f0np0, vfs: 1, functions: [{number: 0, "
                     "driver: vfio-pci}]}]")
                    .errors,
                ElementsAre(AllOf(HasSubstr("host.yaml:1:"), HasSubstr("mlx5"))));
}

TEST_F(Sriov, WithoutAnIommuItSaysSo) {
    machine_.iommu = false;
    const std::string before = machine_.picture();
    const auto errors = apply("physical_functions: [{interface: eno1, vfs: 1}]").errors;
    EXPECT_THAT(errors, Contains(HasSubstr("intel_iommu=on")));
    EXPECT_EQ(machine_.picture(), before);
}

TEST_F(Sriov, WhatTheDriverForgetsIsSeen) {
    machine_.no_link_state = true;
    const auto report = apply(
        "physical_functions: [{interface: eno1, vfs: 1, functions: [{number: 0, link_state: "
        "enable}]}]");
    EXPECT_THAT(report.errors,
                Contains(HasSubstr("link_state enable: was taken, but is not there")));
}

TEST_F(Sriov, RefusesWhatIsNotThere) {
    EXPECT_THAT(plan("physical_functions: [{interface: eno9, vfs: 1}]").errors,
                ElementsAre(HasSubstr("host.yaml:1: there is no interface eno9")));
    EXPECT_THAT(plan("physical_functions: [{address: \"0000:00:00.0\", vfs: 1}]").errors,
                ElementsAre(HasSubstr("there is no PCI device")));
    EXPECT_THAT(plan("physical_functions: [{interface: eno1, vfs: 8}]").errors,
                ElementsAre(HasSubstr("vfs: 8 is more than eno1 can have (7)")));
    EXPECT_THAT(plan("physical_functions: [{interface: eno1, vfs: 1}, {address: "
                     "\"0000:3b:00.0\", vfs: 1}]")
                    .errors,
                ElementsAre(HasSubstr("is the same NIC as one before")));
    EXPECT_THAT(plan("physical_functions: [{interface: eno1, vfs: 1, functions: [{address: "
                     "\"0000:3b:10.1\"}]}]")
                    .errors,
                ElementsAre(HasSubstr("none of the first 1 VFs")));
    EXPECT_THAT(plan("physical_functions: [{interface: eno1, vfs: 2, functions: [{number: 0}, "
                     "{address: \"0000:3b:10.0\"}]}]")
                    .errors,
                ElementsAre(HasSubstr("is VF 0, which is there already")));
}

TEST_F(Sriov, OneAtATime) {
    fs::create_directories(machine_.system().state);
    const std::string path = machine_.system().state + "/lock";
    std::ofstream(path) << "";
    const int other = open(path.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(flock(other, LOCK_EX), 0);
    EXPECT_THAT(apply(kTwoVfs).errors, ElementsAre(HasSubstr("another wyectl host runs")));
    close(other);
    EXPECT_THAT(apply(kTwoVfs).errors, IsEmpty());
}

TEST_F(Sriov, ABrokenRecordIsNoGuess) {
    ASSERT_THAT(apply(kTwoVfs).errors, IsEmpty());
    std::ofstream(machine_.system().state + "/record.json") << "{\"version\": 7}";
    EXPECT_THAT(release().errors, ElementsAre(HasSubstr("is no record of wyectl")));
}

TEST_F(Sriov, NamesAndNumbersThatAreNotThereSayTheFix) {
    EXPECT_THAT(named("wan").error().text, HasSubstr("name it in host.yaml"));
    EXPECT_THAT(drivers::find_vf(machine_, "eno1", 0).error().text,
                AllOf(HasSubstr("has no VF 0 (VFs there: 0)"), HasSubstr("wyectl host apply")));
}

}  // namespace
}  // namespace wye::host
