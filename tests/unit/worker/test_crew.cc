// Workers come, go and move while sequenced packets of many flows come in: every packet leaves once,
// in order within its flow, and the ledger of each worker balances.
//
// The router's own pipeline, over ports in memory. A Wire is a device: its receive queues are filled
// by the test, by flow; all that is sent by any of its transmit queues lands in one list, in order.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <thread>

#include "dataplane/worker/crew.hh"
#include "dataplane/worker/flow_hash.hh"
#include "drivers/memory/memory_port.hh"
#include "tests/unit/control/rig.hh"

namespace wye::worker {
namespace {

using namespace std::chrono_literals;
using control::test::Basics;
using control::test::Handle;
using control::test::Programmer;
using control::test::Rig;
using pipeline::Frame;
using ring::Outcome;

constexpr std::uint32_t kWorkers = 4;
constexpr std::size_t kFlows = 97;
constexpr std::size_t kBytes = 64;

class Wire {
  public:
    explicit Wire(std::size_t queues) : queues_(queues) {}

    void arrive(std::size_t queue, const Frame& frame) {
        const std::lock_guard lock(queues_[queue].mutex);
        queues_[queue].frames.push_back(frame);
    }
    std::vector<Frame> take_sent() {
        const std::lock_guard lock(mutex_);
        return std::exchange(sent_, {});
    }
    std::unique_ptr<PortIo> pair(std::size_t queue) {
        return std::make_unique<Pair>(*this, queues_[queue % queues_.size()]);
    }
    [[nodiscard]] std::size_t queues() const { return queues_.size(); }
    std::atomic<int> meetings{0};

  private:
    struct Queue {
        std::mutex mutex;
        std::deque<Frame> frames;
    };
    class Pair final : public PortIo {
      public:
        Pair(Wire& wire, Queue& queue) : wire_(wire), queue_(queue) {}
        std::size_t receive(std::span<Frame> out) noexcept override {
            const Visit visit(*this);
            const std::lock_guard lock(queue_.mutex);
            const std::size_t n = std::min(out.size(), queue_.frames.size());
            std::copy_n(queue_.frames.begin(), n, out.begin());
            queue_.frames.erase(queue_.frames.begin(),
                                queue_.frames.begin() + static_cast<std::ptrdiff_t>(n));
            return n;
        }
        std::size_t transmit(std::span<const Frame> frames) noexcept override {
            const Visit visit(*this);
            const std::lock_guard lock(wire_.mutex_);
            wire_.sent_.insert(wire_.sent_.end(), frames.begin(), frames.end());
            return frames.size();
        }

