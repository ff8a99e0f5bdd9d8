// AF_XDP ports on a veth pair in a network namespace of the test's own. One EAL, without hugepages.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "dataplane/base/descriptor.hh"
#include "drivers/ethdev/eal.hh"
#include "drivers/ethdev/mbuf_frame.hh"
#include "drivers/xdp/port.hh"
#include "tests/unit/drivers/link_becomes.hh"
#include "tests/unit/drivers/one_eal.hh"

namespace {

using namespace wye;
using namespace wye::drivers;
using namespace std::chrono_literals;
using pipeline::Frame;
using testing::HasSubstr;
using Bytes = std::vector<std::byte>;

bool in_namespace = false;

class OneEalInANamespace : public OneEal {
    using OneEal::OneEal;
    void SetUp() override {
        in_namespace = unshare(CLONE_NEWNET) == 0;
        OneEal::SetUp();
    }
};
[[maybe_unused]] const auto* const kOneEal =
    testing::AddGlobalTestEnvironment(new OneEalInANamespace("unit-xdp"));

/// Ethernet with the addresses of wye's tests, 802.1Q if tagged.
Bytes frame_of(std::uint16_t type, std::size_t length, int seed, int vlan = -1) {
    Bytes bytes(length);
    for (std::size_t i = 0; i < length; ++i) {
        bytes[i] = static_cast<std::byte>(static_cast<int>(i) * 5 + seed);
    }
    std::fill_n(bytes.begin(), 12, std::byte{0x02});
    std::size_t at = 12;
    if (vlan >= 0) {
        bytes[12] = std::byte{0x81};
        bytes[13] = std::byte{0x00};
        bytes[14] = static_cast<std::byte>(vlan >> 8);
        bytes[15] = static_cast<std::byte>(vlan & 0xff);
        at = 16;
    }
    bytes[at] = static_cast<std::byte>(type >> 8);
    bytes[at + 1] = static_cast<std::byte>(type & 0xff);
    return bytes;
}

/// VXLAN over IPv4, as far as the program looks.
Bytes tunnelled(std::size_t length, int seed) {
    Bytes bytes = frame_of(0x0800, length, seed);
    const std::uint8_t header[] = {0x45, 0, 0,   0, 0, 0, 0,    0, 64,   17,   0, 0,  192, 0,
                                   2,    1, 192, 0, 2, 2, 0xc0, 0, 0x12, 0xb5, 0, 16, 0,   0};
    std::memcpy(&bytes[14], header, sizeof header);
    return bytes;
}

Bytes contents(const Frame& frame) {
    return {frame.data, frame.data + frame.length};
}

constexpr int kEveryProtocol = 3;  // ETH_P_ALL

/// Frames at an interface, as its kernel sees them.
class Wire {
  public:
    explicit Wire(const char* interface) : socket_(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0)) {
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = static_cast<std::uint16_t>(kEveryProtocol << 8);
        address.sll_ifindex = static_cast<int>(if_nametoindex(interface));
        EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    void send(const Bytes& bytes) const {
        ASSERT_EQ(::send(socket_.get(), bytes.data(), bytes.size(), 0),
                  static_cast<ssize_t>(bytes.size()));
    }
    /// The next one with the tests' addresses; empty: none for `wait`.
    Bytes receive(std::chrono::milliseconds wait = 2000ms) const {
        const auto end = std::chrono::steady_clock::now() + wait;
        Bytes bytes(65536);
        do {
            const ssize_t n = recv(socket_.get(), bytes.data(), bytes.size(), 0);
            if (n > 14 && bytes[0] == std::byte{0x02} && bytes[6] == std::byte{0x02}) {
                bytes.resize(static_cast<std::size_t>(n));
                return bytes;
            }
            if (n < 0) std::this_thread::sleep_for(1ms);
        } while (std::chrono::steady_clock::now() < end);
        return {};
    }

  private:
    Descriptor socket_;
};

class XdpOnVeth : public testing::TestWithParam<XdpMode> {
  protected:
    void SetUp() override {
        if (!in_namespace) GTEST_SKIP() << "needs the right to make a network namespace (root)";
        ASSERT_EQ(std::system("ip link add xdp-a numrxqueues 2 numtxqueues 2 type veth "
                              "peer name xdp-b numrxqueues 2 numtxqueues 2 && "
                              "ip link set xdp-b up addrgenmode none && "
                              "ip link set xdp-a addrgenmode none"),
                  0);
        what_.name = *ObjectName::from("wan");
        what_.kind = PortKind::af_xdp;
        what_.interface = "xdp-a";
        what_.xdp.mode = GetParam();
        what_.xdp.vlans = {100};
    }
    void TearDown() override {
        if (in_namespace) (void)std::system("ip link delete xdp-a 2>/dev/null");
    }
    /// A started port with a queue for each of `workers`.
    std::unique_ptr<Port> start(std::uint16_t workers = 1) {
        auto port = XdpPort::probe(what_, workers);
        EXPECT_TRUE(port.has_value()) << port.error().text;
        if (!port) return nullptr;
        pool_.reset();
        auto pool = MbufPool::create(96, (*port)->buffer_bytes());
        EXPECT_TRUE(pool.has_value());
        pool_ = std::move(*pool);
        const Status started = (*port)->start(*pool_);
        EXPECT_TRUE(started.has_value()) << started.error().text;
        return started ? std::move(*port) : nullptr;
    }
    /// How probe or start refuse.
    std::string refusal(std::uint16_t workers = 1) {
        auto port = XdpPort::probe(what_, workers);
        if (!port) return port.error().text;
        auto pool = MbufPool::create(96, (*port)->buffer_bytes());
        EXPECT_TRUE(pool.has_value());
        const Status started = (*port)->start(**pool);
        port->reset();
        EXPECT_EQ((*pool)->in_use(), 0u);
        return started ? "" : started.error().text;
    }
    static std::vector<Frame> receive(worker::PortIo& io, std::size_t n) {
        std::vector<Frame> all;
        std::array<Frame, 32> burst;
        const auto end = std::chrono::steady_clock::now() + 2s;
        while (all.size() < n && std::chrono::steady_clock::now() < end) {
            const std::size_t got = io.receive(burst);
            all.insert(all.end(), burst.begin(), burst.begin() + static_cast<std::ptrdiff_t>(got));
            if (got == 0) std::this_thread::sleep_for(200us);
        }
        return all;
    }
    static bool program_there() {
        return std::system("ip link show xdp-a | grep -q 'name wye_steer'") == 0;
    }

