// The socket: requests and answers, limits, who may ask, and garbage.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <random>

#include "controlplane-shim/api/client.hh"
#include "dataplane/ring/unix_socket.hh"
#include "tests/unit/api/fake_service.hh"

namespace wye::api {
namespace {

using nlohmann::json;

/// A raw client: sends bytes, reads until `lines` lines or the end.
std::string exchange(int socket, const std::string& bytes, std::size_t lines) {
    std::string out;
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        const ssize_t n = send(socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) break;
        sent += static_cast<std::size_t>(n);
    }
    std::array<char, 4096> chunk;
    while (lines != 0) {
        const ssize_t n = recv(socket, chunk.data(), chunk.size(), 0);
        if (n <= 0) break;
        const std::string_view got(chunk.data(), static_cast<std::size_t>(n));
        lines -= std::min(lines, static_cast<std::size_t>(std::ranges::count(got, '\n')));
        out += got;
    }
    return out;
}
Descriptor connect_raw(const std::string& path) {
    return ring::connect_unix(path, SOCK_STREAM, "shim").value();
}

TEST(Server, AnswersApplyAndShow) {
    FakeService service;
    service.rows["routes"] = json::array({{{"vrf", "red"}, {"prefix", "10.0.0.0/8"}}});
    const Served served(service);
    struct stat status {};
    ASSERT_EQ(stat(served.path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    auto client = Client::connect(served.path);
    ASSERT_TRUE(client);
    const auto shown = client->show("routes", {{"vrf", "red"}});
    ASSERT_TRUE(shown);
    EXPECT_TRUE(shown->ok);
    EXPECT_EQ(shown->result, service.rows["routes"]);
    EXPECT_EQ(service.shown_filter, json({{"vrf", "red"}}));
    const auto good = client->apply("m.yaml", "fine\ntext");
    ASSERT_TRUE(good && good->ok);
    EXPECT_EQ(service.applied_text, "fine\ntext");
    const auto bad = client->apply("m.yaml", "bad");
    ASSERT_TRUE(bad);
    EXPECT_FALSE(bad->ok);
    EXPECT_EQ(bad->errors,
              (std::vector<std::string>{"m.yaml:3: tenants[0]: first", "m.yaml:4: second"}));
    const auto fault = client->show("rings", json::object());
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->errors,
              std::vector<std::string>{"the shim has a fault, please report it: boom"});
    EXPECT_TRUE(client->show("routes", json::object())) << "the connection goes on";
}

TEST(Server, RefusesClientsWhenThereAreNoDescriptorsAndDoesNotSpin) {
    FakeService service;
    const std::string path = "/tmp/wye-api-descriptors." + std::to_string(getpid());
    auto server = Server::listen(path, service);
    ASSERT_TRUE(server);
    const Descriptor first = connect_raw(path), second = connect_raw(path);
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    const int lowest_free = dup(0);
    ASSERT_GE(lowest_free, 0);
    close(lowest_free);
    const rlimit none{static_cast<rlim_t>(lowest_free), before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int i = 0; i < 4; ++i) server->run();
    pollfd waits{server->descriptor(), POLLIN, 0};
    EXPECT_EQ(poll(&waits, 1, 0), 0) << "nothing is left that would wake the loop up again";
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (const Descriptor* client : {&first, &second})
        EXPECT_NE(exchange(client->get(), "", 1).find("no file descriptors left"),
                  std::string::npos);
    const Descriptor third = connect_raw(path);
    server->run();
    EXPECT_EQ(server->clients(), 1u);
    unlink(path.c_str());
}

TEST(Server, CarriesAManifestOfManyMegabytes) {
    FakeService service;
    const Served served(service);
    auto client = Client::connect(served.path);
    ASSERT_TRUE(client);
    const std::string text(std::size_t{8} << 20, 'x');
    const auto reply = client->apply("big.yaml", text);
    ASSERT_TRUE(reply && reply->ok);
    EXPECT_EQ(service.applied_text, text);
}

TEST(Server, AnswersPipelinedRequestsInOrderAlsoToASlowReader) {
    FakeService service;
    json rows = json::array();
    for (int i = 0; i < 3000; ++i) rows.push_back({{"vrf", "red"}, {"metric", i}});
    service.rows["routes"] = rows;
    const Served served(service);
    const Descriptor socket = connect_raw(served.path);
    std::string requests;
    for (int i = 0; i < 50; ++i) {
        requests +=
            "{\"call\":\"show\",\"what\":\"routes\"}\n{\"call\":\"show\",\"what\":\"drops\"}\n";
    }
    ASSERT_EQ(send(socket.get(), requests.data(), requests.size(), 0),
              static_cast<ssize_t>(requests.size()));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // its answers pile up
    {
        auto other = Client::connect(served.path);
        ASSERT_TRUE(other);
        EXPECT_TRUE(other->show("status", json::object())) << "others are served meanwhile";
    }
    const std::string all = exchange(socket.get(), "", 100);
    EXPECT_EQ(std::ranges::count(all, '\n'), 100);
    const std::string empty = "{\"ok\":true,\"result\":[]}\n";
    EXPECT_EQ(all.substr(all.size() - empty.size()), empty);
}

TEST(Server, AnswersTheLastRequestOfAClientThatHalfCloses) {
    FakeService service;
    const Served served(service);
    const Descriptor socket = connect_raw(served.path);
    const std::string request = "{\"call\":\"show\",\"what\":\"drops\"}\n";
    ASSERT_GT(send(socket.get(), request.data(), request.size(), 0), 0);
    shutdown(socket.get(), SHUT_WR);
    EXPECT_EQ(exchange(socket.get(), "", 2), "{\"ok\":true,\"result\":[]}\n");
}

TEST(Server, RefusesGarbageInWordsAndGoesOn) {
    FakeService service;
    const Served served(service);
    const Descriptor socket = connect_raw(served.path);
    const auto refused = [&](const std::string& line, const std::string& words) {
        const std::string answer = exchange(socket.get(), line + "\n", 1);
        EXPECT_NE(answer.find("\"ok\":false"), std::string::npos) << line;
        EXPECT_NE(answer.find(words), std::string::npos) << answer;
    };
    refused("", "no JSON object");
    refused("hello", "no JSON object");
    refused("[1]", "no JSON object");
    refused(std::string(100000, '['), "no JSON object");
    refused("{\"call\":\"stop\"}", "must be apply, show or worker");
    refused("{\"call\":1}", "must be apply, show or worker");
    refused("{\"call\":\"show\"}", "no show");
    refused("{\"call\":\"show\",\"what\":\"cats\"}", "no show cats");
    refused("{\"call\":\"show\",\"what\":\"cats\\ud800\"}", "no JSON object");
    refused("{\"call\":\"show\",\"what\":\"drops\",\"sort\":1}", "unknown key sort");
    refused("{\"call\":\"show\",\"what\":\"drops\",\"filter\":[]}", "no object");
    refused("{\"call\":\"show\",\"what\":\"drops\",\"filter\":{\"vrf\":\"x\"}}", "filtered by vrf");
    refused("{\"call\":\"apply\",\"file\":\"x\"}", "needs the file's name and its text");
    std::mt19937 random(5);
    for (int round = 0; round < 2000; ++round) {
        std::string line(random() % 60, ' ');
        for (char& c : line) c = static_cast<char>(random());
        std::erase(line, '\n');
        ASSERT_FALSE(answer_line(service, line).empty());
    }
    EXPECT_EQ(exchange(socket.get(), "{\"call\":\"show\",\"what\":\"drops\"}\n", 1),
              "{\"ok\":true,\"result\":[]}\n");
}

TEST(Server, AnswersWithBytesThatAreNoUtf8) {
    FakeService service;
    service.rows["routes"] = json::array({{{"vrf",
                                            "r\xff"
                                            "d"}}});
    const Served served(service);
    auto client = Client::connect(served.path);
    const auto reply = client->show("routes", json::object());
    ASSERT_TRUE(reply && reply->ok);
    EXPECT_EQ(reply->result[0]["vrf"],
              "r\xef\xbf\xbd"
              "d");
}

TEST(Server, LimitsTheLengthOfARequestAndTheNumberOfClients) {
    FakeService service;
    Served served(service, {.line_bytes = 1000, .clients = 2});
    const Descriptor first = connect_raw(served.path);
    const std::string answer = exchange(first.get(), std::string(100000, 'x'), 2);
    EXPECT_NE(answer.find("longer than 1000 bytes"), std::string::npos) << answer;
    while (served.clients != 0) std::this_thread::yield();  // it was closed

    const Descriptor second = connect_raw(served.path), third = connect_raw(served.path);
    while (served.clients != 2) std::this_thread::yield();
    const Descriptor fourth = connect_raw(served.path);
    EXPECT_NE(exchange(fourth.get(), "", 1).find("already 2 clients"), std::string::npos);
    EXPECT_EQ(exchange(second.get(), "{\"call\":\"show\",\"what\":\"drops\"}\n", 1),
              "{\"ok\":true,\"result\":[]}\n");
}

TEST(Server, RefusesOtherUsers) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
    FakeService service;
    const Served served(service);
    // The file's mode is the first barrier; this looks at the second.
    ASSERT_EQ(chmod(served.path.c_str(), 0666), 0);
    ASSERT_EQ(chmod(served.run_dir.c_str(), 0755), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        if (setgid(65534) != 0 || setuid(65534) != 0) _exit(2);
        const auto socket = ring::connect_unix(served.path, SOCK_STREAM, "shim");
        if (!socket) _exit(3);
        const std::string answer =
            exchange(socket->get(), "{\"call\":\"show\",\"what\":\"drops\"}\n", 1);
        _exit(answer.find("user id 65534 may not") != std::string::npos ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_TRUE(service.shown_what.empty());
}

TEST(Server, DoesNotTakeASocketFromALivingOne) {
    FakeService service;
    const Served served(service);
    const auto second = Server::listen(served.path, service);
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().text.find("a shim already answers"), std::string::npos);
}

TEST(Client, SaysThatNoShimAnswers) {
    const auto absent = Client::connect("/nonexistent/shim.sock");
    ASSERT_FALSE(absent);
    EXPECT_NE(absent.error().text.find("no shim answers on /nonexistent"), std::string::npos);
}

}  // namespace
}  // namespace wye::api
