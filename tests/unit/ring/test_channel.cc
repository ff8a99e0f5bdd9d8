// The channel within one process: what goes in comes out, what does not fit is refused whole, and
// nothing is believed of a mapping that another process could have written.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <deque>
#include <random>
#include <vector>

#include "dataplane/base/descriptor.hh"
#include "dataplane/ring/channel.hh"
#include "tests/unit/ring/ring_samples.hh"

namespace wye::ring {
namespace {

constexpr ChannelSizes kSmall{.commands = 8, .completions = 8, .events = 4};

Result<Channel> attach_copy(const Channel& channel) {
    return Channel::attach(dup(channel.memfd()), dup(channel.control_wakeup()),
                           dup(channel.shim_wakeup()));
}

bool bell_rang(int eventfd_descriptor) {
    std::uint64_t count = 0;
    return read(eventfd_descriptor, &count, sizeof count) == sizeof count;
}

TEST(Channel, CarriesCommandsCompletionsAndEvents) {
    auto plane = Channel::create(kSmall);
    ASSERT_TRUE(plane) << plane.error().text;
    auto shim = attach_copy(*plane);
    ASSERT_TRUE(shim) << shim.error().text;
    EXPECT_EQ(shim->sizes(), kSmall);

    for (const Stream stream : {Stream::policy, Stream::routes}) {
        const auto tag = static_cast<std::uint32_t>(stream) + 10;
        const std::array<Command, 2> sent{make_sample(1, {tag, 0, 2, 0}),
                                          make_sample(2, {tag, 1, 2, 0})};
        ASSERT_TRUE(shim->send(stream, sent));
        std::array<Command, 8> got;
        ASSERT_EQ(plane->receive_commands(stream, got), 2u);
        EXPECT_EQ(got[1].header.sequence, 2u);
        EXPECT_EQ(read_sample(got[1]).echo, tag);
        EXPECT_EQ(plane->receive_commands(stream, got), 0u);

        const Completion done{.sequence = 7,
                              .outcome = Outcome::in_use,
                              .opcode = Opcode::vrf_set,
                              .epoch = 99,
                              .detail = tag,
                              .reserved = {}};
        ASSERT_TRUE(plane->complete(stream, {&done, 1}));
        std::array<Completion, 4> completions;
        ASSERT_EQ(shim->receive_completions(stream, completions), 1u);
        EXPECT_EQ(completions[0].epoch, 99u);
        EXPECT_EQ(completions[0].detail, tag);
    }
    Event event;
    event.kind = EventKind::epoch_reached;
    event.epoch = 5;
    ASSERT_TRUE(plane->publish({&event, 1}));
    std::array<Event, 4> events;
    ASSERT_EQ(shim->receive_events(events), 1u);
    EXPECT_EQ(events[0].epoch, 5u);
}

TEST(Channel, RefusesABatchThatDoesNotFitWholeAndLosesNothing) {
    auto channel = Channel::create(kSmall);
    ASSERT_TRUE(channel);
    const std::vector<Command> five(5, make_sample(1, {1, 0, 5, 0}));
    const std::vector<Command> three(3, make_sample(2, {2, 0, 3, 0}));
    EXPECT_EQ(channel->command_room(Stream::routes), 7u);
    ASSERT_TRUE(channel->send(Stream::routes, five));
    EXPECT_FALSE(channel->send(Stream::routes, three)) << "2 slots are left";
    EXPECT_EQ(channel->command_room(Stream::routes), 2u);
    EXPECT_TRUE(channel->send(Stream::policy, three)) << "the other stream has room of its own";
    std::array<Command, 1> one;
    ASSERT_EQ(channel->receive_commands(Stream::routes, one), 1u);
    EXPECT_TRUE(bell_rang(channel->shim_wakeup())) << "it was refused, now there is room";
    ASSERT_TRUE(channel->send(Stream::routes, three));
    EXPECT_EQ(channel->command_room(Stream::routes), 0u);
    std::array<Command, 16> rest;
    ASSERT_EQ(channel->receive_commands(Stream::routes, rest), 7u);
    EXPECT_EQ(read_sample(rest[3]).batch, 1u);
    EXPECT_EQ(read_sample(rest[4]).batch, 2u);
}

TEST(Channel, RingsTheBellOnlyForWhoSleeps) {
    auto channel = Channel::create(kSmall);
    ASSERT_TRUE(channel);
    const Command command = make_sample(1, {1, 0, 1, 0});
    ASSERT_TRUE(channel->send(Stream::routes, {&command, 1}));
    EXPECT_FALSE(bell_rang(channel->control_wakeup())) << "the control thread is awake";
    channel->control_prepare_sleep();
    ASSERT_TRUE(channel->send(Stream::policy, {&command, 1}));
    ASSERT_TRUE(channel->send(Stream::policy, {&command, 1}));
    EXPECT_TRUE(bell_rang(channel->control_wakeup()));
    channel->control_finish_sleep();

    channel->shim_prepare_sleep();
    Event event;
    ASSERT_TRUE(channel->publish({&event, 1}));
    channel->shim_finish_sleep();
    EXPECT_FALSE(bell_rang(channel->shim_wakeup())) << "finishing quiets the bell";
}

// Random operations against a queue.
TEST(Channel, AgreesWithANaiveQueue) {
    auto channel = Channel::create(kSmall);
    ASSERT_TRUE(channel);
    std::mt19937 random(7);
    std::deque<std::uint32_t> model;
    std::uint32_t next = 0;
    for (int step = 0; step < 20000; ++step) {
        if (random() % 2 == 0) {
            std::vector<Command> batch(random() % 8);
            for (std::size_t i = 0; i < batch.size(); ++i) {
                batch[i] = make_sample(next + static_cast<std::uint32_t>(i), {0, 0, 0, 0});
            }
            const bool fits = model.size() + batch.size() <= 7;
            ASSERT_EQ(channel->send(Stream::routes, batch), fits);
            if (!fits) continue;
            for (std::size_t i = 0; i < batch.size(); ++i) model.push_back(next++);
        } else {
            std::vector<Command> out(random() % 9);
            const std::size_t n = channel->receive_commands(Stream::routes, out);
            ASSERT_EQ(n, std::min(out.size(), model.size()));
            for (std::size_t i = 0; i < n; ++i) {
                ASSERT_EQ(out[i].header.sequence, model.front());
                model.pop_front();
            }
        }
        ASSERT_EQ(channel->command_room(Stream::routes), 7 - model.size());
    }
}

TEST(Channel, RefusesImpossibleSizes) {
    for (const std::uint32_t bad : {0u, 1u, 3u, 1000u, 1u << 21}) {
        EXPECT_FALSE(Channel::create({.commands = bad, .completions = 8, .events = 8})) << bad;
        EXPECT_FALSE(Channel::create({.commands = 8, .completions = bad, .events = 8})) << bad;
        EXPECT_FALSE(Channel::create({.commands = 8, .completions = 8, .events = bad})) << bad;
    }
}

// Attach: the mapping is input.

int plain_memfd(std::size_t bytes, int seals) {
    const int fd = memfd_create("wye-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    EXPECT_EQ(ftruncate(fd, static_cast<off_t>(bytes)), 0);
    if (seals != 0) {
        EXPECT_EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
    }
    return fd;
}

std::string attach_error(int memfd) {
    auto channel = Channel::attach(memfd, eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC));
    return channel ? "attached" : channel.error().text;
}

TEST(ChannelAttach, RefusesWhatIsNotSealed) {
    EXPECT_NE(attach_error(plain_memfd(65536, 0)).find("sealed"), std::string::npos);
    EXPECT_NE(attach_error(plain_memfd(65536, F_SEAL_GROW)).find("sealed"), std::string::npos);
    EXPECT_NE(attach_error(-1).find("sealed"), std::string::npos);
    EXPECT_NE(attach_error(open("/dev/null", O_RDWR | O_CLOEXEC)).find("sealed"),
              std::string::npos);
}

TEST(ChannelAttach, RefusesWrongLengthsAndGarbage) {
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW;
    EXPECT_NE(attach_error(plain_memfd(0, seals)).find("less than its header"), std::string::npos);
    EXPECT_NE(attach_error(plain_memfd(16, seals)).find("less than its header"), std::string::npos);
    EXPECT_NE(attach_error(plain_memfd(65536, seals)).find("magic"), std::string::npos);
    EXPECT_NE(attach_error(plain_memfd(std::size_t{1} << 34, seals)).find("more than any"),
              std::string::npos);
}

/// A channel in which the byte at each offset can be spoilt.
class SpoiltChannel {
  public:
    SpoiltChannel() : channel_(Channel::create(kSmall).value()) {
        bytes_ = static_cast<std::size_t>(lseek(channel_.memfd(), 0, SEEK_END));
        map_ = static_cast<std::uint8_t*>(
            mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, channel_.memfd(), 0));
    }
    SpoiltChannel(const SpoiltChannel&) = delete;
    SpoiltChannel& operator=(const SpoiltChannel&) = delete;
    ~SpoiltChannel() { munmap(map_, bytes_); }
    std::string attach_with(std::size_t offset, std::uint32_t value) {
        std::uint32_t before = 0;
        std::memcpy(&before, map_ + offset, 4);
        std::memcpy(map_ + offset, &value, 4);
        const auto attached = attach_copy(channel_);
        std::memcpy(map_ + offset, &before, 4);
        return attached ? "attached" : attached.error().text;
    }
    [[nodiscard]] std::uint32_t word(std::size_t offset) const {
        std::uint32_t value = 0;
        std::memcpy(&value, map_ + offset, 4);
        return value;
    }
    [[nodiscard]] std::size_t size() const { return bytes_; }

