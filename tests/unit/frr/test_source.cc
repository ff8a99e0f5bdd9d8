#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/frr/stream.hh"

namespace wye::frr::test {
namespace {

/// The plugin's end of the socket.
class Client {
  public:
    explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, path.size());
        connected =
            ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    ~Client() { close(); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    void close() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }
    void send(const Stream& stream) {
        ASSERT_EQ(::send(fd_, stream.bytes.data(), stream.bytes.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(stream.bytes.size()));
    }
    /// What has come so far; nullopt-like "closed" is told apart by `closed`.
    std::vector<std::uint8_t> receive() {
        std::vector<std::uint8_t> bytes(65536);
        const auto got = ::recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
        closed = got == 0;
        bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return bytes;
    }
    [[nodiscard]] int descriptor() const { return fd_; }
    bool connected = false;
    bool closed = false;

  private:
    int fd_;
};

class Source : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "/wye-frr-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory = pattern;
        path = directory + "/zebra.sock";
        open();
    }
    void TearDown() override {
        source.reset();
        std::filesystem::remove_all(directory);
    }
    void open() {
        auto made = make_route_source(path, sink);
        ASSERT_TRUE(made) << made.error().text;
        source = std::move(*made);
    }
    /// Runs as long as there is something to do.
    void settle() {
        for (int i = 0; i < 100; ++i) {
            pollfd ready{source->descriptor(), POLLIN, 0};
            if (::poll(&ready, 1, 0) == 0) return;
            source->run();
        }
    }
    std::string directory, path;
    RecordingSink sink;
    std::unique_ptr<RouteSource> source;
};

/// text of a HELLO_REPLY of 144 bytes, with its verdict.
std::string reply_in(const std::vector<std::uint8_t>& bytes) {
    if (bytes.size() != 144 || bytes[0] != 144 || bytes[2] != 2) return "no reply";
    const char* const text = reinterpret_cast<const char*>(bytes.data() + 16);
    return std::string(bytes[12] == 1 ? "accepted: " : "refused: ") + text;
}

TEST_F(Source, LetsZebrasUserIn) {
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_TRUE((status.st_mode & 07777) == 0660 || (status.st_mode & 07777) == 0600);
}

TEST_F(Source, GreetsAndDecodes) {
    Client client(path);
    ASSERT_TRUE(client.connected);
    EXPECT_FALSE(source->connected());
    client.send(full_stream());
    settle();
    EXPECT_TRUE(source->connected());
    EXPECT_EQ(sink.events, full_events());
    EXPECT_EQ(reply_in(client.receive()), "accepted: welcome");
}

TEST_F(Source, AcknowledgesInBatches) {
    Client client(path);
    client.send(full_stream());
    settle();
    client.receive();
    for (unsigned i = 0; i < 501; ++i) {
        source->acknowledge({i, sink.operations[0].connection}, true);
    }
    source->acknowledge({777, sink.operations[0].connection}, false);
    source->flush();
    const auto bytes = client.receive();
    Stream expected;
    expected.frame(8 + 500 * 8, 7).u32(1);
    for (unsigned i = 0; i < 500; ++i) expected.u64(i);
    expected.frame(8 + 8, 7).u32(1).u64(500);
    expected.frame(8 + 8, 7).u32(2).u64(777);
    EXPECT_EQ(bytes, expected.bytes);
}

TEST_F(Source, KeepsAcknowledgementsThatDoNotFit) {
    Client client(path);
    client.send(full_stream());
    settle();
    client.receive();
    const unsigned count = 400000;  // 3.2 MB: more than a socket holds
    for (unsigned i = 0; i < count; ++i) {
        source->acknowledge({i, sink.operations[0].connection}, true);
    }
    source->flush();
    std::size_t received = 0;
    for (int i = 0; i < 100000 && received < count * 8 + count / 500 * 8; ++i) {
        received += client.receive().size();
        source->run();
    }
    EXPECT_EQ(received, count * 8 + count / 500 * 8);
    EXPECT_TRUE(source->connected());
}

