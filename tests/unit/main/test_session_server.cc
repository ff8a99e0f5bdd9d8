// The session socket as the data plane serves it, with the test as the shim, also a bad one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>

#include "dataplane/main/session_server.hh"
#include "dataplane/pipeline/plain_sixteen.hh"
#include "dataplane/table/acl_match.hh"
#include "dataplane/table/fib.hh"
#include "tests/unit/control/rig.hh"

namespace {

using namespace wye;
using namespace std::chrono_literals;
using control::test::Rig;
using dataplane::SessionServer;
using ::testing::HasSubstr;
using wye::testing::Programmer;

/// The server on a thread of its own, as the control thread would have it.
class Server : public ::testing::Test {
  protected:
    void SetUp() override {
        path_ = ::testing::TempDir() + "wye-drv-session-" + std::to_string(getpid());
        auto listener = ring::listen_sessions(path_);
        ASSERT_TRUE(listener.has_value()) << listener.error().text;
        dataplane::SessionSettings settings{1, 77, {}, [this] {
                                                const std::lock_guard lock(mutex_);
                                                return ports_;
                                            }};
        server_ = std::make_unique<SessionServer>(std::move(*listener), *rig_.control, settings);
        thread_ = std::thread([this] {
            while (!stop_) {
                server_->serve();
                rig_.poll();
                std::this_thread::sleep_for(200us);
            }
        });
    }
    void TearDown() override {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
        server_.reset();
        unlink(path_.c_str());
    }
    /// A connected socket that has said nothing.
    Descriptor visit() const {
        Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
        EXPECT_EQ(connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        const timeval timeout{4, 0};
        setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
        return socket;
    }
    /// Sends the bytes; the words of the refusal that comes back, or what else did.
    static std::string refusal(const Descriptor& socket, std::span<const std::byte> bytes) {
        if (!bytes.empty()) {
            EXPECT_EQ(send(socket.get(), bytes.data(), bytes.size(), 0),
                      static_cast<ssize_t>(bytes.size()));
        }
        const auto received = ring::receive_message(socket.get());
        if (!received) return "error: " + received.error().text;
        if (received->state != ring::Received::State::message) return "no message";
        const auto refused = ring::decode<ring::Refusal>(received->bytes);
        return refused ? ring::words_of(*refused) : "another message";
    }
    static ring::Hello hello() {
        auto hello = ring::make_message<ring::Hello>();
        hello.oldest_version = ring::kOldestVocabularyVersion;
        hello.newest_version = ring::kVocabularyVersion;
        hello.process_id = static_cast<std::uint32_t>(getpid());
        return hello;
    }

    void tell_of(std::vector<ring::PortMessage> ports) {
        const std::lock_guard lock(mutex_);
        ports_ = std::move(ports);
    }

    std::mutex mutex_;
    std::vector<ring::PortMessage> ports_;  // that the data plane has
    Rig rig_;
    std::string path_;
    std::unique_ptr<SessionServer> server_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

TEST_F(Server, OpensASessionAndExecutesCommands) {
    Programmer shim = Programmer::connect(path_);
    EXPECT_EQ(shim.welcome().instance, 77u);
    EXPECT_EQ(shim.welcome().workers, 1);
    shim.begin_replay();
    shim.tenant("red");
    shim.end_replay();
    EXPECT_TRUE(shim.twins.empty());
}

TEST_F(Server, TellsItsVariants) {
    const Programmer shim = Programmer::connect(path_);
    EXPECT_EQ(shim.announced().fib4.view(), table::fib_variant());
    EXPECT_EQ(shim.announced().fib6.view(), table::fib6_variant());
    EXPECT_EQ(shim.announced().acl.view(), table::acl_matchers().front().name);
    EXPECT_EQ(shim.announced().admission.view(), pipeline::admission_variant());
}

TEST_F(Server, TellsHowItsPortsRunAndAsksThemForEachSessionAnew) {
    EXPECT_THAT(Programmer::connect(path_).announced().ports, ::testing::IsEmpty());
    auto port = ring::make_message<ring::PortMessage>();
    port.port = *ObjectName::from("wan");
    ring::set_words(port.mode, "native");
    ring::set_words(port.driver, std::string(100, 'x'));
    tell_of({port, port});
    const Programmer shim = Programmer::connect(path_);
    const auto& told = shim.announced().ports;
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[0].port.view(), "wan");
    EXPECT_EQ(ring::words_of(told[0].mode), "native");
    EXPECT_EQ(ring::words_of(told[0].buffers), "");
    EXPECT_EQ(ring::words_of(told[0].driver), std::string(port.driver.size() - 1, 'x'));
}

TEST_F(Server, AShimOfTheVersionBeforeGetsNoMessageThatItDoesNotKnow) {
    auto older = hello();
    tell_of({ring::make_message<ring::PortMessage>()});
    older.oldest_version = older.newest_version = ring::kPortsVersion - 1;
    const Descriptor socket = visit();
    const auto words = ring::bytes_of(older);
    ASSERT_EQ(send(socket.get(), words.data(), words.size(), 0),
              static_cast<ssize_t>(words.size()));
    const auto welcome = ring::receive_message(socket.get());
    ASSERT_TRUE(welcome);
    EXPECT_EQ(ring::decode<ring::Welcome>(welcome->bytes)->version, older.newest_version);
    const auto lookups = ring::receive_message(socket.get());
    ASSERT_TRUE(lookups);
    EXPECT_TRUE(ring::decode<ring::VariantsMessage>(lookups->bytes));
    const auto admission = ring::receive_message(socket.get());
    ASSERT_TRUE(admission);
    EXPECT_TRUE(ring::decode<ring::AdmissionMessage>(admission->bytes));
    const auto next = ring::receive_message(socket.get());
    ASSERT_TRUE(next);
    EXPECT_TRUE(ring::decode<ring::TwinsEnd>(next->bytes));
}

TEST_F(Server, OnlyItsOwnerMayConnect) {
    struct stat status {};
    ASSERT_EQ(stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(Server, ASecondShimIsRefusedInWordsAndTheFirstGoesOn) {
    Programmer first = Programmer::connect(path_);
    EXPECT_THAT(refusal(visit(), ring::bytes_of(hello())),
                HasSubstr("another wye-shim has a session"));
    first.begin_replay();
    first.tenant("red");
}

TEST_F(Server, AfterTheFirstShimIsGoneTheNextIsWelcome) {
    for (int i = 0; i < 5; ++i) {
        Programmer shim = Programmer::connect(path_);
        shim.begin_replay();
        shim.tenant("red");
    }
}

TEST_F(Server, BadHellosAreRefusedInWords) {
    auto wrong_version = hello();
    wrong_version.oldest_version = wrong_version.newest_version = 99;
    EXPECT_THAT(refusal(visit(), ring::bytes_of(wrong_version)), HasSubstr("99"));
    auto wrong_magic = hello();
    wrong_magic.header.magic = 7;
    EXPECT_THAT(refusal(visit(), ring::bytes_of(wrong_magic)), ::testing::Not(HasSubstr("error")));
    const auto good = hello();
    const auto whole = ring::bytes_of(good);
    for (std::size_t length = 1; length < whole.size(); ++length) {
        const std::string words = refusal(visit(), whole.first(length));
        EXPECT_FALSE(words.starts_with("error") || words == "no message") << length << words;
    }
    const auto end = ring::make_message<ring::TwinsEnd>();
    EXPECT_THAT(refusal(visit(), ring::bytes_of(end)), HasSubstr("expected the message hello"));
    Programmer still_there = Programmer::connect(path_);
}

TEST_F(Server, WhoSaysNothingIsRefusedAfterAMoment) {
    const Descriptor silent = visit();
    Programmer meanwhile = Programmer::connect(path_);
    EXPECT_THAT(refusal(silent, {}), HasSubstr("no hello within two seconds"));
}

TEST_F(Server, ManySilentVisitorsDoNotKeepTheShimOut) {
    std::vector<Descriptor> silent;
    for (int i = 0; i < 40; ++i) silent.push_back(visit());
    std::this_thread::sleep_for(2500ms);
    Programmer shim = Programmer::connect(path_);
}

TEST_F(Server, TwinsComeBackToTheNextShim) {
    constexpr int kTwins = 400;  // more than a socket's buffer takes at once
    {
        Programmer shim = Programmer::connect(path_);
        for (int i = 0; i < kTwins; ++i) {
            const Descriptor event(eventfd(static_cast<unsigned>(i) + 1, EFD_CLOEXEC));
            const std::string name = "v" + std::to_string(i);
            pollfd room{shim.socket(), POLLOUT, 0};
            ASSERT_EQ(poll(&room, 1, 3000), 1);
            shim.attach_twin(ring::TwinKind::vport_tap, name, event.get(),
                             static_cast<std::uint32_t>(1000 + i));
        }
        shim.detach_twin(ring::TwinKind::vport_tap, "v7");
        shim.begin_replay();  // answered after the twins were read
        shim.tenant("red");
    }
    Programmer next = Programmer::connect(path_);
    EXPECT_EQ(next.twins.size(), static_cast<std::size_t>(kTwins - 1));
    for (const auto& twin : next.twins) {
        const int number = std::stoi(std::string(twin.message.object.view().substr(1)));
        EXPECT_EQ(twin.message.interface_index, static_cast<std::uint32_t>(1000 + number));
        eventfd_t value = 0;
        EXPECT_EQ(eventfd_read(twin.descriptor.get(), &value), 0);
        EXPECT_EQ(value, static_cast<eventfd_t>(number + 1)) << "another twin's descriptor";
    }
}

TEST_F(Server, ABadTwinMessageEndsTheSessionInWords) {
    const auto bad_twins = std::to_array<std::function<void(ring::TwinMessage&)>>({
        [](ring::TwinMessage& twin) { twin.kind = static_cast<ring::TwinKind>(9); },
        [](ring::TwinMessage& twin) { twin.object = {}; },
        [](ring::TwinMessage& twin) { twin.attach = 1; },  // without a descriptor
        [](ring::TwinMessage& twin) { twin.attach = 2; },
    });
    for (const auto& spoil : bad_twins) {
        Programmer shim = Programmer::connect(path_);
        auto twin = ring::make_message<ring::TwinMessage>();
        twin.kind = ring::TwinKind::vport_tap;
        twin.object = wye::testing::object_name("v");
        spoil(twin);
        ASSERT_TRUE(ring::send_message(shim.socket(), ring::bytes_of(twin)).has_value());
        pollfd entry{shim.socket(), POLLIN, 0};
        ASSERT_EQ(poll(&entry, 1, 3000), 1);
        const auto received = ring::receive_message(shim.socket());
        ASSERT_TRUE(received.has_value());
        EXPECT_TRUE(ring::decode<ring::Refusal>(received->bytes).has_value());
    }
}

}  // namespace
