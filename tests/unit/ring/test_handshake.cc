// The handshake: messages round trip, and everything that is not one is refused in words.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include "dataplane/ring/handshake.hh"

namespace wye::ring {
namespace {

using namespace std::chrono_literals;

/// A directory of its own for the socket.
class Handshake : public testing::Test {
  protected:
    Handshake() {
        std::string pattern = "/tmp/wye-handshake-XXXXXX";
        directory_ = mkdtemp(pattern.data());
        path_ = directory_ + "/control";
    }
    ~Handshake() override { std::filesystem::remove_all(directory_); }

    /// The data plane's half of one session: accepts and answers by `answer`.
    std::thread serve(const Descriptor& listener, std::function<void(int)> answer) {
        return std::thread([fd = listener.get(), answer = std::move(answer)] {
            Descriptor peer;
            for (int i = 0; i < 2000 && !peer.valid(); ++i) {
                peer = Descriptor(accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
                if (!peer.valid()) std::this_thread::sleep_for(1ms);
            }
            if (peer.valid()) answer(peer.get());
        });
    }
    /// What the shim says when the data plane answers so.
    std::string connect_error(const std::function<void(int)>& answer) {
        auto listener = listen_sessions(path_);
        EXPECT_TRUE(listener) << listener.error().text;
        auto server = serve(*listener, answer);
        const auto session = connect_session(path_, 500ms);
        server.join();
        return session ? "connected" : session.error().text;
    }
    std::string directory_, path_;
};

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

void send_raw(int socket, std::span<const std::byte> bytes) {
    ASSERT_EQ(send(socket, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
}

constexpr ChannelSizes kSmall{.commands = 8, .completions = 8, .events = 8};

void answer_welcome(int socket, const std::function<void(Welcome&)>& change) {
    const auto hello = receive_message(socket);
    ASSERT_TRUE(hello && decode<Hello>(hello->bytes));
    const auto channel = Channel::create(kSmall);
    Welcome welcome = make_welcome(kVocabularyVersion, 2, 77, kSmall);
    change(welcome);
    const std::array fds{channel->memfd(), channel->control_wakeup(), channel->shim_wakeup()};
    ASSERT_TRUE(send_message(socket, bytes_of(welcome), fds));
}

TEST_F(Handshake, OpensASessionWithAChannelThatWorks) {
    auto listener = listen_sessions(path_);
    ASSERT_TRUE(listener) << listener.error().text;
    struct stat status {};
    ASSERT_EQ(stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);

    const Command sent{};
    auto server = serve(*listener, [&](int socket) {
        const auto hello = receive_message(socket);
        ASSERT_TRUE(hello);
        const auto decoded = decode<Hello>(hello->bytes);
        ASSERT_TRUE(decoded);
        EXPECT_EQ(decoded->process_id, static_cast<std::uint32_t>(getpid()));
        const auto version = choose_version(*decoded);
        ASSERT_TRUE(version);
        auto channel = Channel::create(kSmall);
        const Welcome welcome = make_welcome(*version, 3, 42, kSmall);
        const std::array fds{channel->memfd(), channel->control_wakeup(), channel->shim_wakeup()};
        ASSERT_TRUE(send_message(socket, bytes_of(welcome), fds));
        auto twin = make_message<TwinMessage>();
        twin.kind = TwinKind::vport_tap;
        twin.attach = 1;
        twin.interface_index = 12;
        twin.object = *ObjectName::from("red-site");
        const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        ASSERT_TRUE(send_message(socket, bytes_of(twin), {&null, 1}));
        close(null);
        ASSERT_TRUE(send_message(socket, bytes_of(make_message<TwinsEnd>())));
        std::array<Command, 2> got;
        for (int i = 0; i < 2000; ++i) {
            if (channel->receive_commands(Stream::routes, got) == 1) return;
            std::this_thread::sleep_for(1ms);
        }
        FAIL() << "no command came";
    });
    auto session = connect_session(path_);
    ASSERT_TRUE(session) << session.error().text;
    EXPECT_EQ(session->welcome.instance, 42u);
    EXPECT_EQ(session->welcome.workers, 3u);
    ASSERT_TRUE(session->channel.send(Stream::routes, {&sent, 1}));
    server.join();

    auto twin = receive_message(session->socket.get());
    ASSERT_TRUE(twin);
    ASSERT_EQ(twin->descriptors.size(), 1u);
    const auto decoded = decode<TwinMessage>(twin->bytes);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->object.view(), "red-site");
    EXPECT_NE(fcntl(twin->descriptors[0].get(), F_GETFD) & FD_CLOEXEC, 0);
    const auto end = receive_message(session->socket.get());
    ASSERT_TRUE(end && decode<TwinsEnd>(end->bytes));
    const auto closed = receive_message(session->socket.get());
    ASSERT_TRUE(closed);
    EXPECT_EQ(closed->state, Received::State::closed);
}

TEST_F(Handshake, ARefusalIsTheErrorInTheDataPlanesWords) {
    EXPECT_EQ(connect_error([](int socket) {
                  ASSERT_TRUE(receive_message(socket));
                  ASSERT_TRUE(send_refusal(socket, "a session of process 12 is open"));
              }),
              "a session of process 12 is open");
    Refusal unterminated = make_message<Refusal>();
    unterminated.text.fill('x');
    unterminated.text[3] = '\033';
    EXPECT_EQ(words_of(unterminated).size(), unterminated.text.size());
    EXPECT_EQ(words_of(unterminated).find('\033'), std::string::npos);
    EXPECT_FALSE(words_of(make_message<Refusal>()).empty());
}

TEST_F(Handshake, WordsOfADataPlaneThatClosesBeforeReadingTheHelloArrive) {
    for (int round = 0; round < 20; ++round) {
        EXPECT_EQ(connect_error([](int s) { ASSERT_TRUE(send_refusal(s, "not now")); }), "not now");
    }
}

TEST_F(Handshake, RefusesVersionsTheOtherSideDoesNotSpeak) {
    auto hello = make_message<Hello>();
    hello.oldest_version = kVocabularyVersion;
    hello.newest_version = kVocabularyVersion + 1;
    EXPECT_EQ(choose_version(hello).value(), kVocabularyVersion) << "a neighbour is spoken to";
    hello.oldest_version = kVocabularyVersion + 1;
    hello.newest_version = kVocabularyVersion + 2;
    auto refused = choose_version(hello);
    ASSERT_FALSE(refused);
    EXPECT_TRUE(contains(refused.error().text, "upgrade the data plane")) << refused.error().text;
    hello.oldest_version = 5;
    hello.newest_version = 4;
    EXPECT_FALSE(choose_version(hello));
    hello.oldest_version = 0;
    EXPECT_FALSE(choose_version(hello));

    const std::string text = connect_error([](int socket) {
        answer_welcome(socket, [](Welcome& w) { w.version = kVocabularyVersion + 1; });
    });
    EXPECT_TRUE(contains(text, "upgrade the shim")) << text;
}

TEST_F(Handshake, RefusesAWelcomeWithOtherSizes) {
    const auto error_with = [this](std::function<void(Welcome&)> change) {
        return connect_error([&](int socket) { answer_welcome(socket, change); });
    };
    EXPECT_TRUE(
        contains(error_with([](Welcome& w) { w.command_size = 120; }), "commands have 120"));
    EXPECT_TRUE(contains(error_with([](Welcome& w) { ++w.completion_size; }), "completions have"));
    EXPECT_TRUE(contains(error_with([](Welcome& w) { ++w.event_size; }), "events have"));
    EXPECT_TRUE(contains(error_with([](Welcome& w) { w.sizes.events = 16; }), "other ring sizes"));
    EXPECT_EQ(error_with([](Welcome&) {}), "connected");
}

TEST_F(Handshake, RefusesAWelcomeWithoutItsDescriptors) {
    const Welcome welcome = make_welcome(kVocabularyVersion, 1, 1, kSmall);
    EXPECT_TRUE(
        contains(connect_error([&](int s) { send_raw(s, bytes_of(welcome)); }), "0 descriptors"));
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const std::array fds{null, null, null};
    EXPECT_TRUE(contains(
        connect_error([&](int s) { ASSERT_TRUE(send_message(s, bytes_of(welcome), fds)); }),
        "sealed"));
    close(null);
}

TEST_F(Handshake, RefusesMessagesTruncatedAtEveryByteAndGarbage) {
    const Welcome welcome = make_welcome(kVocabularyVersion, 1, 1, kSmall);
    const auto whole = bytes_of(welcome);
    for (std::size_t n = 0; n < whole.size(); ++n) {
        const auto decoded = decode<Welcome>(whole.first(n));
        ASSERT_FALSE(decoded) << n;
        ASSERT_GT(decoded.error().text.size(), 20u);
    }
    std::vector<std::byte> longer(whole.begin(), whole.end());
    longer.push_back({});
    EXPECT_FALSE(decode<Welcome>(longer));
    std::mt19937 random(3);
    for (int round = 0; round < 20000; ++round) {
        std::vector<std::byte> garbage(random() % 300);
        for (auto& b : garbage) b = static_cast<std::byte>(random());
        if (round % 2 == 0 && garbage.size() >= 8) {  // beyond the magic
            std::memcpy(garbage.data(), &kHandshakeMagic, 4);
            garbage[4] = static_cast<std::byte>(random() % 7);
            garbage[5] = {};
        }
        const auto decoded = decode<TwinMessage>(garbage);
        if (decoded) {
            EXPECT_EQ(garbage.size(), sizeof(TwinMessage));
        }
    }
    EXPECT_TRUE(contains(connect_error([&](int s) { send_raw(s, whole.first(20)); }), "20 bytes"));
    const std::vector<std::byte> zeros(64);
    EXPECT_TRUE(contains(connect_error([&](int s) { send_raw(s, zeros); }), "no wye"));
    EXPECT_TRUE(
        contains(connect_error([](int s) { send_raw(s, bytes_of(make_message<TwinsEnd>())); }),
                 "expected the message welcome, got twins_end"));
}

TEST_F(Handshake, SaysWhenTheOtherSideIsSilentClosesOrIsNotThere) {
    EXPECT_TRUE(contains(connect_error([](int) { std::this_thread::sleep_for(700ms); }),
                         "did not answer the hello in time"));
    EXPECT_TRUE(contains(connect_error([](int s) { ASSERT_TRUE(receive_message(s)); }),
                         "closed without a word"));
    EXPECT_TRUE(
        contains(connect_session(directory_ + "/absent").error().text, "no data plane answers on"));
    EXPECT_TRUE(contains(connect_session(std::string(200, 'x')).error().text, "must have 1 to"));
}

TEST_F(Handshake, RefusesTooLongMessagesAndTooManyDescriptorsAndLeaksNone) {
    std::array<int, 2> pair{};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()), 0);
    const std::vector<std::byte> longer(kMaxMessageBytes + 1);
    send_raw(pair[0], longer);
    EXPECT_TRUE(contains(receive_message(pair[1]).error().text, "longer than"));
    EXPECT_FALSE(send_message(pair[0], longer));

