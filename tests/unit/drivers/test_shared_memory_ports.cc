// memif and vhost-user ports, jumbo frames, and frames in many pieces. One EAL a process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>

#include "dataplane/base/descriptor.hh"
#include "drivers/ethdev/eal.hh"
#include "drivers/ethdev/local_socket.hh"
#include "drivers/ethdev/mbuf_frame.hh"
#include "drivers/ethdev/port.hh"
#include "tests/unit/drivers/one_eal.hh"

namespace {

using namespace wye;
using namespace wye::drivers;
using namespace std::chrono_literals;
using pipeline::Frame;
using ::testing::HasSubstr;
using Bytes = std::vector<std::byte>;

constexpr std::uint32_t kJumbo = 9000 + 14 + 8;

[[maybe_unused]] const auto* const kOneEal =
    ::testing::AddGlobalTestEnvironment(new OneEal("shared"));

Bytes random_bytes(std::mt19937& random, std::size_t length) {
    Bytes bytes(length);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() & 0xff);
    return bytes;
}

class SharedMemory : public ::testing::Test {
  protected:
    void SetUp() override {
        auto pool = MbufPool::create(96, kJumbo);
        ASSERT_TRUE(pool.has_value()) << pool.error().text;
        pool_ = std::move(*pool);
    }
    PortSpecification specification(PortKind kind, const char* name, bool listens) const {
        PortSpecification port;
        port.name = *ObjectName::from(name);
        port.kind = kind;
        port.mtu = std::uint16_t{9000};
        port.socket.path = path_;
        port.socket.listens = listens;
        return port;
    }
    Frame filled(const Bytes& bytes) {
        Frame frame;
        EXPECT_TRUE(pool_->allocate(frame));
        EXPECT_LE(bytes.size(), frame.tailroom);
        std::memcpy(frame.data, bytes.data(), bytes.size());
        frame.tailroom = static_cast<std::uint16_t>(frame.tailroom - bytes.size());
        frame.length = static_cast<std::uint32_t>(bytes.size());
        return frame;
    }
    /// The bytes in pieces cut at random, each in a buffer without room behind.
    rte_mbuf* chain_of(const Bytes& bytes, std::mt19937& random) {
        rte_mbuf* head = nullptr;
        for (std::size_t done = 0; done < bytes.size();) {
            const std::size_t left = bytes.size() - done;
            const std::size_t n = std::min<std::size_t>(left, 1 + random() % (left / 2 + 8));
            rte_mbuf* segment = rte_pktmbuf_alloc(pool_->mempool());
            EXPECT_NE(segment, nullptr);
            segment->data_off = static_cast<std::uint16_t>(segment->buf_len - n);
            segment->data_len = static_cast<std::uint16_t>(n);
            segment->pkt_len = static_cast<std::uint32_t>(n);
            std::memcpy(rte_pktmbuf_mtod(segment, void*), bytes.data() + done, n);
            if (head == nullptr) {
                head = segment;
            } else {
                EXPECT_EQ(rte_pktmbuf_chain(head, segment), 0);
            }
            done += n;
        }
        return head;
    }

    std::string path_ = "/tmp/wye-shared-" + std::to_string(getpid()) + ".sock";
    std::unique_ptr<MbufPool> pool_;
};

TEST_F(SharedMemory, FramesInPiecesAreTheSameInOne) {
    std::mt19937 random(5);
    for (int i = 0; i < 2000; ++i) {
        const Bytes bytes = random_bytes(random, 60 + random() % (kJumbo - 60));
        rte_mbuf* mbuf = chain_of(bytes, random);
        const bool tagged = random() % 4 == 0;
        if (tagged) {
            mbuf->ol_flags |= RTE_MBUF_F_RX_VLAN_STRIPPED;
            mbuf->vlan_tci = 100;
        }
        ASSERT_TRUE(normalize(mbuf));
        const Frame frame = frame_of(mbuf);
        Bytes expected = bytes;
        if (tagged) {
            const std::byte tag[] = {std::byte{0x81}, std::byte{0}, std::byte{0}, std::byte{100}};
            expected.insert(expected.begin() + 12, std::begin(tag), std::end(tag));
        }
        ASSERT_EQ(Bytes(frame.data, frame.data + frame.length), expected) << i;
        ASSERT_GE(frame.headroom + (tagged ? 4 : 0), pipeline::kMinHeadroom);
        pool_->release({&frame, 1});
    }
    EXPECT_EQ(pool_->in_use(), 0u);
}

