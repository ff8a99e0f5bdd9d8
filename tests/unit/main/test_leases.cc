// Leases: what is withheld while one is held, and that a reader sees its end before any reuse.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "dataplane/main/lease_server.hh"
#include "dataplane/ring/unix_socket.hh"
#include "tests/unit/control/rig.hh"

namespace wye::control::test {
namespace {

using namespace std::chrono_literals;
using ring::LeaseState;

/// What the reader of a lease sees of its page.
class Page {
  public:
    explicit Page(const Descriptor& file)
        : at_(mmap(nullptr, sizeof(ring::LeasePage), PROT_READ, MAP_SHARED, file.get(), 0)) {}
    ~Page() { munmap(at_, sizeof(ring::LeasePage)); }
    Page(const Page&) = delete;
    Page& operator=(const Page&) = delete;
    [[nodiscard]] LeaseState state() const {
        return static_cast<const ring::LeasePage*>(at_)->state.load();
    }

  private:
    void* at_;
};

/// A route that comes and goes leaves memory and ids to be freed.
struct Churn {
    explicit Churn(Rig& rig) : p(rig.connect()) {
        p.begin_replay();
        base = make_basics(p);
        p.end_replay();
    }
    void once(int i) {
        const Handle hop = p.adjacency(base.vport, "10.0.0." + std::to_string(1 + i % 200));
        const Handle group = p.group(hop);
        p.route(base.vrf, "192.0.2.0/24", group);
        p.delete_route(base.vrf, "192.0.2.0/24");
        p.remove(Opcode::group_delete, group);
        p.remove(Opcode::nexthop_delete, hop);
        p.reach();
    }
    Programmer p;
    Basics base;
};

TEST(Leases, WithholdWhatBecomesUnreachableAndGiveItBackAtTheEnd) {
    Rig rig;
    Churn churn(rig);
    churn.once(0);
    rig.rest();
    EXPECT_EQ(rig.control->status().arena_retired, 0u);
    const auto terms = rig.control->grant_lease(1s);
    ASSERT_TRUE(terms.has_value()) << terms.error().text;
    const Page page(terms->page);
    for (int i = 0; i < 20; ++i) churn.once(i);
    rig.rest();  // and it rests: a lease is not waited for
    EXPECT_GT(rig.control->status().arena_retired, 0u);
    EXPECT_EQ(page.state(), LeaseState::valid);
    const LeaseEnd end = rig.control->end_lease(terms->lease);
    EXPECT_EQ(end.state, LeaseState::valid);
    EXPECT_GT(end.epoch, terms->epoch);
    EXPECT_NE(page.state(), LeaseState::valid);
    rig.poll();
    rig.rest();
    EXPECT_EQ(rig.control->status().arena_retired, 0u);
}

TEST(Leases, AnIdThatAReaderMayHoldIsNotGivenToAnother) {
    Rig rig;
    Churn churn(rig);
    const Handle hop = churn.p.adjacency(churn.base.vport, "10.0.0.9");
    churn.p.route(churn.base.vrf, "192.0.2.0/24", churn.p.group(hop));
    churn.p.reach();
    const auto terms = rig.control->grant_lease(1s);
    ASSERT_TRUE(terms.has_value());
    const table::Leaf leaf = rig.lookup("v", "192.0.2.1");
    const table::NextHop* const read = rig.nexthop(leaf);
    churn.p.begin_replay(ring::Stream::routes);
    churn.p.end_replay(ring::Stream::routes);  // everything goes
    for (int i = 20; i < 60; ++i) churn.once(i);
    EXPECT_EQ(read->gateway, wye::testing::ip("10.0.0.9"));
    EXPECT_EQ(read->kind, NextHopKind::adjacency);
    (void)rig.control->end_lease(terms->lease);
    rig.poll();
    rig.rest();
    EXPECT_EQ(read->kind, NextHopKind::none);
}

TEST(Leases, EndWithTheirTime) {
    Rig rig;
    Churn churn(rig);
    const auto terms = rig.control->grant_lease(20ms);
    ASSERT_TRUE(terms.has_value());
    const Page page(terms->page);
    churn.once(1);
    std::this_thread::sleep_for(30ms);
    rig.poll();
    EXPECT_EQ(page.state(), LeaseState::expired);
    rig.rest();
    EXPECT_EQ(rig.control->status().arena_retired, 0u);
    EXPECT_EQ(rig.control->end_lease(terms->lease).state, LeaseState::expired);
    EXPECT_EQ(rig.control->end_lease(4711).state, LeaseState::none);
    const auto longest = rig.control->grant_lease(1h);
    ASSERT_TRUE(longest.has_value());
    EXPECT_EQ(longest->granted, ring::kLongestLease);
    EXPECT_FALSE(rig.control->grant_lease(0ms).has_value());
}

TEST(Leases, EndWithTheirBytes) {
    Options options = test_options();
    options.leases.bytes = 4096;
    options.leases.longest = 1h;
    Rig rig(options);
    Churn churn(rig);
    const auto terms = rig.control->grant_lease(1h);
    ASSERT_TRUE(terms.has_value());
    const Page page(terms->page);
    for (int i = 0; i < 200 && page.state() == LeaseState::valid; ++i) churn.once(i);
    EXPECT_EQ(page.state(), LeaseState::over_budget);
    rig.rest();
    EXPECT_EQ(rig.control->status().arena_retired, 0u);
    EXPECT_EQ(rig.control->end_lease(terms->lease).state, LeaseState::over_budget);
}

TEST(Leases, AreAFewAtOnce) {
    Rig rig;
    std::vector<LeaseTerms> held;
    for (int i = 0; i < 8; ++i) held.push_back(std::move(*rig.control->grant_lease(1s)));
    const auto ninth = rig.control->grant_lease(1s);
    ASSERT_FALSE(ninth.has_value());
    EXPECT_NE(ninth.error().text.find("8 leases"), std::string::npos);
    (void)rig.control->end_lease(held[3].lease);
    EXPECT_TRUE(rig.control->grant_lease(1s).has_value());
}

TEST(Leases, NoDescriptorOfAReaderWrites) {
    Rig rig;
    const auto terms = rig.control->grant_lease(1s);
    ASSERT_TRUE(terms.has_value());
    for (const Descriptor* const file : {&terms->arena, &terms->page}) {
        EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file->get(), 0),
                  MAP_FAILED);
        EXPECT_EQ(pwrite(file->get(), "x", 1, 0), -1);
        EXPECT_EQ(ftruncate(file->get(), 0), -1);
    }
    // Nor does one that the reader opens anew from the page's.
    const std::string self = "/proc/self/fd/" + std::to_string(terms->page.get());
    const Descriptor again(open(self.c_str(), O_RDWR | O_CLOEXEC));
    EXPECT_EQ(pwrite(again.get(), "x", 1, 0), -1);
}