      private:
        /// Counts where two workers are in one pair.
        struct Visit {
            explicit Visit(Pair& visited) : pair(visited) {
                if (pair.visitors_.fetch_add(1) != 0) ++pair.wire_.meetings;
            }
            ~Visit() { pair.visitors_.fetch_sub(1); }
            Pair& pair;
        };
        Wire& wire_;
        Queue& queue_;
        std::atomic<int> visitors_{0};
    };
    std::deque<Queue> queues_;
    std::mutex mutex_;
    std::vector<Frame> sent_;
};

/// An Ethernet frame with UDP to 10.9.0.1; the flow is its source port.
std::array<std::uint8_t, kBytes> bytes_of(std::uint16_t flow, std::uint64_t number) {
    std::array<std::uint8_t, kBytes> bytes{2, 0, 0, 0, 0, 0x0a, 2, 0, 0, 0, 0, 0x99, 8, 0};
    const std::array<std::uint8_t, 20> ip{0x45, 0, 0,  50, 0, 0, 0,  0, 64, 17,
                                          0,    0, 10, 0,  0, 9, 10, 9, 0,  1};
    std::memcpy(bytes.data() + 14, ip.data(), ip.size());
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < 20; i += 2) sum += ip[i] * 256u + ip[i + 1];
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    bytes[24] = static_cast<std::uint8_t>(~sum >> 8);
    bytes[25] = static_cast<std::uint8_t>(~sum);
    bytes[34] = static_cast<std::uint8_t>(flow >> 8);
    bytes[35] = static_cast<std::uint8_t>(flow);
    bytes[37] = 9;
    bytes[39] = 30;
    std::memcpy(bytes.data() + 42, &number, sizeof number);
    return bytes;
}

struct Numbered {
    std::uint16_t flow;
    std::uint64_t number;
};
Numbered number_of(const Frame& frame) {
    Numbered read{};
    read.flow = static_cast<std::uint16_t>(std::to_integer<unsigned>(frame.data[34]) << 8 |
                                           std::to_integer<unsigned>(frame.data[35]));
    std::memcpy(&read.number, frame.data + 42, sizeof read.number);
    return read;
}

struct Shape {
    std::size_t receive_queues, transmit_queues;
    bool spread;
    bool apart = true;  // both halves of a pair may be used at the same time
};

class Crews : public ::testing::TestWithParam<Shape> {
  protected:
    static control::Options options() {
        control::Options options = control::test::test_options();
        options.hung_after = 20s;
        return options;
    }
    static table::CounterLimits counters() {
        table::CounterLimits limits = control::test::small_counters();
        limits.workers = kWorkers + 1;
        limits.ports = 4;
        return limits;
    }
    void SetUp() override {
        Programmer p = rig_.connect();
        p.begin_replay();
        const Basics basics = control::test::make_basics(p);
        const Handle out =
            p.vport(basics.tenant, basics.vrf, p.port("p1"), "out", control::test::kMacB);
        const Handle hop = p.adjacency(out, "10.9.255.1");
        p.neighbor(out, "10.9.255.1", "02:00:00:00:00:77");
        p.route(basics.vrf, "10.9.0.0/16", p.group(hop));
        p.end_replay();
        p.reach();
    }
    std::vector<std::unique_ptr<Worker>> make_workers(Idle idle) {
        std::vector<std::unique_ptr<Worker>> workers;
        for (std::uint32_t i = 0; i < kWorkers; ++i) {
            Options one;
            one.id = WorkerId{i};
            one.idle = idle;
            workers.push_back(
                std::make_unique<Worker>(one, Shared{pool_, rig_.published, epochs_, rig_.liveness,
                                                     rig_.counters.block(WorkerId{i})}));
        }
        return workers;
    }
    void make_crew(Idle idle) {
        in_ = std::make_unique<Wire>(GetParam().receive_queues);
        out_ = std::make_unique<Wire>(1);
        crew_ = std::make_unique<Crew>(Crew::Options{pool_, rig_.counters}, make_workers(idle));
        connect(PortId{0}, *in_, GetParam().receive_queues, GetParam().spread);
        connect(PortId{1}, *out_, 1, false);
    }
    void connect(PortId port, Wire& wire, std::size_t receive_queues, bool spread) {
        Line line;
        line.port = port;
        line.receive_queues = receive_queues;
        line.transmit_queues = GetParam().transmit_queues;
        line.spread = spread;
        line.pairs_apart = GetParam().apart;
        for (std::size_t i = 0; i < std::max(receive_queues, line.transmit_queues); ++i) {
            line.queues.push_back(wire.pair(i));
        }
        crew_->connect(std::move(line));
    }
    void send(std::uint16_t flow, std::uint64_t number) {
        Frame frame;
        const auto bytes = bytes_of(flow, number);
        ASSERT_TRUE(pool_.make(std::as_bytes(std::span(bytes)), frame));
        in_->arrive(flow % in_->queues(), frame);
    }
    /// What has left, judged; how many.
    std::size_t judge() {
        const std::vector<Frame> sent = out_->take_sent();
        for (const Frame& frame : sent) {
            const Numbered read = number_of(frame);
            if (read.flow >= kFlows || read.number != next_[read.flow]++) ++out_of_order_;
        }
        pool_.release(sent);
        return sent.size();
    }
    std::uint64_t rx_of(std::uint32_t worker) const {
        return rig_.counters.block(WorkerId{worker}).ports[table::port_row(PortId{0})].rx.get();
    }
    void TearDown() override {
        crew_.reset();
        EXPECT_EQ(pool_.in_use(), 0u) << "leak";
    }

