// wye-generator: sends frames at a steady rate by one DPDK port, counts what comes back by another, and
// measures how long each was under way. One core paces; it says itself how well it could keep the pace.
//
//   wye-generator EAL-OPTIONS -- --frames FILE [--send N] [--receive N] [--full drop|wait]
//                 [--longest-lag US] [--nap US] [--stamp sent|due] [--descriptors N]
//
// Needs a second EAL core (-l A,B), which sends and receives; with a third (-l A,B,C) B sends, C receives.
// --full drop: a frame that the port does not take is lost and counted as sent. So on shared-memory ports
//              (memif), whose ring is the other side's receive queue. wait: it is tried again, so on
//              NICs, where a full ring is the link's speed.
// --nap US:    sleeps so long when nothing is due, for machines without a core to spare: frames then leave
//              in small groups.
// --stamp due: the time that counts for a frame is when it was due, not when it was sent. Then latency
//              contains what the generator was late.
//
// Reads lines from standard input, and answers each with one line of JSON:
//   facts                     ports, drivers, link speed; waits up to 10 s for both links
//   load FILE                 other frames
//   run RATE FRAMES SETTLE    sends so many at RATE a second, receives until SETTLE seconds after
//   (end of input)            ends
#include <fmt/format.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <iostream>
#include <memory>
#include <optional>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>

#include "bench/rfc2544/histogram.hh"
#include "bench/rfc2544/pace.hh"
#include "bench/rfc2544/program.hh"
#include "bench/rfc2544/stamp.hh"
#include "bench/rfc2544/templates.hh"

namespace {

using namespace wye::rfc2544;

constexpr std::uint16_t kBurst = 32;

struct Options {
    std::string frames;
    std::uint16_t send = 0, receive = 1;
    bool wait_when_full = false, stamp_due = false;
    std::uint64_t longest_lag_ns = 2'000'000;
    std::uint64_t nap_ns = 0;
    std::uint16_t descriptors = 1024;
};

/// One trial. The sender writes the first part, the receiver the second; the control thread reads both
/// when `sending` and `receiving` are over.
struct Trial {
    double rate = 0;
    std::uint64_t wanted = 0;
    std::uint16_t number = 0;
    std::uint64_t settle_ns = 0;

    std::uint64_t sent = 0, refused = 0, bytes = 0;
    std::uint64_t start_ns = 0, end_ns = 0, given_up_ns = 0;
    alignas(128) std::uint64_t received = 0;
    std::uint64_t foreign = 0, longest_gap_ns = 0, last_poll_ns = 0;
    Histogram latency;

    std::atomic<bool> sending{true}, receiving{true};
};

class Generator {
  public:
    explicit Generator(const Options& options)
        : options_(options), ports_{options.send, options.receive} {
        load(options.frames);
    }

    void set_up() {
        longest_ = templates_.longest;
        pool_ = make_buffers(longest_, ports(), options_.descriptors);
        for (const std::uint16_t port : ports()) {
            start_port(port, longest_, options_.descriptors, pool_);
        }
    }

    void load(const std::string& path) {
        Templates found = read_templates(path);
        if (pool_ != nullptr && found.longest > longest_) {
            throw std::runtime_error("frames are longer than those of the start: start anew");
        }
        templates_ = std::move(found);
        next_ = 0;
    }

    /// A core's loop: one, or both, of sending and receiving.
    void serve(bool send, bool receive) {
        while (!ending_.load(std::memory_order_relaxed)) {
            Trial* trial = trial_.load(std::memory_order_acquire);
            if (trial == nullptr) {
                if (receive) drain();
                usleep(200);
                continue;
            }
            const bool sending = send && trial->sending.load(std::memory_order_relaxed);
            const bool receiving = receive && trial->receiving.load(std::memory_order_relaxed);
            if (sending) send_due(*trial);
            if (receiving) take(*trial);
            if (!sending && !receiving) usleep(200);  // its part is over
        }
    }

    std::string run(double rate, std::uint64_t frames, double settle) {
        // A core may still look at the trial before: it lets go of it before this one can end.
        last_ = std::move(current_);
        current_ = std::make_unique<Trial>();
        Trial& trial = *current_;
        trial.rate = rate;
        trial.wanted = frames;
        trial.number = ++number_;
        trial.settle_ns = static_cast<std::uint64_t>(settle * 1e9);
        trial_.store(&trial, std::memory_order_release);
        while (trial.sending.load(std::memory_order_acquire) ||
               trial.receiving.load(std::memory_order_acquire)) {
            usleep(500);
        }
        trial_.store(nullptr, std::memory_order_release);
        return report(trial);
    }