    const auto open_descriptors = [] {
        return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
    };
    const auto before = open_descriptors();
    for (const std::size_t count : {std::size_t{4}, std::size_t{5}, std::size_t{30}}) {
        std::vector<int> fds(count, pair[0]);
        std::byte byte{1};
        iovec part{&byte, 1};
        std::vector<char> control(CMSG_SPACE(count * sizeof(int)));
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(count * sizeof(int));
        std::memcpy(CMSG_DATA(rights), fds.data(), count * sizeof(int));
        ASSERT_EQ(sendmsg(pair[0], &message, 0), 1);
        EXPECT_TRUE(contains(receive_message(pair[1]).error().text, "more than 3 descriptors"));
    }
    EXPECT_EQ(open_descriptors(), before);
    close(pair[0]);
    close(pair[1]);
}

TEST_F(Handshake, ReplacesADeadSocketButNotALivingOneOrAFile) {
    { ASSERT_TRUE(listen_sessions(path_)); }  // dies, its file stays
    ASSERT_TRUE(std::filesystem::exists(path_));
    auto second = listen_sessions(path_);
    ASSERT_TRUE(second) << second.error().text;
    const auto third = listen_sessions(path_);
    ASSERT_FALSE(third);
    EXPECT_TRUE(contains(third.error().text, "already answers"));
    const std::string file = directory_ + "/file";
    std::ofstream(file) << "precious";
    EXPECT_TRUE(contains(listen_sessions(file).error().text, "is no socket"));
    EXPECT_TRUE(std::filesystem::exists(file));
}

}  // namespace
}  // namespace wye::ring
