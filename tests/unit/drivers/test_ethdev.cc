// Devices of DPDK as ports, without a NIC: rings, capture files, and packet sockets and TAPs in a
// network namespace of the test's own. One EAL a process, without hugepages.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "drivers/ethdev/devargs.hh"
#include "drivers/ethdev/eal.hh"
#include "drivers/ethdev/hugepages.hh"
#include "drivers/ethdev/port.hh"
#include "drivers/ethdev/queue_gate.hh"
#include "tests/unit/drivers/link_becomes.hh"
#include "tests/unit/drivers/one_eal.hh"

namespace {

using namespace wye;
using namespace wye::drivers;
using namespace std::chrono_literals;
using pipeline::Frame;
using testing::HasSubstr;
using Bytes = std::vector<std::byte>;

PortSpecification specification(PortKind kind, const char* name) {
    PortSpecification port;
    port.name = *ObjectName::from(name);
    port.kind = kind;
    return port;
}

/// An Ethernet frame of a private protocol, so that no host stack answers.
Bytes frame_of(std::size_t length, int seed, bool tagged = false) {
    Bytes bytes(length);
    for (std::size_t i = 0; i < length; ++i) {
        bytes[i] = static_cast<std::byte>(static_cast<int>(i) * 3 + seed);
    }
    for (std::size_t i = 0; i < 12; ++i) bytes[i] = std::byte{0x02};
    std::size_t type = 12;
    if (tagged) {
        const std::uint8_t tag[] = {0x81, 0x00, 0x20, 0x64};  // priority 1, VLAN 100
        std::memcpy(&bytes[12], tag, sizeof tag);
        type = 16;
    }
    bytes[type] = std::byte{0x88};
    bytes[type + 1] = std::byte{0xb5};
    return bytes;
}

void fill(MbufPool& pool, Frame& frame, const Bytes& bytes) {
    ASSERT_TRUE(pool.allocate(frame));
    ASSERT_LE(bytes.size(), frame.tailroom);
    std::memcpy(frame.data, bytes.data(), bytes.size());
    frame.tailroom = static_cast<std::uint16_t>(frame.tailroom - bytes.size());
    frame.length = static_cast<std::uint32_t>(bytes.size());
}

Bytes contents(const Frame& frame) {
    return {frame.data, frame.data + frame.length};
}

/// Waits up to two seconds for `n` frames.
std::vector<Frame> receive(worker::PortIo& io, std::size_t n) {
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

bool in_namespace = false;

class OneEalInANamespace : public OneEal {
    using OneEal::OneEal;
    void SetUp() override {
        in_namespace = unshare(CLONE_NEWNET) == 0;
        OneEal::SetUp();
    }
};
[[maybe_unused]] const auto* const kOneEal =
    testing::AddGlobalTestEnvironment(new OneEalInANamespace("unit"));

class Ethdev : public testing::Test {
  protected:
    void make_pool(std::uint32_t longest = 1522) {
        auto pool = MbufPool::create(96, longest);
        ASSERT_TRUE(pool.has_value()) << pool.error().text;
        pool_ = std::move(*pool);
    }
    std::unique_ptr<worker::PortIo> start(const PortSpecification& what,
                                          std::unique_ptr<EthdevPort>& port) {
        auto probed = EthdevPort::probe(what, 1);
        EXPECT_TRUE(probed.has_value()) << probed.error().text;
        if (!probed) return nullptr;
        port = std::move(*probed);
        if (!pool_) make_pool(port->buffer_bytes());
        if (!pool_) return nullptr;
        const Status started = port->start(*pool_);
        EXPECT_TRUE(started.has_value()) << started.error().text;
        return port->queue(0);
    }
    void release(const std::vector<Frame>& frames) { pool_->release(frames); }

    std::unique_ptr<MbufPool> pool_;
};

TEST_F(Ethdev, APoolKeepsItsPromiseOfHeadroom) {
    make_pool();
    Frame frame;
    ASSERT_TRUE(pool_->allocate(frame));
    EXPECT_GE(frame.headroom, pipeline::kMinHeadroom);
    EXPECT_EQ(frame.length, 0u);
    EXPECT_GE(frame.tailroom, 1522 + kPrivateBytes);
    EXPECT_EQ(pool_->in_use(), 1u);
    release({frame});
    EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_F(Ethdev, APoolThatIsTooSmallIsRefusedInWords) {
    const auto pool = MbufPool::create(4, 9238);
    ASSERT_FALSE(pool.has_value());
    EXPECT_THAT(pool.error().text, HasSubstr("memory.megabytes: 4 MiB hold only"));
}

TEST_F(Ethdev, ARingGivesBackWhatItGot) {
    std::unique_ptr<EthdevPort> port;
    const auto io = start(specification(PortKind::ring, "loop"), port);
    ASSERT_NE(io, nullptr);
    std::vector<Frame> frames(70);
    for (std::size_t i = 0; i < frames.size(); ++i) {
        fill(*pool_, frames[i], frame_of(60 + i, static_cast<int>(i)));
    }
    ASSERT_EQ(io->transmit(frames), frames.size());
    const auto back = receive(*io, frames.size());
    ASSERT_EQ(back.size(), frames.size());
    for (std::size_t i = 0; i < back.size(); ++i) {
        EXPECT_EQ(contents(back[i]), frame_of(60 + i, static_cast<int>(i)));
        EXPECT_GE(back[i].headroom, pipeline::kMinHeadroom);
    }
    release(back);
    EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_F(Ethdev, AllHeadroomCanBeUsedForHeaders) {
    std::unique_ptr<EthdevPort> port;
    const auto io = start(specification(PortKind::ring, "deep"), port);
    ASSERT_NE(io, nullptr);
    for (const int bytes : {4, 78, 128, 129, 156, 256}) {
        const auto grown = static_cast<std::uint16_t>(bytes);
        Frame frame;
        fill(*pool_, frame, frame_of(1514, grown));
        frame.prepend(grown);
        Bytes expected = frame_of(1514u + grown, 5);
        std::memcpy(frame.data, expected.data(), grown);
        std::memcpy(expected.data() + grown, frame_of(1514, grown).data(), 1514);
        ASSERT_EQ(io->transmit({&frame, 1}), 1u);
        const auto back = receive(*io, 1);
        ASSERT_EQ(back.size(), 1u);
        EXPECT_EQ(contents(back[0]), expected) << grown;
        release(back);
    }
    EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_F(Ethdev, AFullRingLeavesTheRestWithTheCaller) {
    std::unique_ptr<EthdevPort> port;
    const auto io = start(specification(PortKind::ring, "full"), port);
    ASSERT_NE(io, nullptr);
    std::vector<Frame> frames(3000);
    for (Frame& frame : frames) fill(*pool_, frame, frame_of(60, 1));
    const std::size_t taken = io->transmit(frames);
    EXPECT_LT(taken, frames.size());
    release({frames.begin() + static_cast<std::ptrdiff_t>(taken), frames.end()});
    const auto back = receive(*io, taken);
    EXPECT_EQ(back.size(), taken);
    release(back);
    EXPECT_EQ(pool_->in_use(), 0u);
}

/// A capture file, written by hand: header and one record a frame.
void write_capture(const std::string& path, const std::vector<Bytes>& frames) {
    std::ofstream file(path, std::ios::binary);
    const auto put = [&file](std::uint32_t word) {
        file.write(reinterpret_cast<const char*>(&word), sizeof word);
    };
    for (const std::uint32_t word : {0xa1b2c3d4u, 0x00040002u, 0u, 0u, 65535u, 1u}) put(word);
    for (const Bytes& frame : frames) {
        const auto length = static_cast<std::uint32_t>(frame.size());
        for (const std::uint32_t word : {0u, 0u, length, length}) put(word);
        file.write(reinterpret_cast<const char*>(frame.data()), length);
    }
}

TEST_F(Ethdev, ReadsAndWritesCaptureFiles) {
    const std::string in = testing::TempDir() + "wye-drv-in.pcap";
    const std::string out = testing::TempDir() + "wye-drv-out.pcap";
    write_capture(in, {frame_of(60, 1), frame_of(1514, 2), frame_of(100, 3, true)});
    PortSpecification what = specification(PortKind::pcap, "cap");
    what.rx_file = in;
    what.tx_file = out;
    {
        std::unique_ptr<EthdevPort> port;
        const auto io = start(what, port);
        ASSERT_NE(io, nullptr);
        const auto frames = receive(*io, 3);
        ASSERT_EQ(frames.size(), 3u);
        EXPECT_EQ(contents(frames[1]), frame_of(1514, 2));
        EXPECT_EQ(contents(frames[2]), frame_of(100, 3, true));
        EXPECT_EQ(io->transmit(frames), 3u);
    }
    EXPECT_EQ(pool_->in_use(), 0u);
    std::ifstream written(out, std::ios::binary | std::ios::ate);
    EXPECT_EQ(written.tellg(), 24 + 3 * 16 + 60 + 1514 + 100);
    unlink(in.c_str());
    unlink(out.c_str());
}

TEST_F(Ethdev, AFrameLongerThanABufferIsPutTogetherOrCounted) {
    const std::string in = testing::TempDir() + "wye-drv-long.pcap";
    write_capture(in, {frame_of(60, 1), frame_of(4000, 2), frame_of(61, 3)});
    PortSpecification what = specification(PortKind::pcap, "long");
    what.rx_file = in;
    std::unique_ptr<EthdevPort> port;
    const auto io = start(what, port);
    ASSERT_NE(io, nullptr);
    const auto frames = receive(*io, 2);
    ASSERT_EQ(frames.size(), 2u);
    EXPECT_EQ(contents(frames[1]), frame_of(61, 3));
    EXPECT_EQ(io->take_not_contiguous(), 1u);
    EXPECT_EQ(io->take_not_contiguous(), 0u);
    release(frames);
    EXPECT_EQ(pool_->in_use(), 0u);
    unlink(in.c_str());
}

TEST_F(Ethdev, RawDeviceArgumentsMakeADevice) {
    PortSpecification what = specification(PortKind::vdev, "gun");
    what.devargs = "net_null7,size=64";
    std::unique_ptr<EthdevPort> port;
    const auto io = start(what, port);
    ASSERT_NE(io, nullptr);
    const auto frames = receive(*io, 32);
    ASSERT_GE(frames.size(), 32u);
    EXPECT_EQ(frames[0].length, 64u);
    release(frames);
}

TEST_F(Ethdev, ADeviceThatIsTakenAwayComesBackWhenNobodyUsesIt) {
    std::unique_ptr<EthdevPort> port;
    PortSpecification what = specification(PortKind::vdev, "comes-and-goes");
    what.devargs = "net_null8,size=64";
    const auto io = start(what, port);
    ASSERT_NE(io, nullptr);
    std::array<Frame, 32> frames;
    const auto receive = [&] {
        const std::size_t n = io->receive(frames);
        pool_->release(std::span(frames).first(n));
        return n;
    };
    EXPECT_GT(receive(), 0u);
    EXPECT_TRUE(port->tend().empty());
    port->lose(Loss::removed);
    ASSERT_EQ(port->tend().size(), 1u);
    EXPECT_FALSE(port->link_up()) << "before the worker has left it";
    EXPECT_TRUE(port->tend().empty()) << "the worker has not left it";
    EXPECT_EQ(receive(), 0u);
    // Now it may go. What is to be sent meanwhile stays with the caller.
    EXPECT_TRUE(port->tend().empty());
    Frame out;
    ASSERT_TRUE(pool_->allocate(out));
    EXPECT_EQ(io->transmit({&out, 1}), 0u);
    pool_->release({&out, 1});
    EXPECT_EQ(pool_->in_use(), 0u) << "its queues gave back their buffers";
    EXPECT_FALSE(port->link_up());
    const auto words = port->tend();
    ASSERT_EQ(words.size(), 1u);
    EXPECT_THAT(words[0], testing::HasSubstr("is back"));
    EXPECT_TRUE(port->link_up());
    EXPECT_GT(receive(), 0u);
}

/// A worker that never stops, and a device that comes and goes as fast as it can.
TEST_F(Ethdev, WorkersNeverUseADeviceThatIsAway) {
    QueueGate gate;
    std::atomic<int> device{0};  // 0: away; else its number
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> wrong{0}, used{0};
    std::thread worker([&] {
        std::uint16_t mine = QueueGate::kNone;
        while (!stop) {
            if (gate.changed(mine)) mine = gate.follow();
            if (mine == QueueGate::kNone) continue;
            wrong += device.load(std::memory_order_relaxed) != mine;
            ++used;
        }
        gate.stop_receiving();
    });
    std::thread sender([&] {
        while (!stop) {
            const std::uint16_t mine = gate.begin_sending();
            if (mine == QueueGate::kNone) continue;
            wrong += device.load(std::memory_order_relaxed) != mine;
            gate.end_sending();
        }
    });
    for (int i = 1; i <= 5000; ++i) {
        const auto number = static_cast<std::uint16_t>(1 + i % 1000);
        device = number;
        gate.open(number);
        // Now and then it is used for sure; else it may be gone before the worker has seen it.
        const std::uint64_t before = used;
        while (i % 16 == 0 && used == before) std::this_thread::yield();
        gate.close();
        while (!gate.closed()) std::this_thread::yield();
        device = 0;
    }
    stop = true;
    worker.join();
    sender.join();
    EXPECT_EQ(wrong, 0u);
    EXPECT_GT(used, 0u);
}

TEST_F(Ethdev, RefusesInWordsWhatIsNotThere) {
    const auto refused = [](const PortSpecification& what, std::uint16_t queues = 1) {
        auto port = EthdevPort::probe(what, queues);
        return port ? std::string("not refused") : port.error().text;
    };
    PortSpecification what = specification(PortKind::pci, "nic");
    what.pci_address = "ffff:1f:1f.7";
    EXPECT_THAT(refused(what),
                HasSubstr("port \"nic\": this machine has no PCI device ffff:1f:1f.7"));
    what = specification(PortKind::af_packet, "wan");
    what.interface = "wye-drv-none";
    EXPECT_THAT(
        refused(what),
        HasSubstr("port \"wan\": this network namespace has no interface \"wye-drv-none\""));
    what = specification(PortKind::vdev, "odd");
    what.devargs = "net_no_such_driver0";
    EXPECT_THAT(refused(what), HasSubstr("does not make the device net_no_such_driver0"));
    what = specification(PortKind::pcap, "cap");
    what.rx_file = "/nonexistent.pcap";
    EXPECT_THAT(refused(what), HasSubstr("port \"cap\""));
}

TEST_F(Ethdev, HasAsManyQueuesAsTheDevice) {
    PortSpecification what = specification(PortKind::pcap, "narrow");
    what.tx_file = testing::TempDir() + "wye-drv-narrow.pcap";
    auto port = EthdevPort::probe(what, 3);
    ASSERT_TRUE(port.has_value());
    make_pool();
    ASSERT_TRUE((*port)->start(*pool_).has_value());
    EXPECT_EQ((*port)->receive_queues(), 1u);
    EXPECT_EQ((*port)->transmit_queues(), 1u);  // for all
    unlink(what.tx_file.c_str());
}

TEST_F(Ethdev, ASpreadPortHasOneReceiveQueue) {
    PortSpecification what = specification(PortKind::vdev, "one");
    what.devargs = "net_null_spread0";
    what.spread = true;
    auto port = EthdevPort::probe(what, 3);
    ASSERT_TRUE(port.has_value());
    make_pool();
    ASSERT_TRUE((*port)->start(*pool_).has_value());
    EXPECT_EQ((*port)->receive_queues(), 1u);
    EXPECT_EQ((*port)->transmit_queues(), 3u);
}

TEST_F(Ethdev, ARingHasAQueueForEachWorker) {
    auto port = EthdevPort::probe(specification(PortKind::ring, "wide"), 3);
    ASSERT_TRUE(port.has_value());
    make_pool();
    ASSERT_TRUE((*port)->start(*pool_).has_value());
    for (std::uint16_t queue = 0; queue < 3; ++queue) {
        const auto io = (*port)->queue(queue);
        Frame frame;
        fill(*pool_, frame, frame_of(60, queue));
        ASSERT_EQ(io->transmit({&frame, 1}), 1u);
        const auto back = receive(*io, 1);
        ASSERT_EQ(back.size(), 1u) << queue;
        EXPECT_EQ(contents(back[0]), frame_of(60, queue));
        release(back);
    }
}

/// A veth pair in the test's namespace; "a" is the port's end, the test speaks at the other end.
class OnVeth : public Ethdev {
  protected:
    void SetUp() override {
        if (!in_namespace) GTEST_SKIP() << "needs the right to make a network namespace (root)";
        ASSERT_EQ(std::system("ip link add wye-drv-a type veth peer name wye-drv-b &&"
                              "ip link set wye-drv-b up addrgenmode none &&"
                              "ip link set wye-drv-a addrgenmode none"),
                  0);
        wire_ = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(0x88b5));
        ASSERT_GE(wire_, 0);
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(if_nametoindex("wye-drv-b"));
        ASSERT_EQ(bind(wire_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        what_ = specification(PortKind::af_packet, "wan");
        what_.interface = "wye-drv-a";
    }
    void TearDown() override {
        if (wire_ >= 0) close(wire_);
        if (in_namespace) (void)std::system("ip link delete wye-drv-a 2>/dev/null");
    }
    static constexpr int ETH_P_ALL = 3;
    void wire_send(const Bytes& bytes) const {
        ASSERT_EQ(::send(wire_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    }
    /// The next frame of ours on the wire, within two seconds; without its tag if it had one.
    Bytes wire_receive() const {
        Bytes bytes(65536);
        for (int i = 0; i < 2000; ++i) {
            const ssize_t n = recv(wire_, bytes.data(), bytes.size(), 0);
            if (n > 14 && bytes[0] == std::byte{0x02} && bytes[6] == std::byte{0x02}) {
                bytes.resize(static_cast<std::size_t>(n));
                return bytes;
            }
            if (n < 0) std::this_thread::sleep_for(1ms);
        }
        return {};
    }

    int wire_ = -1;
    PortSpecification what_;
};

TEST_F(OnVeth, CarriesFramesBothWays) {
    std::unique_ptr<EthdevPort> port;
    const auto io = start(what_, port);
    ASSERT_NE(io, nullptr);
    EXPECT_EQ(port->mtu(), 1500);
    EXPECT_TRUE(link_becomes(*port, true));
    EXPECT_NE(port->mac(), net::MacAddress{});
    wire_send(frame_of(1514, 4));
    auto frames = receive(*io, 1);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(contents(frames[0]), frame_of(1514, 4));
    EXPECT_GE(frames[0].headroom, pipeline::kMinHeadroom);
    ASSERT_EQ(io->transmit(frames), 1u);
    EXPECT_EQ(wire_receive(), frame_of(1514, 4));
    EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_F(OnVeth, ATagThatTheKernelTookOutIsBackInTheBytes) {
    std::unique_ptr<EthdevPort> port;
    const auto io = start(what_, port);
    ASSERT_NE(io, nullptr);
    wire_send(frame_of(1518, 9, true));
    auto frames = receive(*io, 1);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(contents(frames[0]), frame_of(1518, 9, true));
    EXPECT_GE(frames[0].headroom, pipeline::kMinHeadroom);
    EXPECT_TRUE(io->sendable(frames[0])) << "a tagged frame may be four bytes longer";
    release(frames);
}

TEST_F(OnVeth, KnowsWhatTheInterfaceWouldNotSend) {
    std::unique_ptr<EthdevPort> port;
    const auto io = start(what_, port);
    ASSERT_NE(io, nullptr);
    std::array<Frame, 3> frames;
    fill(*pool_, frames[0], frame_of(1514, 1));
    fill(*pool_, frames[1], frame_of(1515, 1));
    fill(*pool_, frames[2], frame_of(1519, 1, true));
    EXPECT_TRUE(io->sendable(frames[0]));
    EXPECT_FALSE(io->sendable(frames[1]));
    EXPECT_FALSE(io->sendable(frames[2]));
    release({frames.begin(), frames.end()});
}

TEST_F(OnVeth, JumboFramesFitWhenTheMtuSaysSo) {
    what_.mtu = 9000;
    ASSERT_EQ(std::system("ip link set wye-drv-b mtu 9000"), 0);
    std::unique_ptr<EthdevPort> port;
    const auto io = start(what_, port);
    ASSERT_NE(io, nullptr);
    EXPECT_EQ(port->mtu(), 9000);
    wire_send(frame_of(9014, 2));
    auto frames = receive(*io, 1);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(contents(frames[0]), frame_of(9014, 2));
    ASSERT_EQ(io->transmit(frames), 1u);
    EXPECT_EQ(wire_receive(), frame_of(9014, 2));
}

TEST_F(OnVeth, SeesTheLinkGoDown) {
    std::unique_ptr<EthdevPort> port;
    const auto io = start(what_, port);
    ASSERT_NE(io, nullptr);
    ASSERT_EQ(std::system("ip link set wye-drv-b down"), 0);
    EXPECT_TRUE(link_becomes(*port, false));
    ASSERT_EQ(std::system("ip link set wye-drv-b up"), 0);
    EXPECT_TRUE(link_becomes(*port, true));
}

TEST_F(OnVeth, AnInterfaceInUseIsRefusedInWords) {
    auto first = EthdevPort::probe(what_, 1);
    ASSERT_TRUE(first.has_value()) << first.error().text;
    PortSpecification again = what_;
    again.name = *ObjectName::from("second");
    const auto second = EthdevPort::probe(again, 1);
    ASSERT_FALSE(second.has_value());
    EXPECT_THAT(second.error().text,
                HasSubstr("port \"second\": interface \"wye-drv-a\" is in use by another"));
}

TEST_F(OnVeth, AnInterfaceThatIsDeletedUnderThePortDoesNotHurt) {
    std::unique_ptr<EthdevPort> port;
    const auto io = start(what_, port);
    ASSERT_NE(io, nullptr);
    ASSERT_EQ(std::system("ip link delete wye-drv-a"), 0);
    EXPECT_FALSE(port->link_up());
    Frame frame;
    fill(*pool_, frame, frame_of(100, 1));
    const std::size_t taken = io->transmit({&frame, 1});
    if (taken == 0) release({frame});
    std::array<Frame, 4> none;
    EXPECT_EQ(io->receive(none), 0u);
    EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_F(OnVeth, ATapIsMadeWithItsMtu) {
    PortSpecification what = specification(PortKind::tap, "tap");
    what.interface = "wye-drv-tap";
    what.mtu = 1400;
    std::unique_ptr<EthdevPort> port;
    const auto io = start(what, port);
    ASSERT_NE(io, nullptr);
    EXPECT_EQ(port->mtu(), 1400);
    EXPECT_EQ(std::system("ip link show wye-drv-tap | grep -q 'mtu 1400'"), 0);
    const auto second = EthdevPort::probe(what, 1);
    ASSERT_FALSE(second.has_value());
    EXPECT_THAT(second.error().text, HasSubstr("exists already"));
}

std::string nr_hugepages() {
    std::ifstream file("/proc/sys/vm/nr_hugepages");
    std::string number;
    file >> number;
    return number;
}

TEST(Hugepages, MoreThanTheMachineCanSpareAreRefusedAndNothingIsTaken) {
    const std::string before = nr_hugepages();
    const Status secured = secure_hugepages(1u << 24);  // 16 TiB
    ASSERT_FALSE(secured.has_value());
    EXPECT_EQ(nr_hugepages(), before);
}

TEST(Devargs, SlotsOfThePacketRingHoldTheMtu) {
    PortSpecification what = specification(PortKind::af_packet, "w");
    what.interface = "eth1";
    EXPECT_EQ(devargs_of(what, 2, 1500).arguments,
              "iface=eth1,qpairs=2,framesz=2048,blocksz=4096,framecnt=512");
    EXPECT_THAT(devargs_of(what, 1, 2000).arguments, HasSubstr("framesz=4096,blocksz=8192"));
    EXPECT_THAT(devargs_of(what, 1, 9000).arguments, HasSubstr("framesz=10240,blocksz=20480"));
}

}  // namespace
