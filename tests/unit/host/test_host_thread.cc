// The host thread between rings and twins. A pair of datagram sockets stands for a TAP where its
// manners do not matter; a real TAP in a namespace of the test's own where they do.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstring>
#include <deque>

#include "dataplane/host/host_thread.hh"
#include "dataplane/table/counter_file.hh"
#include "drivers/memory/memory_port.hh"

namespace {

using namespace wye;
using host::HostThread;
using host::TwinKey;
using pipeline::Frame;
using pipeline::HostFrame;
using pipeline::PuntedFrame;
using ring::TwinKind;
using table::Reason;
using namespace std::chrono_literals;

std::vector<std::byte> bytes_of(std::size_t length, int seed) {
    std::vector<std::byte> bytes(length);
    for (std::size_t i = 0; i < length; ++i) {
        bytes[i] = static_cast<std::byte>(static_cast<int>(i) * 7 + seed);
    }
    return bytes;
}

struct Pair {
    Descriptor ours, theirs;
};
Pair twin_pair() {
    int both[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, both), 0);
    EXPECT_EQ(fcntl(both[1], F_SETFL, O_NONBLOCK), 0);
    return {Descriptor(both[0]), Descriptor(both[1])};
}

std::vector<std::byte> receive(int descriptor) {
    std::vector<std::byte> bytes(4096);
    const ssize_t n = read(descriptor, bytes.data(), bytes.size());
    bytes.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    return bytes;
}

class Host : public testing::Test {
  protected:
    struct Worker {
        ring::Spsc<PuntedFrame> punts{64};
        ring::Spsc<HostFrame> from_host{64};
        ring::Wakeup wakeup;
    };

    void make(std::size_t workers, std::size_t buffers = 256, std::uint16_t room = 2048) {
        pool_ = std::make_unique<drivers::MemoryPool>(buffers, room);
        std::vector<host::WorkerSide> sides;
        for (std::size_t i = 0; i < workers; ++i) {
            auto& worker = workers_.emplace_back();
            sides.push_back({&worker.punts, &worker.from_host, &worker.wakeup});
        }
        const table::CounterLimits limits{1, 4, 4, 64, 4, 4, 4};
        auto file = table::CounterFile::create_anonymous(limits);
        ASSERT_TRUE(file.has_value());
        file_ = std::make_unique<table::CounterFile>(std::move(*file));
        host_ = std::make_unique<HostThread>(*pool_, file_->block(WorkerId{0}), std::move(sides));
    }
    void TearDown() override {
        if (host_ == nullptr) return;
        host_.reset();
        EXPECT_EQ(pool_->in_use(), 0u) << "leak";
        expect_balanced();
    }
    void expect_balanced() const {
        const auto block = file_->block(WorkerId{0});
        for (const table::LedgerRow* row : {&block.ports[0], &block.tenants[0]}) {
            std::uint64_t drops = 0;
            for (const auto& cell : row->drops) drops += cell.get();
            EXPECT_EQ(row->from_host.get() + row->moved_in.get(), drops);
        }
    }
    Pair attach(TwinKey key) {
        Pair pair = twin_pair();
        host_->attach(key, std::move(pair.ours));
        host_->turn(0);
        return pair;
    }
    bool punt(std::size_t worker, std::uint32_t vport, const std::vector<std::byte>& bytes) {
        Frame frame;
        if (!pool_->make(bytes, frame)) return false;
        return workers_[worker].punts.push({frame, VportId{vport}});
    }
    std::vector<HostFrame> take(std::size_t worker) {
        std::array<HostFrame, 64> frames;
        const std::size_t n = workers_[worker].from_host.pop(frames);
        return {frames.begin(), frames.begin() + static_cast<std::ptrdiff_t>(n)};
    }
    void give_back(const std::vector<HostFrame>& frames) {
        for (const HostFrame& host_frame : frames) pool_->release({&host_frame.frame, 1});
    }
    std::uint64_t drops(Reason reason) const {
        return file_->block(WorkerId{0}).ports[0].drops[static_cast<std::size_t>(reason)].get();
    }

    std::unique_ptr<drivers::MemoryPool> pool_;
    std::deque<Worker> workers_;
    std::unique_ptr<table::CounterFile> file_;
    std::unique_ptr<HostThread> host_;
};

