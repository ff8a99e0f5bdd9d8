// Wake-ups lose nothing: two threads that really sleep, over rings so small that both sides wait
// for each other all the time. Built with ThreadSanitizer, which judges the ordering.
#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <thread>

#include "dataplane/ring/channel.hh"
#include "tests/unit/ring/ring_samples.hh"

namespace wye::ring {
namespace {

constexpr std::uint32_t kCommands = 30000;
constexpr int kPatience = 20000;  // ms; a lost wake-up shows as a time-out

bool wait_for_bell(int descriptor) {
    pollfd bell{descriptor, POLLIN, 0};
    return poll(&bell, 1, kPatience) == 1;
}

/// The shim's loop: sends batches, takes completions, sleeps when neither is possible.
void run_shim(Channel& channel, bool& in_order, bool& timed_out) {
    std::uint32_t sent = 0, completed = 0;
    std::array<Completion, 5> completions;
    const auto work = [&] {
        bool did = false;
        if (sent < kCommands) {
            std::array<Command, 3> batch;
            for (std::uint32_t i = 0; i < 3; ++i) batch[i] = make_sample(sent + i + 1, {});
            if (channel.send(Stream::routes, batch)) {
                sent += 3;
                did = true;
            }
        }
        const std::size_t n = channel.receive_completions(Stream::routes, completions);
        for (std::size_t i = 0; i < n; ++i) {
            if (completions[i].sequence != ++completed) in_order = false;
        }
        return did || n != 0;
    };
    while (completed < kCommands) {
        if (work()) continue;
        channel.shim_prepare_sleep();
        if (!work() && completed < kCommands && !wait_for_bell(channel.shim_wakeup())) {
            timed_out = true;
            return;
        }
        channel.shim_finish_sleep();
    }
}

/// The control thread's loop: takes only as many commands as it can complete.
void run_control(Channel& channel, bool& in_order, bool& timed_out) {
    std::uint32_t received = 0;
    std::array<Command, 7> commands;
    std::array<Completion, 7> completions{};
    const auto work = [&] {
        const std::size_t room = std::min(channel.completion_room(Stream::routes), commands.size());
        const std::size_t n =
            channel.receive_commands(Stream::routes, std::span(commands).first(room));
        for (std::size_t i = 0; i < n; ++i) {
            if (commands[i].header.sequence != ++received) in_order = false;
            completions[i].sequence = commands[i].header.sequence;
        }
        if (n != 0 && !channel.complete(Stream::routes, std::span(completions).first(n))) {
            in_order = false;
        }
        return n != 0;
    };
    while (received < kCommands) {
        if (work()) continue;
        channel.control_prepare_sleep();
        if (!work() && received < kCommands && !wait_for_bell(channel.control_wakeup())) {
            timed_out = true;
            return;
        }
        channel.control_finish_sleep();
    }
}

TEST(ChannelThreads, WakeUpsLoseNothing) {
    auto channel = Channel::create({.commands = 8, .completions = 8, .events = 2});
    ASSERT_TRUE(channel);
    auto other = Channel::attach(dup(channel->memfd()), dup(channel->control_wakeup()),
                                 dup(channel->shim_wakeup()));
    ASSERT_TRUE(other);
    bool shim_in_order = true, control_in_order = true;
    bool shim_timed_out = false, control_timed_out = false;
    std::thread control([&] { run_control(*channel, control_in_order, control_timed_out); });
    run_shim(*channel, shim_in_order, shim_timed_out);
    control.join();
    EXPECT_TRUE(shim_in_order);
    EXPECT_TRUE(control_in_order);
    EXPECT_FALSE(shim_timed_out);
    EXPECT_FALSE(control_timed_out);
}

}  // namespace
}  // namespace wye::ring
