// The channel between two processes: the producer is killed in the middle of its batches.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <new>
#include <random>
#include <span>
#include <thread>
#include <vector>

#include "dataplane/ring/channel.hh"
#include "tests/unit/ring/ring_samples.hh"

namespace wye::ring {
namespace {

constexpr std::uint32_t kLargestBatch = 48;

/// The child: batches of changing size as fast as they fit, until it is killed.
[[noreturn]] void produce_for_ever(Channel& channel, std::uint32_t seed) {
    std::minstd_rand random(seed);
    std::array<Command, kLargestBatch> batch;
    std::uint32_t sequence = 0;
    for (std::uint32_t number = 0;; ++number) {
        const auto size = static_cast<std::uint32_t>(1 + random() % kLargestBatch);
        for (std::uint32_t i = 0; i < size; ++i) {
            batch[i] = make_sample(++sequence, {number, i, size, 0});
        }
        while (!channel.send(Stream::routes, {batch.data(), size})) std::this_thread::yield();
    }
}

/// Checks order and wholeness of everything that comes out.
class Judge {
  public:
    void see(const Command& command) {
        const Sample sample = read_sample(command);
        ASSERT_EQ(command.header.sequence, sequence_ + 1);
        ASSERT_EQ(sample.batch, batch_);
        ASSERT_EQ(sample.position, position_);
        ASSERT_EQ(sample.echo, sample.batch) << "torn";
        ++sequence_;
        if (++position_ == sample.size) {
            ++batch_;
            position_ = 0;
        }
    }
    [[nodiscard]] bool between_batches() const { return position_ == 0; }
    [[nodiscard]] std::uint32_t seen() const { return sequence_; }

  private:
    std::uint32_t sequence_ = 0, batch_ = 0, position_ = 0;
};

TEST(ChannelProcesses, AProducerKilledInTheMiddleLeavesOnlyWholeBatches) {
    std::mt19937 random(11);
    std::uint64_t seen = 0;
    for (std::uint32_t round = 0; round < 60; ++round) {
        auto made = Channel::create({.commands = 256, .completions = 8, .events = 8});
        ASSERT_TRUE(made);
        Channel& channel = *made;
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            auto attached = Channel::attach(dup(channel.memfd()), dup(channel.control_wakeup()),
                                            dup(channel.shim_wakeup()));
            if (!attached) _exit(1);
            produce_for_ever(*attached, round);
        }
        const auto kill_at =
            std::chrono::steady_clock::now() + std::chrono::microseconds(1500 + random() % 4000);
        bool killed = false;
        Judge judge;
        std::array<Command, 64> out;
        for (;;) {
            const std::size_t n = channel.receive_commands(Stream::routes, out);
            for (std::size_t i = 0; i < n; ++i) ASSERT_NO_FATAL_FAILURE(judge.see(out[i]));
            if (killed && n == 0) break;
            if (!killed && std::chrono::steady_clock::now() >= kill_at) {
                kill(child, SIGKILL);
                int status = 0;
                ASSERT_EQ(waitpid(child, &status, 0), child);
                ASSERT_TRUE(WIFSIGNALED(status)) << "the child could not attach";
                killed = true;
            }
        }
        EXPECT_TRUE(judge.between_batches()) << "round " << round;
        seen += judge.seen();
    }
    EXPECT_GT(seen, 1000u) << "the children hardly ran: nothing was tested";
}

/// Commands in two pages of which the second cannot be read: whoever copies them dies half way.
class HalfReadable {
  public:
    HalfReadable() {
        const auto page = static_cast<std::size_t>(getpagesize());
        per_page_ = page / sizeof(Command);
        map_ = mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map_ == MAP_FAILED) _exit(1);
        for (std::size_t i = 0; i < 2 * per_page_; ++i) {
            new (first() + i) Command(make_sample(static_cast<std::uint32_t>(100 + i), {}));
        }
        mprotect(static_cast<std::byte*>(map_) + page, page, PROT_NONE);
    }
    [[nodiscard]] std::span<const Command> all() const { return {first(), 2 * per_page_}; }

  private:
    [[nodiscard]] Command* first() const { return static_cast<Command*>(map_); }
    void* map_ = nullptr;
    std::size_t per_page_ = 0;
};

// The same, at the very place: killed while it copies a batch into the ring.
TEST(ChannelProcesses, AProducerKilledWhileCopyingHasPublishedNothingOfThatBatch) {
    auto channel = Channel::create({.commands = 256, .completions = 8, .events = 8});
    ASSERT_TRUE(channel);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const std::array<Command, 2> whole{make_sample(1, {0, 0, 2, 0}),
                                           make_sample(2, {0, 1, 2, 0})};
        if (!channel->send(Stream::routes, whole)) _exit(1);
        const HalfReadable half;
        signal(SIGSEGV, [](int) { kill(getpid(), SIGKILL); });
        channel->send(Stream::routes, half.all());
        _exit(2);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it got through: " << WEXITSTATUS(status);
    ASSERT_EQ(WTERMSIG(status), SIGKILL);
    std::array<Command, 128> out;
    ASSERT_EQ(channel->receive_commands(Stream::routes, out), 2u);
    EXPECT_EQ(out[1].header.sequence, 2u);
    EXPECT_EQ(channel->receive_commands(Stream::routes, out), 0u);
}

// A ring whose producer died between moving its head and publishing: what the next session gets is
// a new channel, and the old one holds nothing of the unfinished batch.
TEST(ChannelProcesses, ANewSessionWorksAfterTheOldOneDied) {
    auto old_channel = Channel::create({.commands = 64, .completions = 8, .events = 8});
    ASSERT_TRUE(old_channel);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) produce_for_ever(*old_channel, 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);

    auto channel = Channel::create({.commands = 64, .completions = 8, .events = 8});
    ASSERT_TRUE(channel);
    const pid_t second = fork();
    ASSERT_GE(second, 0);
    if (second == 0) {
        const Command command = make_sample(1, {0, 0, 1, 0});
        _exit(channel->send(Stream::policy, {&command, 1}) ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(second, &status, 0), second);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    std::array<Command, 4> out;
    ASSERT_EQ(channel->receive_commands(Stream::policy, out), 1u);
    EXPECT_EQ(out[0].header.sequence, 1u);
}

}  // namespace
}  // namespace wye::ring