TEST_F(Host, APuntedFrameIsWrittenToItsTwin) {
    make(2);
    const Pair five = attach({TwinKind::vport_tap, 5});
    const Pair six = attach({TwinKind::vport_tap, 6});
    ASSERT_TRUE(punt(0, 6, bytes_of(60, 1)));
    ASSERT_TRUE(punt(1, 5, bytes_of(1514, 2)));
    host_->turn(0);
    EXPECT_EQ(receive(five.theirs.get()), bytes_of(1514, 2));
    EXPECT_EQ(receive(six.theirs.get()), bytes_of(60, 1));
    EXPECT_TRUE(receive(six.theirs.get()).empty());
}

TEST_F(Host, WhatTheKernelSendsGoesToTheWorkerOfTheTwin) {
    make(2);
    const Pair seven = attach({TwinKind::vport_tap, 7});
    const Pair inject = attach({TwinKind::vrf_inject, 2});
    ASSERT_EQ(write(seven.theirs.get(), bytes_of(100, 3).data(), 100), 100);
    ASSERT_EQ(write(inject.theirs.get(), bytes_of(80, 4).data(), 80), 80);
    host_->turn(0);
    const auto odd = take(1);
    ASSERT_EQ(odd.size(), 1u);
    EXPECT_EQ(odd[0].vport, VportId{7});
    EXPECT_FALSE(odd[0].vrf.valid());
    EXPECT_EQ(std::vector(odd[0].frame.data, odd[0].frame.data + 100), bytes_of(100, 3));
    EXPECT_GE(odd[0].frame.headroom, pipeline::kMinHeadroom);
    EXPECT_EQ(odd[0].frame.length + odd[0].frame.tailroom, 2048u);
    const auto even = take(0);
    ASSERT_EQ(even.size(), 1u);
    EXPECT_EQ(even[0].vrf, VrfId{2});
    EXPECT_FALSE(even[0].vport.valid());
    give_back(odd);
    give_back(even);
}

TEST_F(Host, WithoutATwinAPuntIsDroppedAndCounted) {
    make(1);
    ASSERT_TRUE(punt(0, 9, bytes_of(60, 1)));
    host_->turn(0);
    EXPECT_EQ(drops(Reason::twin_absent), 1u);
    EXPECT_EQ(file_->block(WorkerId{0}).vports[9].drops.get(), 1u);
}

TEST_F(Host, ADetachedTwinGetsNothingMore) {
    make(1);
    const Pair twin = attach({TwinKind::vport_tap, 1});
    host_->detach({TwinKind::vport_tap, 1});
    host_->turn(0);
    ASSERT_TRUE(punt(0, 1, bytes_of(60, 1)));
    host_->turn(0);
    EXPECT_TRUE(receive(twin.theirs.get()).empty());
    EXPECT_EQ(drops(Reason::twin_absent), 1u);
}

TEST_F(Host, AnotherDescriptorOfTheSameTwinReplacesTheFirst) {
    make(1);
    const Pair before = attach({TwinKind::vport_tap, 1});
    const Pair after = attach({TwinKind::vport_tap, 1});
    ASSERT_TRUE(punt(0, 1, bytes_of(60, 1)));
    host_->turn(0);
    EXPECT_TRUE(receive(before.theirs.get()).empty());
    EXPECT_EQ(receive(after.theirs.get()).size(), 60u);
}

TEST_F(Host, AFrameThatTheKernelDoesNotTakeIsDroppedAndCounted) {
    make(1);
    Pair twin = attach({TwinKind::vport_tap, 1});
    twin.theirs.reset();
    ASSERT_TRUE(punt(0, 1, bytes_of(60, 1)));
    host_->turn(0);
    EXPECT_EQ(drops(Reason::twin_write), 1u);
}

TEST_F(Host, AFrameTooLongForABufferIsDroppedWholeNotCut) {
    make(1, 16, 200);
    const Pair twin = attach({TwinKind::vport_tap, 1});
    ASSERT_EQ(write(twin.theirs.get(), bytes_of(201, 3).data(), 201), 201);
    ASSERT_EQ(write(twin.theirs.get(), bytes_of(200, 4).data(), 200), 200);
    host_->turn(0);
    const auto frames = take(0);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(frames[0].frame.length, 200u);
    EXPECT_EQ(drops(Reason::host_frame_invalid), 1u);
    give_back(frames);
}

TEST_F(Host, AFullRingLeavesFramesInTheKernelAndLosesNone) {
    make(1, 512);
    const Pair twin = attach({TwinKind::vport_tap, 0});
    int sent = 0;
    int received = 0;
    while (received < 500) {
        while (sent < 500) {
            const auto bytes = bytes_of(64, sent);
            if (write(twin.theirs.get(), bytes.data(), bytes.size()) != 64) break;
            ++sent;
        }
        for (int i = 0; i < 5; ++i) host_->turn(0);
        const auto frames = take(0);
        ASSERT_LE(frames.size(), 64u);
        for (const auto& host_frame : frames) {
            EXPECT_EQ(host_frame.frame.data[0], static_cast<std::byte>(received++));
        }
        give_back(frames);
    }
    EXPECT_EQ(sent, 500);
}

