// A worker that hangs: found, reported with where it is, harmless to memory, and well again.
//
// The seam is a port of the test's own, whose receive() waits until the test lets it go on.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "dataplane/worker/symbols.hh"
#include "dataplane/worker/watchdog.hh"
#include "dataplane/worker/worker.hh"
#include "drivers/memory/memory_port.hh"
#include "tests/unit/control/rig.hh"

namespace wye::worker {

/// Its name is looked for in the report.
class PortThatHangs final : public PortIo {
  public:
    std::size_t receive(std::span<pipeline::Frame>) noexcept override {
        while (hangs.load()) {
            inside = true;
            spins = spins + 1;
#ifdef __SANITIZE_THREAD__
            usleep(10);  // its runtime gives a signal to a thread at a call of the library only
#endif
        }
        inside = false;
        return 0;
    }
    std::size_t transmit(std::span<const pipeline::Frame> frames) noexcept override {
        return frames.size();
    }
    std::atomic<bool> hangs{false};
    std::atomic<bool> inside{false};
    std::atomic<std::uint64_t> spins{0};
};

namespace {

using namespace std::chrono_literals;
using control::test::Basics;
using control::test::Handle;
using control::test::make_command;
using control::test::Opcode;
using control::test::Programmer;
using control::test::Rig;
using ring::Outcome;
using table::WorkerState;

class WorkerThatHangs : public ::testing::Test {
  protected:
    static control::Options options() {
        control::Options options = control::test::test_options();
        options.retired_budget = 20000;
        return options;
    }
    static table::CounterLimits counters() {
        table::CounterLimits limits = control::test::small_counters();
        limits.workers = 3;
        return limits;
    }

    void SetUp() override {
        Options one;
        one.id = WorkerId{1};
        one.idle = Idle::poll;
        worker_ =
            std::make_unique<Worker>(one, Shared{pool_, rig_.published, rig_.epochs, rig_.liveness,
                                                 rig_.counters.block(WorkerId{1})});
        auto port = std::make_unique<PortThatHangs>();
        port_ = port.get();
        worker_->add_port(PortId{0}, std::move(port));
        watchdog_.watch(*worker_, rig_.counters.record(WorkerId{1}));
        ASSERT_TRUE(worker_->start().has_value());
    }
    void TearDown() override {
        port_->hangs = false;
        worker_->stop();
    }
    void look(std::chrono::milliseconds later) {
        // Time for a turn, or for an answer, on a core that others keep busy.
        const auto turns = worker_->turns();
        const auto end = std::chrono::steady_clock::now() + 2s;
        while (!port_->hangs && worker_->turns() == turns &&
               std::chrono::steady_clock::now() < end) {
            std::this_thread::sleep_for(1ms);
        }
        now_ += later;
        watchdog_.look(now_);
    }
    [[nodiscard]] table::WorkerReport report() const {
        return *rig_.counters.record(WorkerId{1}).read();
    }
    /// After a turn that the next look will see.
    void hang() {
        const auto turns = worker_->turns();
        while (worker_->turns() == turns) std::this_thread::yield();
        port_->hangs = true;
        while (!port_->inside) std::this_thread::yield();
    }
    /// The watchdog has said something that contains the text.
    [[nodiscard]] bool said(std::string_view text) const {
        return said_.find(text) != std::string::npos;
    }

    Rig rig_{options(), control::test::small_limits(), counters()};
    drivers::MemoryPool pool_{16};
    std::unique_ptr<Worker> worker_;
    PortThatHangs* port_ = nullptr;
    std::string said_;
    Watchdog watchdog_{{1s, 300ms}, [this](const std::string& line) { said_ += line + "\n"; }};
    Nanoseconds now_{1s};
};

TEST_F(WorkerThatHangs, IsReportedWithItsStackAndForHowLong) {
    for (int i = 0; i < 20; ++i) look(900ms);
    EXPECT_EQ(report().state, WorkerState::running);
    EXPECT_EQ(said_, "");
    hang();
    look(1ms);
    look(900ms);
    EXPECT_EQ(report().state, WorkerState::running);
    look(200ms);
    EXPECT_EQ(report().state, WorkerState::stalled);
    for (int i = 0; i < 1000 && worker_->stack_sample().frames().empty(); ++i) {
        std::this_thread::sleep_for(1ms);
    }
    look(100ms);
    EXPECT_TRUE(said("worker 1 has not finished a turn for 1200 ms")) << said_;
    EXPECT_TRUE(said("PortThatHangs::receive")) << said_;
    EXPECT_TRUE(said("Worker::run()")) << said_;
    EXPECT_NE(report().stack_text().find("PortThatHangs::receive"), std::string_view::npos);
    EXPECT_EQ(report().stalls, 1u);
    look(3000ms);
    EXPECT_EQ(report().stall_milliseconds, 4200u);
    EXPECT_FALSE(said("goes on after"));
    port_->hangs = false;
    look(100ms);
    EXPECT_TRUE(said("worker 1 goes on after 4300 ms")) << said_;
    EXPECT_EQ(report().state, WorkerState::running);
    EXPECT_EQ(report().longest_milliseconds, 4300u);
    hang();
    look(1ms);
    look(1500ms);
    EXPECT_EQ(report().stalls, 2u);
    port_->hangs = false;
    look(1ms);
    EXPECT_EQ(report().state, WorkerState::running);
    worker_->stop();
    watchdog_.look(now_ += 5s);
    EXPECT_EQ(report().state, WorkerState::absent);
}

/// What it read stays; then changes are refused, with the reason; then all is as before.
TEST_F(WorkerThatHangs, HoldsMemoryBackAndThenChanges) {
    Programmer p = rig_.connect();
    p.begin_replay();
    const Basics made = control::test::make_basics(p);
    const Handle drop = p.group(p.special(NextHopKind::blackhole));
    const Handle deny = p.group(p.special(NextHopKind::prohibit));
    const auto flip = [&](Handle group) {
        auto route = make_command(Opcode::route_set);
        route.body.route = {made.vrf, group, wye::testing::prefix("10.0.0.0/8"), 0, {}};
        return p.call(route).outcome;
    };
    ASSERT_EQ(flip(drop), Outcome::accepted);
    p.reach();
    hang();
    Outcome outcome = Outcome::accepted;
    int accepted = 0;
    for (; outcome == Outcome::accepted && accepted < 10000; ++accepted) {
        outcome = flip(accepted % 2 == 0 ? deny : drop);
    }
    EXPECT_EQ(outcome, Outcome::frees_pending);
    EXPECT_GT(accepted, 1);
    const auto retired = rig_.control->status().arena_retired;
    EXPECT_GT(retired, 20000u);
    EXPECT_LT(retired, 2 * 20000u + 4096u);
    EXPECT_EQ(flip(drop), Outcome::frees_pending);
    port_->hangs = false;
    const auto end = std::chrono::steady_clock::now() + 5s;
    while (rig_.control->status().arena_retired > 0 && std::chrono::steady_clock::now() < end) {
        rig_.rest();
    }
    EXPECT_EQ(rig_.control->status().arena_retired, 0u);
    EXPECT_EQ(flip(deny), Outcome::accepted);
}

TEST(FunctionNames, AreThoseOfTheFile) {
    void* const here[] = {reinterpret_cast<void*>(&function_names),
                          reinterpret_cast<void*>(&std::abort), nullptr};
    const auto names = function_names(here);
    ASSERT_EQ(names.size(), 3u);
    EXPECT_EQ(names[0].find("wye::worker::function_names"), 0u) << names[0];
}

}  // namespace
}  // namespace wye::worker
