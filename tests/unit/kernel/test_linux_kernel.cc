// LinuxKernel against the real kernel, in namespaces of its own: a private mount namespace with its
// own /run/netns, so that nothing outside is seen or touched. Judge: iproute2 and ping.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "controlplane-shim/kernel/linux_kernel.hh"

namespace wye::kernel {
namespace {

using manifest::KernelVrf;

std::string run_command(const std::string& command) {
    std::string out;
    FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
    char buffer[4096];
    for (std::size_t n = 0; (n = fread(buffer, 1, sizeof buffer, pipe)) != 0;)
        out.append(buffer, n);
    pclose(pipe);
    return out;
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

struct Recorder : KernelSink {
    std::map<InterfaceKey, std::set<net::InterfaceAddress>> addresses;
    std::map<std::pair<InterfaceKey, net::IpAddress>, net::MacAddress> neighbors;
    std::set<std::pair<InterfaceKey, net::IpAddress>> failed;
    std::set<InterfaceKey> removed;
    std::map<InterfaceKey, Link> links;
    int link_changes = 0;

    void address_changed(const InterfaceKey& interface, const net::InterfaceAddress& address,
                         bool present) override {
        if (present) {
            EXPECT_TRUE(addresses[interface].insert(address).second);
        } else {
            EXPECT_EQ(addresses[interface].erase(address), 1u);
        }
    }
    void neighbor_changed(const InterfaceKey& interface, const net::IpAddress& address,
                          const std::optional<net::MacAddress>& mac) override {
        if (mac) {
            neighbors[{interface, address}] = *mac;
        } else {
            neighbors.erase({interface, address});
            failed.insert({interface, address});
        }
    }
    void link_changed(const InterfaceKey& interface, const Link& link) override {
        links[interface] = link;
        ++link_changes;
    }
    void link_removed(const InterfaceKey& interface) override {
        removed.insert(interface);
        links.erase(interface);
    }
};

/// True when root and able to make namespaces; done once for the process.
std::string prepare() {
    if (geteuid() != 0) return "needs root";
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) return "needs leave to make namespaces";
    if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("wye-shim-sys", "/sys", "sysfs", 0, nullptr) != 0)
        return "needs leave to mount";
    run_command("mkdir -p /run/netns");
    if (mount("wye-shim-netns", "/run/netns", "tmpfs", 0, nullptr) != 0)
        return "needs leave to mount";
    if (open("/dev/net/tun", O_RDWR) < 0) return "needs /dev/net/tun";
    run_command("ip link set lo up");
    return {};
}

class LinuxKernelTest : public ::testing::Test {
  protected:
    void SetUp() override {
        static const std::string reason = prepare();
        if (!reason.empty()) GTEST_SKIP() << reason;
        run_command("ip netns add wye-shim-red");
        kernel_ = std::move(*LinuxKernel::create("unit", recorder_));
        red_ = {KernelVrf::Kind::netns, "wye-shim-red"};
        ASSERT_TRUE(kernel_->open_vrf(red_));
    }
    void TearDown() override {
        kernel_.reset();
        if (geteuid() == 0) run_command("ip netns del wye-shim-red");
    }

    TwinSpec tap(const std::string& name) const {
        TwinSpec spec;
        spec.object = spec.interface = name;
        spec.vrf = red_;
        spec.mac = *net::parse_mac("02:00:00:00:10:01");
        spec.mtu = 1450;
        return spec;
    }
    TwinSpec inject() const {
        TwinSpec spec;
        spec.kind = ring::TwinKind::vrf_inject;
        spec.object = "red";
        spec.interface = "inj-red";
        spec.vrf = red_;
        return spec;
    }
    void remove(Twin twin, const TwinSpec& spec) {
        std::vector<std::pair<TwinSpec, Twin>> twins;
        twins.emplace_back(spec, std::move(twin));
        kernel_->remove_twins(std::move(twins));
    }
    static std::string in_red(const std::string& command) {
        return run_command("ip netns exec wye-shim-red " + command);
    }
    bool wait_for(const std::function<bool()>& done, int seconds = 5) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
        while (std::chrono::steady_clock::now() < end) {
            kernel_->run();
            if (done()) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return false;
    }
    /// A frame that the kernel sent out of the device; empty: none came in time.
    static std::vector<std::uint8_t> read_until(
        int fd, const std::function<bool(const std::vector<std::uint8_t>&)>& wanted) {
        for (int i = 0; i < 100; ++i) {
            pollfd waiting{fd, POLLIN, 0};
            if (poll(&waiting, 1, 50) <= 0) continue;
            std::vector<std::uint8_t> frame(2048);
            const ssize_t size = read(fd, frame.data(), frame.size());
            if (size <= 0) continue;
            frame.resize(static_cast<std::size_t>(size));
            if (wanted(frame)) return frame;
        }
        return {};
    }
    /// Source and destination of the echo request that comes by a device while the command pings; empty:
    /// none came.
    static std::vector<std::uint8_t> ends_of_ping(const char* command, const Twin& device) {
        FILE* const ping = popen(command, "r");
        const auto packet = read_until(device.descriptor.get(), [](const auto& p) {
            return p.size() >= 28 && p[0] == 0x45 && p[9] == 1;
        });
        pclose(ping);
        if (packet.empty()) return {};
        return {packet.begin() + 12, packet.begin() + 20};
    }
    /// From the twin's address to one that nothing but inject has a route for.
    static inline const std::vector<std::uint8_t> kTwinToNowhere{10, 1, 0, 1, 203, 0, 113, 7};