    Rig rig_{options(), control::test::small_limits(), counters()};
    table::Epochs epochs_{kWorkers};
    drivers::MemoryPool pool_{4096, 256};
    std::unique_ptr<Wire> in_, out_;
    std::unique_ptr<Crew> crew_;
    std::array<std::uint64_t, kFlows> next_{};
    std::size_t out_of_order_ = 0;
};

/// One thing at random; what is refused has a reason of its own.
void change_something(Crew& crew, std::mt19937& random, std::array<int, 4>& done) {
    const auto worker = static_cast<std::uint32_t>(random() % kWorkers);
    switch (random() % 8) {
        case 0:
        case 1:
            if (crew.add(worker, std::nullopt, true) == Outcome::accepted) ++done[0];
            break;
        case 2:
            if (crew.remove(worker) == Outcome::accepted) ++done[1];
            break;
        case 3:
            if (crew.move(
                    worker,
                    static_cast<std::uint32_t>(random() % std::thread::hardware_concurrency()),
                    true) == Outcome::accepted) {
                ++done[2];
            }
            break;
        default:
            if (crew.place(static_cast<std::uint32_t>(random() % 80), worker) ==
                Outcome::accepted) {
                ++done[3];
            }
            break;
    }
}

TEST_P(Crews, LoseNothingAndKeepTheOrderWhateverChanges) {
    constexpr std::uint64_t kPackets = 120'000;
    constexpr std::uint64_t kOnTheWay = 500;  // fewer than any ring has room for
    make_crew(Idle::adaptive);
    const std::array<std::optional<std::uint32_t>, 2> cores{};
    ASSERT_TRUE(crew_->start(cores).has_value());
    std::mt19937 random(7);
    std::array<std::uint64_t, kFlows> numbers{};
    std::array<int, 4> done{};
    std::uint64_t sent = 0, left = 0;
    const auto end = std::chrono::steady_clock::now() + 60s;
    const auto enough = [&] {
        return sent >= kPackets &&
               std::all_of(done.begin(), done.end(), [](int times) { return times > 5; });
    };
    while ((left < sent || !enough()) && std::chrono::steady_clock::now() < end) {
        for (int i = 0; i < 64 && !enough() && sent - left < kOnTheWay; ++i, ++sent) {
            // One flow has a quarter of all packets: it seldom has a gap.
            const auto flow = static_cast<std::uint16_t>(random() % 4 == 0 ? 0 : random() % kFlows);
            send(flow, numbers[flow]++);
        }
        left += judge();
        if (random() % 16 == 0) change_something(*crew_, random, done);
        crew_->advance();
        std::this_thread::yield();
    }
    EXPECT_GE(sent, kPackets);
    EXPECT_EQ(left, sent);
    EXPECT_EQ(out_of_order_, 0u);
    if (!GetParam().apart) {
        EXPECT_EQ(in_->meetings + out_->meetings, 0);
    }
    for (const int times : done) EXPECT_GT(times, 5);
    crew_->stop();
    std::uint64_t rx = 0, tx = 0;
    for (std::uint32_t w = 0; w < kWorkers; ++w) {
        const table::CounterBlock block = rig_.counters.block(WorkerId{w});
        const table::LedgerRow& row = block.ports[table::port_row(PortId{0})];
        EXPECT_EQ(row.rx.get(), row.tx.get()) << "worker " << w;
        rx += row.rx.get();
        tx += block.vports[rig_.vport("out").value].tx.packets.get();
    }
    EXPECT_EQ(rx, sent);
    EXPECT_EQ(tx, sent);
}

/// Two that are removed end, and what they had is with the other two.
TEST_P(Crews, EndWorkersThatHaveLeft) {
    make_crew(Idle::adaptive);
    const std::array<std::optional<std::uint32_t>, 4> cores{};
    ASSERT_TRUE(crew_->start(cores).has_value());
    EXPECT_EQ(crew_->remove(1), Outcome::accepted);
    EXPECT_EQ(crew_->remove(1), Outcome::no_such_worker);
    EXPECT_EQ(crew_->remove(2), Outcome::accepted);
    EXPECT_EQ(crew_->remove(9), Outcome::no_such_worker);
    EXPECT_EQ(crew_->running(), 2u);
    const auto end = std::chrono::steady_clock::now() + 10s;
    while ((crew_->workers()[1]->running() || crew_->workers()[2]->running()) &&
           std::chrono::steady_clock::now() < end) {
        crew_->advance();
        std::this_thread::sleep_for(1ms);
    }
    EXPECT_FALSE(crew_->workers()[1]->running());
    EXPECT_FALSE(crew_->workers()[2]->running());
    const std::uint64_t before = rx_of(1) + rx_of(2);
    for (std::uint16_t flow = 0; flow < kFlows; ++flow) send(flow, 0);
    std::size_t left = 0;
    while (left < kFlows && std::chrono::steady_clock::now() < end) left += judge();
    EXPECT_EQ(left, kFlows);
    EXPECT_EQ(rx_of(1) + rx_of(2), before);
    EXPECT_EQ(crew_->remove(0), Outcome::accepted);
    EXPECT_EQ(crew_->remove(3), Outcome::last_worker);
    EXPECT_EQ(crew_->place(0, 1), Outcome::no_such_worker);
    EXPECT_EQ(crew_->place(100'000, 3), Outcome::no_such_queue);
    EXPECT_EQ(crew_->add(7, std::nullopt, false), Outcome::workers_full);
    EXPECT_EQ(crew_->add(1, std::nullopt, false), Outcome::accepted);
    EXPECT_EQ(crew_->add(1, std::nullopt, false), Outcome::workers_full);
}

INSTANTIATE_TEST_SUITE_P(Ports, Crews,
                         ::testing::Values(Shape{4, 4, false},  // a NIC with queues for all
                                           Shape{8, 1, false},  // all send by one queue
                                           Shape{1, 1, true},   // one queue, spread in software
                                           Shape{1, 4, true}, Shape{4, 4, false, false}),
                         [](const ::testing::TestParamInfo<Shape>& shape) {
                             return "Rx" + std::to_string(shape.param.receive_queues) + "Tx" +
                                    std::to_string(shape.param.transmit_queues) +
                                    (shape.param.spread ? "Spread" : "") +
                                    (shape.param.apart ? "" : "Together");
                         });

/// Frames without end.
class Endless final : public PortIo {
  public:
    explicit Endless(drivers::MemoryPool& pool) : pool_(pool) {}
    std::size_t receive(std::span<Frame> out) noexcept override {
        static const auto bytes = bytes_of(1, 1);
        std::size_t n = 0;
        while (n < out.size() && pool_.make(std::as_bytes(std::span(bytes)), out[n])) ++n;
        return n;
    }
    std::size_t transmit(std::span<const Frame> frames) noexcept override {
        pool_.release(frames);
        return frames.size();
    }

  private:
    drivers::MemoryPool& pool_;
};

class OneCore : public Crews {
  protected:
    /// Packets of each of two workers on one core, in a second of its time.
    std::array<std::uint64_t, 2> run(bool second_has_packets) {
        crew_ =
            std::make_unique<Crew>(Crew::Options{pool_, rig_.counters}, make_workers(Idle::poll));
        for (std::uint32_t port = 0; port < 2; ++port) {
            Line line;
            line.port = PortId{port};
            line.receive_queues = port == 0 ? 2 : 1;
            line.transmit_queues = kWorkers;
            for (std::uint32_t i = 0; i < kWorkers; ++i) {
                if (port == 0 && (i == 0 || second_has_packets)) {
                    line.queues.push_back(std::make_unique<Endless>(pool_));
                } else {
                    line.queues.push_back(std::make_unique<Sink>(pool_));
                }
            }
            crew_->connect(std::move(line));
        }
        const std::array<std::optional<std::uint32_t>, 2> cores{0, 0};
        EXPECT_TRUE(crew_->start(cores).has_value());
        std::this_thread::sleep_for(1s);
        std::array<std::uint64_t, 2> packets{rx_of(0), rx_of(1)};
        crew_->stop();
        return packets;
    }
    class Sink final : public PortIo {
      public:
        explicit Sink(drivers::MemoryPool& pool) : pool_(pool) {}
        std::size_t receive(std::span<Frame>) noexcept override { return 0; }
        std::size_t transmit(std::span<const Frame> frames) noexcept override {
            pool_.release(frames);
            return frames.size();
        }

      private:
        drivers::MemoryPool& pool_;
    };
};

TEST_P(OneCore, IsSharedFairlyByTwoThatAreBusy) {
    const auto [one, other] = run(true);
    EXPECT_GT(one, 1000u);
    EXPECT_LT(std::max(one, other), 2 * std::min(one, other)) << one << " and " << other;
}

/// Both poll all the time; the idle one gives the core away.
TEST_P(OneCore, IsTheBusyOnesWhereTheOtherHasNothing) {
    const auto alone = run(false)[0];
    const table::WorkerCounters& busy = *rig_.counters.block(WorkerId{0}).worker;
    const table::WorkerCounters& idle = *rig_.counters.block(WorkerId{1}).worker;
    EXPECT_GT(alone, 1000u);
    // Of its own turns the busy one made as many as the idle one, give or take: not one in a slice.
    EXPECT_GT(busy.polls.get() * 20, idle.polls.get());
    EXPECT_GT(busy.busy_cycles.get(), idle.total_cycles.get() - idle.busy_cycles.get());
}

INSTANTIATE_TEST_SUITE_P(Core, OneCore, ::testing::Values(Shape{1, 4, false}));

TEST(FlowHash, KeepsAFlowTogetherAndFlowsApart) {
    std::array<unsigned, Spread::kShares> shares{};
    for (std::uint16_t flow = 0; flow < 6400; ++flow) {
        const auto one = bytes_of(flow, 1), other = bytes_of(flow, 2);
        const auto hash = flow_hash(std::as_bytes(std::span(one)));
        ASSERT_EQ(hash, flow_hash(std::as_bytes(std::span(other))));
        ++shares[hash >> 26];
    }
    EXPECT_LT(*std::max_element(shares.begin(), shares.end()), 150u);
    EXPECT_GT(*std::min_element(shares.begin(), shares.end()), 60u);
}

/// VXLAN from a sender that does not vary the source port: by the inner flow.
TEST(FlowHash, LooksIntoTunnels) {
    auto outer = bytes_of(5, 0);
    outer[36] = 4789 >> 8;
    outer[37] = 4789 & 0xff;
    const auto with = [&outer](const std::array<std::uint8_t, kBytes>& inner, std::uint8_t vni) {
        std::vector<std::uint8_t> frame(outer.begin(), outer.begin() + 42);
        frame.insert(frame.end(), {8, 0, 0, 0, 0, 0, vni, 0});
        frame.insert(frame.end(), inner.begin(), inner.end());
        return flow_hash(std::as_bytes(std::span(frame)));
    };
    EXPECT_EQ(with(bytes_of(1, 1), 7), with(bytes_of(1, 2), 7));
    EXPECT_NE(with(bytes_of(1, 1), 7), with(bytes_of(2, 1), 7));
    EXPECT_NE(with(bytes_of(1, 1), 7), with(bytes_of(1, 1), 8));
}

TEST(FlowHash, ReadsWithinTheFrame) {
    std::mt19937 random(1);
    for (int i = 0; i < 20000; ++i) {
        auto bytes = bytes_of(4789, 1);
        for (int flips = 0; flips < 3; ++flips) {
            bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random() & 0xff);
        }
        const std::vector<std::uint8_t> cut(bytes.begin(),
                                            bytes.begin() + static_cast<long>(random() % kBytes));
        (void)flow_hash(std::as_bytes(std::span(cut)));
    }
}

}  // namespace
}  // namespace wye::worker