    PortSpecification what_;
    std::unique_ptr<MbufPool> pool_;
};

TEST_P(XdpOnVeth, CarriesTheRoutersFramesBothWays) {
    auto port = start();
    ASSERT_NE(port, nullptr);
    EXPECT_THAT(port->description(),
                HasSubstr(GetParam() == XdpMode::generic ? "generic mode" : "native mode"));
    EXPECT_THAT(port->description(),
                HasSubstr("copying, 2 queue(s), takes UDP ports 4789, 6081 and VLANs 100"));
    const PortUse use = port->use();
    EXPECT_EQ(use.driver, "af_xdp");
    EXPECT_EQ(use.mode, GetParam() == XdpMode::generic ? "generic" : "native");
    EXPECT_EQ(use.buffers, "copying");  // a veth has no zero-copy, whatever is asked for
    EXPECT_EQ(use.takes, "UDP ports 4789, 6081 and VLANs 100");
    EXPECT_TRUE(link_becomes(*port, true));
    EXPECT_NE(port->mac(), net::MacAddress{});
    const auto io = port->queue(0);
    const Wire far("xdp-b");
    for (const Bytes& sent : {tunnelled(1514, 3), tunnelled(60, 4), frame_of(0x0806, 60, 5, 100),
                              frame_of(0x88b5, 1518, 6, 100)}) {
        far.send(sent);
        auto frames = receive(*io, 1);
        ASSERT_EQ(frames.size(), 1u);
        EXPECT_EQ(contents(frames[0]), sent);
        EXPECT_GE(frames[0].headroom, pipeline::kMinHeadroom);
        EXPECT_TRUE(io->sendable(frames[0]));
        // Grown by a tunnel's headers, and shrunk again: the bytes may begin anywhere.
        frames[0].prepend(50);
        frames[0].strip(50);
        ASSERT_EQ(io->transmit(frames), 1u);
        const Bytes back = far.receive();
        EXPECT_EQ(Bytes(back.end() - 40, back.end()), Bytes(sent.end() - 40, sent.end()));
    }
    port->stop();
    EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_P(XdpOnVeth, LeavesTheRestWithTheKernel) {
    auto port = start();
    ASSERT_NE(port, nullptr);
    const auto io = port->queue(0);
    const Wire far("xdp-b");
    const Wire kernel("xdp-a");
    far.send(frame_of(0x88b5, 300, 7));
    EXPECT_EQ(kernel.receive(), frame_of(0x88b5, 300, 7));
    far.send(tunnelled(300, 7));
    const auto frames = receive(*io, 1);
    ASSERT_EQ(frames.size(), 1u);
    pool_->release(frames);
    EXPECT_TRUE(kernel.receive(50ms).empty()) << "the router's is the router's alone";
    port->stop();
    EXPECT_TRUE(program_there());
    EXPECT_EQ(port->use().mode, "");
    far.send(tunnelled(300, 8));
    EXPECT_EQ(kernel.receive(), tunnelled(300, 8)) << "after the end all is the kernel's";
    EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_P(XdpOnVeth, TakesEverythingWhereToldSo) {
    what_.xdp.steer = Steer::all;
    auto port = start();
    ASSERT_NE(port, nullptr);
    const auto io = port->queue(0);
    Wire("xdp-b").send(frame_of(0x88b5, 300, 7));
    const auto frames = receive(*io, 1);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(contents(frames[0]), frame_of(0x88b5, 300, 7));
    pool_->release(frames);
}

TEST_P(XdpOnVeth, TakesAVlanAloneWhereToldSo) {
    what_.xdp.udp_ports = {};
    auto port = start();
    ASSERT_NE(port, nullptr);
    EXPECT_THAT(port->description(), HasSubstr("queue(s), takes VLANs 100"));
    const auto io = port->queue(0);
    const Wire far("xdp-b");
    far.send(tunnelled(300, 7));
    far.send(frame_of(0x88b5, 300, 7, 100));
    const auto frames = receive(*io, 1);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(contents(frames[0]), frame_of(0x88b5, 300, 7, 100));
    pool_->release(frames);
}

TEST_P(XdpOnVeth, ManyFramesMoreThanTheRingsHold) {
    what_.rx_descriptors = what_.tx_descriptors = 64;
    auto port = start();
    ASSERT_NE(port, nullptr);
    const auto io = port->queue(0);
    const Wire far("xdp-b");
    for (int round = 0; round < 50; ++round) {
        for (int i = 0; i < 20; ++i) far.send(tunnelled(200, i));
        const auto frames = receive(*io, 20);
        ASSERT_EQ(frames.size(), 20u) << round;
        std::size_t taken = 0;
        for (int turn = 0; taken < frames.size() && turn < 1000; ++turn) {
            taken += io->transmit(std::span(frames).subspan(taken));
        }
        ASSERT_EQ(taken, frames.size()) << round;
        for (int i = 0; i < 20; ++i) ASSERT_EQ(far.receive(), tunnelled(200, i)) << round;
    }
    port->stop();
    EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_P(XdpOnVeth, FramesThatNobodyReadsComeBackToThePool) {
    auto port = start();
    ASSERT_NE(port, nullptr);
    const Wire far("xdp-b");
    for (int i = 0; i < 700; ++i) far.send(tunnelled(100, i));  // more than a ring
    EXPECT_GT(pool_->in_use(), 0u);
    port->stop();
    EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_P(XdpOnVeth, AFrameOfAnotherPoolIsCopied) {
    auto port = start();
    ASSERT_NE(port, nullptr);
    const auto io = port->queue(0);
    const Wire far("xdp-b");
    far.send(tunnelled(200, 1));
    auto frames = receive(*io, 1);
    ASSERT_EQ(frames.size(), 1u);
    rte_mempool* others = rte_pktmbuf_pool_create("others", 63, 0, kPrivateBytes, 2176, -1);
    ASSERT_NE(others, nullptr);
    Frame other = drivers::frame_of(rte_pktmbuf_alloc(others));
    std::memcpy(other.data, frames[0].data, frames[0].length);
    other.length = frames[0].length;
    pool_->release(frames);
    ASSERT_EQ(io->transmit({&other, 1}), 1u);
    EXPECT_EQ(rte_mempool_in_use_count(others), 0u);
    rte_mempool_free(others);
    EXPECT_EQ(far.receive(), tunnelled(200, 1));
    port->stop();
    EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_P(XdpOnVeth, EachWorkerHasItsQueues) {
    auto port = start(2);
    ASSERT_NE(port, nullptr);
    const Wire far("xdp-b");
    for (std::uint16_t queue = 0; queue < 2; ++queue) {
        const auto io = port->queue(queue);
        EXPECT_GE(io->wait_descriptor(), 0);
        Frame frame;
        ASSERT_TRUE(pool_->allocate(frame));
        const Bytes bytes = tunnelled(90, queue);
        std::memcpy(frame.data, bytes.data(), bytes.size());
        frame.length = static_cast<std::uint32_t>(bytes.size());
        ASSERT_EQ(io->transmit({&frame, 1}), 1u);
        EXPECT_EQ(far.receive(), bytes);
    }
    port->stop();
    EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_P(XdpOnVeth, TheLinkGoesDownAndComesBack) {
    auto port = start();
    ASSERT_NE(port, nullptr);
    const auto io = port->queue(0);
    ASSERT_EQ(std::system("ip link set xdp-a down"), 0);
    EXPECT_FALSE(port->link_up());
    Frame frame;
    ASSERT_TRUE(pool_->allocate(frame));
    frame.length = 60;
    if (io->transmit({&frame, 1}) == 0) pool_->release({&frame, 1});
    ASSERT_EQ(std::system("ip link set xdp-a up"), 0);
    const auto other_end = KernelInterface::open("xdp-b");
    for (int i = 0; i < 3000 && !(port->link_up() && other_end->running()); ++i) {
        std::this_thread::sleep_for(1ms);  // the kernel tells itself of a carrier once a second
    }
    const Wire far("xdp-b");
    far.send(tunnelled(300, 1));
    auto frames = receive(*io, 1);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_TRUE(port->link_up());
    ASSERT_EQ(io->transmit(frames), 1u);
    Bytes back = far.receive();  // the one from when the link was down may come before
    if (back != tunnelled(300, 1)) back = far.receive();
    EXPECT_EQ(back, tunnelled(300, 1));
    port->stop();
    EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_P(XdpOnVeth, TheInterfaceGoesAway) {
    auto port = start();
    ASSERT_NE(port, nullptr);
    const auto io = port->queue(0);
    ASSERT_EQ(std::system("ip link delete xdp-a"), 0);
    EXPECT_FALSE(port->link_up());
    std::array<Frame, 4> frames;
    EXPECT_EQ(io->receive(frames), 0u);
    for (Frame& frame : frames) {
        ASSERT_TRUE(pool_->allocate(frame));
        frame.length = 60;
        if (io->transmit({&frame, 1}) == 0) pool_->release({&frame, 1});
    }
    pollfd wait{io->wait_descriptor(), POLLIN, 0};
    EXPECT_EQ(poll(&wait, 1, 0), 0) << "a worker that waits is not woken for it again and again";
    port->stop();
    EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_P(XdpOnVeth, ALaterStartTakesOver) {
    for (int turn = 0; turn < 3; ++turn) {
        auto port = start();
        ASSERT_NE(port, nullptr);
        EXPECT_EQ(port->description().find("in place of") != std::string::npos, turn > 0);
        const auto io = port->queue(0);
        Wire("xdp-b").send(tunnelled(300, turn));
        const auto frames = receive(*io, 1);
        ASSERT_EQ(frames.size(), 1u) << turn;
        pool_->release(frames);
        port.reset();
        EXPECT_TRUE(program_there());
        what_.xdp.mode = turn == 0 ? XdpMode::generic : XdpMode::native;  // also of the other mode
    }
}

TEST_P(XdpOnVeth, AProgramOfSomebodyElseIsNotTouched) {
    const bpf_insn pass[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS},
                             {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    const Descriptor program(
        bpf_prog_load(BPF_PROG_TYPE_XDP, "another_one", "BSD", pass, std::size(pass), nullptr));
    ASSERT_TRUE(program.valid());
    const auto index = static_cast<int>(if_nametoindex("xdp-a"));
    ASSERT_EQ(bpf_xdp_attach(index, program.get(), XDP_FLAGS_SKB_MODE, nullptr), 0);
    EXPECT_THAT(refusal(),
                testing::MatchesRegex("port \"wan\": interface \"xdp-a\" has an XDP program "
                                      "of somebody else already .\"another_one\", id .*"));
    EXPECT_EQ(std::system("ip link show xdp-a | grep -q another_one"), 0);
}

TEST_P(XdpOnVeth, WhatCannotBeIsRefusedInWords) {
    EXPECT_THAT(refusal(3),
                HasSubstr("interface \"xdp-a\" has 2 queue(s), but each of the 3 workers"));
    what_.mtu = 3819;
    EXPECT_THAT(refusal(),
                HasSubstr("has an MTU of 3819, but AF_XDP puts a frame into one page; set "
                          "mtu: to at most 3818"));
    EXPECT_EQ(std::system("ip link show xdp-a | grep -q 'mtu 1500'"), 0);
    what_.mtu = 1500;
    what_.interface = "absent0";
    EXPECT_THAT(refusal(), HasSubstr("no interface \"absent0\""));
    what_.interface = "xdp-a";
    what_.xdp.zero_copy = ZeroCopy::required;
    EXPECT_THAT(refusal(), HasSubstr(GetParam() == XdpMode::generic ? "cannot do zero-copy"
                                                                    : "zero_copy is required"));
    EXPECT_FALSE(program_there()) << "a start that fails takes its program off again";
    what_.xdp.zero_copy = ZeroCopy::automatic;
    what_.rx_descriptors = 8192;
    EXPECT_THAT(refusal(), HasSubstr("raise memory.megabytes"));
}

TEST_P(XdpOnVeth, ALargeMtuIsRefusedInTheKernelsWordsOrDoneInGenericMode) {
    ASSERT_EQ(std::system("ip link set xdp-b mtu 3700"), 0);
    what_.mtu = 3700;
    if (GetParam() == XdpMode::native) {
        EXPECT_THAT(
            refusal(),
            HasSubstr("does not take an XDP program in native mode: veth: Peer MTU is too"));
        return;
    }
    auto port = start();
    ASSERT_NE(port, nullptr);
    const auto io = port->queue(0);
    Wire("xdp-b").send(tunnelled(3714, 1));
    const auto frames = receive(*io, 1);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(contents(frames[0]), tunnelled(3714, 1));
    pool_->release(frames);
}

TEST_P(XdpOnVeth, WithoutWordsItIsNativeWhereThatCanBe) {
    what_.xdp.mode = XdpMode::automatic;
    auto port = start();
    ASSERT_NE(port, nullptr);
    EXPECT_THAT(port->description(), HasSubstr("native mode"));
    port.reset();
    ASSERT_EQ(std::system("ip link set xdp-a xdp off && ip link set xdp-b mtu 3700"), 0);
    what_.mtu = 3700;
    port = start();
    ASSERT_NE(port, nullptr);
    EXPECT_THAT(port->description(), HasSubstr("generic mode"));
    EXPECT_THAT(port->description(), HasSubstr("Peer MTU is too"));
}

/// Not what was asked for, nor what was so at the start.
TEST_P(XdpOnVeth, SaysWhatTheKernelSays) {
    auto port = start();
    ASSERT_NE(port, nullptr);
    const char* off = GetParam() == XdpMode::generic ? "ip link set xdp-a xdpgeneric off"
                                                     : "ip link set xdp-a xdp off";
    ASSERT_EQ(std::system(off), 0);
    EXPECT_EQ(port->use().mode, "off");
}

INSTANTIATE_TEST_SUITE_P(Modes, XdpOnVeth, testing::Values(XdpMode::native, XdpMode::generic),
                         [](const auto& mode) {
                             return mode.param == XdpMode::native ? "native" : "generic";
                         });

}  // namespace
