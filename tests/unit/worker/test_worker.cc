// The poll loop with a pipeline of the test's own in place of the router's: what comes in by port 0
// leaves by port 1 and the other way round, so that what is seen is the loop alone.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "dataplane/pipeline/pipelines.hh"
#include "dataplane/table/counter_file.hh"
#include "dataplane/worker/worker.hh"
#include "drivers/memory/memory_port.hh"

namespace wye::pipeline {

class HoldTable {};
class IcmpLimiter {};
class PlainLane {};
class PuntPolicer {};
class TenantRoots {};
struct Burst {};
Context::Context() = default;
Context::~Context() = default;

namespace {
std::atomic<int> held_all{0};
std::atomic<int> held_due{0};
std::atomic<std::uint64_t> not_taken{0};

void put(Context& context, std::uint32_t port, const Frame& frame) {
    (*context.outputs)[port].add(frame, {1, 1}, VportId{0});
}
}  // namespace

/// A frame whose first byte is 'p' is punted, one that begins with 'r' asks for a neighbour too.
void run_from_port(Context& context, PortId port, std::span<Frame> frames) noexcept {
    for (Frame& frame : frames) {
        if (frame.data[0] == std::byte{'r'}) (void)context.resolve->push({VportId{3}, {}});
        if (frame.data[0] == std::byte{'p'} && context.punt->push({frame, VportId{4}})) continue;
        put(context, port.value == 0 ? 1 : 0, frame);
    }
}

void run_from_host(Context& context, std::span<HostFrame> frames) noexcept {
    for (HostFrame& frame : frames) put(context, frame.vport.value, frame.frame);
}

void run_from_bfd(Context&, std::span<const bfd::Departure>) noexcept {}

void run_held(Context&, bool all) noexcept {
    ++(all ? held_all : held_due);
}

void release_held(Context&) noexcept {}

void book_transmitted(Context& context, PortId port, std::size_t taken) noexcept {
    PortOutput& output = (*context.outputs)[port.value];
    not_taken += output.count - taken;
    context.pool->release({output.frames.data() + taken, output.count - taken});
    output.clear();
}

}  // namespace wye::pipeline

namespace {

using namespace wye;
using namespace std::chrono_literals;
using worker::Idle;

using Frames = std::vector<std::vector<std::byte>>;

std::vector<std::byte> frame_of(std::size_t length, int first) {
    std::vector<std::byte> bytes(length, std::byte{0x55});
    bytes[0] = static_cast<std::byte>(first);
    return bytes;
}

class Loop : public testing::Test {
  protected:
    void make(Idle idle, std::optional<std::uint32_t> core = std::nullopt) {
        pipeline::not_taken = 0;
        pipeline::held_all = pipeline::held_due = 0;
        auto file = table::CounterFile::create_anonymous({1, 4, 4, 16, 4, 4, 4});
        ASSERT_TRUE(file.has_value());
        file_ = std::make_unique<table::CounterFile>(std::move(*file));
        const worker::Shared shared{
            pool_,         published_,      epochs_, liveness_, file_->block(WorkerId{0}),
            &host_wakeup_, &control_wakeup_};
        worker_ =
            std::make_unique<worker::Worker>(worker::Options{WorkerId{0}, core, idle}, shared);
        for (std::uint32_t i = 0; i < 2; ++i) {
            auto port = std::make_unique<drivers::MemoryPort>(pool_);
            ports_[i] = port.get();
            worker_->add_port(PortId{i}, std::move(port));
        }
    }
    void TearDown() override {
        worker_.reset();
        EXPECT_EQ(pool_.in_use(), 0u) << "leak";
    }
    /// Until `done`, at most two seconds.
    template <class Done>
    static bool within_two_seconds(Done done) {
        const auto end = std::chrono::steady_clock::now() + 2s;
        while (!done()) {
            if (std::chrono::steady_clock::now() > end) return false;
            std::this_thread::sleep_for(100us);
        }
        return true;
    }
    const table::WorkerCounters& counters() const { return *file_->block(WorkerId{0}).worker; }

