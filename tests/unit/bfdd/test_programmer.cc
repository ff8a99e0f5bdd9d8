// The shim's half of BFD against a bfdd and a data plane of the test's own: where sessions are placed, what
// is refused, what is sent and told, and what the loss of either end does.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "controlplane-shim/state/bfd_programmer.hh"

namespace wye::state {
namespace {

using ring::Opcode;

/// Listens as bfdd does.
class FakeBfdd {
  public:
    explicit FakeBfdd(const std::string& path) : listener_(socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        path.copy(name.sun_path, sizeof name.sun_path - 1);
        (void)unlink(path.c_str());
        EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
        EXPECT_EQ(listen(listener_.get(), 4), 0);
        EXPECT_EQ(chmod(path.c_str(), 0777), 0);  // it is connected to as the user frr
    }
    void accept() {
        pollfd state{listener_.get(), POLLIN, 0};
        ASSERT_EQ(poll(&state, 1, 5000), 1);
        peer_ = Descriptor(::accept(listener_.get(), nullptr, nullptr));
    }
    void hang_up() { peer_.reset(); }
    void add(std::uint32_t id, const char* local, const char* remote, std::uint32_t index = 0,
             std::uint8_t flags = 0) {
        std::vector<std::uint8_t> bytes(140);
        const auto put = [&](std::size_t at, std::uint32_t value) {
            const Be32 word = value;
            std::memcpy(bytes.data() + at, &word, 4);
        };
        put(0, 0x01000002);
        put(4, 140);
        put(8, flags);
        const auto address = [&](std::size_t at, const char* text) {
            if (*text == '\0') return;
            const auto parsed = *net::parse_ip(text);
            std::memcpy(bytes.data() + at, parsed.bytes.data(), 16);
        };
        address(12, local);
        address(28, remote);
        put(44, id);
        put(48, 10'000);
        put(52, 10'000);
        bytes[68] = 254;
        bytes[69] = 3;
        put(72, index);
        ASSERT_EQ(::send(peer_.get(), bytes.data(), bytes.size(), 0), 140);
    }
    std::vector<std::uint8_t> read() {
        std::vector<std::uint8_t> bytes(4096);
        const ssize_t n = recv(peer_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        return bytes;
    }

  private:
    Descriptor listener_, peer_;
};

class Sink final : public CommandSink {
  public:
    std::vector<ring::Command> sent;
    bool send(ring::Stream, std::span<const ring::Command> commands) override {
        sent.insert(sent.end(), commands.begin(), commands.end());
        return true;
    }
    [[nodiscard]] std::size_t command_room(ring::Stream) const override { return 1024; }
    std::size_t receive_completions(ring::Stream, std::span<ring::Completion>) override {
        return 0;
    }
    std::size_t receive_events(std::span<ring::Event>) override { return 0; }
    bool wait(std::chrono::milliseconds) override { return true; }
    Status send_twin(const ring::TwinMessage&, int) override { return {}; }
    void abandon() override {}
};

class Programming : public ::testing::Test {
  protected:
    Programming() : programmer(topology, [this](const std::string& text) { said += text + "\n"; }) {
        add_vrf("red", 1);
        add_vrf("blue", 2);
        add_vport("red-a", "red", 11, 101, "10.0.0.1/24");
        add_vport("red-b", "red", 12, 102, "10.0.1.1/24");
        add_vport("blue-a", "blue", 13, 103, "10.0.0.1/24");
    }
    void add_vrf(const std::string& name, ring::Handle handle) {
        auto& table = topology.tables[topology.table(name)];
        table.vrf = name;
        table.handle = handle;
        table.present = true;
    }
    void add_vport(const std::string& name, const std::string& vrf, ring::Handle handle,
                   std::uint32_t index, const std::string& own) {
        const VportIndex vport = topology.vport(name);
        topology.vports[vport].table = topology.table(vrf);
        topology.vports[vport].handle = handle;
        topology.vports[vport].present = true;
        topology.vports[vport].addresses.insert(*net::parse_interface_address(own));
        topology.set_twin(vport, kernel::InterfaceKey{vrf, index});
    }
    void begin(const std::string& vrf = {}) {
        links = std::move(*bfdd::Links::make({{path, vrf}}, programmer));
        programmer.wire(*links);
        auto made = table::BfdFile::create(file_path);
        file.emplace(std::move(*made));
        programmer.session_opened(file_path, BfdProgrammer::kVersion);
        links->tick();
        bfdd.accept();
    }
    /// What was sent since the last call.
    std::vector<ring::Command> commands() {
        links->run();
        programmer.run(writer);
        (void)writer.flush(sink);
        return std::exchange(sink.sent, {});
    }
    void complete(ring::Outcome outcome, std::uint32_t slot = 0) {
        ring::Completion completion{};
        completion.outcome = outcome;
        completion.detail = slot;
        completion.sequence = ++completed;
        const auto match = writer.match(completion);
        ASSERT_TRUE(match.has_value());
        programmer.completed(*match, completion);
    }
    std::string path = ::testing::TempDir() + "bfdd-" + std::to_string(getpid()) + ".sock";
    std::string file_path = ::testing::TempDir() + "bfd-file-" + std::to_string(getpid());
    FakeBfdd bfdd{path};
    Topology topology;
    std::string said;
    BfdProgrammer programmer;
    std::unique_ptr<bfdd::Links> links;
    std::optional<table::BfdFile> file;
    StreamWriter writer{ring::Stream::routes};
    Sink sink;
    std::uint32_t completed = 0;
    ~Programming() override {
        (void)unlink(path.c_str());
        (void)unlink(file_path.c_str());
    }
};

TEST_F(Programming, PlacedByItsInterface) {
    begin();
    auto sent = commands();
    ASSERT_EQ(sent.size(), 2u);  // bfd_begin of both VRFs
    EXPECT_EQ(sent[0].header.opcode, Opcode::bfd_begin);
    bfdd.add(77, "", "10.0.0.2", 103);
    sent = commands();
    ASSERT_EQ(sent.size(), 1u);
    const ring::BfdSet& body = sent[0].body.bfd;
    EXPECT_EQ(body.vrf, 2u);
    EXPECT_EQ(body.vport, 13u);
    EXPECT_EQ(body.discriminator, 77u);
    EXPECT_EQ(net::to_string(body.local), "10.0.0.1");
    EXPECT_EQ(body.detect_multiplier, 3);
    EXPECT_EQ(body.least_hop_limit, 0);
}

TEST_F(Programming, PlacedByWhatOnlyOneVrfHas) {
    begin();
    (void)commands();
    bfdd.add(1, "10.0.1.1", "10.0.1.2");
    bfdd.add(2, "", "10.0.1.3");
    bfdd.add(3, "10.0.1.1", "198.51.100.1", 0, 1);
    const auto sent = commands();
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_EQ(sent[0].body.bfd.vport, 12u);
    EXPECT_EQ(sent[1].body.bfd.vport, 12u);
    EXPECT_EQ(sent[2].body.bfd.vport, ring::kNoHandle);
    EXPECT_EQ(sent[2].body.bfd.least_hop_limit, 254);
    for (const auto& command : sent) EXPECT_EQ(command.body.bfd.vrf, 1u);
}

TEST_F(Programming, TheAmbiguousOneIsRefusedInWords) {
    begin();
    (void)commands();
    bfdd.add(1, "10.0.0.1", "10.0.0.2");
    EXPECT_TRUE(commands().empty());
    EXPECT_NE(said.find("red, blue"), std::string::npos) << said;
    EXPECT_NE(programmer.entries().begin()->second.refused.find("--bfdd"), std::string::npos);
    // The other tenant gives the address up.
    topology.vports[topology.vport("blue-a")].addresses.clear();
    programmer.topology_changed();
    EXPECT_EQ(commands().size(), 1u);
}

TEST_F(Programming, ABfddOfOneVrfIsOfThatVrf) {
    begin("blue");
    EXPECT_EQ(commands().size(), 1u);
    bfdd.add(1, "10.0.0.1", "10.0.0.2");
    bfdd.add(2, "10.0.0.1", "10.0.0.3", 101);  // red's interface
    const auto sent = commands();
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].body.bfd.vrf, 2u);
    EXPECT_NE(said.find("is no vport's of the VRF blue"), std::string::npos) << said;
}

TEST_F(Programming, WhatTheDataPlaneCannotDoIsRefused) {
    begin();
    (void)commands();
    bfdd.add(1, "", "10.0.0.2", 101, 2);
    bfdd.add(2, "", "10.0.0.3", 101, 8);
    EXPECT_TRUE(commands().empty());
    EXPECT_NE(said.find("demand"), std::string::npos);
    EXPECT_NE(said.find("echo"), std::string::npos);
    bfdd.add(3, "", "10.0.0.4", 101);
    ASSERT_EQ(commands().size(), 1u);
    for (int i = 0; i < 2; ++i) complete(ring::Outcome::accepted);  // bfd_begin
    complete(ring::Outcome::table_full);
    EXPECT_NE(said.find("table is full"), std::string::npos) << said;
}

TEST_F(Programming, StatesAreTold) {
    begin();
    (void)commands();
    bfdd.add(77, "", "10.0.0.2", 101);
    ASSERT_EQ(commands().size(), 1u);
    for (int i = 0; i < 2; ++i) complete(ring::Outcome::accepted);
    table::BfdRecord& record = file->record(5);
    record.discriminator.store(77);
    record.state.store(3);
    complete(ring::Outcome::accepted, 5);
    std::vector<std::uint8_t> told = bfdd.read();
    ASSERT_EQ(told.size(), 36u);
    EXPECT_EQ(told[32], 3);
    programmer.changed(programmer.entries().begin()->second.handle);
    EXPECT_TRUE(bfdd.read().empty());  // nothing new
    record.state.store(1);
    record.diagnostic.store(1);
    programmer.changed(ring::kNoHandle);  // events were lost: all are looked at
    told = bfdd.read();
    ASSERT_EQ(told.size(), 36u);
    EXPECT_EQ(told[32], 1);
    EXPECT_EQ(told[33], 1);
}

TEST_F(Programming, EitherEndMayGo) {
    begin();
    (void)commands();
    bfdd.add(77, "", "10.0.0.2", 101);
    ASSERT_EQ(commands().size(), 1u);
    writer.reset();
    programmer.session_closed();
    programmer.session_opened(file_path, BfdProgrammer::kVersion);
    auto sent = commands();
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_EQ(sent[2].header.opcode, Opcode::bfd_set);
    // bfdd goes: nothing is deleted. Another comes and knows it under another number.
    bfdd.hang_up();
    EXPECT_TRUE(commands().empty());
    EXPECT_TRUE(programmer.entries().empty());
    links->tick();
    bfdd.accept();
    bfdd.add(78, "", "10.0.0.2", 101);
    sent = commands();
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_EQ(sent[0].header.opcode, Opcode::bfd_begin);
    EXPECT_EQ(sent[2].body.bfd.discriminator, 78u);
}

TEST_F(Programming, AnOldDataPlaneIsSentNothing) {
    begin();
    (void)commands();
    programmer.session_closed();
    programmer.session_opened(file_path, BfdProgrammer::kVersion - 1);
    bfdd.add(77, "", "10.0.0.2", 101);
    EXPECT_TRUE(commands().empty());
    EXPECT_NE(said.find("older version"), std::string::npos);
}

}  // namespace
}  // namespace wye::state