    std::string facts() const {
        for (int turn = 0; turn < 1000 && !(link(options_.send) && link(options_.receive));
             ++turn) {
            usleep(10'000);
        }
        return fmt::format(
            R"({{"send":{},"receive":{},"when_full":"{}","longest_lag_us":{},"nap_us":{},)"
            R"("cores":{},"tsc_hz":{}}})",
            describe(options_.send), describe(options_.receive),
            options_.wait_when_full ? "wait" : "drop", options_.longest_lag_ns / 1000,
            options_.nap_ns / 1000, rte_lcore_count() - 1, rte_get_tsc_hz());
    }

    void end() { ending_.store(true); }

    void close() const { close_ports(ports()); }

  private:
    /// Each once.
    [[nodiscard]] std::span<const std::uint16_t> ports() const {
        return std::span(ports_).first(options_.send == options_.receive ? 1 : 2);
    }

    static bool link(std::uint16_t port) {
        rte_eth_link state{};
        return rte_eth_link_get_nowait(port, &state) == 0 && state.link_status == RTE_ETH_LINK_UP;
    }

    std::string describe(std::uint16_t port) const {
        rte_eth_dev_info info{};
        rte_eth_link state{};
        rte_ether_addr mac{};
        char text[RTE_ETHER_ADDR_FMT_SIZE] = "";
        if (rte_eth_dev_info_get(port, &info) != 0 || rte_eth_link_get_nowait(port, &state) != 0 ||
            rte_eth_macaddr_get(port, &mac) != 0) {
            return "null";
        }
        rte_ether_format_addr(text, sizeof text, &mac);
        return fmt::format(
            R"({{"port":{},"driver":"{}","up":{},"mbits":{},"mac":"{}","descriptors":{}}})", port,
            info.driver_name, state.link_status == RTE_ETH_LINK_UP,
            state.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : state.link_speed, text,
            options_.descriptors);
    }

    void send_due(Trial& trial) {
        const std::uint64_t now = now_ns();
        if (!pace_) {
            trial.start_ns = now;
            pace_.emplace(trial.rate, now, options_.longest_lag_ns);
        }
        const std::uint64_t due = std::min(pace_->due(now, trial.sent), trial.wanted);
        if (due > trial.sent) {
            send(trial,
                 static_cast<std::uint16_t>(std::min<std::uint64_t>(due - trial.sent, kBurst)));
        } else {
            nap();
        }
        if (trial.sent >= trial.wanted) {
            trial.end_ns = now_ns();
            trial.given_up_ns = pace_->given_up_ns();
            pace_.reset();
            trial.sending.store(false, std::memory_order_release);
        }
    }

    void send(Trial& trial, std::uint16_t count) {
        std::array<rte_mbuf*, kBurst> burst;
        if (rte_pktmbuf_alloc_bulk(pool_, burst.data(), count) != 0) return;  // shows as given up
        Stamp stamp{trial.number, now_ns()};
        for (std::uint16_t at = 0; at < count; ++at) {
            if (options_.stamp_due) stamp.sent_ns = pace_->at(trial.sent + at);
            fill(*burst[at], stamp, trial);
        }
        std::uint16_t done = rte_eth_tx_burst(options_.send, 0, burst.data(), count);
        while (done < count && options_.wait_when_full) {
            done = static_cast<std::uint16_t>(
                done + rte_eth_tx_burst(options_.send, 0, burst.data() + done,
                                        static_cast<std::uint16_t>(count - done)));
        }
        trial.sent += count;
        trial.refused += static_cast<std::uint64_t>(count - done);
        if (done < count) rte_pktmbuf_free_bulk(burst.data() + done, count - done);
    }

    void fill(rte_mbuf& frame, const Stamp& stamp, Trial& trial) {
        const auto& bytes = templates_.frames[next_];
        if (++next_ == templates_.frames.size()) next_ = 0;
        auto* data = rte_pktmbuf_mtod(&frame, std::uint8_t*);
        std::memcpy(data, bytes.data(), bytes.size());
        write_stamp(data + bytes.size(), stamp);
        frame.data_len = static_cast<std::uint16_t>(bytes.size());
        frame.pkt_len = static_cast<std::uint32_t>(bytes.size());
        trial.bytes += bytes.size();
    }

    void take(Trial& trial) {
        const std::uint64_t now = now_ns();
        if (trial.last_poll_ns != 0) {
            trial.longest_gap_ns = std::max(trial.longest_gap_ns, now - trial.last_poll_ns);
        }
        trial.last_poll_ns = now;
        std::array<rte_mbuf*, kBurst> burst;
        const std::uint16_t count = rte_eth_rx_burst(options_.receive, 0, burst.data(), kBurst);
        if (count > 0) {
            const std::uint64_t arrived = now_ns();
            for (std::uint16_t at = 0; at < count; ++at) judge(*burst[at], arrived, trial);
            rte_pktmbuf_free_bulk(burst.data(), count);
        } else if (!trial.sending.load(std::memory_order_acquire) &&
                   (trial.received >= trial.sent || now > trial.end_ns + trial.settle_ns)) {
            trial.receiving.store(false, std::memory_order_release);
        } else if (!trial.sending.load(std::memory_order_relaxed)) {
            nap();
        }
    }

    void nap() const {
        if (options_.nap_ns > 0) usleep(static_cast<unsigned>(options_.nap_ns / 1000));
    }

    static void judge(const rte_mbuf& frame, std::uint64_t arrived, Trial& trial) {
        Stamp stamp;
        if (!read_stamp(frame, stamp) || stamp.trial != trial.number) {
            ++trial.foreign;
            return;
        }
        ++trial.received;
        trial.latency.add((arrived - stamp.sent_ns) & kTimeMask);
    }

    void drain() {
        std::array<rte_mbuf*, kBurst> burst;
        const std::uint16_t count = rte_eth_rx_burst(options_.receive, 0, burst.data(), kBurst);
        if (count > 0) rte_pktmbuf_free_bulk(burst.data(), count);
    }

    static std::string report(const Trial& trial) {
        const Histogram& times = trial.latency;
        return fmt::format(
            R"({{"sent":{},"refused":{},"received":{},"foreign":{},"bytes":{},"seconds":{:.6f},)"
            R"("given_up_us":{:.1f},"longest_gap_us":{:.1f},"latency_us":{{"count":{},"min":{:.3f},)"
            R"("mean":{:.3f},"p50":{:.3f},"p90":{:.3f},"p99":{:.3f},"p99_9":{:.3f},"max":{:.3f}}}}})",
            trial.sent, trial.refused, trial.received, trial.foreign, trial.bytes,
            static_cast<double>(trial.end_ns - trial.start_ns) / 1e9, micro(trial.given_up_ns),
            micro(trial.longest_gap_ns), times.count(), micro(times.least()), times.mean() / 1000,
            micro(times.quantile(0.5)), micro(times.quantile(0.9)), micro(times.quantile(0.99)),
            micro(times.quantile(0.999)), micro(times.most()));
    }
    static double micro(std::uint64_t ns) { return static_cast<double>(ns) / 1000; }

    Options options_;
    std::array<std::uint16_t, 2> ports_;
    Templates templates_;
    std::size_t longest_ = 0;  // of the start's frames
    std::size_t next_ = 0;
    rte_mempool* pool_ = nullptr;
    std::optional<Pace> pace_;
    std::uint16_t number_ = 0;
    std::unique_ptr<Trial> current_, last_;
    std::atomic<Trial*> trial_{nullptr};
    std::atomic<bool> ending_{false};
};

struct Role {
    Generator* generator;
    bool send, receive;
};

int serve(void* argument) {
    const auto& role = *static_cast<Role*>(argument);
    role.generator->serve(role.send, role.receive);
    return 0;
}

/// One answer for each line; ends with the input.
void obey(Generator& generator) {
    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream words(line);
        std::string command, file;
        double rate = 0, settle = 0;
        std::uint64_t frames = 0;
        words >> command;
        try {
            if (command == "facts") {
                std::cout << generator.facts() << std::endl;
            } else if (command == "load" && words >> file) {
                generator.load(file);
                std::cout << R"({"loaded":true})" << std::endl;
            } else if (command == "run" && words >> rate >> frames >> settle && rate > 0 &&
                       frames > 0) {
                std::cout << generator.run(rate, frames, settle) << std::endl;
            } else {
                throw std::runtime_error("no such command");
            }
        } catch (const std::exception& error) {
            std::cout << fmt::format(R"({{"error":"{}"}})", error.what()) << std::endl;
        }
    }
}

Options parse(int count, char** words) {
    Options options;
    for (int at = 1; at < count; at += 2) {
        const std::string key = words[at];
        if (at + 1 == count) throw std::runtime_error(key + " needs a value");
        const std::string value = words[at + 1];
        if (key == "--frames") {
            options.frames = value;
        } else if (key == "--send") {
            options.send = static_cast<std::uint16_t>(std::stoul(value));
        } else if (key == "--receive") {
            options.receive = static_cast<std::uint16_t>(std::stoul(value));
        } else if (key == "--full" && (value == "drop" || value == "wait")) {
            options.wait_when_full = value == "wait";
        } else if (key == "--stamp" && (value == "sent" || value == "due")) {
            options.stamp_due = value == "due";
        } else if (key == "--longest-lag") {
            options.longest_lag_ns = std::stoull(value) * 1000;
        } else if (key == "--nap") {
            options.nap_ns = std::stoull(value) * 1000;
        } else if (key == "--descriptors") {
            options.descriptors = static_cast<std::uint16_t>(std::stoul(value));
        } else {
            throw std::runtime_error(fmt::format("{} {} is not understood", key, value));
        }
    }
    if (options.frames.empty()) throw std::runtime_error("--frames FILE is needed");
    return options;
}

void run(int count, char** words) {
    Generator generator(parse(count, words));
    const unsigned first = rte_get_next_lcore(rte_get_main_lcore(), 1, 0);
    if (first >= RTE_MAX_LCORE) throw std::runtime_error("a second core is needed (-l A,B)");
    const unsigned second = rte_get_next_lcore(first, 1, 0);
    generator.set_up();
    const bool apart = second < RTE_MAX_LCORE;
    Role one{&generator, true, !apart}, other{&generator, false, true};
    rte_eal_remote_launch(serve, &one, first);
    if (apart) rte_eal_remote_launch(serve, &other, second);
    obey(generator);
    generator.end();
    rte_eal_mp_wait_lcore();
    generator.close();
}

}  // namespace

int main(int count, char** words) {
    return run_program("wye-generator", count, words, run);
}