    Recorder recorder_;
    std::unique_ptr<LinuxKernel> kernel_;
    KernelVrf red_;
};

TEST_F(LinuxKernelTest, TwinIsInItsNamespaceWithMacMtuAndIndex) {
    const Result<Twin> twin = kernel_->make_twin(tap("site"));
    ASSERT_TRUE(twin) << twin.error().text;
    const std::string shown = in_red("ip -d link show dev site");
    EXPECT_TRUE(has(shown, std::to_string(twin->interface.index) + ": site:")) << shown;
    EXPECT_TRUE(has(shown, "02:00:00:00:10:01")) << shown;
    EXPECT_TRUE(has(shown, "mtu 1450")) << shown;
    EXPECT_TRUE(has(shown, "UP")) << shown;
    EXPECT_TRUE(has(shown, "addrgenmode eui64")) << shown;
    EXPECT_FALSE(has(run_command("ip link show"), "site")) << "in the test's own namespace";
    // ND needs a link-local address: it is there, and has been reported.
    EXPECT_TRUE(wait_for([&] { return !recorder_.addresses[twin->interface].empty(); }));
    for (const char* setting : {"rp_filter", "forwarding"})
        EXPECT_EQ(in_red(std::string("cat /proc/sys/net/ipv4/conf/site/") + setting), "0\n");
    EXPECT_EQ(in_red("cat /proc/sys/net/ipv6/conf/site/accept_ra"), "0\n");
}

TEST_F(LinuxKernelTest, TakenNameAndMissingNamespaceAreRefusedInWords) {
    in_red("ip link add site type veth peer name other");
    const Result<Twin> twin = kernel_->make_twin(tap("site"));
    ASSERT_FALSE(twin);
    EXPECT_TRUE(has(twin.error().text, "twin site")) << twin.error().text;
    const Status opened = kernel_->open_vrf({KernelVrf::Kind::netns, "wye-shim-none"});
    ASSERT_FALSE(opened);
    EXPECT_TRUE(has(opened.error().text, "ip netns add wye-shim-none"));
    const Status device = kernel_->open_vrf({KernelVrf::Kind::device, "wye-shim-dev"});
    ASSERT_FALSE(device);
    EXPECT_TRUE(has(device.error().text, "there is no VRF device wye-shim-dev"));
    EXPECT_FALSE(has(in_red("ip link"), "tap"));
}

TEST_F(LinuxKernelTest, AddressesAreOursOnlyAndEventsArrive) {
    TwinSpec spec = tap("site");
    spec.addresses = {*net::parse_interface_address("10.1.0.1/24"),
                      *net::parse_interface_address("fd00:1::1/64")};
    const Result<Twin> twin = kernel_->make_twin(spec);
    ASSERT_TRUE(twin) << twin.error().text;
    auto& seen = recorder_.addresses[twin->interface];
    EXPECT_TRUE(wait_for(
        [&] { return seen.contains(spec.addresses[0]) && seen.contains(spec.addresses[1]); }));
    in_red("ip addr add 10.9.0.1/24 dev site");  // as somebody in vtysh does
    const auto other = *net::parse_interface_address("10.9.0.1/24");
    EXPECT_TRUE(wait_for([&] { return seen.contains(other); }));
    TwinSpec changed = spec;
    changed.addresses = {*net::parse_interface_address("10.2.0.1/24")};
    changed.mtu = 9000;
    ASSERT_TRUE(kernel_->change_twin(*twin, spec, changed));
    EXPECT_TRUE(wait_for(
        [&] { return !seen.contains(spec.addresses[0]) && seen.contains(changed.addresses[0]); }));
    EXPECT_TRUE(seen.contains(other));
    EXPECT_TRUE(has(in_red("ip link show dev site"), "mtu 9000"));
}

TEST_F(LinuxKernelTest, DescriptorSurvivesHandOverAndIsCheckedWhenTakenBack) {
    const TwinSpec spec = tap("site");
    Result<Twin> twin = kernel_->make_twin(spec);
    ASSERT_TRUE(twin) << twin.error().text;
    const std::uint32_t index = twin->interface.index;
    Descriptor copy(dup(twin->descriptor.get()));  // the data plane's
    twin->descriptor.reset();                      // the shim dies
    kernel_ = std::move(*LinuxKernel::create("unit", recorder_));
    EXPECT_TRUE(has(in_red("ip link show dev site"), "LOWER_UP"));
    TwinSpec wrong = spec;
    wrong.interface = "elsewhere";
    EXPECT_FALSE(kernel_->adopt_twin(wrong, Descriptor(dup(copy.get()))));
    wrong = spec;
    wrong.vrf = {};
    const Result<Twin> elsewhere = kernel_->adopt_twin(wrong, Descriptor(dup(copy.get())));
    ASSERT_FALSE(elsewhere);
    EXPECT_TRUE(has(elsewhere.error().text, "another namespace")) << elsewhere.error().text;
    Result<Twin> adopted = kernel_->adopt_twin(spec, std::move(copy));
    ASSERT_TRUE(adopted) << adopted.error().text;
    EXPECT_EQ(adopted->interface.index, index);
    remove(std::move(*adopted), spec);
    EXPECT_FALSE(has(in_red("ip link"), "site"));
    EXPECT_TRUE(wait_for([&] { return recorder_.removed.contains({"wye-shim-red", index}); }));
}

// Linux forgets the neighbours of an interface whose MAC is set, even to what it was. A shim that has
// been started anew would have all of them asked for again, under traffic.
TEST_F(LinuxKernelTest, NeighboursOutliveTheShim) {
    const TwinSpec spec = tap("site");
    Result<Twin> twin = kernel_->make_twin(spec);
    ASSERT_TRUE(twin) << twin.error().text;
    in_red("ip neigh replace 10.1.0.9 lladdr 02:00:00:00:00:09 dev site nud reachable");
    in_red("ip neigh replace fe80::9 lladdr 02:00:00:00:00:09 dev site nud reachable");
    Descriptor copy(dup(twin->descriptor.get()));
    twin->descriptor.reset();
    kernel_ = std::move(*LinuxKernel::create("unit", recorder_));
    Result<Twin> adopted = kernel_->adopt_twin(spec, std::move(copy));
    ASSERT_TRUE(adopted) << adopted.error().text;
    const std::string neighbors = in_red("ip neigh show dev site");
    EXPECT_TRUE(has(neighbors, "10.1.0.9 lladdr 02:00:00:00:00:09")) << neighbors;
    EXPECT_TRUE(has(neighbors, "fe80::9 lladdr 02:00:00:00:00:09")) << neighbors;
    // What has changed is set all the same.
    TwinSpec other = spec;
    other.mac = *net::parse_mac("02:00:00:00:10:02");
    ASSERT_TRUE(kernel_->change_twin(*adopted, spec, other));
    EXPECT_TRUE(has(in_red("ip link show dev site"), "02:00:00:00:10:02"));
    remove(std::move(*adopted), other);
}

TEST_F(LinuxKernelTest, IndexIsTheSameAfterARestartAndAnotherIfTaken) {
    const TwinSpec spec = tap("site");
    Result<Twin> first = kernel_->make_twin(spec);
    ASSERT_TRUE(first);
    const std::uint32_t index = first->interface.index;
    EXPECT_GE(index, 1u << 20);
    remove(std::move(*first), spec);
    in_red("ip link add taken index " + std::to_string(index) + " type veth peer name other");
    Result<Twin> second = kernel_->make_twin(spec);
    ASSERT_TRUE(second) << second.error().text;
    EXPECT_EQ(second->interface.index, index + 1);
    remove(std::move(*second), spec);
    in_red("ip link del taken");
    Result<Twin> third = kernel_->make_twin(spec);
    ASSERT_TRUE(third);
    EXPECT_EQ(third->interface.index, index);
}

TEST_F(LinuxKernelTest, NeighborsAreLearnedFailedAndStatic) {
    TwinSpec spec = tap("site");
    spec.addresses = {*net::parse_interface_address("10.1.0.1/24")};
    spec.neighbors = {{*net::parse_ip("10.1.0.9"), *net::parse_mac("02:00:00:00:00:09")}};
    const Result<Twin> twin = kernel_->make_twin(spec);
    ASSERT_TRUE(twin) << twin.error().text;
    const net::IpAddress fixed = *net::parse_ip("10.1.0.9"), peer = *net::parse_ip("10.1.0.2"),
                         nobody = *net::parse_ip("10.1.0.3");
    EXPECT_TRUE(wait_for([&] { return recorder_.neighbors.contains({twin->interface, fixed}); }));
    kernel_->ask_neighbor(twin->interface, peer, false);
    // The kernel asks by the twin: who has 10.1.0.2?
    const auto request = read_until(twin->descriptor.get(), [](const auto& frame) {
        return frame.size() >= 42 && frame[12] == 0x08 && frame[13] == 0x06 && frame[41] == 2;
    });
    ASSERT_FALSE(request.empty());
    std::vector<std::uint8_t> reply(request);
    const std::uint8_t mac[6] = {2, 0, 0, 0, 0, 2};
    std::copy_n(&request[6], 6, &reply[0]);
    std::copy_n(mac, 6, &reply[6]);
    reply[21] = 2;  // is-at (RFC 826)
    std::copy_n(&request[22], 10, &reply[32]);
    std::copy_n(mac, 6, &reply[22]);
    std::copy_n(&request[38], 4, &reply[28]);
    ASSERT_EQ(write(twin->descriptor.get(), reply.data(), reply.size()),
              static_cast<ssize_t>(reply.size()));
    EXPECT_TRUE(wait_for([&] { return recorder_.neighbors.contains({twin->interface, peer}); }));
    kernel_->ask_neighbor(twin->interface, peer, true);
    EXPECT_TRUE(wait_for(
        [&] { return kernel_->listener("wye-shim-red")->managed(twin->interface.index, peer); }));
    kernel_->ask_neighbor(twin->interface, nobody, false);
    EXPECT_TRUE(wait_for([&] { return recorder_.failed.contains({twin->interface, nobody}); }, 10));
    in_red("ip neigh flush dev site");
    kernel_->forget_neighbor(twin->interface, peer);
    EXPECT_TRUE(wait_for([&] { return !recorder_.neighbors.contains({twin->interface, peer}); }));
}

TEST_F(LinuxKernelTest, InjectCatchesWhatTheKernelHasNoRouteFor) {
    TwinSpec spec = tap("site");
    spec.addresses = {*net::parse_interface_address("10.1.0.1/24"),
                      *net::parse_interface_address("fd00:1::1/64")};
    const Result<Twin> twin = kernel_->make_twin(spec);
    ASSERT_TRUE(twin) << twin.error().text;
    Result<Twin> device = kernel_->make_twin(inject());
    ASSERT_TRUE(device) << device.error().text;
    EXPECT_EQ(in_red("ip route show default"), "") << "in a table that zebra reads";
    EXPECT_FALSE(has(in_red("ip addr show dev inj-red"), "inet6 fe80"));
    EXPECT_EQ(ends_of_ping("ip netns exec wye-shim-red ping -c 1 -W 1 203.0.113.7", *device),
              kTwinToNowhere);
    // What the kernel has a route for does not come here.
    EXPECT_TRUE(has(in_red("ip route get 10.1.0.5"), "dev site"));
    EXPECT_TRUE(has(in_red("ip -6 route get 2001:db8::1"), "dev inj-red"));
    remove(std::move(*device), inject());
    EXPECT_FALSE(has(in_red("ip rule") + in_red("ip -6 rule"), "40000"));
    EXPECT_FALSE(has(in_red("ip link"), "inj-red"));
}

/// A VRF device in the process's own namespace; not every kernel has them (tests/virtual does).
class VrfDeviceTest : public LinuxKernelTest {
  protected:
    void SetUp() override {
        LinuxKernelTest::SetUp();
        if (IsSkipped() || HasFatalFailure()) return;
        if (!run_command("ip link add wye-vrf up type vrf table 77").empty())
            GTEST_SKIP() << "the kernel has no VRF devices (scripts/test --vm)";
        vrf_ = {KernelVrf::Kind::device, "wye-vrf"};
        ASSERT_TRUE(kernel_->open_vrf(vrf_));
    }
    void TearDown() override {
        if (!IsSkipped()) run_command("ip link delete wye-vrf");
        LinuxKernelTest::TearDown();
    }
    KernelVrf vrf_;
};

TEST_F(VrfDeviceTest, TwinIsInTheVrf) {
    TwinSpec spec = tap("site");
    spec.vrf = vrf_;
    spec.addresses = {*net::parse_interface_address("10.1.0.1/24")};
    Result<Twin> twin = kernel_->make_twin(spec);
    ASSERT_TRUE(twin) << twin.error().text;
    EXPECT_TRUE(has(run_command("ip link show master wye-vrf"), "site"));
    EXPECT_TRUE(has(run_command("ip route show table 77"), "10.1.0.0/24 dev site"));
    const Result<Twin> back = kernel_->adopt_twin(spec, std::move(twin->descriptor));
    ASSERT_TRUE(back) << back.error().text;
    EXPECT_TRUE(has(run_command("ip link show master wye-vrf"), "site"));
}

TEST_F(VrfDeviceTest, AMissingDeviceOrOneOfAnotherKindIsRefusedInWords) {
    const Status missing = kernel_->open_vrf({KernelVrf::Kind::device, "nowhere"});
    ASSERT_FALSE(missing);
    EXPECT_TRUE(has(missing.error().text, "there is no VRF device nowhere"));
    const Status wrong = kernel_->open_vrf({KernelVrf::Kind::device, "lo"});
    ASSERT_FALSE(wrong);
    EXPECT_TRUE(has(wrong.error().text, "lo is no VRF device"));
}

TEST_F(VrfDeviceTest, InjectCatchesWhatTheVrfHasNoRouteFor) {
    run_command("ip route add unreachable default metric 4278198272 table 77");
    TwinSpec spec = tap("site");
    spec.vrf = vrf_;
    spec.addresses = {*net::parse_interface_address("10.1.0.1/24"),
                      *net::parse_interface_address("fd00:1::1/64")};
    const Result<Twin> twin = kernel_->make_twin(spec);
    ASSERT_TRUE(twin) << twin.error().text;
    TwinSpec other = inject();
    other.vrf = vrf_;
    Result<Twin> device = kernel_->make_twin(other);
    ASSERT_TRUE(device) << device.error().text;
    EXPECT_TRUE(has(run_command("ip route get 203.0.113.7 vrf wye-vrf"), "dev inj-red"));
    EXPECT_TRUE(has(run_command("ip -6 route get 2001:db8::1 vrf wye-vrf"), "dev inj-red"));
    EXPECT_TRUE(has(run_command("ip route get 10.1.0.5 vrf wye-vrf"), "dev site"));
    EXPECT_FALSE(has(run_command("ip route get 203.0.113.7"), "inj-red")) << "from outside the VRF";
    EXPECT_EQ(ends_of_ping("ping -I wye-vrf -c 1 -W 1 203.0.113.7 2>&1", *device), kTwinToNowhere);
    remove(std::move(*device), other);
    EXPECT_FALSE(has(run_command("ip route show table 77"), "inj-red"));
}

TEST_F(LinuxKernelTest, AnotherDumpTellsOnlyTheDifference) {
    kernel_ = std::move(*LinuxKernel::create("unit", recorder_, 4096));
    recorder_ = {};
    ASSERT_TRUE(kernel_->open_vrf(red_));
    const TwinSpec spec = tap("site");
    const Result<Twin> twin = kernel_->make_twin(spec);
    ASSERT_TRUE(twin);
    const Listener* const listener = kernel_->listener("wye-shim-red");
    const std::size_t before = listener->dumps();
    // More events than the socket's buffer holds: the recorder objects to anything told twice.
    std::ofstream batch("/run/netns/.batch");
    for (int round = 0; round < 30; ++round) {
        for (int i = 1; i < 250; ++i)
            batch << "addr " << (round % 2 == 0 ? "add" : "del") << " 10.7." << i
                  << ".1/24 dev site\n";
        for (int i = 1; i < 250; ++i)
            batch << "neigh replace 10.1.7." << i << " lladdr 02:00:00:00:00:" << 10 + round
                  << " dev site\n";
    }
    batch << "addr add 10.8.0.1/24 dev site\n";
    batch.close();
    const std::string said = in_red("ip -force -batch /run/netns/.batch");
    const auto last = *net::parse_interface_address("10.8.0.1/24");
    EXPECT_TRUE(wait_for([&] { return recorder_.addresses[twin->interface].contains(last); }, 10))
        << said.substr(0, 500);
    std::size_t ipv4 = 0;
    for (const auto& address : recorder_.addresses[twin->interface])
        if (address.address.is_ipv4()) ++ipv4;
    EXPECT_EQ(ipv4, 1u);
    EXPECT_GT(listener->dumps(), before);
}

TEST_F(LinuxKernelTest, LinksAndRouterMacsAreToldAsEvpnNeedsThem) {
    in_red("ip link add br7 type bridge");
    in_red("ip link set br7 address 02:00:00:00:00:07 mtu 1450");
    in_red(
        "ip link add vx7 type vxlan id 7007 local 192.0.2.1 dstport 4790 ttl 9 tos inherit "
        "nolearning");
    in_red("ip link add vx8 type vxlan dstport 4799 external");
    const auto named = [&](const std::string& name) -> const Link* {
        const std::string shown = in_red("ip -o link show dev " + name);
        const auto found = recorder_.links.find(
            {"wye-shim-red", static_cast<std::uint32_t>(std::atoi(shown.c_str()))});
        return found == recorder_.links.end() ? nullptr : &found->second;
    };
    ASSERT_TRUE(wait_for([&] { return named("vx8") != nullptr && named("br7")->mtu == 1450; }));
    EXPECT_EQ(net::to_string(named("br7")->mac), "02:00:00:00:00:07");
    EXPECT_FALSE(named("br7")->vxlan);
    EXPECT_FALSE(named("vx8")->vxlan) << "it has no VNI of its own";
    const auto vxlan = named("vx7")->vxlan;
    ASSERT_TRUE(vxlan);
    EXPECT_EQ(*vxlan, (Link::Vxlan{7007, *net::parse_ip("192.0.2.1"), 4790, 9, true}));
    const int before = recorder_.link_changes;
    in_red("ip link set br7 up");
    in_red("ip link set br7 mtu 1400");
    EXPECT_TRUE(wait_for([&] { return named("br7")->mtu == 1400; }));
    EXPECT_EQ(recorder_.link_changes, before + 1) << "up or down is no change of these";
    // As zebra enters the MAC of a far router; any other NOARP entry is none.
    in_red("ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:22 dev br7 nud noarp extern_learn");
    in_red("ip neigh add 192.0.2.3 lladdr 02:00:00:00:00:33 dev br7 nud noarp");
    in_red("ip neigh add 192.0.2.4 lladdr 02:00:00:00:00:44 dev br7 nud permanent");
    const auto knows = [&](const char* address) {
        for (const auto& [key, mac] : recorder_.neighbors)
            if (key.second == *net::parse_ip(address)) return true;
        return false;
    };
    EXPECT_TRUE(wait_for([&] { return knows("192.0.2.4"); }));
    EXPECT_TRUE(knows("192.0.2.2"));
    EXPECT_FALSE(knows("192.0.2.3"));
    in_red("ip link del vx7");
    EXPECT_TRUE(wait_for([&] { return recorder_.removed.size() == 1; }));
}

TEST_F(LinuxKernelTest, TwoHundredTwinsComeAndGoWithoutATrace) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::pair<TwinSpec, Twin>> twins;
    for (int i = 0; i < 200; ++i) {
        TwinSpec spec = tap("v" + std::to_string(i));
        Result<Twin> twin = kernel_->make_twin(spec);
        ASSERT_TRUE(twin) << twin.error().text;
        twins.emplace_back(spec, std::move(*twin));
    }
    const auto made = std::chrono::steady_clock::now();
    kernel_->remove_twins(std::move(twins));
    const auto gone = std::chrono::steady_clock::now();
    const auto ms = [](auto d) {
        return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
    };
    std::printf("200 twins: made in %d ms, gone in %d ms\n", ms(made - begin), ms(gone - made));
    EXPECT_LT(ms(gone - begin), 8000);
    EXPECT_FALSE(has(in_red("ip link"), " v1"));
    wait_for([&] { return recorder_.removed.size() == 200; });
    for (const auto& [interface, addresses] : recorder_.addresses)
        EXPECT_TRUE(addresses.empty()) << interface.index;
}

}  // namespace
}  // namespace wye::kernel