/// By a device: the same frames in one piece and in many give the same bytes and the same counts, and
/// each that no buffer has room for is counted once and given back.
TEST_F(SharedMemory, FramesInPiecesCountAsInOne) {
    PortSpecification loop = specification(PortKind::ring, "loop", true);
    auto port = EthdevPort::probe(loop, 1);
    ASSERT_TRUE(port.has_value()) << port.error().text;
    ASSERT_TRUE((*port)->start(*pool_).has_value());
    const auto queue = (*port)->queue(0);
    std::uint16_t device = 0;
    ASSERT_EQ(rte_eth_dev_get_port_by_name("net_ring_loop", &device), 0);
    struct Counts {
        std::size_t frames = 0, bytes = 0, not_contiguous = 0;
        bool operator==(const Counts&) const = default;
    };
    Counts in_one, in_pieces, sent, too_long;
    const auto through = [&](rte_mbuf* mbuf, Counts& counts) {
        EXPECT_EQ(rte_eth_tx_burst(device, 0, &mbuf, 1), 1u);
        Frame got;
        Bytes bytes;
        if (queue->receive({&got, 1}) == 1) {
            bytes.assign(got.data, got.data + got.length);
            pool_->release({&got, 1});
            ++counts.frames;
            counts.bytes += bytes.size();
        }
        counts.not_contiguous += queue->take_not_contiguous();
        return bytes;
    };
    std::mt19937 random(7);
    for (int i = 0; i < 1000; ++i) {
        const Bytes bytes = random_bytes(random, 60 + random() % (kJumbo - 60));
        ++sent.frames;
        sent.bytes += bytes.size();
        ASSERT_EQ(through(mbuf_of(filled(bytes)), in_one), bytes) << i;
        ASSERT_EQ(through(chain_of(bytes, random), in_pieces), bytes) << i;
    }
    EXPECT_TRUE(in_one == sent);
    EXPECT_TRUE(in_pieces == sent) << in_pieces.frames << " frames, " << in_pieces.bytes
                                   << " bytes, " << in_pieces.not_contiguous << " lost";
    for (int i = 0; i < 50; ++i) {
        const Bytes bytes = random_bytes(random, 2 * kJumbo);
        EXPECT_TRUE(through(chain_of(bytes, random), too_long).empty());
    }
    EXPECT_TRUE((too_long == Counts{0, 0, 50})) << too_long.not_contiguous;
    EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_F(SharedMemory, MemifCarriesFramesUpToJumboBothWays) {
    auto one = EthdevPort::probe(specification(PortKind::memif, "one", true), 2);
    ASSERT_TRUE(one.has_value()) << one.error().text;
    auto other = EthdevPort::probe(specification(PortKind::memif, "other", false), 1);
    ASSERT_TRUE(other.has_value()) << other.error().text;
    ASSERT_TRUE((*one)->start(*pool_).has_value());
    EXPECT_EQ((*one)->receive_queues(), 1u);
    EXPECT_EQ((*one)->transmit_queues(), 1u);  // for both workers
    struct stat status {};
    ASSERT_EQ(stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    ASSERT_TRUE((*other)->start(*pool_).has_value());
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!((*one)->link_up() && (*other)->link_up()) && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(10ms);
    }
    ASSERT_TRUE((*one)->link_up() && (*other)->link_up());
    const auto a = (*one)->queue(0), b = (*other)->queue(0);
    std::mt19937 random(6);
    for (int i = 0; i < 500; ++i) {
        const Bytes bytes = random_bytes(random, 60 + random() % (kJumbo - 60));
        worker::PortIo& from = i % 2 == 0 ? *a : *b;
        worker::PortIo& to = i % 2 == 0 ? *b : *a;
        const Frame frame = filled(bytes);
        ASSERT_TRUE(from.sendable(frame));
        Frame got;
        ASSERT_EQ(to.receive({&got, 1}), 0u);  // a client offers its buffers when it polls
        ASSERT_EQ(from.transmit({&frame, 1}), 1u);
        while (to.receive({&got, 1}) == 0 && std::chrono::steady_clock::now() < end + 10s) {
        }
        ASSERT_EQ(Bytes(got.data, got.data + got.length), bytes) << i;
        pool_->release({&got, 1});
    }
}

TEST_F(SharedMemory, AVhostUserPortListensForItsOwnerAlone) {
    PortSpecification what = specification(PortKind::vhost_user, "guest", true);
    what.socket.mode = 0660;
    auto port = EthdevPort::probe(what, 1);
    ASSERT_TRUE(port.has_value()) << port.error().text;
    ASSERT_TRUE((*port)->start(*pool_).has_value());
    struct stat status {};
    ASSERT_EQ(stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0660u);
    EXPECT_FALSE((*port)->link_up());  // nobody has connected
    const auto again = make_room_for_socket(path_);
    ASSERT_FALSE(again.has_value());
    EXPECT_THAT(again.error().text, HasSubstr("another process listens"));
}

TEST_F(SharedMemory, ASocketOfTheDeadIsReplacedAndAFileIsNot) {
    ASSERT_EQ(std::system(("python3 -c 'import socket; s=socket.socket(socket.AF_UNIX);"
                           "s.bind(\"" +
                           path_ + "\")'")
                              .c_str()),
              0);
    EXPECT_TRUE(make_room_for_socket(path_).has_value());
    EXPECT_NE(access(path_.c_str(), F_OK), 0);
    ASSERT_EQ(std::system(("touch " + path_).c_str()), 0);
    const auto refused = make_room_for_socket(path_);
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().text, HasSubstr("no socket"));
    unlink(path_.c_str());
}