TEST(Leases, TheEndOfTheDataPlaneEndsThem) {
    auto rig = std::make_unique<Rig>();
    const auto terms = rig->control->grant_lease(1s);
    ASSERT_TRUE(terms.has_value());
    const Page page(terms->page);
    rig.reset();
    EXPECT_EQ(page.state(), LeaseState::ended);
}

/// The server on a thread of its own, as the control thread would have it.
class Served : public ::testing::Test {
  protected:
    void SetUp() override {
        path_ = ::testing::TempDir() + "wye-lease-" + std::to_string(getpid());
        auto listener = ring::listen_unix(path_, SOCK_SEQPACKET, "a data plane");
        ASSERT_TRUE(listener.has_value()) << listener.error().text;
        server_ = std::make_unique<dataplane::LeaseServer>(std::move(*listener), *rig_.control);
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
    [[nodiscard]] std::string refusal(std::span<const std::byte> bytes) const {
        const auto socket = ring::connect_unix(path_, SOCK_SEQPACKET, "data plane");
        const timeval patience{3, 0};
        setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        EXPECT_TRUE(ring::send_message(socket->get(), bytes).has_value());
        const auto received = ring::receive_message(socket->get());
        if (!received || received->state != ring::Received::State::message) return "no answer";
        const auto refused = ring::decode<ring::Refusal>(received->bytes);
        return refused ? ring::words_of(*refused) : "another message";
    }

    Rig rig_;
    std::string path_;
    std::unique_ptr<dataplane::LeaseServer> server_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

TEST_F(Served, AReaderTakesALeaseAndGivesItBack) {
    for (int i = 0; i < 20; ++i) {  // more than there may be at once
        auto lease = ring::Lease::take(path_, 1s);
        ASSERT_TRUE(lease.has_value()) << lease.error().text;
        EXPECT_TRUE(lease->check().has_value());
        const auto epoch = lease->release();
        ASSERT_TRUE(epoch.has_value()) << epoch.error().text;
        EXPECT_EQ(*epoch, lease->grant().epoch);
        EXPECT_FALSE(lease->check().has_value());
    }
    for (int i = 0; i < 40; ++i) {  // closing is giving back
        const auto lease = ring::Lease::take(path_, 1s);
        ASSERT_TRUE(lease.has_value()) << lease.error().text;
        std::this_thread::sleep_for(2ms);
    }
}

TEST_F(Served, AnExpiredLeaseIsAnError) {
    auto lease = ring::Lease::take(path_, 10ms);
    ASSERT_TRUE(lease.has_value());
    std::this_thread::sleep_for(40ms);
    EXPECT_FALSE(lease->check().has_value());
    const auto epoch = lease->release();
    ASSERT_FALSE(epoch.has_value());
    EXPECT_NE(epoch.error().text.find("time is over"), std::string::npos) << epoch.error().text;
}

TEST_F(Served, GarbageIsRefusedAndOthersAreServed) {
    const auto held = ring::Lease::take(path_, 1s);
    ASSERT_TRUE(held.has_value());
    auto request = ring::make_message<ring::LeaseRequest>();
    request.version = 99;
    request.milliseconds = 100;
    EXPECT_NE(refusal(ring::bytes_of(request)).find("version 99"), std::string::npos);
    const auto whole = ring::bytes_of(request);
    for (std::size_t length = 1; length < whole.size(); ++length) {
        const std::string words = refusal(whole.first(length));
        EXPECT_FALSE(words == "no answer" || words == "another message") << length;
    }
    request.version = ring::kLeaseVersion;
    request.header.magic = 7;
    EXPECT_NE(refusal(ring::bytes_of(request)).find("magic"), std::string::npos);
    const auto release = ring::make_message<ring::LeaseRelease>();
    EXPECT_NE(refusal(ring::bytes_of(release)).find("expected"), std::string::npos);
    EXPECT_TRUE(held->check().has_value());
    EXPECT_TRUE(ring::Lease::take(path_, 1s).has_value());
}

}  // namespace
}  // namespace wye::control::test