    drivers::MemoryPool pool_{512};
    table::Published published_;
    table::Epochs epochs_{1};
    table::Liveness liveness_{16};
    ring::Wakeup host_wakeup_, control_wakeup_;
    std::unique_ptr<table::CounterFile> file_;
    std::unique_ptr<worker::Worker> worker_;
    drivers::MemoryPort* ports_[2] = {};
};

/// turn() on the test's thread needs a registered reader.
class LoopTurns : public Loop {
  protected:
    void SetUp() override {
        make(Idle::poll);
        epochs_.register_reader(0);
        epochs_.online(0);
    }
};

TEST_F(LoopTurns, ForwardsBothWaysInOrder) {
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(ports_[0]->arrive(frame_of(60, i)));
    ASSERT_TRUE(ports_[1]->arrive(frame_of(70, 1)));
    std::size_t moved = 0;
    for (int i = 0; i < 4; ++i) moved += worker_->turn();
    EXPECT_EQ(moved, 101u);
    EXPECT_EQ(worker_->turn(), 0u);
    const auto sent = ports_[1]->take_transmitted();
    ASSERT_EQ(sent.size(), 100u);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(sent[static_cast<std::size_t>(i)], frame_of(60, i));
    EXPECT_EQ(ports_[0]->take_transmitted().size(), 1u);
    EXPECT_EQ(counters().polls.get(), 5u);
    EXPECT_EQ(counters().polls_with_packets.get(), 4u);
}

TEST_F(LoopTurns, AFullTransmitQueueReturnsTheRestToThePool) {
    ports_[1]->set_transmit_room(3);
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(ports_[0]->arrive(frame_of(60, i)));
    worker_->turn();
    EXPECT_EQ(pipeline::not_taken, 7u);
    EXPECT_EQ(ports_[1]->take_transmitted().size(), 3u);
}

TEST_F(LoopTurns, AFrameThatTheDeviceCannotSendIsKeptFromItAndTheOthersKeepTheirOrder) {
    ports_[1]->set_longest_frame(100, 104);
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(ports_[0]->arrive(frame_of(i % 3 == 1 ? 101 : 60, i)));
    worker_->turn();
    const auto sent = ports_[1]->take_transmitted();
    ASSERT_EQ(sent.size(), 5u);
    const int order[] = {0, 2, 3, 5, 6};
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(sent[i], frame_of(60, order[i]));
    EXPECT_EQ(pipeline::not_taken, 3u);
}

TEST_F(LoopTurns, RunsWhatTheHostStackSends) {
    for (std::uint32_t i = 0; i < 2; ++i) {
        pipeline::HostFrame frame{{}, VportId{i}, {}};
        ASSERT_TRUE(pool_.make(frame_of(60, static_cast<int>(i)), frame.frame));
        ASSERT_TRUE(worker_->from_host().push(frame));
    }
    EXPECT_EQ(worker_->turn(), 2u);
    EXPECT_EQ(ports_[0]->take_transmitted(), Frames{frame_of(60, 0)});
    EXPECT_EQ(ports_[1]->take_transmitted(), Frames{frame_of(60, 1)});
}

TEST_F(LoopTurns, BooksWhatAPortCouldNotHandOverInOnePiece) {
    ports_[1]->pretend_not_contiguous(3);
    worker_->turn();
    worker_->turn();
    const auto block = file_->block(WorkerId{0});
    for (const table::LedgerRow* row : {&block.ports[2], &block.tenants[0]}) {
        EXPECT_EQ(row->rx.get(), 3u);
        EXPECT_EQ(row->drops[static_cast<std::size_t>(table::Reason::not_contiguous)].get(), 3u);
    }
}

TEST_F(LoopTurns, LooksAtAllHeldPacketsOnceAfterNeighboursChanged) {
    worker_->turn();
    const int due = pipeline::held_due;
    EXPECT_EQ(due, 1);
    worker_->turn();
    EXPECT_EQ(pipeline::held_due, due) << "not at every turn";
    published_.neighbor_generation.store(7);
    worker_->turn();
    worker_->turn();
    EXPECT_EQ(pipeline::held_all, 1);
    std::this_thread::sleep_for(2ms);
    worker_->turn();
    EXPECT_EQ(pipeline::held_due, due + 1);
}

TEST_F(LoopTurns, ATurnIsAQuiescentState) {
    const std::uint64_t epoch = epochs_.advance();
    EXPECT_FALSE(epochs_.reached(epoch));
    worker_->turn();
    EXPECT_TRUE(epochs_.reached(epoch));
}

TEST_F(LoopTurns, WakesTheHostThreadAndTheControlThreadOnlyWhenTheySleep) {
    const auto woken = [](ring::Wakeup& wakeup) {
        eventfd_t count = 0;
        return eventfd_read(wakeup.descriptor(), &count) == 0;
    };
    ASSERT_TRUE(ports_[0]->arrive(frame_of(60, 'p')));
    worker_->turn();
    EXPECT_FALSE(woken(host_wakeup_));
    host_wakeup_.prepare_sleep();
    control_wakeup_.prepare_sleep();
    ASSERT_TRUE(ports_[0]->arrive(frame_of(60, 'r')));
    worker_->turn();
    EXPECT_TRUE(woken(host_wakeup_)) << "a punted frame still waits";
    EXPECT_TRUE(woken(control_wakeup_));
    EXPECT_EQ(worker_->resolves().size(), 1u);
    std::array<pipeline::PuntedFrame, 2> punted;
    ASSERT_EQ(worker_->punts().pop(punted), 1u);
    pool_.release({&punted[0].frame, 1});
}

TEST_F(Loop, AnAdaptiveWorkerSleepsIsOfflineAndWakesForTraffic) {
    make(Idle::adaptive);
    ASSERT_TRUE(worker_->start().has_value());
    ASSERT_TRUE(within_two_seconds([&] { return counters().sleeps.get() > 20; }));
    EXPECT_GT(counters().sleep_nanoseconds.get(), 1'000'000u);
    for (int i = 0; i < 50; ++i) {
        const std::uint64_t epoch = epochs_.advance();
        ASSERT_TRUE(within_two_seconds([&] { return epochs_.reached(epoch); }));
        ASSERT_TRUE(ports_[i % 2]->arrive(frame_of(60, i)));
        std::vector<std::vector<std::byte>> sent;
        ASSERT_TRUE(within_two_seconds([&] {
            sent = ports_[1 - i % 2]->take_transmitted();
            return !sent.empty();
        }));
        EXPECT_EQ(sent, Frames{frame_of(60, i)});
    }
    worker_->stop();
}

TEST_F(Loop, TheHostThreadWakesASleepingWorkerAtOnce) {
    make(Idle::adaptive);
    ASSERT_TRUE(worker_->start().has_value());
    ASSERT_TRUE(within_two_seconds([&] { return counters().sleeps.get() > 20; }));
    pipeline::HostFrame frame{{}, VportId{1}, {}};
    ASSERT_TRUE(pool_.make(frame_of(60, 9), frame.frame));
    ASSERT_TRUE(worker_->from_host().push(frame));
    worker_->wakeup().notify();
    EXPECT_TRUE(within_two_seconds([&] { return !ports_[1]->take_transmitted().empty(); }));
    worker_->stop();
}

TEST_F(Loop, APollingWorkerNeverSleeps) {
    make(Idle::poll);
    ASSERT_TRUE(worker_->start().has_value());
    ASSERT_TRUE(within_two_seconds([&] { return counters().polls.get() > 100; }));
    worker_->stop();
    EXPECT_EQ(counters().sleeps.get(), 0u);
}

TEST_F(Loop, ACoreThatIsNotThereIsRefusedInWords) {
    make(Idle::adaptive, 1000);
    const Status started = worker_->start();
    ASSERT_FALSE(started.has_value());
    EXPECT_NE(started.error().text.find("worker 0 cannot be pinned to core 1000"),
              std::string::npos);
}

}  // namespace