/// Bound and listening, as the other end's socket.
class Listener {
  public:
    Listener(const std::string& path, int type) : socket_(socket(AF_UNIX, type, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(listen(socket_.get(), 1), 0);
    }
    [[nodiscard]] bool somebody_connected() const {
        pollfd one{socket_.get(), POLLIN, 0};
        return poll(&one, 1, 20) > 0;
    }

  private:
    Descriptor socket_;
};

TEST_F(SharedMemory, WhoListensIsNotDisturbedByBeingLookedAt) {
    EXPECT_FALSE(is_listened_on(path_));
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
        {
            const Listener listener(path_, type);
            EXPECT_TRUE(is_listened_on(path_));
            EXPECT_FALSE(make_room_for_socket(path_).has_value());
            EXPECT_FALSE(listener.somebody_connected());
        }
        EXPECT_FALSE(is_listened_on(path_));  // the file is still there
        EXPECT_TRUE(make_room_for_socket(path_).has_value());
    }
}

TEST_F(SharedMemory, InterfacesOfMemifShareASocket) {
    PortSpecification seven = specification(PortKind::memif, "seven", true);
    seven.socket.id = 7;
    auto one = EthdevPort::probe(specification(PortKind::memif, "one", true), 1);
    ASSERT_TRUE(one.has_value()) << one.error().text;
    {
        auto other = EthdevPort::probe(seven, 1);
        ASSERT_TRUE(other.has_value()) << other.error().text;
    }
    EXPECT_TRUE(is_listened_on(path_));
    EXPECT_TRUE(EthdevPort::probe(seven, 1).has_value());
    one->reset();
    EXPECT_FALSE(is_listened_on(path_));
}

TEST_F(SharedMemory, AMemifThatConnectsWaitsForItsOtherEnd) {
    auto client = EthdevPort::probe(specification(PortKind::memif, "client", false), 1);
    ASSERT_TRUE(client.has_value()) << client.error().text;
    ASSERT_TRUE((*client)->start(*pool_).has_value());
    EXPECT_FALSE((*client)->link_up());
    const auto queue = (*client)->queue(0);
    Frame got;
    EXPECT_EQ(queue->receive({&got, 1}), 0u);
    const Frame frame = filled(Bytes(60));
    EXPECT_EQ(queue->transmit({&frame, 1}), 0u);
    pool_->release({&frame, 1});
    EXPECT_THAT((*client)->tend(), ::testing::IsEmpty());  // not a word while nothing has changed
}

}  // namespace