TEST_F(Source, ForgetsOperationsOfAnEarlierConnection) {
    Client first(path);
    first.send(full_stream());
    settle();
    const Operation stale = sink.operations[0];
    first.close();
    settle();
    EXPECT_EQ(sink.events.back(), "disconnected");
    EXPECT_FALSE(source->connected());
    Client second(path);
    second.send(full_stream());
    settle();
    second.receive();
    source->acknowledge(stale, true);
    source->flush();
    EXPECT_TRUE(second.receive().empty());
    source->acknowledge({stale.id, sink.operations.back().connection}, true);
    source->flush();
    EXPECT_EQ(second.receive().size(), 16U);
}

TEST_F(Source, ClosesOnGarbageAndTakesTheNext) {
    Client bad(path);
    bad.send(Stream().hello().begin().vrf(7, "red").frame(3, 4));
    settle();
    bad.receive();
    bad.receive();
    EXPECT_TRUE(bad.closed);
    EXPECT_EQ(sink.events, (std::vector<std::string>{"begin", "vrf 7 red", "disconnected"}));
    sink.events.clear();
    Client good(path);
    good.send(full_stream());
    settle();
    EXPECT_EQ(sink.events, full_events());
}

TEST_F(Source, SaysWhyItRefuses) {
    Client client(path);
    client.send(Stream().hello(9));
    settle();
    EXPECT_EQ(reply_in(client.receive()),
              "refused: the plugin sent a hello of protocol version 9, not 1 to 2: install "
              "wye_dplane.so and wye-shim of one release");
    EXPECT_TRUE(sink.events.empty());
}

TEST_F(Source, RefusesASecondAsLongAsTheFirstLives) {
    Client first(path);
    first.send(full_stream());
    settle();
    Client second(path);
    second.send(Stream().hello());
    settle();
    EXPECT_EQ(reply_in(second.receive()),
              "refused: a second zebra was refused: process 4711 is connected");
    EXPECT_TRUE(source->connected());
    EXPECT_EQ(sink.events, full_events());
}

TEST_F(Source, ASilentConnectionDoesNotKeepTheDoorShut) {
    Client silent(path);
    settle();
    Client client(path);
    client.send(full_stream());
    settle();
    EXPECT_EQ(sink.events, full_events());
}

TEST_F(Source, TakesABoundedBiteOfALargeTable) {
    Client client(path);
    Stream table;
    table.hello().begin().vrf(7, "red");
    for (unsigned i = 0; i < 20000; ++i) {
        table.route(7, i, 4, 24, {10, i >> 8, i & 0xff}, 1).by_interface(7, 3);
    }
    ::fcntl(client.descriptor(), F_SETFL, O_NONBLOCK);
    std::size_t sent = 0;
    std::size_t most = 0;
    while (sink.operations.size() < 20000) {
        const auto took = ::send(client.descriptor(), table.bytes.data() + sent,
                                 table.bytes.size() - sent, MSG_NOSIGNAL);
        if (took > 0) sent += static_cast<std::size_t>(took);
        const std::size_t before = sink.operations.size();
        source->run();
        most = std::max(most, sink.operations.size() - before);
    }
    EXPECT_LE(most, 4U * 65536 / 76 + 1);
    EXPECT_EQ(sink.events.back(), "install 19999 7 10.78.31.0/24 unicast 3/20/77, dev 7:3");
}

TEST_F(Source, ReplacesWhatADeadShimLeft) {
    ::link(path.c_str(), (directory + "/left").c_str());
    source.reset();
    std::filesystem::rename(directory + "/left", path);  // a socket that nobody serves
    open();
    Client client(path);
    EXPECT_TRUE(client.connected);
}

TEST_F(Source, RefusesAPathInUseOrWrong) {
    RecordingSink other;
    const auto in_use = make_route_source(path, other);
    ASSERT_FALSE(in_use);
    EXPECT_EQ(in_use.error().text,
              path + " is in use: another wye-shim serves it; stop that one first");
    std::ofstream(directory + "/file") << "precious";
    const auto file = make_route_source(directory + "/file", other);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().text, directory + "/file exists and is not a socket");
    EXPECT_FALSE(make_route_source(std::string(200, 'x'), other));
    EXPECT_FALSE(make_route_source("/nowhere/at/all.sock", other));
}

}  // namespace
}  // namespace wye::frr::test