TEST_F(Host, WithoutABufferFramesWaitInTheKernel) {
    make(1, 2);
    const Pair twin = attach({TwinKind::vport_tap, 0});
    for (int i = 0; i < 4; ++i) ASSERT_EQ(write(twin.theirs.get(), bytes_of(64, i).data(), 64), 64);
    host_->turn(0);
    const auto first = take(0);
    EXPECT_EQ(first.size(), 2u);
    give_back(first);
    host_->turn(0);
    const auto second = take(0);
    EXPECT_EQ(second.size(), 2u);
    give_back(second);
}

TEST_F(Host, ADescriptorThatCannotBeWaitedForIsGivenUpNotFatal) {
    make(1);
    host_->attach({TwinKind::vport_tap, 3}, Descriptor(open("/proc/self/exe", O_RDONLY)));
    host_->turn(0);
    std::array<TwinKey, 4> lost;
    ASSERT_EQ(host_->take_lost(lost), 1u);
    EXPECT_EQ(lost[0], (TwinKey{TwinKind::vport_tap, 3}));
}

TEST_F(Host, ItsThreadWakesForPuntsAndForTheKernel) {
    make(1);
    const Pair twin = attach({TwinKind::vport_tap, 0});
    host_->start();
    for (int i = 0; i < 200; ++i) {
        ASSERT_TRUE(punt(0, 0, bytes_of(60, i)));
        host_->wakeup().notify();
        pollfd entry{twin.theirs.get(), POLLIN, 0};
        ASSERT_EQ(poll(&entry, 1, 2000), 1) << "the thread did not wake for a punt";
        EXPECT_EQ(receive(twin.theirs.get()), bytes_of(60, i));

        workers_[0].wakeup.prepare_sleep();
        ASSERT_EQ(write(twin.theirs.get(), bytes_of(64, i).data(), 64), 64);
        pollfd woken{workers_[0].wakeup.descriptor(), POLLIN, 0};
        ASSERT_EQ(poll(&woken, 1, 2000), 1) << "the worker was not woken";
        workers_[0].wakeup.finish_sleep();
        const auto frames = take(0);
        EXPECT_EQ(frames.size(), 1u);
        give_back(frames);
    }
    host_->stop();
}

/// A TAP without packet information in the calling thread's namespace, up.
Descriptor make_tap(const char* name, std::string& why_not) {
    Descriptor tap(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    ifreq request{};
    std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (!tap.valid() || ioctl(tap.get(), TUNSETIFF, &request) != 0) {
        why_not = std::strerror(errno);
        return Descriptor{};
    }
    const Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    request.ifr_flags = IFF_UP;
    EXPECT_EQ(ioctl(any.get(), SIOCSIFFLAGS, &request), 0);
    return tap;
}

TEST_F(Host, ARealTapThatIsDeletedIsReportedOnce) {
    if (unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "needs the right to make a network namespace";
    std::string why_not;
    Descriptor tap = make_tap("wye-drv-t0", why_not);
    if (!tap.valid()) GTEST_SKIP() << "needs /dev/net/tun: " << why_not;
    make(1);
    host_->attach({TwinKind::vport_tap, 1}, std::move(tap));
    host_->turn(0);
    auto frame = bytes_of(60, 1);
    frame[0] = std::byte{0x02};
    ASSERT_TRUE(punt(0, 1, frame));
    host_->turn(0);
    EXPECT_EQ(drops(Reason::twin_write), 0u) << "an interface that is up takes a frame";

    ASSERT_EQ(std::system("ip link delete wye-drv-t0"), 0);
    host_->turn(0);
    host_->turn(0);
    std::array<TwinKey, 4> lost;
    ASSERT_EQ(host_->take_lost(lost), 1u);
    EXPECT_EQ(lost[0], (TwinKey{TwinKind::vport_tap, 1}));
    ASSERT_TRUE(punt(0, 1, frame));
    host_->turn(0);
    EXPECT_EQ(drops(Reason::twin_absent), 1u);
    for (const HostFrame& other : take(0)) pool_->release({&other.frame, 1});
    EXPECT_EQ(host_->take_lost(lost), 0u);
}

}  // namespace
