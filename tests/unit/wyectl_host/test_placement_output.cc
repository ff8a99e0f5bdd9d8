// The plan in words, as JSON, as YAML and as a picture, of servers from tests/unit/drivers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include "controlplane-shim/host/placement_svg.hh"
#include "controlplane-shim/host/placement_words.hh"
#include "controlplane-shim/host/svg_box.hh"
#include "tests/unit/drivers/topology_samples.hh"

namespace wye::host {
namespace {

using drivers::Machine;
using drivers::PlacementRequest;
using drivers::Plan;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Planned {
    Machine machine;
    Plan plan;
};

Planned planned(const std::string& name, const std::string& nic, std::uint32_t workers,
                const std::string& port = "wan") {
    PlacementRequest request;
    request.workers = workers;
    request.ports.push_back({port, nic, 512, 512, 1500, ""});
    Planned one{drivers::server(name), {}};
    one.plan = plan_placement(one.machine, request);
    return one;
}

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
        ++found;
    }
    return found;
}

TEST(PlacementWords, SayWhoSitsWhereAndWhatToDo) {
    const Planned one = planned("two_sockets_smt", "0000:af:00.0", 2);
    EXPECT_THAT(placement_words(one.machine, one.plan),
                AllOf(HasSubstr("machine: 2 packages, 2 NUMA nodes, 24 cores, 48 CPUs"),
                      HasSubstr("  worker 0: CPU 13 (node 1, package 1, beside CPU 37)\n"),
                      HasSubstr("  control: CPU 12 "), HasSubstr("CPUAffinity=12 "),
                      HasSubstr("  wan: 0000:af:00.0, node 1; 2 queues, buffers on node 1\n"),
                      HasSubstr("  node 1: 38362 packet buffers in 128 MiB"),
                      HasSubstr("  hint: Linux may run"), HasSubstr("    fix: boot Linux with")));
}

TEST(PlacementJson, HasTheSame) {
    const Planned one = planned("two_sockets_snc", "0000:51:00.0", 2);
    const auto out = placement_json(one.machine, one.plan);
    EXPECT_EQ(out["workers"][0]["cpu"], 7);
    EXPECT_EQ(out["machine"]["cores"].size(), 24u);
    EXPECT_EQ(out["machine"]["nodes"][1]["huge_pages"], 256);
    EXPECT_EQ(out["ports"][0]["nodes"][0], 1);
    EXPECT_EQ(out["others"].size(), 5u);
    EXPECT_EQ(out["advice"].size(), one.plan.advice.size());
}

TEST(WorkersSection, IsYamlWithTheSameCores) {
    const Planned one = planned("one_socket_smt", "0000:18:00.0", 3);
    const YAML::Node yaml = YAML::Load(workers_section(one.machine, one.plan));
    ASSERT_EQ(yaml["workers"].size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(yaml["workers"][i]["core"].as<std::uint32_t>(), one.plan.workers[i].cpu);
    }
}

TEST(PlacementSvg, HasEveryCpuAndEveryNicOnce) {
    for (const std::string name : {"one_socket_smt", "two_sockets_smt", "two_sockets_one_thread",
                                   "two_sockets_snc", "one_socket_four_l3"}) {
        const Machine machine = drivers::server(name);
        const std::string nic = machine.nics.front().address;
        const Planned one = planned(name, nic, 4);
        const std::string svg = placement_svg(one.machine, one.plan);
        for (const auto& thread : machine.threads) {
            EXPECT_EQ(count(svg, ">CPU " + std::to_string(thread.cpu) + "<"), 1u) << name;
        }
        for (const auto& device : machine.nics) {
            EXPECT_EQ(count(svg, ">NIC " + device.address), 1u) << name << device.address;
        }
        for (std::size_t i = 0; i < one.plan.workers.size(); ++i) {
            EXPECT_EQ(count(svg, ">worker " + std::to_string(i) + "<"), 1u) << name;
        }
        EXPECT_THAT(svg, HasSubstr("prefers-color-scheme:dark"));
    }
}

TEST(PlacementSvg, TextCannotBreakIt) {
    const Planned one = planned("one_socket_smt", "0000:18:00.0", 1, "<a&\"b>");
    const std::string svg = placement_svg(one.machine, one.plan);
    EXPECT_THAT(svg, AllOf(HasSubstr("&lt;a&amp;&quot;b&gt;"), Not(HasSubstr("<a&"))));
}

TEST(SvgBox, IsAsLargeAsWhatIsInIt) {
    const SvgBox leaf{"free", {"CPU 1"}, {}, 1, 74};
    const SvgBox box{"core", {}, {leaf, leaf, leaf}, 2};
    EXPECT_EQ(leaf.size().width, 74);
    EXPECT_EQ(box.size().width, 2 * 74 + 3 * 8);
    EXPECT_EQ(box.size().height, 3 * 8 + 2 * leaf.size().height);
}

}  // namespace
}  // namespace wye::host