  private:
    Channel channel_;
    std::size_t bytes_ = 0;
    std::uint8_t* map_ = nullptr;
};

TEST(ChannelAttach, RefusesEachDamagedHeaderFieldInWords) {
    SpoiltChannel spoilt;
    // magic, bytes, layout, command, completion and event size, three ring sizes: 11 words.
    for (std::size_t offset = 0; offset < 44; offset += 4) {
        for (const std::uint32_t value : {0u, 1u, 16u, 0xffffffffu}) {
            if (value == spoilt.word(offset)) continue;
            const std::string text = spoilt.attach_with(offset, value);
            EXPECT_NE(text, "attached") << "offset " << offset << " value " << value;
            EXPECT_GT(text.size(), 20u);
        }
    }
    EXPECT_NE(spoilt.attach_with(16, 2).find("layout 2"), std::string::npos);
}

TEST(ChannelAttach, RefusesDamagedRingHeaders) {
    SpoiltChannel spoilt;
    // A ring's size, mask and capacity (8, 7, 7 or 4, 3, 3) stand one behind the other.
    int rings = 0;
    for (std::size_t offset = 44; offset + 12 <= spoilt.size(); offset += 4) {
        const std::uint32_t slots = spoilt.word(offset);
        if ((slots != 8 && slots != 4) || spoilt.word(offset + 4) != slots - 1 ||
            spoilt.word(offset + 8) != slots - 1) {
            continue;
        }
        ++rings;
        for (std::size_t field = 0; field < 12; field += 4) {
            EXPECT_NE(spoilt.attach_with(offset + field, 0x7fffffff).find("damaged"),
                      std::string::npos);
        }
        const std::size_t producer_tail = (offset / 128 * 128) + 128 + 4;
        EXPECT_NE(spoilt.attach_with(producer_tail, 100).find("damaged"), std::string::npos)
            << "more inside than fits";
    }
    EXPECT_EQ(rings, 5);
}

}  // namespace
}  // namespace wye::ring
